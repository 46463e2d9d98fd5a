"""A store behind a policy of what is kept: whatever is handed to it is changed first, and then stored.

All that a mesh stores goes through its store, so nothing gets past the policy. A run that has not ended here is read as
it was said, from memory: it may wait for a person, and goes on with what was said. What ended is read as it was stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Final

from agentmesh.capture import Capture
from agentmesh.events import AnswerChunk, Event, RunFinished, RunStarted, fold
from agentmesh.records import (
    AgentCard,
    Experience,
    Feedback,
    LearningFault,
    RegistrySnapshot,
    RouterMark,
    RouterState,
    Run,
    RunSummary,
)
from agentmesh.store.base import Lease, RunFilter, RunsPage, StoredEvent, TraceStore
from agentmesh.store.captured import captured
from agentmesh.store.retention import Cursor, Pruned, Pruning, Reclaimed, Retention
from agentmesh.types import RunId

WORKFLOW: Final = "workflow"
"""The name that workflows are stored under: their templates are content of the tasks of stages."""


class CapturingStore(TraceStore):
    """Hands everything on to another store, as a policy has it kept.

    Args:
        store: Where it is kept. Closing this store closes it too.
        capture: The policy.
    """

    def __init__(self, store: TraceStore, capture: Capture) -> None:
        self._store, self._capture = store, capture
        self._said = _Unfinished()

    @property
    def url(self) -> str:
        """Return the URL of the store behind."""
        return self._store.url

    @property
    def address(self) -> str | None:
        """Return the URL of the store behind; who opens it reads what was kept."""
        return self._store.address

    def shown(self, text: str) -> str:
        """Return a text as the policy has errors kept."""
        return self._capture.text("errors", text)

    def append(self, events: Sequence[Event]) -> None:
        """Store events as they are kept, and hold them as they are until their runs have ended."""
        said = [event for event in events if not isinstance(event, AnswerChunk)]
        self._store.append([captured(event, self._capture) for event in said])
        self._said.take(said)

    def events(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> list[Event]:
        """Return the events of a run: as they were said while it has not ended here, as they were stored afterwards."""
        return self._said.among(run_id, self._store.events(run_id, after=after, limit=limit))

    def times(self, run_id: RunId) -> list[tuple[int, float]]:
        """Return seq and time of each stored event of a run; no policy changes them."""
        return self._store.times(run_id)

    def run(self, run_id: RunId) -> Run:
        """Return a run folded from its events."""
        return fold(self.events(run_id))

    def runs(self, where: RunFilter | None = None, *, limit: int = 50, offset: int = 0) -> list[RunSummary]:
        """List runs as they were stored, newest first."""
        return self._store.runs(where, limit=limit, offset=offset)

    def runs_page(self, where: RunFilter | None = None, *, limit: int = 50, offset: int = 0) -> RunsPage:
        """List runs as they were stored, and say how many there are where reading them told."""
        return self._store.runs_page(where, limit=limit, offset=offset)

    def count_runs(self, where: RunFilter | None = None) -> int:
        """Count the runs that ``runs`` would list without a limit."""
        return self._store.count_runs(where)

    def tail(self, after: int = 0, *, limit: int = 1000) -> list[StoredEvent]:
        """Return the events stored after place ``after``, as they were stored."""
        return self._store.tail(after, limit=limit)

    def add_feedback(self, feedback: Feedback, experiences: Sequence[Experience] = ()) -> list[Experience]:
        """Store a score and what was learned from it, as they are kept."""
        kept = [captured(one, self._capture) for one in experiences]
        return self._store.add_feedback(captured(feedback, self._capture), kept)

    def experiences(self, after: int = 0, *, until: int | None = None, limit: int | None = None) -> list[Experience]:
        """Return experiences as they were stored."""
        return self._store.experiences(after, until=until, limit=limit)

    def last_experience(self) -> int:
        """Return the highest number that an experience or a mark has, 0 when there is none."""
        return self._store.last_experience()

    def put_registry(self, snapshot: RegistrySnapshot) -> None:
        """Store a registry's cards as they are: a mesh compares its agents with them."""
        self._store.put_registry(snapshot)

    def registry(self, version: str) -> RegistrySnapshot:
        """Return the cards stored under ``version``."""
        return self._store.registry(version)

    def latest_cards(self) -> tuple[AgentCard, ...]:
        """Return the card of the highest version of every agent."""
        return self._store.latest_cards()

    def put_router(self, name: str, parameters_hash: str, parameters: str) -> None:
        """Store parameters as they are, unless they are a workflow whose templates are not kept whole."""
        is_kept = name != WORKFLOW or self._capture.text("task", parameters) == parameters
        if is_kept:
            self._store.put_router(name, parameters_hash, parameters)

    def router_parameters(self, name: str, parameters_hash: str) -> str | None:
        """Return the JSON text stored for these parameters, ``None`` when there is none."""
        return self._store.router_parameters(name, parameters_hash)

    def routers(self) -> list[tuple[str, str]]:
        """Return each name and parameters hash that parameters or states are stored under."""
        return self._store.routers()

    def put_state(self, state: RouterState) -> None:
        """Store a router state as it is: it was learned from experiences as they are kept."""
        self._store.put_state(state)

    def nearest_state(self, router: str, parameters: str, *, until: int | None = None) -> RouterState | None:
        """Return the stored state with the highest ``sequence <= until``, ``None`` when there is none."""
        return self._store.nearest_state(router, parameters, until=until)

    def states(self, router: str, parameters: str) -> list[tuple[int, float]]:
        """Return sequence and time of each stored state."""
        return self._store.states(router, parameters)

    def put_mark(self, mark: RouterMark, state: RouterState) -> RouterMark:
        """Store a mark, its note as it is kept, and the state that holds from it on."""
        return self._store.put_mark(captured(mark, self._capture), state)

    def marks(self, router: str, root: str, *, after: int = 0, until: int | None = None) -> list[RouterMark]:
        """Return the marks of a router with ``after < sequence <= until``."""
        return self._store.marks(router, root, after=after, until=until)

    def add_fault(self, fault: LearningFault) -> None:
        """Store what could not be learned from, as it is kept."""
        self._store.add_fault(captured(fault, self._capture))

    def faults(self, *, limit: int = 50) -> list[LearningFault]:
        """Return the last faults stored."""
        return self._store.faults(limit=limit)

    def last_place(self) -> int:
        """Return the place of the last event stored."""
        return self._store.last_place()

    def traces(self, where: RunFilter | None = None) -> Iterator[list[Event]]:
        """Yield the events of each run as they were stored."""
        return self._store.traces(where)

    def every_mark(self) -> list[RouterMark]:
        """Return the marks of all routers, in order."""
        return self._store.every_mark()

    def take_over(self, experiences: Sequence[Experience], marks: Sequence[tuple[RouterMark, RouterState]] = ()) -> int:
        """Store what another store has learned, as it is kept here."""
        kept = [captured(one, self._capture) for one in experiences]
        return self._store.take_over(kept, [(captured(mark, self._capture), state) for mark, state in marks])

    def put_lease(self, lease: Lease) -> None:
        """Store a lease as it is."""
        self._store.put_lease(lease)

    def renew_lease(self, owner: str, at: float) -> bool:
        """Count one more beat of a lease."""
        return self._store.renew_lease(owner, at)

    def end_lease(self, owner: str, *, beats: int | None = None) -> bool:
        """Remove a lease."""
        return self._store.end_lease(owner, beats=beats)

    def leases(self) -> list[Lease]:
        """Return all leases."""
        return self._store.leases()

    def prune(self, retention: Retention, *, at: float | None, after: Cursor | None = None, limit: int = 100) -> Pruned:
        """Delete or count runs that may go, in the store behind."""
        return self._store.prune(retention, at=at, after=after, limit=limit)

    def prunings(self) -> list[Pruning]:
        """Return what was pruned and when."""
        return self._store.prunings()

    def vacuum(self) -> Reclaimed:
        """Give the space of what was deleted back."""
        return self._store.vacuum()

    def repair(self) -> list[str]:
        """Put right what can be in the store behind."""
        return self._store.repair()

    def check(self) -> list[str]:
        """Look for damage in the store behind."""
        return self._store.check()

    def close(self) -> None:
        """Close the store behind."""
        self._store.close()


