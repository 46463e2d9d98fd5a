"""Keeps a router's state in step with the log of experiences in the store.

A state is a function of the log up to its sequence, in order: whatever process rebuilds it, from whichever snapshot,
gets the same one. The log holds experiences, which a router learns, and marks, where somebody set its state: what came
before a router's mark has no effect after it. Nothing here waits for an event loop; ``live`` and ``process`` say when
and where it runs.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from agentmesh.capture import is_kept
from agentmesh.errors import ConfigError, StoreError
from agentmesh.learning.faults import keep_fault, told
from agentmesh.packing import pack_vector
from agentmesh.protocols import Embedder
from agentmesh.records import Experience, LearningFault, RouterMark, RouterState
from agentmesh.routing.base import Router
from agentmesh.routing.serving import ServingRouter
from agentmesh.store.base import TraceStore
from agentmesh.types import Clock, SystemClock

BATCH = 1000
"""Experiences read at a time, so that a long log does not have to fit in memory."""

FIRST_SNAPSHOT = 64
"""Experiences before the first snapshot is stored; the next ones follow at each doubling, so that the space they take
stays within a small multiple of the last one and a rebuild learns at most half of the log again."""

SOURCE = "learner"
"""What faults name as their source when no single score is to blame."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A part of the log: the router that a mark puts in place, if there is one, then experiences.

    ``reached`` is the last number that was looked at; ``whole`` says that there was nothing after it.
    """

    experiences: Sequence[Experience]
    reached: int
    whole: bool
    router: Router | None = None


class LogFollower:
    """Feeds one router from the log of one store.

    Args:
        store: Where the log is.
        serving: Holds the router; after a mark, another one of its kind.
        embedder: Embeds what was recorded by another embedder.
        root: The hash of the router's parameters as its user builds it, under which its marks are found; by default
            what it has now.
        clock: What stamps faults; the machine's by default.
    """

    def __init__(
        self,
        store: TraceStore,
        serving: ServingRouter,
        embedder: Embedder,
        *,
        root: str = "",
        clock: Clock | None = None,
    ) -> None:
        self.store = store
        self.serving = serving
        self.embedder = embedder
        self.root = root or serving.router.parameters_hash
        self.key = state_key(serving.router.name, embedder.version)
        self.reached = serving.router.sequence
        self._clock = clock or SystemClock()
        self._abandoned = False

    def open(self) -> None:
        """Bring the router to the state that the whole log leads to.

        Raises:
            ConfigError: the router has learned more than the store holds.
            StoreError: the log cannot be read.
        """
        router, store = self.serving.router, self.store
        store.put_router(router.name, router.parameters_hash, json.dumps(dict(router.parameters)))
        last = store.last_experience()
        if router.sequence > last:
            raise ConfigError(
                f"router {router.name!r} has learned experience {router.sequence}, and {store.url!r} holds {last}; "
                "give the mesh a fresh router"
            )
        if router.sequence == 0 and not self._restore_stored() and router.base:
            store.put_state(self.state())
        self.reached = self.serving.router.sequence
        while not self._abandoned and self.advance(BATCH):
            pass

    def abandon(self) -> None:
        """Have :meth:`open`, which runs in another thread, return after the batch that it is at."""
        self._abandoned = True

    def advance(self, limit: int) -> bool:
        """Read and learn one lesson, and say whether there may be more."""
        before = self.serving.router.sequence
        lesson = self.read(limit)
        self.begin(lesson)
        for experience in lesson.experiences:
            self.report(self.teach(experience))
        self.reached = max(self.reached, lesson.reached)
        self.store_if_due(before)
        return not lesson.whole

    def read(self, limit: int) -> Lesson:
        """Read what follows in the log, at most ``limit`` experiences, with vectors of this embedder.

        Raises:
            StoreError: the log cannot be read.
        """
        after, last = self.reached, self.store.last_experience()
        batch = self.store.experiences(after, limit=limit)
        whole = len(batch) < limit
        reached = max([last, *(one.sequence for one in batch)]) if whole else batch[-1].sequence
        router = self._router_at_last(self.store.marks(self.key, self.root, after=after, until=reached))
        if router is not None:
            batch = [one for one in batch if one.sequence > router.sequence]
        return Lesson(list(seen_by(self.embedder, batch)), reached, whole, router)

    def begin(self, lesson: Lesson) -> None:
        """Put the router of a mark in the serving one's place, if the lesson begins with one."""
        if lesson.router is not None:
            self.serving.router = lesson.router
            self.reached = lesson.router.sequence

    def teach(self, experience: Experience) -> LearningFault | None:
        """Have the router learn one experience; what it refuses is passed over, and the reason returned."""
        why = taught(self.serving.router, experience)
        self.reached = experience.sequence
        if not why:
            return None
        return LearningFault(at=self._clock.now(), run_id=experience.run_id, source=experience.source, message=why)

    def state(self) -> RouterState:
        """Return the router's state under the name it is stored by."""
        return self.serving.router.snapshot().model_copy(update={"router": self.key})

    def is_due(self, before: int) -> bool:
        """Say whether a snapshot point was passed since the router's sequence was ``before``."""
        return _is_due(before, self.serving.router.sequence)

    def store_if_due(self, before: int) -> None:
        """Store a snapshot if a snapshot point was passed since the router's sequence was ``before``."""
        if self.is_due(before):
            self.keep(self.state())

    def keep(self, state: RouterState) -> None:
        """Store a snapshot. One that cannot be stored only makes a rebuild take longer."""
        try:
            self.store.put_state(state)
        except StoreError as error:
            logger.warning("the snapshot %r was not stored: %s", state.version, error)

    def fault(self, message: str) -> None:
        """Record something that could not be used, and go on."""
        self.report(LearningFault(at=self._clock.now(), source=SOURCE, message=message))

    def report(self, fault: LearningFault | None) -> None:
        """Record a fault, if it is one."""
        if fault is not None:
            logger.warning("%s", self.store.shown(fault.message))
            keep_fault(self.store, fault)

    def _restore_stored(self) -> bool:
        """Restore the newest state that can be read: since the last mark, else since one before, else of the log."""
        router = self.serving.router
        for mark in reversed(self.store.marks(self.key, self.root)):
            if self._restore(mark.parameters, since=mark.sequence):
                return True
        return self._restore(router.parameters_hash, since=0)

    def _restore(self, parameters: str, *, since: int) -> bool:
        return restore_router(
            self.store,
            self.serving.router,
            self.embedder.version,
            parameters=parameters,
            since=since,
            on_fault=self.fault,
        )

    def _router_at_last(self, marks: Sequence[RouterMark]) -> Router | None:
        """Return a router in the state at the last mark; a damaged one is reported, and has no effect.

        Raises:
            StoreError: the store cannot be read now. To go on without the mark would undo a reset for good.
        """
        if not marks:
            return None
        mark = marks[-1]
        found = f"the state of {self.key!r} at mark {mark.sequence}"
        try:
            state = self.store.nearest_state(self.key, mark.parameters, until=mark.sequence)
            if state is not None and state.sequence == mark.sequence:
                router = self.serving.router
                return renewed(router, state.model_copy(update={"router": router.name}))
            self.fault(f"{found} is missing from {self.store.url!r}")
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - the worker boundary: learning goes on from the state there is
            self.fault(f"{found} cannot be used: {told(error)}")
        return None


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


