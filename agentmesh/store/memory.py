"""A store that lasts as long as the process. Short and obvious: it is the reference that the others are tested on."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from threading import RLock

from agentmesh.events import AnswerChunk, Event, FeedbackGiven, summarize
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
from agentmesh.store.base import Lease, RunFilter, StoredEvent, TraceStore
from agentmesh.store.carried import Numbered, new_ones, with_those_started
from agentmesh.store.faults import MOST_IN_MEMORY, kept
from agentmesh.store.refusals import (
    ScoredKey,
    closed,
    foreign_state,
    hole,
    no_registry,
    no_run,
    refusal,
    refuse_second_score,
    scored_key,
    unfinished,
)
from agentmesh.store.remembered import Trace, age_of, families_of, is_left_alone, matches, roots_of
from agentmesh.store.retention import Cursor, Pruned, Pruning, Reclaimed, Retention, released
from agentmesh.types import AgentId, RunId

_SEQUENCE, _PLACE = attrgetter("sequence"), attrgetter("place")


class MemoryStore(TraceStore):
    """Keeps everything in this process and forgets it at the end."""

    def __init__(self) -> None:
        self._lock = RLock()  # guards all that follows: calls come from several threads
        self._closed = False
        self._log: list[StoredEvent] = []
        self._place = 0  # the last that was given out
        self._prunings: dict[float, Pruning] = {}
        self._traces: dict[RunId, Trace] = {}
        self._last = 0  # the highest number that an experience or a mark has
        self._experiences: list[Experience] = []
        self._scored: set[ScoredKey] = set()
        self._marks: dict[tuple[str, str], list[RouterMark]] = {}
        self._faults: deque[LearningFault] = deque(maxlen=MOST_IN_MEMORY)
        self._registries: dict[str, RegistrySnapshot] = {}
        self._cards: dict[AgentId, AgentCard] = {}
        self._parameters: dict[tuple[str, str], str] = {}
        self._states: dict[tuple[str, str], dict[int, RouterState]] = {}
        self._leases: dict[str, Lease] = {}

    @property
    def url(self) -> str:
        """Return ``memory://``."""
        return "memory://"

    def append(self, events: Sequence[Event]) -> None:
        """Store events of any runs, in order, or none of them when one is stored already."""
        kept = [event for event in events if not isinstance(event, AnswerChunk)]
        with self._lock:
            self._check_open()
            seen: set[tuple[RunId, int]] = set()
            for event in kept:
                key = (event.run_id, event.seq)
                trace = self._traces.get(event.run_id)
                stored = event if key in seen else None if trace is None else trace.by_seq.get(event.seq)
                if stored is not None:
                    raise refusal(stored, event, url=self.url)
                seen.add(key)
            for event in kept:
                self._put(event)

    def events(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> list[Event]:
        """Return the events of a run by seq, or the next ``limit`` of them after one."""
        with self._lock:
            return self._trace(run_id).ordered(after=after, limit=limit)

    def run(self, run_id: RunId) -> Run:
        """Return a run folded from its events."""
        with self._lock:
            return self._trace(run_id).run()

    def runs(self, where: RunFilter | None = None, *, limit: int = 50, offset: int = 0) -> list[RunSummary]:
        """List runs, newest first."""
        with self._lock:
            found = self._matching(where)
        found.sort(key=lambda run: (run.started_at, run.id), reverse=True)
        return [summarize(run) for run in found[offset : offset + limit]]

    def count_runs(self, where: RunFilter | None = None) -> int:
        """Count the runs that ``runs`` would list without a limit."""
        with self._lock:
            return len(self._matching(where))

    def tail(self, after: int = 0, *, limit: int = 1000) -> list[StoredEvent]:
        """Return the events stored after place ``after``, in order."""
        with self._lock:
            self._check_open()
            first = bisect_right(self._log, after, key=_PLACE)
            return self._log[first : first + limit]

    def traces(self, where: RunFilter | None = None) -> Iterator[list[Event]]:
        """Yield the events of each run by seq, the oldest run first, as they are now."""
        with self._lock:
            found = self._matching(where)
            started_by = {run.id: run.parent for run in self._matching(None) if run.parent is not None}
            chosen = with_those_started({run.id for run in found}, started_by)
            if where is None:
                chosen |= set(self._traces)
            logs = [self._traces[run_id].ordered() for run_id in chosen]
        yield from sorted(logs, key=age_of)

    def last_place(self) -> int:
        """Return the place of the last event stored, 0 where there is none."""
        with self._lock:
            self._check_open()
            return self._log[-1].place if self._log else 0

    def add_feedback(self, feedback: Feedback, experiences: Sequence[Experience] = ()) -> list[Experience]:
        """Store a score as an event of its run, and number and store what was learned from it."""
        with self._lock:
            trace = self._trace(feedback.run_id)
            if not trace.started() or not trace.run().status.has_ended:
                raise unfinished(feedback.run_id, self.url)
            given = trace.scores()
            refuse_second_score(feedback, experiences, given=given, scored=self._scored, url=self.url)
            self._put(
                FeedbackGiven(run_id=feedback.run_id, seq=max(trace.by_seq) + 1, at=feedback.at, feedback=feedback)
            )
            return self._number(experiences)

    def experiences(self, after: int = 0, *, until: int | None = None, limit: int | None = None) -> list[Experience]:
        """Return experiences with ``after < sequence <= until``, in order."""
        with self._lock:
            self._check_open()
            first = bisect_right(self._experiences, after, key=_SEQUENCE)
            last = None if until is None else bisect_right(self._experiences, until, key=_SEQUENCE)
            found = self._experiences[first:last]
        return found if limit is None else found[:limit]

    def last_experience(self) -> int:
        """Return the highest number that an experience or a mark has, 0 when there is none."""
        with self._lock:
            self._check_open()
            return self._last

    def put_registry(self, snapshot: RegistrySnapshot) -> None:
        """Store a registry's cards under its version; storing a version again changes nothing."""
        with self._lock:
            self._check_open()
            if snapshot.version not in self._registries:
                self._registries[snapshot.version] = snapshot
                for card in snapshot.cards:
                    known = self._cards.get(card.id)
                    if known is None or known.version < card.version:
                        self._cards[card.id] = card

    def registry(self, version: str) -> RegistrySnapshot:
        """Return the cards stored under ``version``."""
        with self._lock:
            self._check_open()
            if version not in self._registries:
                raise no_registry(version, self.url)
            return self._registries[version]

    def latest_cards(self) -> tuple[AgentCard, ...]:
        """Return the card of the highest version of every agent in any registry stored, sorted by id."""
        with self._lock:
            self._check_open()
            return tuple(self._cards[agent_id] for agent_id in sorted(self._cards))

    def put_router(self, name: str, parameters_hash: str, parameters: str) -> None:
        """Store the JSON text of a router's parameters under their hash; storing it again changes nothing."""
        with self._lock:
            self._check_open()
            self._parameters.setdefault((name, parameters_hash), parameters)

    def router_parameters(self, name: str, parameters_hash: str) -> str | None:
        """Return the JSON text stored for these parameters, ``None`` when there is none."""
        with self._lock:
            self._check_open()
            return self._parameters.get((name, parameters_hash))

    def routers(self) -> list[tuple[str, str]]:
        """Return each name and parameters hash that parameters or states are stored under, sorted."""
        with self._lock:
            self._check_open()
            return sorted({*self._parameters, *self._states})

    def put_state(self, state: RouterState) -> None:
        """Store a router state; the same router, parameters and sequence replace an earlier one."""
        with self._lock:
            self._check_open()
            self._keep(state)

    def nearest_state(self, router: str, parameters: str, *, until: int | None = None) -> RouterState | None:
        """Return the stored state with the highest ``sequence <= until``, ``None`` when there is none."""
        with self._lock:
            self._check_open()
            states = self._states.get((router, parameters), {})
            sequences = sorted(states)
            place = len(sequences) if until is None else bisect_right(sequences, until)
            return states[sequences[place - 1]] if place else None

    def states(self, router: str, parameters: str) -> list[tuple[int, float]]:
        """Return sequence and time of each stored state, rising."""
        with self._lock:
            self._check_open()
            return sorted((state.sequence, state.at) for state in self._states.get((router, parameters), {}).values())

    def put_mark(self, mark: RouterMark, state: RouterState) -> RouterMark:
        """Store a mark under the next number, and the state that holds from it on under the same one."""
        if (state.router, state.parameters) != (mark.router, mark.parameters):
            raise foreign_state(mark, state)
        with self._lock:
            self._check_open()
            self._last += 1
            numbered = mark.model_copy(update={"sequence": self._last})
            self._marks.setdefault((mark.router, mark.root), []).append(numbered)
            self._keep(state.model_copy(update={"sequence": self._last}))
            return numbered

    def marks(self, router: str, root: str, *, after: int = 0, until: int | None = None) -> list[RouterMark]:
        """Return the marks of a router with ``after < sequence <= until``, in order."""
        with self._lock:
            self._check_open()
            found = self._marks.get((router, root), [])
            return [mark for mark in found if after < mark.sequence and (until is None or mark.sequence <= until)]

    def every_mark(self) -> list[RouterMark]:
        """Return the marks of all routers, in order."""
        with self._lock:
            self._check_open()
            return sorted((mark for marks in self._marks.values() for mark in marks), key=_SEQUENCE)

    def take_over(self, experiences: Sequence[Experience], marks: Sequence[tuple[RouterMark, RouterState]] = ()) -> int:
        """Store experiences and marks under the numbers they have, and return how many were not there."""
        with self._lock:
            asked: list[Numbered] = [*experiences, *(mark for mark, _ in marks)]
            held: list[Numbered] = [*self._experiences, *self.every_mark()]
            known = {item.sequence: item for item in held}
            stored = {item.sequence: known[item.sequence] for item in asked if item.sequence in known}
            fresh = new_ones(asked, stored, last=self._last, url=self.url)
            for mark, state in marks:
                if mark.sequence in fresh:
                    self._marks.setdefault((mark.router, mark.root), []).append(mark)
                    self._keep(state.model_copy(update={"sequence": mark.sequence}))
            added = sorted((item for item in experiences if item.sequence in fresh), key=_SEQUENCE)
            self._experiences += added
            self._scored.update(map(scored_key, added))
            self._last = max([self._last, *fresh])
            return len(fresh)

    def add_fault(self, fault: LearningFault) -> None:
        """Store what could not be learned from, and forget the oldest of more than 1,000."""
        with self._lock:
            self._check_open()
            self._faults.append(kept(fault))

    def faults(self, *, limit: int = 50) -> list[LearningFault]:
        """Return the last faults stored, newest first."""
        with self._lock:
            self._check_open()
            return list(islice(reversed(self._faults), limit))

    def put_lease(self, lease: Lease) -> None:
        """Store a lease in place of the one of the same owner."""
        with self._lock:
            self._check_open()
            self._leases[lease.owner] = lease

    def renew_lease(self, owner: str, at: float) -> bool:
        """Count one more beat of a lease; return whether it is still there."""
        with self._lock:
            self._check_open()
            known = self._leases.get(owner)
            if known is not None:
                self._leases[owner] = replace(known, renewed_at=at, beats=known.beats + 1)
            return known is not None

    def end_lease(self, owner: str, *, beats: int | None = None) -> bool:
        """Remove a lease, or only where it has not been renewed since; return whether it was."""
        with self._lock:
            self._check_open()
            known = self._leases.get(owner)
            if known is None or beats not in (None, known.beats):
                return False
            del self._leases[owner]
            return True

    def leases(self) -> list[Lease]:
        """Return all leases, by owner."""
        with self._lock:
            self._check_open()
            return [self._leases[owner] for owner in sorted(self._leases)]

    def prune(self, retention: Retention, *, at: float | None, after: Cursor | None = None, limit: int = 100) -> Pruned:
        """Delete or count runs that may go, with the runs that they started."""
        with self._lock:
            self._check_open()
            roots = roots_of(self._traces, retention, after)[:limit]
            gone = released(families_of(self._traces, [run_id for _, run_id in roots]), retention)
            count = sum(len(self._traces[run_id].by_seq) for run_id in gone)
            if at is not None and gone:
                self._forget(set(gone))
                earlier = self._prunings.get(at, Pruning(at, retention.before, 0, 0))
                total = len(gone) + earlier.runs, count + earlier.events
                self._prunings[at] = Pruning(at, retention.before, *total)
        return Pruned(len(gone), count, roots[-1] if len(roots) == limit else None)

    def prunings(self) -> list[Pruning]:
        """Return what was pruned and when, the first first."""
        with self._lock:
            self._check_open()
            return [self._prunings[at] for at in sorted(self._prunings)]

    def vacuum(self) -> Reclaimed:
        """Do nothing: what is deleted in memory takes no space."""
        with self._lock:
            self._check_open()
        return Reclaimed(0, 0)

    def check(self) -> list[str]:
        """Name the runs whose log has a hole; nothing else can break in memory."""
        with self._lock:
            self._check_open()
            return [
                hole(run_id, stored=len(trace.by_seq), last_seq=max(trace.by_seq))
                for run_id, trace in self._traces.items()
                if len(trace.by_seq) != max(trace.by_seq) + 1
            ]

    def repair(self) -> list[str]:
        """Do nothing: all is drawn from the events when it is asked for."""
        self._check_open()
        return []

    def close(self) -> None:
        """Refuse every later call. Closing twice is harmless."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise closed(self.url)

    def _trace(self, run_id: RunId) -> Trace:
        self._check_open()
        if run_id not in self._traces:
            raise no_run(run_id, self.url)
        return self._traces[run_id]

    def _put(self, event: Event) -> None:
        trace = self._traces.setdefault(event.run_id, Trace())
        trace.by_seq[event.seq] = event
        trace.folded = None
        self._place += 1
        self._log.append(StoredEvent(self._place, event))

    def _number(self, experiences: Sequence[Experience]) -> list[Experience]:
        numbered = [item.model_copy(update={"sequence": self._last + 1 + i}) for i, item in enumerate(experiences)]
        self._last += len(numbered)
        self._experiences.extend(numbered)
        self._scored.update(map(scored_key, numbered))
        return numbered

    def _keep(self, state: RouterState) -> None:
        self._states.setdefault((state.router, state.parameters), {})[state.sequence] = state

    def _forget(self, gone: set[RunId]) -> None:
        self._log = [stored for stored in self._log if stored.event.run_id not in gone]
        for run_id in gone:
            del self._traces[run_id]
        self._faults = deque((one for one in self._faults if one.run_id not in gone), maxlen=MOST_IN_MEMORY)

    def _matching(self, where: RunFilter | None) -> list[Run]:
        self._check_open()
        started = (trace.run() for trace in self._traces.values() if trace.started())
        found = [run for run in started if where is None or matches(run, where)]
        if where is None or where.orphaned is None:
            return found
        outer = self._traces.get
        return [one for one in found if is_left_alone(self._traces[one.id], outer(one.parent or ""), where.orphaned)]
