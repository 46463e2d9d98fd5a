"""Kinds of task in a replay: compared number by number, unless the trace is older than they are."""

import pytest

from agentmesh.events import DecisionMade, Event, RunStarted
from agentmesh.packing import pack_floats
from agentmesh.playback.compare import compare
from agentmesh.records import Limits, RouteDecision, Task


def trace(**intent: float) -> list[Event]:
    decision = RouteDecision(
        router="pheromone",
        router_version="abc@3",
        registry_version="r",
        seed=1,
        selected=(),
        candidates=(),
        scores=pack_floats([]),
        probabilities=pack_floats([]),
        abstained=True,
        intent=intent,
    )
    started = RunStarted(
        run_id="r",
        seq=0,
        at=1.0,
        task=Task(text="q"),
        limits=Limits(),
        registry_version="r",
        embedder="e",
        router="pheromone",
        mesh_seed=0,
    )
    return [started, DecisionMade(run_id="r", seq=1, at=1.0, decision=decision)]


@pytest.mark.parametrize("replayed", [{"math": 0.7, "law": 0.1}, {"math": 0.8}, {}])
def test_a_kind_of_another_weight_is_a_difference(replayed: dict[str, float]) -> None:
    found = [difference.where for difference in compare(trace(math=0.8, law=0.1), trace(**replayed), ())]
    assert found == [
        f"intent {kind!r}" for kind in ("law", "math") if {"math": 0.8, "law": 0.1}[kind] != replayed.get(kind)
    ]


def test_weights_that_differ_by_rounding_are_the_same() -> None:
    assert list(compare(trace(math=0.8), trace(math=0.8 + 1e-9), ())) == []


def test_a_trace_from_before_kinds_were_recorded_agrees_with_any() -> None:
    assert list(compare(trace(), trace(math=0.8), ())) == []