def renewed(router: Router, state: RouterState) -> Router:
    """Return a router of the same kind and parameters in ``state``, made apart from ``router``, which may be serving.

    Raises:
        ConfigError: the state is of another router or of other parameters, or cannot be read.
    """
    twin = type(router)(**dict(router.parameters))
    twin.restore(state)
    return twin


def restore_router(
    store: TraceStore,
    router: Router,
    embedder: str,
    *,
    parameters: str = "",
    since: int = 0,
    until: int | None = None,
    on_fault: Callable[[str], None] = logger.warning,
) -> bool:
    """Restore the nearest stored state that can be read into ``router``, and say whether there was one.

    Args:
        store: Where states are kept.
        router: The router that takes the state over.
        embedder: The version of the embedder whose vectors the state holds.
        parameters: The parameters hash to look for; the router's own by default.
        since: The first number that the state may have.
        until: The last experience the state may contain.
        on_fault: Told of each state that had to be passed over; by default the log is.
    """
    key, wanted, before = state_key(router.name, embedder), parameters or router.parameters_hash, router.snapshot()
    for sequence, _ in reversed(store.states(key, wanted)):
        if sequence < since or (until is not None and sequence > until):
            continue
        try:
            state = store.nearest_state(key, wanted, until=sequence)
            if state is not None:
                router.restore(state.model_copy(update={"router": router.name}))
                return True
        except Exception as error:  # noqa: BLE001 - the worker boundary: an older state, or the log, serves as well
            on_fault(f"the state {wanted}@{sequence} of {key!r} cannot be used: {told(error)}")
            router.restore(before)
    return False


def learn_until(store: TraceStore, router: Router, embedder: Embedder, *, until: int | None = None) -> None:
    """Feed ``router`` the stored experiences after its own sequence, in order; marks are not looked at.

    From the nearest state of the router's own parameters there is no mark on the way: its state would be nearer.
    """
    reached = router.sequence
    while batch := store.experiences(reached, until=until, limit=BATCH):
        for experience in seen_by(embedder, batch):
            taught(router, experience)
        reached = batch[-1].sequence


def log_of(store: TraceStore, after: int = 0) -> Iterator[Experience]:
    """Yield the experiences of a store after a number, in order, read in batches."""
    while batch := store.experiences(after, limit=BATCH):
        yield from batch
        after = batch[-1].sequence


def taught(router: Router, experience: Experience) -> str:
    """Have ``router`` learn an experience, and return "", or why it was passed over."""
    try:
        router.learn(experience)
    except Exception as error:  # noqa: BLE001 - the worker boundary: one outcome must not keep the others from it
        router.skip(experience.sequence, experience.at)
        found = f"experience {experience.sequence} of {experience.agent_id!r} in run {experience.run_id!r}"
        return f"router {router.name!r} cannot learn {found}: {told(error)}"
    return ""


def seen_by(embedder: Embedder, experiences: Iterable[Experience]) -> Iterable[Experience]:
    """Yield experiences with vectors of ``embedder``; those of another embedder are embedded again from their text.

    Where that is not kept they are passed over: what stands in its place says nothing of the task.
    """
    for experience in experiences:
        if experience.embedder in ("", embedder.version):
            yield experience
        elif is_kept(experience.text):
            vector = pack_vector(embedder.embed([experience.text])[0])
            yield experience.model_copy(update={"vector": vector, "embedder": embedder.version})
