"""The spans of a run, of whatever events it has: always sound, and without a word where content is not told."""

import math
from typing import Any

import pytest
from hypothesis import given, settings

from agentmesh.approvals import ApprovalReply, ApprovalRequest
from agentmesh.contexts import ContextItem, SlicedItem
from agentmesh.decisions import Evidence, Reasoning, Selection, Stage
from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    ApprovalAsked,
    ApprovalGiven,
    CallFinished,
    CallStarted,
    ContextSliced,
    Event,
    FeedbackGiven,
    RunFinished,
    RunResumed,
    RunStarted,
    StageFinished,
    StageStarted,
    StageWaiting,
    TaskPrepared,
    WaveStarted,
)
from agentmesh.packing import pack_vector
from agentmesh.records import (
    AgentCall,
    Answer,
    CallStatus,
    Conflict,
    Dropped,
    Feedback,
    Limits,
    Position,
    RunStatus,
    StageRun,
    Task,
    Turn,
    Usage,
)
from agentmesh.telemetry import Anchor, FinishedSpan, RunSpans
from agentmesh.telemetry.content import LONGEST
from agentmesh.telemetry.open_spans import MOST_MOMENTS
from agentmesh.telemetry.pipe import loaded, open_pipe
from agentmesh.testing import traces as trace
from agentmesh.testing.otlp import FakeCollector
from agentmesh.testing.strategies import traces

WORDS = iter(f"WORDS-{number}-END" for number in range(1000))


def written() -> str:
    return next(WORDS)


TASK = Task(
    text=written(),
    id=written(),
    inputs={"input": "UNTOLD"},
    type_hints=(written(),),
    turns=(Turn(role="assistant", text=written()),),
    context=(ContextItem(key=written(), text=written()),),
)
REASONING = Reasoning(
    model="thinker",
    asked=("ada",),
    reply=written(),
    reason="UNTOLD",
    repairs=("UNTOLD",),
    input_tokens=11,
    output_tokens=2,
    latency_s=0.5,
)


def at(kind: type[Any], seq: int, **fields: Any) -> Any:
    return kind(run_id="r", seq=seq, at=100.0 + seq, **fields)


def decided() -> Event:
    event = trace.decided("r", 2, reason=written(), reasoning=REASONING)
    decision = event.decision.model_copy(
        update={
            "elapsed_ms": 750.0,
            "stages": (Stage(name="kernel", chosen=("ada",), note="UNTOLD"), Stage(name="reasoning", decided=True)),
            "evidence": (Evidence(kind="task", name="UNTOLD", weight=1.0, text="UNTOLD"),),
            "intent": {"UNTOLD": 1.0},
            "selected": (Selection(agent_id="ada", weight=1.0),),
        }
    )
    return event.model_copy(update={"decision": decision, "at": 102.0})