class _Unfinished:
    """The events of runs that have not ended here, and of those that such a run has started, as they were said."""

    def __init__(self) -> None:
        self._lock = Lock()  # guards the two below: events come from the writing thread and from those who answer
        self._events: dict[RunId, dict[int, Event]] = {}
        self._parents: dict[RunId, RunId | None] = {}

    def take(self, events: Sequence[Event]) -> None:
        """Hold events, and let go of runs that end with them."""
        with self._lock:
            for event in events:
                if isinstance(event, RunStarted):
                    self._parents[event.run_id] = event.parent
                    self._events[event.run_id] = {}
                held = self._events.get(event.run_id)
                if held is not None:  # others began elsewhere, and can go on only there
                    held[event.seq] = event
            for event in events:
                if isinstance(event, RunFinished) and self._parents.get(event.run_id) not in self._events:
                    self._let_go(event.run_id)

    def among(self, run_id: RunId, stored: Sequence[Event]) -> list[Event]:
        """Return the stored events of a run, those that are held as they were said."""
        with self._lock:
            said: Mapping[int, Event] = self._events.get(run_id, {})
            return [said.get(event.seq, event) for event in stored]

    def _let_go(self, run_id: RunId) -> None:
        self._events.pop(run_id, None)
        self._parents.pop(run_id, None)
        for child in [one for one, parent in self._parents.items() if parent == run_id]:
            self._let_go(child)
