"""Keeps a router's state in step with the experiences in the store.

A state is a function of the experiences up to its sequence, in order: whatever process rebuilds it, from whichever
snapshot, gets the same one. Learning runs after feedback, never while a decision waits.
"""

import asyncio
import json
from collections.abc import Iterable

from agentmesh.errors import ConfigError
from agentmesh.learning.feedback import record_feedback
from agentmesh.packing import pack_vector
from agentmesh.protocols import Embedder
from agentmesh.records import Experience, RouterState
from agentmesh.routing.base import Router
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, RunId

BATCH = 1000
"""Experiences read at a time, so that a long log does not have to fit in memory."""

FIRST_SNAPSHOT = 64
"""Experiences before the first snapshot is stored; the next ones follow at each doubling, so that the space they take
stays within a small multiple of the last one and a rebuild learns at most half of the log again."""


class Learner:
    """Feeds one router from one store."""

    def __init__(self, store: TraceStore, router: Router, embedder: Embedder) -> None:
        """Take the router as it is; :meth:`open` brings it up to date."""
        self._store = store
        self._router = router
        self._embedder = embedder
        self._order = asyncio.Lock()  # guards the order in which experiences reach the router

    def open(self) -> None:
        """Bring the router to the state that the store's experiences lead to.

        Raises:
            ConfigError: the router has learned more than the store holds.
        """
        router, store = self._router, self._store
        store.put_router(router.name, router.parameters_hash, json.dumps(dict(router.parameters)))
        if router.sequence > store.last_experience():
            raise ConfigError(
                f"router {router.name!r} has learned experience {router.sequence}, and {store.url!r} holds "
                f"{store.last_experience()}; give the mesh a fresh router"
            )
        if router.sequence == 0 and not restore_router(store, router, self._embedder.version) and router.base:
            store.put_state(self._state())
        learn_until(store, router, self._embedder)

    async def take(self, run_id: RunId, score: float, *, agent: AgentId | None, source: str) -> None:
        """Store what an answer was worth and learn from it.

        Raises:
            RunNotFoundError, ConfigError: as for :func:`agentmesh.learning.feedback.record_feedback`.
        """
        await asyncio.to_thread(record_feedback, self._store, run_id, score, agent=agent, source=source)
        await self.catch_up()

    async def catch_up(self) -> None:
        """Learn what was added to the store since; a decision sees the state before or after an outcome, never half."""
        async with self._order:
            before = self._router.sequence
            while batch := await asyncio.to_thread(self._store.experiences, self._router.sequence, limit=BATCH):
                for experience in seen_by(self._embedder, batch):
                    self._router.learn(experience)
            if _is_due(before, self._router.sequence):
                await asyncio.to_thread(self._store.put_state, self._state())

    def _state(self) -> RouterState:
        key = state_key(self._router.name, self._embedder.version)
        return self._router.snapshot().model_copy(update={"router": key})


def _is_due(before: int, after: int) -> bool:
    """Say whether a snapshot point, 64 doubled any number of times, lies in (before, after]."""
    point = FIRST_SNAPSHOT
    while point <= before:
        point *= 2
    return point <= after


def state_key(router: str, embedder: str) -> str:
    """Return the name a state is stored under: vectors of two embedders do not mix.

    >>> state_key("kernel", "static-1")
    'kernel+static-1'
    """
    return f"{router}+{embedder}"


def restore_router(
    store: TraceStore, router: Router, embedder: str, *, parameters: str = "", until: int | None = None
) -> bool:
    """Restore the nearest stored state into ``router``, and say whether there was one.

    Args:
        store: Where states are kept.
        router: The router that takes the state over.
        embedder: The version of the embedder whose vectors the state holds.
        parameters: The parameters hash to look for; the router's own by default.
        until: The last experience the state may contain.
    """
    key = state_key(router.name, embedder)
    state = store.nearest_state(key, parameters or router.parameters_hash, until=until)
    if state is None:
        return False
    router.restore(state.model_copy(update={"router": router.name}))
    return True


def learn_until(store: TraceStore, router: Router, embedder: Embedder, *, until: int | None = None) -> None:
    """Feed ``router`` the stored experiences after its own sequence, in order."""
    while batch := store.experiences(router.sequence, until=until, limit=BATCH):
        for experience in seen_by(embedder, batch):
            router.learn(experience)


def seen_by(embedder: Embedder, experiences: Iterable[Experience]) -> Iterable[Experience]:
    """Yield experiences with vectors of ``embedder``; those of another embedder are embedded again from their text."""
    for experience in experiences:
        if experience.embedder in ("", embedder.version):
            yield experience
        else:
            vector = pack_vector(embedder.embed([experience.text])[0])
            yield experience.model_copy(update={"vector": vector, "embedder": embedder.version})
