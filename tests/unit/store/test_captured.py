"""Every text that a store is handed is either content, which a policy changes, or a name, which stays."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest

from agentmesh.capture import Capture
from agentmesh.events import Event, RunStarted, fold
from agentmesh.graphs.workflow.spec import WORKFLOW
from agentmesh.records import Experience, Feedback, LearningFault, Preference, Record, RouterMark
from agentmesh.store import capturing, open_store
from agentmesh.store.captured import CONTENT, captured, captured_source
from agentmesh.store.capturing import CapturingStore
from agentmesh.testing.traces import end, lesson, mark, score, start, state, whole

NAMES = {
    "AgentCall": "agent_id",
    "AnswerChecked": "agent_id check",
    "AnswerChunk": "agent_id text",  # never stored
    "AnswerRefined": "answered_by refiner rests_on",
    "ApprovalReply": "agent_id",
    "ApprovalRequest": "agent_id",
    "CallStarted": "agent_id",
    "Candidate": "agent_id factors",
    "ContextItem": "agent_id stage",
    "ContextSliced": "agent_id",
    "Dropped": "agent_id",
    "Experience": "agent_id embedder factors previous run_id source",
    "Feedback": "agent_id run_id source",
    "LearningFault": "run_id source",
    "Position": "agents",
    "Reasoning": "asked model named",
    "RouteDecision": "policy registry_version router router_version",
    "RouterMark": "parameters root router",
    "RunResumed": "owner",
    "RunStarted": "capture changed embedder fallback forked owner parent previous registry_version router stage team "
    "workflow",
    "Selection": "agent_id",
    "Stage": "beyond chosen name",
    "StageRun": "run_id stage",
    "StageStarted": "child stage",
    "StageWaiting": "child stage",
    "TaskPrepared": "bonus load",
    "Turn": "agent_id",
    "WaveStarted": "agents groups",
}
"""What is a name: it stays, whatever the policy. Sources are seen to by themselves."""


def holds_text(annotation: Any) -> bool:
    if get_origin(annotation) is not None and get_origin(annotation).__name__ == "Literal":
        return False
    if annotation is str or annotation is Any or getattr(annotation, "__name__", "") == "JsonValue":
        return True
    return any(holds_text(one) for one in get_args(annotation))


def records_in(annotation: Any) -> Iterator[type[Record]]:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        yield annotation
    for one in get_args(annotation):
        yield from records_in(one)


def reachable() -> set[type[Record]]:
    found, left = set[type[Record]](), [*records_in(Event), Experience, Feedback, LearningFault, RouterMark]
    while left:
        kind = left.pop()
        if kind not in found and kind is not Preference:  # a rule is kept whole or not at all
            found.add(kind)
            left += [one for field in kind.model_fields.values() for one in records_in(field.annotation)]
    return found


@pytest.mark.parametrize("kind", sorted(reachable(), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_each_field_that_holds_text_is_known_as_content_or_as_a_name(kind: type[Record]) -> None:
    texts = {name for name, field in kind.model_fields.items() if holds_text(field.annotation)}
    of_event = {"run_id"} if "seq" in kind.model_fields else set()
    names = set(NAMES.get(kind.__name__, "").split()) | of_event
    content = set(CONTENT.get(kind, {})) - {"preferences"}
    assert content & names == set()
    assert texts - of_event <= content | names
    assert content <= set(kind.model_fields)


def test_what_is_kept_of_a_trace_folds_into_the_same_run_without_its_texts() -> None:
    said = whole("r")
    kept = [captured(event, Capture(content="none")) for event in said]
    before, after = fold(said), fold(kept)
    assert (after.status, after.cost_usd, after.answered_by) == (before.status, before.cost_usd, before.answered_by)
    assert after.task.text == after.answer == "[not kept]"
    assert [captured(event, Capture(content="none")) for event in kept] == kept
    assert [captured(event, Capture()) for event in said] == said


@pytest.mark.parametrize(
    ("source", "kept"),
    [("user", "user"), ("judge:small", "judge:small"), ("verifier:exact", "verifier:exact"), ("ann", "[not kept]")],
)
def test_who_scored_is_kept_where_the_learner_goes_by_it(source: str, kept: str) -> None:
    assert captured_source(source, Capture(content="none")) == kept
    assert captured_source(source, Capture(content="none", keep=("notes",))) == source
    assert captured_source("user:ann", Capture(redact={"name": "ann"})) == "user:[name]"


def test_a_capturing_store_hands_all_else_on_to_the_store_behind() -> None:
    with open_store() as behind:
        store = CapturingStore(behind, Capture(content="none"))
        store.append(whole("r"))
        assert (store.url, store.address, store.check()) == (behind.url, behind.address, [])
        assert (store.count_runs(), store.runs()) == (1, behind.runs())
        assert [event.event for event in store.tail()] == store.events("r") == behind.events("r")
        assert store.run("r") == behind.run("r")
        store.add_feedback(score("r", 1.0), [lesson("r")])
        assert [one.text for one in store.experiences()] == ["[not kept]"]
        assert store.last_experience() == 1
        put = store.put_mark(mark(), state(2))
        assert (put.note, store.last_experience()) == ("[not kept]", 2)
        assert store.marks(put.router, put.root) == [put]
        assert store.nearest_state(put.router, put.parameters) is not None
        assert store.states(put.router, put.parameters) == behind.states(put.router, put.parameters)
        store.put_state(state(3))
        store.put_router("knn", "abc", "{}")
        store.put_router(WORKFLOW, "abc", "{}")
        assert (store.router_parameters("knn", "abc"), store.router_parameters(WORKFLOW, "abc")) == ("{}", None)
        assert store.routers() == behind.routers()
        store.add_fault(LearningFault(at=1.0, message="said this"))
        assert store.faults()[0].message == store.shown("said this") == "[not kept]"
        assert store.latest_cards() == ()
        store.close()


def test_a_run_is_read_as_it_was_said_until_it_has_ended_with_those_that_it_is_part_of() -> None:
    with open_store() as behind:
        store = CapturingStore(behind, Capture(content="none"))
        outer, inner = start("outer"), start("inner").model_copy(update={"parent": "outer"})
        store.append([outer, inner, end("inner", 1)])
        assert store.events("inner") == [inner, end("inner", 1)]
        store.append([end("outer", 1)])
        for name in ("outer", "inner"):
            first = store.events(name)[0]
            assert isinstance(first, RunStarted)
            assert (first.task.text, first.capture) == ("[not kept]", "none")


def test_workflows_are_known_to_the_store_by_their_own_name() -> None:
    assert capturing.WORKFLOW == WORKFLOW
