"""From a score to experiences: what is kept, what is learned, what is refused."""

import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from agentmesh.errors import AgentMeshError, ConfigError, DuplicateFeedbackError, RunNotFoundError, StoreError
from agentmesh.events import (
    AnswerRefined,
    CallFinished,
    DecisionMade,
    Event,
    FeedbackGiven,
    RunFinished,
    RunStarted,
    TaskPrepared,
)
from agentmesh.learning import record_feedback
from agentmesh.learning.settings import Learning
from agentmesh.packing import pack_floats, pack_vector
from agentmesh.records import (
    AgentCall,
    Answer,
    CallStatus,
    Candidate,
    Feedback,
    Limits,
    RouteDecision,
    RunStatus,
    Selection,
    Task,
)
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.store.memory import MemoryStore


class StandingClock:
    """A clock that shows one instant."""

    def now(self) -> float:
        return 50.0

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TraceStore]:
    """An empty store of each kind."""
    url = None if request.param == "memory" else f"sqlite:///{tmp_path / 'mesh.db'}"
    with open_store(url) as opened:
        yield opened


CALLS = (
    AgentCall(agent_id="ada", status=CallStatus.FAILED, cost_usd="0.1", latency_s=1.0, error="x", retryable=True),
    AgentCall(agent_id="ada", agent_version=3, attempt=2, status=CallStatus.OK, cost_usd="0.2", latency_s=2.0),
    AgentCall(agent_id="bob", status=CallStatus.OK, answer=Answer(text="84"), latency_s=0.5),
    AgentCall(agent_id="cy", status=CallStatus.OK, answer=Answer(text="85"), cost_usd="0.1", latency_s=0.5),
    AgentCall(agent_id="dan", status=CallStatus.REFUSED, error="no money left"),
)


def decision() -> RouteDecision:
    drawn = pack_floats(np.array([0.6, 0.3, 0.1]))
    return RouteDecision(
        router="kernel",
        router_version="p@0",
        registry_version="reg",
        seed=1,
        selected=(Selection(agent_id="ada", weight=1.0),),
        candidates=(Candidate(agent_id="ada", score=0.6, probability=0.6, inclusion=0.9),),
        scores=drawn,
        probabilities=drawn,
    )


def trace(
    run_id: str = "r", *, answered_by: tuple[str, ...] = ("ada", "bob"), answer: str | None = "84", end: bool = True
) -> list[Event]:
    """Return the events of a run in which four agents were called and one was refused."""
    task = Task(text="12 * 7?", type_hints=("math",))
    events: list[Event] = [
        RunStarted(
            run_id=run_id,
            seq=0,
            at=0.0,
            task=task,
            limits=Limits(),
            registry_version="reg",
            embedder="static-1",
            router="kernel",
            mesh_seed=0,
        ),
        TaskPrepared(run_id=run_id, seq=1, at=0.0, vector=pack_vector(np.array([1.0, 0.0], np.float32))),
        DecisionMade(run_id=run_id, seq=2, at=0.0, decision=decision()),
    ]
    events += [CallFinished(run_id=run_id, seq=3 + place, at=0.0, call=call) for place, call in enumerate(CALLS)]
    refined = AnswerRefined(run_id=run_id, seq=8, at=0.0, refiner="vote", answer=answer, answered_by=answered_by)
    status = RunStatus.COMPLETED if answer is not None else RunStatus.FAILED
    finished = RunFinished(run_id=run_id, seq=9, at=0.0, status=status, answer=answer)
    return [*events, refined, finished] if end else events


def given(store: TraceStore, run_id: str = "r") -> list[Feedback]:
    return [event.feedback for event in store.events(run_id) if isinstance(event, FeedbackGiven)]


