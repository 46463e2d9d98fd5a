"""Agents that go wrong in three calls of ten: every run ends in time, keeps to its limits, and is told in full."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest

from agentmesh import Health, Learning, Limits, Mesh, RunStatus, Team, open_store
from agentmesh.errors import AgentMeshError
from agentmesh.events import CallFinished, CallStarted, Event, RunFinished, fold
from agentmesh.records import CallStatus
from agentmesh.testing.faults import FAULTS, FaultyAgent

LIMITS = Limits(timeout_s=3, call_timeout_s=0.1, retries=1, fallbacks=2, max_agents=2, max_calls=5, cost_usd="0.045")
PRICE, DEAREST = Decimal("0.01"), Decimal("0.02")
HEALTH = Health(cooldown_s=0.2, longest_s=0.5)  # a busy machine makes agents late, and all of them may come to rest
AT_ONCE = 50
GRACE_S = 3.0  # what a machine that is busy with other tests may add


def agents() -> list[FaultyAgent]:
    return [FaultyAgent(f"agent-{seed}", seed=seed, price_per_call_usd=PRICE) for seed in range(6)]


async def one_run(mesh: Mesh, number: int) -> None:
    """Run a task, watched or not; now and then it is cancelled under way."""
    run_id, limits = f"run-{number}", LIMITS
    with suppress(AgentMeshError):
        if number % 3 == 0:
            async for event in mesh.stream(f"task number {number}", run_id=run_id, limits=limits):
                if number % 9 == 0 and isinstance(event, CallStarted):
                    mesh.cancel(run_id)
        else:
            await mesh.run(f"task number {number}", run_id=run_id, limits=limits)


def faults_of(events: Sequence[Event]) -> Iterator[str]:
    """Yield what is wrong with a trace."""
    run = fold(events)
    if [event.seq for event in events] != list(range(len(events))):
        yield "its events are not numbered in order"
    if not isinstance(events[-1], RunFinished) or sum(isinstance(event, RunFinished) for event in events) != 1:
        yield "it does not end with the one run_finished"
    started = Counter((e.agent_id, e.wave, e.attempt) for e in events if isinstance(e, CallStarted))
    calls = [event.call for event in events if isinstance(event, CallFinished)]
    ended = Counter((c.agent_id, c.wave, c.attempt) for c in calls if c.status is not CallStatus.REFUSED)
    if started != ended or max(started.values(), default=1) > 1:
        yield f"calls began {started} and ended {ended}"
    if run.elapsed_s > (LIMITS.timeout_s or 0) + GRACE_S:
        yield f"it took {run.elapsed_s} s"
    if sum(ended.values()) > (LIMITS.max_calls or 0):
        yield f"it made {ended.total()} calls"
    known = sum((call.cost_usd or Decimal(0) for call in calls), Decimal(0))
    if known > (LIMITS.cost_usd or 0) + DEAREST:
        yield f"it cost {known} USD"
    if (run.status is RunStatus.COMPLETED) != (run.answer is not None):
        yield f"it is {run.status} with the answer {run.answer!r:.40}"
    if run.status is not RunStatus.COMPLETED and not run.error:
        yield f"it is {run.status} and does not say why"


@pytest.mark.parametrize(
    ("runs", "team"),
    [
        (50, None),
        (50, Team(most=3)),
        pytest.param(1000, None, marks=pytest.mark.soak),
        pytest.param(1000, Team(most=3), marks=pytest.mark.soak),
    ],
)
async def test_whatever_goes_wrong_every_run_ends_and_is_told(runs: int, team: Team | None, tmp_path: Path) -> None:
    acting, before = agents(), asyncio.all_tasks()
    url, learning = f"sqlite:///{tmp_path / 'mesh.db'}", Learning(mode="off")
    async with Mesh(acting, store=url, team=team, learning=learning, max_concurrency=20, health=HEALTH) as mesh:
        for first in range(0, runs, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, runs))
            await asyncio.gather(*(one_run(mesh, number) for number in numbers))
    with open_store(url, read_only=True) as store:
        traces = [store.events(f"run-{number}") for number in range(runs)]
    assert {events[0].run_id: found for events in traces if (found := list(faults_of(events)))} == {}
    assert asyncio.all_tasks() == before
    met: set[str] = set().union(*(agent.met for agent in acting))
    assert len(met) > len(FAULTS) // 2 if runs < 100 else met == set(FAULTS)
    statuses = Counter(fold(events).status for events in traces)
    assert statuses[RunStatus.COMPLETED] > runs // 4
    assert statuses[RunStatus.CANCELLED] > 0
