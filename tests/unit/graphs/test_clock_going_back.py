"""A clock that is set back by hours in the middle of runs: order, limits and lists do not depend on it."""

from dataclasses import replace
from pathlib import Path

from agentmesh import Learning, Limits, Mesh, RunStatus, open_store, replay
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.opening import open_mesh
from agentmesh.records import CallStatus, Task
from agentmesh.routing.similarity import CosineRouter
from agentmesh.testing import EchoAgent, HangingAgent
from agentmesh.types import SystemClock

HOURS_S = 3 * 3600.0


class ClockSetBack(SystemClock):
    """Says three hours less with every look, as if somebody set it back again and again."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def now(self) -> float:
        self.at -= HOURS_S
        return self.at


async def test_runs_under_a_clock_that_goes_back_keep_their_order_their_limits_and_their_place_in_lists(
    tmp_path: Path,
) -> None:
    mesh = Mesh(
        [EchoAgent("echo"), HangingAgent("hangs")],
        router=CosineRouter(),
        embedder=HashingEmbedder(),
        learning=Learning(mode="off"),
        explore=0,
    )
    setup = replace(mesh._setup, clock=ClockSetBack())
    limits = setup.limits_of(Limits(call_timeout_s=0.2, max_agents=2))
    url = f"sqlite:///{tmp_path}/mesh.db"
    parts = await open_mesh(setup, url)
    executor = parts.executor_of(None)
    runs = [await executor.submit(Task(text="who built petra"), run_id=name, limits=limits) for name in ("a", "b")]
    await parts.aclose(interrupted=False)
    for run in runs:
        assert run.status is RunStatus.COMPLETED
        assert {call.agent_id: call.status for call in run.calls} == {
            "echo": CallStatus.OK,
            "hangs": CallStatus.TIMED_OUT,  # by the clock that never goes back
        }
        assert 0.1 < run.elapsed_s < 10
        assert all(call.latency_s >= 0 for call in run.calls)
    with open_store(url) as store:
        for run in runs:
            events = store.events(run.id)
            assert [event.seq for event in events] == list(range(len(events)))
            assert [event.at for event in events] == sorted((event.at for event in events), reverse=True)
            assert (await replay(store, run.id)).identical
        assert [run.id for run in store.runs()] == ["a", "b"]  # by when the clock said that they began
        assert [one.event.run_id for one in store.tail()] == sorted(one.event.run_id for one in store.tail())
        assert store.check() == []
