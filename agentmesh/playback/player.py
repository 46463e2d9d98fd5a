"""Replays a stored run: the same workflow, on recorded answers, with the router as it was, from the database alone."""

import asyncio
import json
from collections.abc import Sequence
from functools import partial

from agentmesh.capture import Capture
from agentmesh.errors import AgentMeshError, ConfigError, PluginError, ReplayError, ReplayMissError
from agentmesh.events import CallFinished, Event, RunStarted
from agentmesh.graphs import engine
from agentmesh.graphs.continuing import Past
from agentmesh.graphs.executor import LocalExecutor, RunRequest
from agentmesh.graphs.place import Place
from agentmesh.graphs.pool import StoredPool
from agentmesh.graphs.state import Services
from agentmesh.graphs.team import TEAM, Team
from agentmesh.graphs.vectors import RecordedEmbedder
from agentmesh.graphs.workflow.spec import Workflow
from agentmesh.learning.learner import learn_until, restore_router, state_key
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.playback.compare import Difference, compare
from agentmesh.playback.kept import Kept
from agentmesh.playback.prefix import (
    RecordedCaller,
    RecordedChecker,
    RecordedRefiner,
    RecordedSlices,
    RecordedSteps,
    Recording,
    asker_of,
    equality_of,
)
from agentmesh.playback.stages import replay_stages
from agentmesh.records import Record, RegistrySnapshot, RouteDecision, Run
from agentmesh.routing.base import Router
from agentmesh.routing.baseline import RandomRouter
from agentmesh.routing.by_hand import BY_HAND
from agentmesh.routing.named import router_named
from agentmesh.routing.pacing import pace_of
from agentmesh.routing.preference import PREFERENCES
from agentmesh.routing.serving import ServingRouter
from agentmesh.store.base import TraceStore
from agentmesh.store.captured import captured
from agentmesh.types import AgentId, RunId, SystemClock


class Replay(Record):
    """A run that was executed again on its recording. No differences means it went the same way."""

    run: Run
    differences: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        """Return whether candidates, scores, selection, calls and answer all agree."""
        return not self.differences


async def replay(
    store: TraceStore, run_id: RunId, *, router: Router | None = None, workflow: Workflow | None = None
) -> Replay:
    """Execute a stored run again on its recorded answers, with no network, and compare.

    The decision is computed anew, from the router state that the trace names: the nearest stored snapshot and the
    experiences up to that version. Of a workflow each stage's run is replayed, and then the way through the stages.

    Args:
        store: Where the run is kept; nothing is written to it.
        run_id: The run.
        router: A fresh router, built as then; needed only for a router that no entry point names.
        workflow: The workflow that the run is of; needed only where it has callables or refiners.

    Raises:
        RunNotFoundError: no such run is stored.
        ReplayError: the run did not get as far as a decision, its router cannot be rebuilt, or what was said in it is
            not kept and it cannot be decided again without.
        ReplayMissError: the replay asked for an answer that the trace lacks.
    """
    events = await asyncio.to_thread(store.events, run_id)
    started = events[0]
    await engine.ready()
    if isinstance(started, RunStarted) and started.workflow:
        found = await replay_stages(store, events, workflow, partial(_differences, store, router=router))
        if found and started.capture:
            raise _without_texts(run_id, started.capture, found[0])
        return Replay(run=store.run(run_id), differences=tuple(found))
    return Replay(run=store.run(run_id), differences=await _differences(store, run_id, router=router))


async def _differences(store: TraceStore, run_id: RunId, *, router: Router | None) -> tuple[Difference, ...]:
    recording = Recording.of(await asyncio.to_thread(store.events, run_id))
    snapshot = await asyncio.to_thread(store.registry, recording.decided.decision.registry_version)
    rebuilt = await asyncio.to_thread(rebuild_router, store, recording, router)
    team = await asyncio.to_thread(_team, store, recording)
    ids, policy = [card.id for card in snapshot.cards], recording.started.capture
    try:
        again = await _again(recording, snapshot, rebuilt, team)
    except ReplayError as error:
        if policy:
            raise _without_texts(run_id, policy, error) from error
        raise
    found = tuple(compare(recording.events, again, ids))
    if not found or not policy:
        return found
    found = tuple(compare(_untold(recording.events), _untold(again), ids))
    if found:
        raise _without_texts(run_id, policy, found[0])
    return found


def _untold(events: Sequence[Event]) -> list[Event]:
    """Return events without what was said: all else is compared of a run whose texts are not kept."""
    return [captured(event, Capture(content="none")) for event in events]


def _without_texts(run_id: RunId, policy: str, found: Difference | ReplayError) -> ReplayError:
    return ReplayError(
        f"run {run_id!r} cannot be replayed: not all that was said in it is kept (capture {policy!r}), and without it "
        f"the replay goes another way ({found})"
    )


