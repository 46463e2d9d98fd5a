"""A run goes on from anywhere in its log: what is recorded stands, the rest is done, and the end is the same."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentmesh import Learning, Limits, Mesh, Preference, Run, RunStatus, Team, open_store
from agentmesh.approvals import Approval, ApprovalReply, ApprovalRequest
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, RunNotFoundError, StoreError
from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    ApprovalAsked,
    ApprovalGiven,
    CallFinished,
    CallStarted,
    ContextSliced,
    Event,
    RunResumed,
    RunStarted,
    StageFinished,
    StageStarted,
    TaskPrepared,
    WaveStarted,
)
from agentmesh.graphs.continuing import Past, claimed
from agentmesh.graphs.log import RunLog
from agentmesh.graphs.team import TEAM
from agentmesh.records import CallStatus, StageRun, Task
from agentmesh.routing.similarity import CosineRouter
from agentmesh.store.base import TraceStore
from agentmesh.store.writer import TraceWriter
from agentmesh.testing import CannedAgent, EchoAgent, HangingAgent
from agentmesh.types import SystemClock

QUESTION = "who built petra"
EMBEDDER = HashingEmbedder()


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
        options: dict[str, Any] = {"router": CosineRouter(), "embedder": EMBEDDER, "explore": 0, **self.options}
        return Mesh(agents, store=store, learning=Learning(mode="off"), **options)

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


def log_of(store: TraceStore, kind: type[Any]) -> list[Any]:
    return [event for event in store.events("r") if isinstance(event, kind)]


async def recorded(mesh: Mesh, limits: Limits | None = None) -> list[Event]:
    async with mesh:
        await mesh.run(QUESTION, run_id="r", limits=limits)
        return mesh.store.events("r")


async def test_a_call_that_began_and_has_no_end_is_made_again_and_its_retry_keeps_its_number() -> None:
    limits, flaky = Limits(retries=1), [ConnectionError("gone"), "back"]
    scene = Scene({"a": flaky}, limits)
    whole = open_store(None)
    events = await recorded(scene.mesh(whole), limits)
    first = next(place for place, event in enumerate(events) if isinstance(event, CallFinished))
    store = cut(whole, events[: first + 2], open_store(None))  # the second attempt has begun
    async with scene.mesh(store, events[: first + 1]) as mesh:
        run = await mesh.resume("r")
    assert [(call.attempt, call.status.value) for call in run.calls] == [(1, "failed"), (2, "ok")]
    assert [event.attempt for event in log_of(store, CallStarted)] == [1, 2, 2]


async def test_what_was_spent_before_counts_against_the_limits() -> None:
    limits = Limits(max_agents=2, max_calls=1)
    scene = Scene({"a": ["1"], "b": ["2"]}, limits)
    whole = open_store(None)
    events = await recorded(scene.mesh(whole), limits)
    assert {call.status for call in whole.run("r").calls} == {CallStatus.OK, CallStatus.REFUSED}
    kept = [event for event in events if not (isinstance(event, CallFinished) and event.call.agent_id == "b")]
    kept = [event.model_copy(update={"seq": seq}) for seq, event in enumerate(kept[:-2])]
    assert isinstance(kept[-1], CallFinished)
    async with scene.mesh(cut(whole, kept, open_store(None)), kept) as mesh:
        run = await mesh.resume("r")
    assert [call.error for call in run.calls if call.agent_id == "b"] == ["the limit of 1 calls is reached"]


@pytest.mark.parametrize(
    ("team", "said"),
    [
        ([EchoAgent("b")], "agent 'a' was taken out while the run stood still"),
        ([EchoAgent("b"), EchoAgent("a", skills=["new"])], "'a' was changed .* version 1 then, 2 now"),
    ],
    ids=["removed", "changed"],
)
async def test_an_agent_that_is_not_what_it_was_is_not_called_and_another_may_stand_in(
    team: list[EchoAgent], said: str
) -> None:
    store, rules = open_store(None), [Approval(agents={"a"})]
    options = {"store": store, "router": CosineRouter(), "embedder": EMBEDDER, "explore": 0.0}
    first = [EchoAgent("a"), EchoAgent("b")]
    async with Mesh(
        first, approvals=rules, preferences=[Preference(action="prefer", agents=("a",))], **options
    ) as mesh:
        run = await mesh.run(QUESTION, run_id="r", limits=Limits(fallbacks=1))
    assert run.status is RunStatus.WAITING
    async with Mesh(team, **options) as mesh:
        run = await mesh.approve("r")
    assert [call.agent_id for call in run.calls] == ["a", "b"]
    assert run.calls[0].status is CallStatus.FAILED
    assert re.search(said, run.calls[0].error or "")
    assert run.answered_by == ("b",)


async def test_a_run_whose_task_is_not_embedded_yet_needs_the_same_embedder() -> None:
    scene = Scene({"a": ["1"]}, Limits())
    whole = open_store(None)
    events = await recorded(scene.mesh(whole))
    other = Scene({"a": ["1"]}, Limits(), {"embedder": HashingEmbedder(64)})
    async with other.mesh(cut(whole, events[:1], open_store(None))) as mesh:
        with pytest.raises(ConfigError, match="began with the embedder"):
            await mesh.resume("r")
        assert len(mesh.store.events("r")) == 1
    async with other.mesh(cut(whole, events[:2], open_store(None))) as mesh:
        assert (await mesh.resume("r")).answer == "1"


async def test_a_run_goes_on_with_the_team_it_began_with_or_not_at_all() -> None:
    scene = Scene({"a": ["1"], "b": ["2"]}, Limits(max_agents=2), {"team": Team(stop=0.999)})
    whole = open_store(None)
    events = await recorded(scene.mesh(whole), scene.limits)
    alone = Scene(scene.replies, scene.limits)
    async with alone.mesh(cut(whole, events[:4], open_store(None))) as mesh:
        assert {call.wave for call in (await mesh.resume("r")).calls} == {1, 2}
    store = open_store(None)
    store.put_registry(whole.registry(Past.of(events).registry_version))
    store.append(events[:4])
    async with alone.mesh(store) as mesh:
        with pytest.raises(StoreError, match="does not hold the team"):
            await mesh.resume("r")


async def test_a_gate_on_an_agent_that_came_just_before_the_decision_is_passed_over() -> None:
    scene = Scene({"a": ["1"]}, Limits())
    whole = open_store(None)
    events = await recorded(scene.mesh(whole))
    prepared = events[1]
    assert isinstance(prepared, TaskPrepared)
    late = [events[0], prepared.model_copy(update={"refused": {"late": "disabled"}})]
    async with scene.mesh(cut(whole, late, open_store(None))) as mesh:
        assert (await mesh.resume("r")).answer == "1"


async def test_of_two_who_go_on_with_a_run_the_second_is_told() -> None:
    scene = Scene({"a": ["1"]}, Limits())
    whole = open_store(None)
    events = await recorded(scene.mesh(whole))
    store = cut(whole, events[:3], open_store(None))
    past = Past.of(store.events("r"))
    claimed(store, past, now=1.0, reason="first")
    with pytest.raises(StoreError, match="somebody else goes on with run 'r'"):
        claimed(store, past, now=1.0, reason="second")
    assert [event.reason for event in log_of(store, RunResumed)] == ["first"]


async def test_resuming_a_run_that_is_under_way_here_waits_for_its_end() -> None:
    async with Scene({"a": ["1"]}, Limits()).mesh(open_store(None)) as mesh:
        begun = mesh.stream(QUESTION, run_id="r")
        await anext(begun)
        run = await mesh.resume("r") if mesh.store.runs() else None
        rest = [event.kind async for event in begun]
    assert rest[-1] == "run_finished"
    assert run is None or run.status is RunStatus.COMPLETED


def test_time_counts_only_while_somebody_is_at_work() -> None:
    place = {"run_id": "r"}
    started = RunStarted(
        **place,
        seq=0,
        at=10.0,
        task=Task(text="q"),
        limits=Limits(),
        registry_version="",
        embedder="",
        router="",
        mesh_seed=0,
    )
    asked = ApprovalAsked(**place, seq=1, at=12.0, request=ApprovalRequest(agent_id="a", text="q"))
    given = ApprovalGiven(**place, seq=2, at=500.0, reply=ApprovalReply(agent_id="a", verdict="approve"))
    began = CallStarted(**place, seq=4, at=903.0, agent_id="a")
    events = [started, asked, given, RunResumed(**place, seq=3, at=900.0), began, RunResumed(**place, seq=5, at=2000.0)]
    assert Past.of(events).active_s == 2.0 + 3.0
    assert Past.of(events[:3]).active_s == 2.0
    with pytest.raises(RunNotFoundError, match="no run_started"):
        Past.of(events[1:])


async def test_the_log_of_a_run_that_goes_on_takes_each_step_once() -> None:
    item = {"run_id": "r", "at": 0.0}
    steps: list[tuple[type[Any], dict[str, Any]]] = [
        (WaveStarted, {"wave": 1, "agents": (), "reason": "first"}),
        (ContextSliced, {"agent_id": "a", "budget_tokens": 1, "tokens": 1, "full_tokens": 1}),
        (ApprovalAsked, {"request": ApprovalRequest(agent_id="a", text="q")}),
        (AnswerChecked, {"agent_id": "a", "check": "c", "passed": True}),
        (StageStarted, {"stage": "s", "child": "x"}),
        (StageFinished, {"result": StageRun(stage="s")}),
        (AnswerRefined, {"refiner": "vote", "answer": "x"}),
    ]
    before = [kind(**item, seq=seq, **fields) for seq, (kind, fields) in enumerate(steps)]
    store = open_store(None)
    writer = TraceWriter(store)
    log = RunLog("r", writer=writer, clock=SystemClock(), before=before)
    for (kind, fields), known in zip(steps, before, strict=True):
        assert await log.commit(kind, **fields) is known
    assert log.post(WaveStarted, wave=2, agents=(), reason="next").seq == len(before)
    assert log.post(CallStarted, agent_id="a").seq == len(before) + 1
    await writer.aclose()
    assert [event.kind for event in store.events("r")] == ["wave_started", "call_started"]


async def test_time_spent_waiting_is_not_the_runs_and_time_spent_working_is() -> None:
    scene = Scene({"a": ["1"]}, Limits(timeout_s=50), {"approvals": [Approval()]})
    whole = open_store(None)
    events = await recorded(scene.mesh(whole), scene.limits)
    waited = [event.model_copy(update={"at": event.at - 1000}) for event in events]
    async with scene.mesh(cut(whole, waited, open_store(None))) as mesh:
        run = await mesh.approve("r")
    assert run.status is RunStatus.COMPLETED
    assert run.elapsed_s < 40
    worked = [event.model_copy(update={"at": event.at - 100 * (event.seq == 0)}) for event in events]
    hanging = [HangingAgent("a")]
    hanging[0].price_per_call_usd, hanging[0].description = "0.01", CannedAgent.description
    options: dict[str, Any] = {"router": CosineRouter(), "embedder": EMBEDDER, "explore": 0}
    async with Mesh(hanging, store=cut(whole, worked, open_store(None)), **options) as mesh:
        run = await mesh.approve("r")
    assert [call.status for call in run.calls] == [CallStatus.TIMED_OUT]
    assert 100 <= run.elapsed_s < 140
