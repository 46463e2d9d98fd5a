"""Load: calls are counted while they run, routers see it, traces tell it, replays decide on it again."""

import asyncio
from typing import ClassVar

import numpy as np
import pytest

from agentmesh import Agent, Limits, Mesh, Run, Task, replay
from agentmesh.events import TaskPrepared
from agentmesh.graphs.load import USUAL_CONCURRENCY, CallsUnderWay, RecordedLoad
from agentmesh.records import AgentCard
from agentmesh.routing.base import AgentPool, Estimate, RouteContext
from agentmesh.routing.similarity import CosineRouter
from agentmesh.testing.agents import EchoAgent
from agentmesh.testing.samples import sample_pool
from agentmesh.types import FloatArray, MaskArray


class ShyRouter(CosineRouter):
    """Asks the idlest agent."""

    name: ClassVar[str] = "shy"

    def _utilities(self, estimate: Estimate, mask: MaskArray, context: RouteContext) -> FloatArray:
        return np.zeros(len(mask)) if context.load is None else -context.load


class Gate(Agent):
    """Answers, or fails, once it is let through."""

    description = "Waits for a sign."

    def __init__(self, id: str, *, max_concurrency: int | None = None, error: Exception | None = None) -> None:
        self.id = id
        self.max_concurrency = max_concurrency
        self.entered, self.open = asyncio.Event(), asyncio.Event()
        self.error = error

    async def run(self, task: Task) -> str:
        self.entered.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return "done"


def pool_with(**cards: int | None) -> AgentPool:
    pool = sample_pool(len(cards))
    made = tuple(AgentCard(id=name, description="d", max_concurrency=most) for name, most in cards.items())
    ids = tuple(cards)
    return AgentPool(
        ids=ids,
        vectors=pool.vectors,
        price_per_call=pool.price_per_call,
        price_in_per_m=pool.price_in_per_m,
        price_out_per_m=pool.price_out_per_m,
        latency_s=pool.latency_s,
        versions=pool.versions,
        mask=pool.mask,
        registry_version="v",
        cards=made,
        index={agent_id: place for place, agent_id in enumerate(ids)},
    )


def loads_of(mesh: Mesh, run_id: str) -> dict[str, float]:
    prepared = next(event for event in mesh.store.events(run_id) if isinstance(event, TaskPrepared))
    return dict(prepared.load)


def shares(load: CallsUnderWay | RecordedLoad, pool: AgentPool) -> list[float] | None:
    found = load.shares(pool)
    return None if found is None else found.tolist()


def test_calls_count_as_shares_of_what_an_agent_takes_at_once() -> None:
    load = CallsUnderWay()
    with load.counted("few"), load.counted("any"), load.counted("any"):
        assert shares(load, pool_with(idle=None, few=4, any=None)) == [0.0, 0.25, 2 / USUAL_CONCURRENCY]


def test_calls_that_wait_for_their_turn_raise_the_load_above_1() -> None:
    load = CallsUnderWay()
    with load.counted("one"), load.counted("one"):
        assert shares(load, pool_with(one=1)) == [2.0]


def test_nothing_is_told_when_nothing_is_under_way() -> None:
    load = CallsUnderWay()
    with load.counted("a"):
        pass
    assert load.shares(pool_with(a=None)) is None


def test_an_agent_that_has_left_counts_for_nobody() -> None:
    load = CallsUnderWay()
    with load.counted("gone"):
        assert load.shares(pool_with(a=None)) is None


def test_a_recorded_load_is_read_back_and_counts_nothing() -> None:
    load, pool = RecordedLoad({"b": 0.5}), pool_with(a=None, b=None)
    with load.counted("a"):
        assert shares(load, pool) == [0.0, 0.5]


async def busy_run(mesh: Mesh, gate: Gate, run_id: str = "first", limits: Limits | None = None) -> asyncio.Task[Run]:
    """Start a run that asks ``gate``, and return once the agent is at work."""
    gate.entered.clear()
    running = asyncio.create_task(mesh.run("q", run_id=run_id, limits=limits))
    await gate.entered.wait()
    return running


async def test_a_decision_made_while_an_agent_works_sees_it_and_replays_alike() -> None:
    gate = Gate("a", max_concurrency=2)
    async with Mesh([gate, EchoAgent("b")], router=ShyRouter(), explore=0) as mesh:
        running = await busy_run(mesh, gate)
        dry = await mesh.route("q")
        second = await mesh.run("q", run_id="second")
        gate.open.set()
        await running
        assert [loads_of(mesh, run_id) for run_id in ("first", "second")] == [{}, {"a": 0.5}]
        again = await replay(mesh.store, "second", router=ShyRouter())
    assert dry.selected[0].agent_id == "b"
    assert second.answered_by == ("b",)
    assert again.differences == ()
    assert again.run.decision is not None
    assert again.run.decision.score_array().tolist() == [-0.5, 0.0]


@pytest.mark.parametrize("ending", ["answer", "error", "timeout", "cancel"])
async def test_a_call_counts_until_it_ends_whatever_way(ending: str) -> None:
    gate = Gate("a", error=ValueError("no idea") if ending == "error" else None)
    limits = Limits(call_timeout_s=0.02) if ending == "timeout" else None
    async with Mesh([gate, EchoAgent("b")], router=ShyRouter(), explore=0) as mesh:
        running = await busy_run(mesh, gate, limits=limits)
        if ending == "cancel":
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        elif ending != "timeout":
            gate.open.set()
        if ending != "cancel":
            await running
        gate.open.set()
        await mesh.run("q", run_id="later")
        assert loads_of(mesh, "later") == {}


async def test_every_agent_of_a_set_is_counted() -> None:
    gates = [Gate(name) for name in "ab"]
    async with Mesh([*gates, EchoAgent("c")], router=ShyRouter(), explore=0) as mesh:
        running = await busy_run(mesh, gates[0], limits=Limits(max_agents=2))
        await gates[1].entered.wait()
        second = await mesh.run("q", run_id="second")
        for gate in gates:
            gate.open.set()
        await running
        assert loads_of(mesh, "second") == {"a": 1 / USUAL_CONCURRENCY, "b": 1 / USUAL_CONCURRENCY}
    assert second.answered_by == ("c",)