def test_a_score_becomes_an_experience_of_each_agent_whose_answer_won(store: TraceStore) -> None:
    store.append(trace())
    ada, bob = record_feedback(store, "r", 0.75, clock=StandingClock())
    assert store.experiences() == [ada, bob]
    assert [one.sequence for one in (ada, bob)] == [1, 2]
    assert (ada.agent_id, ada.agent_version, ada.quality, ada.propensity) == ("ada", 3, 0.75, 0.9)
    assert (ada.cost_usd, ada.latency_s) == (Decimal("0.3"), 3.0)
    assert (bob.agent_id, bob.agent_version, bob.cost_usd, bob.propensity) == ("bob", 1, None, None)
    assert (ada.text, ada.embedder, ada.type_hints, ada.at) == ("12 * 7?", "static-1", ("math",), 50.0)
    assert (ada.stage, ada.previous) == (0, "")


def test_an_agent_that_lost_or_failed_is_scored_by_name(store: TraceStore) -> None:
    store.append(trace(answered_by=(), answer=None))
    for place, agent in enumerate(("ada", "cy"), start=1):
        (learned,) = record_feedback(store, "r", 0.0, agent=agent)
        assert (learned.agent_id, learned.sequence) == (agent, place)


@pytest.mark.parametrize(
    ("source", "weight"), [("user", 1.0), ("verifier:exact", 1.0), ("judge:small", 0.25), ("crowd:7", 0.1)]
)
def test_an_experience_weighs_what_its_source_does(store: TraceStore, source: str, weight: float) -> None:
    store.append(trace())
    learning = Learning(weights={"judge": 0.25, "crowd": 0.1})
    assert {one.weight for one in record_feedback(store, "r", 1.0, source=source, learning=learning)} == {weight}


def test_unsaid_a_judge_weighs_half(store: TraceStore) -> None:
    store.append(trace())
    assert [one.weight for one in record_feedback(store, "r", 1.0, source="judge:small")] == [0.5, 0.5]


def test_every_score_is_kept_with_its_source_whether_it_teaches_or_not(store: TraceStore) -> None:
    store.append(trace())
    learning = Learning(undecided=(0.3, 0.7))
    taught = [
        [one.agent_id for one in record_feedback(store, "r", score, agent=agent, source=source, learning=learning)]
        for score, agent, source in (
            (0.5, "bob", "judge:small"),
            (1.0, "bob", "verifier:exact"),
            (0.0, None, "user"),
            (0.9, "ada", "judge:small"),
        )
    ]
    assert taught == [[], ["bob"], ["ada"], []]
    assert [(one.source, one.agent_id, one.score) for one in given(store)] == [
        ("judge:small", "bob", 0.5),
        ("verifier:exact", "bob", 1.0),
        ("user", None, 0.0),
        ("judge:small", "ada", 0.9),
    ]
    assert store.faults() == []


def test_a_better_source_that_comes_later_teaches_and_what_was_taught_before_stays(store: TraceStore) -> None:
    store.append(trace(answered_by=("bob",)))
    record_feedback(store, "r", 1.0, source="judge:small")
    record_feedback(store, "r", 0.0)
    learned = store.experiences()
    assert [(one.source, one.quality, one.weight) for one in learned] == [("judge:small", 1.0, 0.5), ("user", 0.0, 1.0)]
    assert np.average([one.quality for one in learned], weights=[one.weight for one in learned]) == pytest.approx(1 / 3)