def rebuild_router(store: TraceStore, recording: Recording, router: Router | None = None) -> Router:
    """Return a router in the state that a recorded decision was made on.

    Any will do where preferences left nobody, or a person named the agents, since none was asked.

    Raises:
        ReplayError: its parameters or its state are not in the store, or no entry point names it.
    """
    decision = recording.decided.decision
    if decision.router in (PREFERENCES, BY_HAND):
        return RandomRouter()
    parameters, _, sequence = decision.router_version.partition("@")
    built = router if router is not None else _build(store, decision, parameters)
    if router is not None and built.name != decision.router:
        raise ReplayError(f"the run was decided by router {decision.router!r}; {built.name!r} was given")
    embedder, until = recording.started.embedder, int(sequence)
    marked = _last_mark(store, state_key(built.name, embedder), parameters, until)
    if not restore_router(store, built, embedder, parameters=parameters, since=marked, until=until) and marked:
        raise ReplayError(f"the state of router {decision.router!r} at mark {marked} cannot be read")
    if built.parameters_hash != parameters:
        raise ReplayError(
            f"no state of router {decision.router!r} with parameters {parameters!r} is stored; a router that was "
            "fitted before use is replayed from its first snapshot"
        )
    try:
        learn_until(store, built, EmbedderOf(embedder), until=until)
    except ConfigError as error:
        raise ReplayError(f"router {decision.router!r} cannot be rebuilt: {error}") from error
    return built


def _last_mark(store: TraceStore, key: str, parameters: str, until: int) -> int:
    """Return the last place where the router was reset or rolled back to these parameters, 0 when it never was.

    What came before that counts no more, so the state must not be rebuilt from there.
    """
    marks = store.marks(key, parameters, until=until)
    return max((mark.sequence for mark in marks if mark.parameters == parameters), default=0)


def _build(store: TraceStore, decision: RouteDecision, parameters: str) -> Router:
    stored = store.router_parameters(decision.router, parameters)
    if stored is None:
        raise ReplayError(f"the store holds no parameters {parameters!r} of router {decision.router!r}")
    try:
        return router_named(decision.router, json.loads(stored))
    except (PluginError, ConfigError) as error:
        raise ReplayError(f"{error}; pass router=... built as then") from error


def _team(store: TraceStore, recording: Recording) -> Team | None:
    """Return the team that answered, ``None`` where all that were chosen were asked."""
    named = recording.started.team
    if not named:
        return None
    stored = store.router_parameters(TEAM, named)
    if stored is None:
        raise ReplayError(
            f"the store does not hold the team {named!r} that answered in run {recording.started.run_id!r}"
        )
    return Team.model_validate_json(stored)


async def _again(recording: Recording, snapshot: RegistrySnapshot, router: Router, team: Team | None) -> list[Event]:
    started = recording.started
    services = Services(
        embedder=RecordedEmbedder(started.embedder, started.task.text, recording.prepared.vector),
        serving=ServingRouter(router),
        refiner=RecordedRefiner(recording.refined, None if team is None else team.key, whole=not started.capture),
        caller=_caller(recording),
        clock=SystemClock(),
        pools=StoredPool(snapshot, recording.prepared),
        mesh_seed=started.mesh_seed,
        explore=started.explore,
        asker=asker_of(recording.decided.decision),
        pace=pace_of(recording.decided.decision),
        fallback=started.fallback,
        team=team,
        equality=equality_of(team, recording.waves, whole=not started.capture),
        admissions=(RecordedSlices(recording.slices), RecordedSteps(recording)),
        checker=RecordedChecker(recording.checked),
        by_hand=_named_by_hand(recording.decided.decision),
        draw_seed=recording.draw_seed,
    )
    kept, past = Kept(), Past.of(recording.before) if recording.before else None
    place = Place(parent=started.parent, stage=started.stage, layer=started.layer, previous=started.previous)
    limits = started.limits.model_copy(update={"timeout_s": None})  # recorded answers take no time
    try:
        await LocalExecutor(services, kept).execute(
            started.task, RunRequest(started.run_id, limits, place=place, past=past)
        )
    except ReplayMissError:
        raise
    except AgentMeshError as error:
        if recording.finished.error != str(error) and not (started.capture and recording.finished.error):
            raise ReplayError(f"the replay failed where the run did not: {error}") from error
    return [*recording.before, *kept.events]


def _caller(recording: Recording) -> RecordedCaller:
    """Return what hands out the calls of a run that it made itself."""
    taken = [event.call for event in recording.before if isinstance(event, CallFinished)]
    return RecordedCaller(recording.calls[len(taken) :], before=taken)


def _named_by_hand(decision: RouteDecision) -> tuple[AgentId, ...]:
    """Return who was named by a person, in place of a router's choice."""
    return tuple(choice.agent_id for choice in decision.selected) if decision.router == BY_HAND else ()
