"""Runs that agents start inside a run: they spend what is left of it, wait for no turn it holds, and end with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from agentmesh import Agent, Learning, Limits, Mesh, Run, RunStatus, Task, open_store
from agentmesh.errors import BudgetError, ConfigError
from agentmesh.events import CallFinished, Event, RunFinished
from agentmesh.graphs.scope import begin_scope, current_scope, entered
from agentmesh.playback.player import replay
from agentmesh.records import CallStatus
from agentmesh.testing.agents import EchoAgent, HangingAgent
from agentmesh.types import SystemClock

Work = Callable[[Task], Awaitable[str]]


class Delegate(Agent):
    """Does what it is given to do, which is to start runs."""

    description = "Hands work on."
    skills = ("delegating",)

    def __init__(self, work: Work, id: str = "delegate", *, price_per_call_usd: str | None = "0.10") -> None:
        self.id, self._work = id, work
        self.price_per_call_usd = price_per_call_usd

    async def run(self, task: Task) -> str:
        return await self._work(task)


class Stuck(HangingAgent):
    """Never answers, and says when so many have asked it."""

    def __init__(self, after: int = 1) -> None:
        super().__init__("stuck")
        self.skills, self._after, self.is_asked = ("hanging",), after, asyncio.Event()

    async def reply(self, task: Task) -> str:
        if self.calls == self._after:
            self.is_asked.set()
        return await super().reply(task)


def outer(text: str = "outer") -> Task:
    return Task(text=text, required_skills=frozenset({"delegating"}))


def inner(text: str = "inner", skill: str = "echoing") -> Task:
    return Task(text=text, required_skills=frozenset({skill}))


def echo(price: str = "0.20") -> EchoAgent:
    return EchoAgent("echo", skills=["echoing"], price_per_call_usd=price)


def endings(mesh: Mesh, run_id: str) -> list[Event]:
    return [event for event in mesh.store.events(run_id) if isinstance(event, CallFinished | RunFinished)]


async def test_what_a_run_inside_costs_is_in_the_call_that_started_it_and_is_charged_once() -> None:
    runs: list[Run] = []

    async def twice(task: Task) -> str:
        runs.extend([await mesh.run(inner()) for _ in range(2)])
        return "done"

    async with Mesh([Delegate(twice), echo()]) as mesh:
        run = await mesh.run(outer(), limits=Limits(cost_usd="0.50"))
        tight = await mesh.run(outer(), limits=Limits(cost_usd="0.49"))
    assert (run.answer, run.cost_usd) == ("done", Decimal("0.50"))
    assert (run.calls[0].cost_usd, run.calls[0].nested_usd) == (Decimal("0.50"), Decimal("0.40"))
    assert [one.parent for one in runs] == [run.id, run.id, tight.id, tight.id]
    assert [one.status for one in runs] == [RunStatus.COMPLETED] * 3 + [RunStatus.OVER_BUDGET]
    assert runs[-1].error == (
        "in the run that this one is part of, agent 'echo' is estimated at 0.20 USD and 0.19 USD are left"
    )
    assert tight.cost_usd == Decimal("0.30")


@pytest.mark.parametrize(
    ("limits", "status"), [(Limits(max_calls=2), "completed"), (Limits(max_calls=1), "over_budget")]
)
async def test_calls_inside_count_as_calls_of_the_run(limits: Limits, status: str) -> None:
    async def once(task: Task) -> str:
        return (await mesh.run(inner())).status

    async with Mesh([Delegate(once), echo()]) as mesh:
        run = await mesh.run(outer(), limits=limits)
        assert run.answer == status
        assert (await replay(mesh.store, run.id)).identical


async def test_siblings_in_another_mesh_cannot_spend_together_what_is_left() -> None:
    async def fan_out(task: Task) -> str:
        runs = await asyncio.gather(*(other.run(inner()) for _ in range(5)))
        return ",".join(sorted(run.status for run in runs))

    async with Mesh([Delegate(fan_out)]) as mesh, Mesh([echo()]) as other:
        run = await mesh.run(outer(), limits=Limits(cost_usd="0.55"))
    assert run.answer == "completed,completed,over_budget,over_budget,over_budget"
    assert run.cost_usd == Decimal("0.50")


async def test_what_was_refused_for_the_run_around_it_replays_from_its_own_trace() -> None:
    inside: list[Run] = []

    async def once(task: Task) -> str:
        inside.append(await mesh.run(inner(), limits=Limits(fallbacks=1)))
        return "done"

    dear = EchoAgent("dear", skills=["echoing"], price_per_call_usd="5")
    async with Mesh([Delegate(once), echo(), dear], explore=0, router="best_single") as mesh:
        while not inside or len(inside[-1].calls) < 2:
            await mesh.run(outer(), limits=Limits(cost_usd="1"))
            await mesh.feedback(inside[-1].id, 0.0 if "dear" not in inside[-1].answered_by else 1.0)
        again = await replay(mesh.store, inside[-1].id)
    assert [(call.agent_id, call.status) for call in inside[-1].calls] == [("dear", "refused"), ("echo", "ok")]
    assert again.differences == ()


@pytest.mark.parametrize("per_agent", [None, 1])
async def test_runs_three_deep_and_side_by_side_end_under_one_call_at_a_time(per_agent: int | None) -> None:
    at_once, most = 0, 0

    async def deeper(task: Task) -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        if task.text == "0":
            return "1"
        below = str(int(task.text) - 1)
        runs = await asyncio.gather(*(mesh.run(outer(below)) for _ in range(2)))
        return str(sum(int(run.answer or "0") for run in runs))

    agent = Delegate(deeper)
    agent.max_concurrency = per_agent
    async with Mesh([agent], max_concurrency=1) as mesh, asyncio.timeout(15):
        runs = await asyncio.gather(*(mesh.run(outer("3")) for _ in range(2)))
    assert [run.answer for run in runs] == ["8", "8"]
    assert most == 1


async def test_an_agent_that_routes_to_itself_is_stopped_at_the_eighth_run() -> None:
    errors: list[BudgetError] = []

    async def again(task: Task) -> str:
        try:
            return (await mesh.run(outer())).answer or ""
        except BudgetError as error:
            errors.append(error)
            raise

    async with Mesh([Delegate(again)]) as mesh:
        await mesh.run(outer())
        assert len(mesh.store.runs()) == 8
    assert "is the 8th inside one another; at most 8 are accepted" in str(errors[0])


async def test_a_run_inside_has_no_more_time_than_the_call_around_it() -> None:
    inside: list[float] = []

    async def slow(task: Task) -> str:
        run = await mesh.run(inner(skill="hanging"), limits=Limits(timeout_s=60, call_timeout_s=60))
        inside.append(run.elapsed_s)
        return run.status

    async with Mesh([Delegate(slow), Stuck()]) as mesh:
        run = await mesh.run(outer(), limits=Limits(timeout_s=0.3))
        assert run.elapsed_s < 5
        statuses = {summary.id: summary.status for summary in mesh.store.runs()}
    assert statuses.pop(run.id) is RunStatus.FAILED
    assert set(statuses.values()) <= {RunStatus.CANCELLED, RunStatus.FAILED}


@pytest.mark.parametrize("by_name", [True, False])
async def test_cancelling_a_run_ends_all_of_its_tree_and_tells_the_trace(by_name: bool) -> None:
    hanging = Stuck(after=2)

    async def two(task: Task) -> str:
        async with asyncio.TaskGroup() as group:
            for name in ("in1", "in2"):
                group.create_task(mesh.run(inner(skill="hanging"), run_id=name))
            await asyncio.sleep(0)
        return "never"

    async with Mesh([Delegate(two), hanging], max_concurrency=4) as mesh:
        running = asyncio.ensure_future(heard(mesh.stream(outer(), run_id="top")))
        await hanging.is_asked.wait()
        if by_name:
            assert mesh.cancel("top")
            assert mesh.cancel("top")  # it is still under way
            events = await running
            assert isinstance(events[-1], RunFinished)
        else:
            running.cancel()
            await asyncio.wait([running])
        assert (mesh.cancel("top"), mesh.cancel("unknown")) == (False, False)
        await mesh.run(inner(skill="delegating"), limits=Limits(max_calls=0))  # its commit takes the others along
        for name in ("top", "in1", "in2"):
            called, finished = endings(mesh, name)
            assert isinstance(called, CallFinished)
            assert isinstance(finished, RunFinished)
            assert (called.call.status, finished.status) == (CallStatus.CANCELLED, RunStatus.CANCELLED)
    assert hanging.cancelled == 2


async def heard(stream: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in stream]


async def test_whoever_awaits_a_run_that_is_cancelled_by_name_goes_on() -> None:
    async def itself(task: Task) -> str:
        assert mesh.cancel("r1")
        await asyncio.Event().wait()
        return "never"

    async with Mesh([Delegate(itself)]) as mesh:
        run = await mesh.run(outer(), run_id="r1")
        assert (run.status, run.error, run.answer) == (RunStatus.CANCELLED, "cancelled", None)
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        assert mesh.store.run("r1") == run
    with pytest.raises(ConfigError, match="not open"):
        mesh.cancel("r1")


async def test_a_run_that_an_agent_left_running_ends_with_its_call() -> None:
    left: list[asyncio.Task[Run]] = []
    hanging = Stuck()

    async def careless(task: Task) -> str:
        left.append(asyncio.ensure_future(mesh.run(inner(skill="hanging"), run_id="left")))
        await hanging.is_asked.wait()
        return "done"

    async with Mesh([Delegate(careless), hanging]) as mesh:
        run = await mesh.run(outer())
        assert run.answer == "done"
        assert left[0].cancelled()
    assert run.cost_usd is None  # what the hanging agent took is not known


async def test_what_works_on_after_its_call_starts_runs_of_its_own() -> None:
    go, workers = asyncio.Event(), list[asyncio.Task[Run]]()

    async def later() -> Run:
        await go.wait()
        return await mesh.run(inner())

    async def employer(task: Task) -> str:
        workers.append(asyncio.ensure_future(later()))
        return "done"

    async with Mesh([Delegate(employer), echo()]) as mesh:
        await mesh.run(outer(), limits=Limits(max_calls=1))
        go.set()
        run = await workers[0]
    assert (run.status, run.parent) == (RunStatus.COMPLETED, None)


async def test_runs_that_others_wait_for_are_cancelled_when_the_mesh_closes_and_are_told(tmp_path: Path) -> None:
    url, stuck = f"sqlite:///{tmp_path / 'mesh.db'}", Stuck(after=2)
    async with Mesh([stuck], store=url, learning=Learning(mode="off")) as mesh:
        waiting = [asyncio.ensure_future(mesh.run("q")) for _ in range(2)]
        await stuck.is_asked.wait()
    runs = await asyncio.gather(*waiting)
    assert [run.status for run in runs] == [RunStatus.CANCELLED] * 2
    with open_store(url, read_only=True) as store:
        assert [store.run(run.id) for run in runs] == runs


async def test_whoever_starts_runs_of_his_own_enters_a_scope_for_them() -> None:
    scope = begin_scope("workflow", Limits(cost_usd="0.30", timeout_s=60), SystemClock(), None)
    async with Mesh([echo()]) as mesh:
        with entered(scope):
            runs = [await mesh.run(inner()) for _ in range(2)]
    assert [(run.parent, run.status) for run in runs] == [
        ("workflow", RunStatus.COMPLETED),
        ("workflow", RunStatus.OVER_BUDGET),
    ]
    assert scope.inner.usd == Decimal("0.20")
    assert current_scope() is None