def every_kind() -> list[Event]:
    """Return a trace in which each kind of event occurs, and each text that somebody wrote is a marked one."""
    request = ApprovalRequest(agent_id="ada", text=written(), reason=written(), estimate_usd="0.5")
    reply = ApprovalReply(agent_id="ada", verdict="edit", by=written(), text=written(), note=written())
    ok = AgentCall(
        agent_id="ada",
        status=CallStatus.OK,
        answer=Answer(text=written(), usage=Usage(input_tokens=5, output_tokens=6), data="UNTOLD"),
        cost_usd="0.25",
    )
    bad = AgentCall(agent_id="bob", wave=2, status=CallStatus.FAILED, error=f"KeyError: {written()}")
    odd = AgentCall(agent_id="cy", wave=2, status=CallStatus.FAILED, error=f"{written()} Error")
    late = AgentCall(agent_id="dan", wave=2, status=CallStatus.TIMED_OUT, error=written(), latency_s=2.0)
    conflict = Conflict(positions=(Position(text="UNTOLD", agents=("ada",), weight=1.0),), explanation="UNTOLD")
    item = SlicedItem(key="UNTOLD", tokens=1, score=0.5, kept=True, why="UNTOLD")
    return [
        at(RunStarted, 0, task=TASK, limits=Limits(), registry_version="v", embedder="e", router="cosine", mesh_seed=1),
        at(
            TaskPrepared,
            1,
            vector=pack_vector([1.0]),
            refused={"eve": "UNTOLD"},
            rules=("UNTOLD",),
            faults=("UNTOLD",),
            load={"ada": 0.5},
        ),
        decided(),
        at(WaveStarted, 3, wave=1, agents=("ada",), reason=written(), agreement=0.5, note=written()),
        at(ContextSliced, 4, agent_id="ada", budget_tokens=9, tokens=3, full_tokens=8, items=(item,)),
        at(AnswerChecked, 5, agent_id="ada", check="feasible", passed=True, before=True, reason=written()),
        at(ApprovalAsked, 6, request=request),
        at(ApprovalGiven, 7, reply=reply),
        at(RunResumed, 8, reason=written()),
        at(CallStarted, 9, agent_id="ada"),
        at(CallFinished, 10, call=ok),
        at(AnswerChecked, 11, agent_id="ada", check="form", passed=False, reason=written(), cost_usd="0.125"),
        at(CallFinished, 12, call=bad),
        at(CallFinished, 13, call=odd),
        at(CallStarted, 14, agent_id="dan", wave=2),
        at(CallFinished, 15, call=late),
        at(StageStarted, 16, stage="first", child="r/first"),
        at(StageWaiting, 17, stage="first", child="r/first", requests=()),
        at(
            StageFinished,
            18,
            result=StageRun(stage="first", run_id="r/first", status=RunStatus.FAILED, reason=written()),
        ),
        at(StageFinished, 19, result=StageRun(stage="second", reason=written())),
        at(
            AnswerRefined,
            20,
            refiner="vote",
            answer="UNTOLD",
            answered_by=("ada",),
            conflicts=(conflict,),
            dropped=(Dropped(agent_id="bob", text="UNTOLD", why="UNTOLD"),),
            note=written(),
        ),
        at(CallStarted, 21, agent_id="lost"),
        at(RunFinished, 22, status=RunStatus.FAILED, answer=written(), cost_usd="0.375", error=written()),
        at(FeedbackGiven, 23, feedback=Feedback(run_id="r", score=0.75, agent_id="ada", at=123.0)),
    ]


def spans_of(events: list[Event], *, content: bool = False, parent: Anchor | None = None) -> list[FinishedSpan]:
    spans = RunSpans(events[0].run_id, parent, content=content)
    return [span for event in events for span in spans.take(event)]


def test_each_kind_of_event_is_told_by_its_names_and_numbers() -> None:
    spans = {span.name: span for span in spans_of(every_kind())}
    assert {name: (span.began_at, span.ended_at) for name, span in spans.items()} == {
        "prepare": (100.0, 101.25),
        "route random": (101.25, 102.0),
        "chat thinker": (101.5, 102.0),
        "approval ada": (106.0, 107.0),
        "invoke_agent ada": (109.0, 110.0),
        "invoke_agent bob": (112.0, 112.0),
        "invoke_agent cy": (113.0, 113.0),
        "invoke_agent dan": (114.0, 115.0),
        "stage first": (116.0, 118.0),
        "refine vote": (119.0, 120.0),
        "invoke_agent lost": (121.0, 122.0),
        "invoke_workflow": (100.0, 122.0),
        "feedback": (123.0, 123.0),
    }
    errors = {name: span.attributes.get("error.type") for name, span in spans.items() if span.error is not None}
    assert errors == {
        "invoke_agent bob": "KeyError",
        "invoke_agent cy": "_OTHER",
        "invoke_agent dan": "timed_out",
        "stage first": None,
        "invoke_workflow": "failed",
    }
    model = spans["chat thinker"]
    assert (model.parent, model.is_client) == (spans["route random"].own, True)
    assert model.attributes["gen_ai.request.model"] == "thinker"
    assert model.attributes["gen_ai.usage.input_tokens"] == 11
    route = spans["route random"].attributes
    assert (route["agentmesh.route.stages"], route["agentmesh.route.decided_by"]) == (
        ("kernel", "reasoning"),
        ("reasoning",),
    )
    assert spans["prepare"].attributes["agentmesh.prepare.refused"] == ("eve",)
    assert spans["invoke_agent lost"].attributes["agentmesh.unfinished"] is True
    assert spans["refine vote"].attributes["agentmesh.refine.dropped"] == 1
    assert spans["feedback"].attributes["gen_ai.evaluation.score.value"] == 0.75
    whole = spans["invoke_workflow"]
    assert (whole.attributes["agentmesh.run.calls"], whole.attributes["gen_ai.usage.output_tokens"]) == (4, 6)
    assert [(moment.name, moment.at) for moment in whole.moments] == [
        ("agentmesh.wave", 103.0),
        ("agentmesh.context_sliced", 104.0),
        ("gen_ai.evaluation.result", 105.0),
        ("agentmesh.resumed", 108.0),
        ("gen_ai.evaluation.result", 111.0),
        ("agentmesh.stage.waiting", 117.0),
        ("agentmesh.stage.passed_over", 119.0),
    ]
    check = whole.moments[4].attributes
    assert (check["gen_ai.evaluation.name"], check["gen_ai.evaluation.score.label"]) == ("form", "fail")


