"""The contract of every trace store. ``agentmesh.testing.TraceStoreContract`` is the same contract, executable."""

import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from agentmesh.events import Event
from agentmesh.records import (
    AgentCard,
    Experience,
    Feedback,
    LearningFault,
    RegistrySnapshot,
    RouterMark,
    RouterState,
    Run,
    RunStatus,
    RunSummary,
)
from agentmesh.store.retention import Cursor, Pruned, Pruning, Reclaimed, Retention
from agentmesh.types import RunId


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event and its place in the whole store; places rise, and are never used twice."""

    place: int
    event: Event


@dataclass(frozen=True, slots=True)
class Lease:
    """Says that a mesh is at work: where, in which process, and when it last said so (Unix seconds, by its own clock).

    ``owner`` is what the events of its runs name it by. ``place`` is where ``pid`` means that process, and ``born``
    when the process was started; both may be "". ``beats`` counts the renewals.
    """

    owner: str
    host: str
    pid: int
    place: str
    born: str
    taken_at: float
    renewed_at: float
    beats: int = 0


@dataclass(frozen=True, slots=True)
class Orphaned:
    """Which runs are under way by their logs, and nobody is at work on them: those of owners who are not ``living``.

    A run of no known owner is one when its last event was before ``quiet_since`` (Unix seconds). What another run
    started is part of that one as long as that has not ended.
    """

    living: frozenset[str]
    quiet_since: float


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list. ``since`` is Unix seconds.

    ``text`` is looked for in the task, ``reason`` in why its agents were chosen; both ignore case. ``prefix`` is what
    the run's id begins with, exactly. ``alone`` leaves out runs that another run started, such as those of the stages
    of a workflow. ``orphaned`` leaves only those that nobody is at work on though they have not ended.
    """

    status: RunStatus | None = None
    text: str | None = None
    agent_id: str | None = None
    since: float | None = None
    reason: str | None = None
    prefix: str | None = None
    alone: bool = False
    parent: RunId | None = None
    orphaned: Orphaned | None = None


@dataclass(frozen=True, slots=True)
class RunsPage:
    """A page of a list of runs, and how many are on that list, ``None`` where reading the page did not tell."""

    runs: list[RunSummary]
    total: int | None

    @classmethod
    def read(cls, runs: list[RunSummary], *, limit: int, offset: int) -> Self:
        """Return a page of at most ``limit`` runs after ``offset`` others: it tells of all where it is the last one."""
        is_last = 0 < len(runs) < limit or (limit > 0 and not (runs or offset))
        return cls(runs, offset + len(runs) if is_last else None)