REFUSED = [
    ({"run_id": "nobody"}, RunNotFoundError, "no run 'nobody'"),
    ({"run_id": ""}, RunNotFoundError, "no run ''"),
    ({"run_id": "open"}, StoreError, "run 'open' in .* has not finished"),
    ({"run_id": "open", "agent": "ada"}, StoreError, "run 'open' in .* has not finished"),
    ({"run_id": "lost"}, ConfigError, r"run 'lost' has no answer to score \(failed\); name one of its agents: \('ada'"),
    ({"score": -0.1}, ConfigError, "a score of -0.1 cannot be learned from; give a number from 0 to 1"),
    ({"score": 1.5}, ConfigError, "a score of 1.5 cannot be learned from"),
    ({"score": float("nan")}, ConfigError, "a score of nan cannot be learned from"),
    ({"score": float("inf")}, ConfigError, "a score of inf cannot be learned from"),
    ({"score": "good"}, ConfigError, "a score of 'good' cannot be learned from"),
    ({"score": None}, ConfigError, "a score of None cannot be learned from"),
    ({"agent": "eve"}, ConfigError, "agent 'eve' was not called in run 'r'; called were: .'ada', 'bob', 'cy'"),
    ({"agent": "dan"}, ConfigError, "agent 'dan' was not called"),
    ({"agent": ""}, ConfigError, "agent '' was not called"),
    ({"source": " "}, ConfigError, "the source is ' '; say in 1 to 200 characters who scored"),
    ({"source": "x" * 100_000}, ConfigError, "the source is 'x{200}'; say in 1 to 200 characters"),
    ({"source": "user:\ud800"}, ConfigError, r"the source is 'user:\\ud800'"),
    ({"agent": "cy"}, DuplicateFeedbackError, "source 'user' has scored agent 'cy' of run 'r'"),
]


@pytest.mark.parametrize(("how", "kind", "message"), REFUSED, ids=range(len(REFUSED)))
def test_a_score_that_is_refused_is_one_clear_error_and_a_fault_and_learning_goes_on(
    store: TraceStore, how: dict[str, object], kind: type[AgentMeshError], message: str
) -> None:
    store.append([*trace(), *trace("lost", answered_by=(), answer=None), *trace("open", end=False)])
    record_feedback(store, "r", 1.0, agent="cy")
    arguments = {"run_id": "r", "score": 1.0, "source": "user"} | how
    with pytest.raises(kind, match=message) as caught:
        record_feedback(store, **arguments, clock=StandingClock())  # type: ignore[arg-type]
    (fault,) = store.faults()
    assert (fault.run_id, fault.at) == (arguments["run_id"], 50.0)
    assert fault.source == str(arguments["source"])[:200].replace("\ud800", "\\ud800")
    assert fault.message == str(caught.value)
    assert len(given(store)) == len(store.experiences()) == 1
    assert [one.sequence for one in record_feedback(store, "r", 1.0)] == [2, 3]


def test_a_score_that_taught_nothing_is_not_taken_twice_either(store: TraceStore) -> None:
    store.append(trace())
    record_feedback(store, "r", 1.0, agent="bob", source="verifier:exact")
    assert record_feedback(store, "r", 0.0, agent="bob") == []
    with pytest.raises(DuplicateFeedbackError, match="source 'user' has scored agent 'bob'"):
        record_feedback(store, "r", 0.0, agent="bob")
    assert [fault.source for fault in store.faults()] == ["user"]


def test_a_run_without_a_decision_keeps_the_score_and_teaches_nothing(store: TraceStore) -> None:
    whole = trace()
    kept = [event for event in whole if not isinstance(event, DecisionMade)]
    store.append([event.model_copy(update={"seq": place}) for place, event in enumerate(kept)])
    assert record_feedback(store, "r", 1.0) == []
    assert len(given(store)) == 1


def test_an_error_is_told_also_where_its_fault_cannot_be_stored(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.close()
    with caplog.at_level(logging.WARNING), pytest.raises(StoreError, match="is closed"):
        record_feedback(store, "r", 1.0)
    assert "could not be stored" in caplog.text


def test_a_store_that_is_only_read_refuses_a_score_with_one_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    with open_store(url) as store:
        store.append(trace())
    with open_store(url, read_only=True) as store, pytest.raises(StoreError, match="read"):
        record_feedback(store, "r", 1.0)


@pytest.mark.parametrize("text", ["\ud800", "\x00", "x" * 100_000])
def test_hostile_names_end_in_an_error_and_a_fault(store: TraceStore, text: str) -> None:
    store.append(trace())
    with pytest.raises(StoreError):
        record_feedback(store, text, 1.0)
    with pytest.raises(ConfigError):
        record_feedback(store, "r", 1.0, agent=text)
    assert len(store.faults()) == 2