def test_no_word_is_told_without_content_and_with_it_each_that_is_promised() -> None:
    events = every_kind()
    marked = {
        word for event in events for word in event.model_dump_json().replace('"', " ").split() if "WORDS-" in word
    }
    words = {word.strip("\\,:[]{}") for word in marked}
    assert len(words) > 20
    with FakeCollector() as collector:
        for content in (False, True):
            pipe = open_pipe(collector.url)
            for span in spans_of(events, content=content):
                pipe.send(span)
            pipe.close()
    silent, telling = (request.body.decode(errors="ignore") for request in collector.requests)
    assert "WORDS" not in silent
    assert [word for word in words if word not in telling] == []
    assert "UNTOLD" not in silent + telling


@settings(max_examples=12)
@given(traces())
def test_whatever_happened_the_spans_are_sound_and_the_same_again(events: list[Event]) -> None:
    for content in (False, True):
        spans = spans_of(events, content=content)
        assert repr(spans) == repr(spans_of(events, content=content))
        for span in spans:
            assert span.own.span_id != 0 != span.own.trace_id
            assert span.ended_at >= span.began_at or math.isnan(span.began_at)
            repr((span.name, span.error)).encode()
            for name, value in span.attributes.items():
                assert name.startswith(("gen_ai.", "agentmesh.", "error."))
                str(value).encode()


def test_a_run_that_goes_on_elsewhere_begins_with_what_is_told_first() -> None:
    [call, whole] = spans_of(
        [at(RunResumed, 9), at(CallFinished, 10, call=trace.call("r", 10).call), trace.end("r", 11)]
    )
    assert (whole.name, whole.began_at, whole.own) == ("invoke_workflow", 109.0, RunSpans("r").anchor)
    assert call.parent == whole.own


def test_moments_beyond_a_bound_are_counted_and_long_texts_are_cut() -> None:
    asked = at(AnswerChecked, 1, agent_id="ada", check="form", passed=True, reason="x" * (LONGEST + 9))
    [whole] = spans_of([asked] * (MOST_MOMENTS + 5) + [trace.end("r", 2)], content=True)
    assert len(whole.moments) == MOST_MOMENTS
    assert len(str(whole.moments[0].attributes["agentmesh.check.reason"])) == LONGEST + 3
    assert whole.moments[-1].attributes == {"agentmesh.moments": 6}


def test_a_parent_gives_its_trace_and_whether_it_is_recorded() -> None:
    parent = Anchor(7, 8, is_sampled=False, state="vendor=1")
    [whole] = spans_of([trace.end("r", 0)], parent=parent)
    assert (whole.parent, whole.own.trace_id, whole.own.is_sampled, whole.own.state) == (parent, 7, False, "vendor=1")


def test_where_opentelemetry_is_missing_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from agentmesh.errors import MissingExtraError

    for name in [name for name in sys.modules if name.startswith(("opentelemetry", "agentmesh.telemetry.sdk"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(MissingExtraError, match=r"agentmesh-routing\[otel\]"):
        loaded()


class Missing:
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
