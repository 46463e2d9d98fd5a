"""Replays a stored run: the same workflow, on recorded answers, with the router as it was, from the database alone."""

import asyncio
import json
from collections.abc import Sequence

from agentmesh.embed.named import embedder_named
from agentmesh.errors import AgentMeshError, PluginError, ReplayError, ReplayMissError
from agentmesh.events import Event
from agentmesh.graphs.executor import LocalExecutor
from agentmesh.graphs.pool import StoredPool
from agentmesh.graphs.state import Services
from agentmesh.learning.learner import learn_until, restore_router
from agentmesh.playback.compare import Difference, compare
from agentmesh.playback.prefix import RecordedCaller, RecordedEmbedder, RecordedRefiner, Recording
from agentmesh.protocols import Embedder
from agentmesh.records import Record, RegistrySnapshot, RouteDecision, Run
from agentmesh.routing.base import Router
from agentmesh.routing.named import router_named
from agentmesh.store.base import TraceStore
from agentmesh.types import RunId, SystemClock, VectorArray


class Replay(Record):
    """A run that was executed again on its recording. No differences means it went the same way."""

    run: Run
    differences: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        """Return whether candidates, scores, selection, calls and answer all agree."""
        return not self.differences


async def replay(store: TraceStore, run_id: RunId, *, router: Router | None = None) -> Replay:
    """Execute a stored run again on its recorded answers, with no network, and compare.

    The decision is computed anew, from the router state that the trace names: the nearest stored snapshot and the
    experiences up to that version.

    Args:
        store: Where the run is kept; nothing is written to it.
        run_id: The run.
        router: A fresh router, built as then; needed only for a router that no entry point names.

    Raises:
        RunNotFoundError: no such run is stored.
        ReplayError: the run did not get as far as a decision, or its router cannot be rebuilt.
        ReplayMissError: the replay asked for an answer that the trace lacks.
    """
    events = await asyncio.to_thread(store.events, run_id)
    recording = Recording.of(events)
    snapshot = await asyncio.to_thread(store.registry, recording.decided.decision.registry_version)
    rebuilt = await asyncio.to_thread(rebuild_router, store, recording, router)
    again = await _again(recording, snapshot, rebuilt)
    ids = [card.id for card in snapshot.cards]
    return Replay(run=store.run(run_id), differences=tuple(compare(events, again, ids)))


def rebuild_router(store: TraceStore, recording: Recording, router: Router | None = None) -> Router:
    """Return a router in the state that a recorded decision was made on.

    Raises:
        ReplayError: its parameters or its state are not in the store, or no entry point names it.
    """
    decision = recording.decided.decision
    parameters, _, sequence = decision.router_version.partition("@")
    built = router if router is not None else _build(store, decision, parameters)
    if router is not None and built.name != decision.router:
        raise ReplayError(f"the run was decided by router {decision.router!r}; {built.name!r} was given")
    version = recording.started.embedder
    restored = restore_router(store, built, version, parameters=parameters, until=int(sequence))
    if not restored and built.parameters_hash != parameters:
        raise ReplayError(
            f"no state of router {decision.router!r} with parameters {parameters!r} is stored; a router that was "
            "fitted before use is replayed from its first snapshot"
        )
    learn_until(store, built, _EmbedderOf(version), until=int(sequence))
    return built


def _build(store: TraceStore, decision: RouteDecision, parameters: str) -> Router:
    stored = store.router_parameters(decision.router, parameters)
    if stored is None:
        raise ReplayError(f"the store holds no parameters {parameters!r} of router {decision.router!r}")
    try:
        return router_named(decision.router, json.loads(stored))
    except PluginError as error:
        raise ReplayError(f"{error}; pass router=... built as then") from error


async def _again(recording: Recording, snapshot: RegistrySnapshot, router: Router) -> list[Event]:
    started = recording.started
    services = Services(
        embedder=RecordedEmbedder(started.embedder, started.task.text, recording.prepared.vector),
        router=router,
        refiner=RecordedRefiner(recording.refined),
        caller=RecordedCaller(recording.calls),
        clock=SystemClock(),
        pools=StoredPool(snapshot, recording.prepared),
        mesh_seed=started.mesh_seed,
        explore=started.explore,
    )
    kept = _Kept()
    limits = started.limits.model_copy(update={"timeout_s": None})  # recorded answers take no time
    try:
        await LocalExecutor(services, kept).submit(started.task, run_id=started.run_id, limits=limits)
    except ReplayMissError:
        raise
    except AgentMeshError as error:
        if recording.finished.error != str(error):
            raise ReplayError(f"the replay failed where the run did not: {error}") from error
    return kept.events


class _Kept:
    """Takes the events of a replay and keeps them in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def post(self, events: Sequence[Event]) -> None:
        self.events.extend(events)

    async def write(self, events: Sequence[Event]) -> None:
        self.events.extend(events)


class _EmbedderOf:
    """Embeds as the version that a run was recorded under; built only if an experience has to be embedded again."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._embedder: Embedder | None = None

    @property
    def dimension(self) -> int:
        return self._found().dimension

    @property
    def is_quick(self) -> bool:
        return False

    def embed(self, texts: Sequence[str]) -> VectorArray:
        return self._found().embed(texts)

    def _found(self) -> Embedder:
        if self._embedder is None:
            embedder = embedder_named(self.version.partition("-")[0])
            if embedder.version != self.version:
                raise ReplayError(f"the run used the embedder {self.version!r}; installed is {embedder.version!r}")
            self._embedder = embedder
        return self._embedder