class TraceStore(ABC):
    """Keeps runs, feedback, experiences, registries, router states and marks, and the faults of learning.

    Experiences and marks share one counter, from 1: a number names one place in what there is to learn, and none is
    used twice. The experiences are the queue that learners read from; what is stored is never lost by reading it.

    Synchronous, and safe to call from several threads. Each method is one transaction: it takes effect whole or not
    at all. Every failure of the database is raised as a ``StoreError`` that names the database.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """Return the URL this store was opened with, without a password."""

    @property
    def address(self) -> str | None:
        """Return the URL under which another process can open the same store, ``None`` when none can.

        It holds the password where there is one: hand it to that process alone, and never show it.
        """
        return None

    def shown(self, text: str) -> str:
        """Return what somebody said as it may stand in a log: as this store would keep it."""
        return text

    def traced(self, error: BaseException) -> BaseException | None:
        """Return an error whose traceback may stand in a log, ``None`` where this store would not keep all of that."""
        trace = "".join(traceback.format_exception(error))
        return error if self.shown(trace) == trace else None

    @abstractmethod
    def append(self, events: Sequence[Event]) -> None:
        """Store events of any runs, in order; when this returns they survive a crash.

        ``answer_chunk`` events are passed over.

        Raises:
            DuplicateEventError: an event with the same run id and seq is stored already; nothing was written.
        """

    @abstractmethod
    def events(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> list[Event]:
        """Return the events of a run by seq, at most ``limit``; only those whose seq is greater than ``after``.

        So a long run is read in parts, and of one that goes on only what is new; none is an empty list then.

        Raises:
            RunNotFoundError: no event of this run is stored.
        """

    def times(self, run_id: RunId) -> list[tuple[int, float]]:
        """Return seq and time (Unix seconds) of each stored event of a run, by seq.

        A store that can tell them at less cost than the events does so: a long run is laid out by them, then read.

        Raises:
            RunNotFoundError: no event of this run is stored.
        """
        return [(event.seq, event.at) for event in self.events(run_id)]

    @abstractmethod
    def run(self, run_id: RunId) -> Run:
        """Return a run folded from its events.

        Raises:
            RunNotFoundError: no event of this run is stored.
        """

    @abstractmethod
    def runs(self, where: RunFilter | None = None, *, limit: int = 50, offset: int = 0) -> list[RunSummary]:
        """List runs, newest first; those that started at the same instant by id, descending."""

    def runs_page(self, where: RunFilter | None = None, *, limit: int = 50, offset: int = 0) -> RunsPage:
        """Return what ``runs`` does, and what ``count_runs`` does where that costs nothing more."""
        return RunsPage.read(self.runs(where, limit=limit, offset=offset), limit=limit, offset=offset)

    @abstractmethod
    def count_runs(self, where: RunFilter | None = None) -> int:
        """Count the runs that ``runs`` would list without a limit."""

    @abstractmethod
    def tail(self, after: int = 0, *, limit: int = 1000) -> list[StoredEvent]:
        """Return the events stored after place ``after``, in order."""

    @abstractmethod
    def last_place(self) -> int:
        """Return the place of the last event stored, 0 where there is none: ``tail`` goes on after it."""

    @abstractmethod
    def traces(self, where: RunFilter | None = None) -> Iterator[list[Event]]:
        """Yield the events of each run by seq, the run that started first first, all as they are at one moment.

        Runs that the ones ``where`` asks for have started come too, whatever they are; without ``where``, so do runs
        whose start is not stored, last. Close the iterator where it is not read to its end.
        """

    @abstractmethod
    def add_feedback(self, feedback: Feedback, experiences: Sequence[Experience] = ()) -> list[Experience]:
        """Store a score as a ``feedback_given`` event of its run, and what was learned from it, in one transaction.

        Returns:
            The experiences, numbered from one past the last experience or mark stored.

        Raises:
            RunNotFoundError: no event of this run is stored.
            DuplicateFeedbackError: the run has a score of the same agent (or of its answer) by the same source, or an
                experience of the same run, agent, source and stage is stored or comes twice; nothing was written.
                One score may teach of an agent at several stages.
            StoreError: the run has not finished: its next seq belongs to who is writing it.
        """

    @abstractmethod
    def experiences(self, after: int = 0, *, until: int | None = None, limit: int | None = None) -> list[Experience]:
        """Return experiences with ``after < sequence <= until``, in order."""

    @abstractmethod
    def last_experience(self) -> int:
        """Return the highest number that an experience or a mark has, 0 when there is none."""

    @abstractmethod
    def put_registry(self, snapshot: RegistrySnapshot) -> None:
        """Store a registry's cards under its version; storing a version again changes nothing."""

    @abstractmethod
    def registry(self, version: str) -> RegistrySnapshot:
        """Return the cards stored under ``version``.

        Raises:
            StoreError: none are.
        """

    @abstractmethod
    def latest_cards(self) -> tuple[AgentCard, ...]:
        """Return the card of the highest version of every agent in any registry stored, sorted by id.

        A mesh that opens compares its agents with these, so that one that was changed meanwhile gets the next version.
        """

    @abstractmethod
    def put_router(self, name: str, parameters_hash: str, parameters: str) -> None:
        """Store the JSON text of a router's parameters under their hash; storing it again changes nothing."""

    @abstractmethod
    def router_parameters(self, name: str, parameters_hash: str) -> str | None:
        """Return the JSON text stored for these parameters, ``None`` when there is none."""

    @abstractmethod
    def routers(self) -> list[tuple[str, str]]:
        """Return each name and parameters hash that parameters or states are stored under, sorted."""

    @abstractmethod
    def put_state(self, state: RouterState) -> None:
        """Store a router state; the same router, parameters and sequence replace an earlier one."""

    @abstractmethod
    def nearest_state(self, router: str, parameters: str, *, until: int | None = None) -> RouterState | None:
        """Return the stored state with the highest ``sequence <= until``, ``None`` when there is none."""

    @abstractmethod
    def states(self, router: str, parameters: str) -> list[tuple[int, float]]:
        """Return sequence and time of each stored state, rising."""

    @abstractmethod
    def put_mark(self, mark: RouterMark, state: RouterState) -> RouterMark:
        """Store a mark, and the state that holds from it on, in one transaction.

        Returns:
            The mark, numbered from one past the last experience or mark stored; the state is stored under that number.

        Raises:
            StoreError: the state is of another router or of other parameters than the mark.
        """

    @abstractmethod
    def marks(self, router: str, root: str, *, after: int = 0, until: int | None = None) -> list[RouterMark]:
        """Return the marks of a router with ``after < sequence <= until``, in order.

        Args:
            router: The name its states are stored under.
            root: The hash of its parameters as it is built.
            after: The last sequence to leave out.
            until: The last sequence to return.
        """

    @abstractmethod
    def every_mark(self) -> list[RouterMark]:
        """Return the marks of all routers, in order."""

    @abstractmethod
    def take_over(self, experiences: Sequence[Experience], marks: Sequence[tuple[RouterMark, RouterState]] = ()) -> int:
        """Store what another store has learned, under the numbers it has there; each mark with the state it set.

        What is stored already, number and all, changes nothing. A gap stays one.

        Returns:
            How many were not stored yet.

        Raises:
            StoreError: a number stands for something else here, or is not above the last one; nothing was written.
        """

    @abstractmethod
    def add_fault(self, fault: LearningFault) -> None:
        """Store what could not be learned from, its message cut to 2,000 characters."""

    @abstractmethod
    def faults(self, *, limit: int = 50) -> list[LearningFault]:
        """Return the last faults stored, newest first. A store in memory holds the last 1,000, one on disk 10,000."""

    @abstractmethod
    def put_lease(self, lease: Lease) -> None:
        """Store a lease in place of the one of the same owner."""

    @abstractmethod
    def renew_lease(self, owner: str, at: float) -> bool:
        """Count one more beat of a lease, at the time ``at``; return whether it is still there."""

    @abstractmethod
    def end_lease(self, owner: str, *, beats: int | None = None) -> bool:
        """Remove a lease, or only where it has not been renewed since it had so many ``beats``; return whether it was.

        Renewing and ending may come at once: one of them finds that the other was first.
        """

    @abstractmethod
    def leases(self) -> list[Lease]:
        """Return all leases, by owner."""

    @abstractmethod
    def prune(self, retention: Retention, *, at: float | None, after: Cursor | None = None, limit: int = 100) -> Pruned:
        """Delete runs that ``retention`` lets go, oldest first, with the runs that they started, and their faults.

        What was learned from them stays, with its numbers: a router learns on as if nothing had been deleted, and the
        runs that stay can be replayed. :func:`agentmesh.store.pruning.prune_runs` calls this until all are gone.

        Args:
            retention: Which runs may go.
            at: When this is, under which it is noted; ``None`` deletes nothing and counts.
            after: What the call before reached.
            limit: The most runs to look at that no stored run started, so that other writers wait for a moment only.
        """

    @abstractmethod
    def prunings(self) -> list[Pruning]:
        """Return what was pruned and when, the first first; all calls under one ``at`` together."""

    @abstractmethod
    def vacuum(self) -> Reclaimed:
        """Give the space of what was deleted back, and leave nothing of it in the database's files.

        Raises:
            StoreError: somebody else is writing, or reads what was deleted, for too long; vacuum again later.
        """

    @abstractmethod
    def check(self) -> list[str]:
        """Look for damage and return what was found, a line each; an empty list is a clean bill."""

    @abstractmethod
    def repair(self) -> list[str]:
        """Put right what can be known from the events, in one transaction, and return what was done, a line each.

        Rows that say otherwise than the events are drawn anew; indexes and counters of the database are put right.
        Events are never touched: a run that lost some keeps its hole, and ``check`` goes on to name it.

        Raises:
            StoreError: the store was opened for reading only, or its damage goes deeper.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the database. Closing twice is harmless."""

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()
