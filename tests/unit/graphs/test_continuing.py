"""A run goes on from anywhere in its log: what is recorded stands, the rest is done, and the end is the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentmesh import Learning, Limits, Mesh, Run, RunStatus, Team, open_store
from agentmesh.approvals import Approval
from agentmesh.events import (
    CallFinished,
    Event,
    RunStarted,
)
from agentmesh.graphs.team import TEAM
from agentmesh.records import CallStatus
from agentmesh.store.base import TraceStore
from agentmesh.testing import CannedAgent

QUESTION = "who built petra"


@dataclass(frozen=True)
class Scene:
    """A way a run goes: the replies of its agents, by id, the options of its mesh, and its limits."""

    replies: Mapping[str, Sequence[str | Exception]]
    limits: Limits
    options: Mapping[str, Any] = field(default_factory=dict)
    rejects: bool = False

    def mesh(self, store: TraceStore, before: Sequence[Event] = ()) -> Mesh:
        """Return a mesh whose agents have answered before as often as the log says."""
        agents = [
            CannedAgent(replies, agent_id, price_per_call_usd="0.01") for agent_id, replies in self.replies.items()
        ]
        for agent in agents:
            agent.calls = called(before, agent.id)
        options: dict[str, Any] = {"router": "cosine", "learning": Learning(mode="off"), **self.options}
        return Mesh(agents, store=store, explore=0, **options)

    async def finish(self, mesh: Mesh, run: Run) -> Run:
        """Answer what the run waits for until it ends."""
        while run.status is RunStatus.WAITING:
            if self.rejects:
                run = await mesh.reject(run.id, by="ann")
            else:
                run = await mesh.approve(run.id, run.waiting_for[0].agent_id, by="ann", text="and who found it")
        return run


APPROVED = {"approvals": [Approval(agents={"a", "b"}, reason="dear")]}
SCENES = {
    "parallel": Scene({"a": ["1"], "b": ["2"], "c": [ValueError("no")]}, Limits(max_agents=3, cost_usd="0.03")),
    "waves": Scene({"a": ["1"], "b": ["2"], "c": ["2"]}, Limits(max_agents=3), {"team": Team(stop=0.999)}),
    "over budget": Scene({"a": ["1"], "b": ["2"]}, Limits(max_agents=2, cost_usd="0.01")),
    "stand-in": Scene({"a": [ValueError("no")], "b": ["2"], "c": ["3"]}, Limits(fallbacks=2)),
    "approved": Scene({"a": ["1"], "b": ["2"], "c": ["3"]}, Limits(max_agents=3), APPROVED),
    "rejected": Scene({"a": ["1"], "b": ["2"], "c": ["3"]}, Limits(max_agents=2, fallbacks=1), APPROVED, rejects=True),
}


def called(events: Sequence[Event], agent_id: str) -> int:
    """Return how often an agent has answered, well or not."""
    calls = [event.call for event in events if isinstance(event, CallFinished)]
    return sum(call.agent_id == agent_id and call.status is not CallStatus.REFUSED for call in calls)


def cut(whole: TraceStore, events: Sequence[Event], store: TraceStore) -> TraceStore:
    """Fill a store with the first events of a run, and with what was stored before them."""
    started = events[0]
    assert isinstance(started, RunStarted)
    store.put_registry(whole.registry(started.registry_version))
    if started.team:
        store.put_router(TEAM, started.team, whole.router_parameters(TEAM, started.team) or "")
    store.append(events)
    return store


def told(run: Run) -> Run:
    """Return a run without what the clock says, and its calls by agent: which of several ends first is chance."""
    calls = [call.model_copy(update={"latency_s": 0.0}) for call in run.calls]
    calls.sort(key=lambda call: (call.wave, call.agent_id, call.attempt))
    decision = None if run.decision is None else run.decision.model_copy(update={"elapsed_ms": 0.0})
    return run.model_copy(update={"elapsed_s": 0.0, "started_at": 0.0, "calls": tuple(calls), "decision": decision})


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
async def test_a_run_cut_after_any_event_goes_on_to_the_same_end(scene: Scene, tmp_path: Path) -> None:
    whole = open_store(None)
    async with scene.mesh(whole) as mesh:
        run = await scene.finish(mesh, await mesh.run(QUESTION, run_id="r", limits=scene.limits))
    events = whole.events("r")
    assert run.status.has_ended
    for length in range(1, len(events) + 1):
        url = f"sqlite:///{tmp_path / 'cut.db'}" if length == len(events) // 2 else None
        with cut(whole, events[:length], open_store(url)) as store:
            mesh = scene.mesh(store, events[:length])
            async with mesh:
                again = await scene.finish(mesh, await mesh.resume("r"))
                agents = [mesh.registry.get(agent_id) for agent_id in scene.replies]
                stored = store.events("r")
        assert told(again) == told(run), f"cut after {events[length - 1].kind}"
        assert {agent.id: agent.calls for agent in agents} == {agent.id: called(events, agent.id) for agent in agents}
        assert [event.seq for event in stored] == list(range(len(stored)))
        assert stored[:length] == events[:length]
