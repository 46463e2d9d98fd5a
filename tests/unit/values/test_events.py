"""Events: told apart by kind, lifted from old shapes, folded into a run."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from agentmesh import events
from agentmesh.errors import RunNotFoundError
from agentmesh.events import CallFinished, RunFinished, RunStarted, fold, summarize, total_cost
from agentmesh.lifting import lift, parse_event
from agentmesh.records import AgentCall, CallStatus, Limits, RunStatus, Task

STARTED = RunStarted(
    run_id="r",
    seq=0,
    at=1.0,
    task=Task(text="q" * 300),
    limits=Limits(),
    registry_version="v",
    embedder="e",
    router="kernel",
    mesh_seed=0,
)


def _called(seq: int, cost: str | None) -> CallFinished:
    call = AgentCall(agent_id=f"a{seq}", status=CallStatus.OK, cost_usd=None if cost is None else Decimal(cost))
    return CallFinished(run_id="r", seq=seq, at=2.0, call=call)


def test_an_event_is_read_back_as_its_kind() -> None:
    assert parse_event(STARTED.model_dump_json()) == STARTED


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="kind"):
        parse_event('{"kind": "rumour", "run_id": "r", "seq": 0, "at": 1.0}')


def test_todays_shape_needs_no_lifting() -> None:
    assert lift(STARTED.model_dump(mode="json"), schema=events.SCHEMA) == STARTED


def test_an_old_shape_is_lifted_step_by_step() -> None:
    def rename(shape: dict[str, Any]) -> dict[str, Any]:
        return {("router" if name == "chooser" else name): value for name, value in shape.items()}

    old = STARTED.model_dump(mode="json")
    old["chooser"] = old.pop("router")
    assert lift(old, schema=1, steps=(rename,)) == STARTED


def test_a_run_in_flight_is_running_and_costs_what_is_known_so_far() -> None:
    run = fold([STARTED, _called(1, "0.5"), _called(2, "0.25")])
    assert (run.status, run.cost_usd, run.answer) == (RunStatus.RUNNING, Decimal("0.75"), None)
    line = summarize(run)
    assert (line.elapsed_s, line.agents, len(line.text)) == (None, ("a1", "a2"), 200)


def test_an_ended_run_is_what_its_last_event_says() -> None:
    end = RunFinished(run_id="r", seq=2, at=3.0, status=RunStatus.FAILED, error="no luck", elapsed_s=2.0)
    run = fold([STARTED, _called(1, "0.5"), end])
    assert (run.status, run.error, run.elapsed_s, run.cost_usd) == (RunStatus.FAILED, "no luck", 2.0, None)


def test_events_without_a_beginning_are_no_run() -> None:
    with pytest.raises(RunNotFoundError, match="run_started"):
        fold([_called(1, None)])


def test_one_unknown_cost_makes_the_sum_unknown() -> None:
    assert total_cost([_called(1, "1").call, _called(2, None).call]) is None
