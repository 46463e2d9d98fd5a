"""Runs whose process is gone are found and gone on with; those of a process that lives are left to it."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agentmesh import Agent, Approval, Learning, Limits, Mesh, Run, RunStatus, Stage, Task, Workflow, open_store
from agentmesh.errors import ConfigError, DuplicateEventError, StoreError
from agentmesh.events import CallFinished, CallStarted, RunFinished, RunResumed, RunStarted
from agentmesh.graphs.ownership import LOST_CALL, end_lost_call
from agentmesh.playback.player import replay
from agentmesh.store import MemoryStore, RunFilter, TraceStore
from agentmesh.testing.agents import EchoAgent
from agentmesh.testing.leases import lease

Reply = Callable[[Task], Awaitable[str]]
FLOW = Workflow(
    name="steps", stages=(Stage(name="first"), Stage(name="last", after=("first",), prompt="{first}!")), output="last"
)


class Held(Agent):
    """Answers once it is let go, and says when it was asked."""

    description = "Answers questions of any kind."
    skills = ("holding",)
    price_per_call_usd = "0.01"

    def __init__(self, *, is_free: bool = False) -> None:
        self.id, self.calls = "held", 0
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()
        if is_free:
            self.let_go.set()

    async def run(self, task: Task) -> str:
        self.calls += 1
        self.asked.set()
        await self.let_go.wait()
        return task.text


class Delegate(Agent):
    """Hands its task to a run of its own."""

    id, description, skills = "delegate", "Hands work on.", ("delegating",)
    price_per_call_usd = "0.01"
    mesh: Mesh

    async def run(self, task: Task) -> str:
        inner = Task(text="inner", required_skills=frozenset({"holding"}))
        return (await self.mesh.run(inner, run_id=f"inner of {task.text}")).answer or "nothing"


def mesh_of(store: TraceStore | str, *agents: Agent, approvals: tuple[Approval, ...] = ()) -> Mesh:
    learning = Learning(mode="off")
    return Mesh(
        agents, store=store, router="random", embedder="hashing", explore=0, learning=learning, approvals=approvals
    )


def forget(store: TraceStore) -> None:
    """Do as if all who are at work were found to be gone."""
    for one in store.leases():
        store.end_lease(one.owner)


async def called(store: TraceStore, held: Held, *run_ids: str) -> None:
    """Wait until an agent was asked, and until the store knows that each of these runs has called one."""
    await held.asked.wait()
    missing = set(run_ids)
    while missing:
        stored = await asyncio.to_thread(store.tail)
        missing -= {one.event.run_id for one in stored if isinstance(one.event, CallStarted)}


async def test_a_run_under_way_elsewhere_is_left_to_that_process_whose_number_is_told(tmp_path: Path) -> None:
    url, held, other = f"sqlite:///{tmp_path}/mesh.db", Held(), Held(is_free=True)
    async with mesh_of(url, held) as here, mesh_of(url, other) as there:
        running = asyncio.create_task(here.run("hello", run_id="r"))
        await called(here.store, held, "r")
        assert await there.orphans() == []
        (mine, _) = sorted(here.store.leases(), key=lambda one: one.owner != here._parts().at_work.owner)
        said = rf"run 'r' is under way in process {mine.pid} on '{re.escape(mine.host)}', .* \d+ s ago; wait"
        with pytest.raises(StoreError, match=said):
            await there.resume("r")
        held.let_go.set()
        assert (await running).answer == "hello"
        assert (await there.resume("r")).answer == "hello"
        events = here.store.events("r")
    assert isinstance(events[0], RunStarted)
    assert events[0].owner == mine.owner
    assert other.calls == 0
    with open_store(url, read_only=True) as store:
        assert store.leases() == []


async def test_an_orphan_goes_on_and_who_was_thought_gone_is_told_and_writes_nothing_more() -> None:
    store, held = MemoryStore(), Held()
    async with mesh_of(store, held) as slept, mesh_of(store, Held(is_free=True)) as other:
        running = asyncio.create_task(slept.run("hello", run_id="r"))
        await called(store, held, "r")
        forget(store)
        assert [run.id for run in await other.orphans()] == ["r"]
        run = await other.resume("r")
        log = store.events("r")
        held.let_go.set()
        with pytest.raises(DuplicateEventError, match=r"'r' .* was taken up by somebody else"):
            await running
        assert store.events("r") == log
        assert (run.status, run.answer) == (RunStatus.COMPLETED, "hello")
        assert (await slept.run("again")).answer == "again"  # it is at work on all that comes
        assert (await replay(store, "r")).identical
    owners = {event.owner for event in log if isinstance(event, RunStarted | RunResumed)}
    assert len(owners) == 2
    assert store.check() == []


async def test_a_workflow_that_is_lost_is_one_orphan_and_a_stage_goes_on_with_it() -> None:
    store, held = MemoryStore(), Held()
    async with mesh_of(store, held) as slept:
        running = asyncio.create_task(slept.run_workflow(FLOW, "hello", run_id="w"))
        await called(store, held, "w/first")
        async with mesh_of(store, Held(is_free=True)) as other:
            for run_id in ("w", "w/first"):
                with pytest.raises(StoreError, match="run 'w' is under way in process"):
                    await other.resume(run_id)
            forget(store)
            assert [run.id for run in await other.orphans()] == ["w"]
            stage = await other.resume("w/first")
            assert (stage.id, stage.answer) == ("w/first", "hello")
            assert await other.orphans() == []
            assert await other.resume("w/first") == stage
            assert (await other.resume("w")).answer == "hello!"
        held.let_go.set()
        with pytest.raises(DuplicateEventError, match="taken up"):
            await running
    assert sum(isinstance(event, RunFinished) for event in store.events("w")) == 1
    assert store.check() == []


async def test_a_stage_that_is_answered_while_others_are_under_way_elsewhere_is_left_to_that_process() -> None:
    both = (Stage(name="a", agents=("echo",)), Stage(name="b", agents=("held",)))
    last = Stage(name="c", after=("a", "b"), agents=("held",), prompt="{a}, {b}")
    flow = Workflow(name="three", stages=(*both, last), output="c")
    store, held, rules = MemoryStore(), Held(), (Approval(agents={"echo"}),)
    async with (
        mesh_of(store, held, EchoAgent("echo"), approvals=rules) as here,
        mesh_of(store, Held(is_free=True), EchoAgent("echo"), approvals=rules) as there,
    ):
        running = asyncio.create_task(here.run_workflow(flow, "hello", run_id="w"))
        await called(store, held, "w/b")
        while not store.count_runs(RunFilter(status=RunStatus.WAITING)):
            await asyncio.to_thread(store.count_runs)
        answered = await there.approve("w/a", by="ann")
        assert answered.status is RunStatus.RUNNING
        held.let_go.set()
        run = await running
        assert run.status is RunStatus.WAITING
        assert (await there.resume("w")).answer == "hello, hello"
    assert store.run("w/a").answer == "hello"


async def test_a_run_of_a_lost_call_is_part_of_the_outer_one_and_is_ended_once_that_is_over() -> None:
    store, held, delegate = MemoryStore(), Held(), Delegate()
    outer = Task(text="outer", required_skills=frozenset({"delegating"}))
    async with mesh_of(store, held, delegate) as slept:
        delegate.mesh = slept
        running = asyncio.create_task(slept.run(outer, run_id="o"))
        await called(store, held, "o", "inner of outer")
        forget(store)
        async with mesh_of(store, Held()) as other:
            assert [run.id for run in await other.orphans()] == ["o"]
            with pytest.raises(ConfigError, match="'inner of outer' is part of a call in run 'o'; resume that one"):
                await other.resume("inner of outer")
            assert "was taken out" in ((await other.resume("o")).error or "")
            assert [run.id for run in await other.orphans()] == ["inner of outer"]
            ended = await other.resume("inner of outer")
            assert (ended.status, ended.error) == (RunStatus.CANCELLED, LOST_CALL)
            assert await other.resume("inner of outer") == ended
            assert await other.orphans() == []
            end_lost_call(store, store.events("inner of outer")[:-1], now=1.0)  # somebody else was faster
        held.let_go.set()
        with pytest.raises(DuplicateEventError):
            await running
    assert not any(isinstance(event, CallFinished) for event in store.events("inner of outer"))
    assert store.check() == []


async def test_a_run_of_no_known_owner_goes_on_when_it_is_named_and_counts_as_lost_after_an_hour() -> None:
    whole = MemoryStore()
    async with mesh_of(whole, EchoAgent("echo")) as mesh:
        await mesh.run("hello", run_id="r", limits=Limits(max_agents=1))
    events = [event.model_copy(update={"owner": ""}) if event.seq == 0 else event for event in whole.events("r")][:3]
    for quiet_s, found in ((0.0, []), (3700.0, ["r"])):
        store = MemoryStore()
        store.put_registry(whole.registry(events[0].registry_version))  # type: ignore[union-attr]
        store.append([event.model_copy(update={"at": event.at - quiet_s}) for event in events])
        store.put_lease(lease("far", at=events[0].at))  # and somebody else is at work on other runs
        async with mesh_of(store, EchoAgent("echo")) as mesh:
            assert [run.id for run in await mesh.orphans()] == found
            run: Run = await mesh.resume("r")
            assert run.answer == "hello"


async def test_orphans_are_asked_of_an_open_mesh() -> None:
    with pytest.raises(ConfigError, match="not open"):
        await mesh_of(MemoryStore(), EchoAgent("echo")).orphans()
