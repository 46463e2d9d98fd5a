"""Where a watcher's events come from: a store that another process writes, a mesh in this one, or a stored run."""

import threading
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from agentmesh.errors import RunNotFoundError, StoreError
from agentmesh.events import Event, FeedbackGiven
from agentmesh.records import RunStatus
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.tui.family import Family
from agentmesh.types import Clock, RunId

RECENT: Final = 100
"""Runs from before the watching began that are shown with those that come."""

OPEN: Final = 1000
"""Runs under way that are shown from the beginning, whatever ``RECENT`` says."""

BATCH: Final = 2000
"""Events that are taken in at once, so that a screen stays awake in a flood."""


class Source(Protocol):
    """Gives a watcher events. It is asked in a worker thread, about four times a second, by one thread at a time."""

    @property
    def label(self) -> str:
        """Return what a screen calls this source."""
        ...

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will come."""
        ...

    def more(self) -> Sequence[Event]:
        """Return the events that came since this was last asked, at most ``BATCH``; at first those to begin with.

        Raises:
            StoreError: they cannot be read now; asking again may help.
        """
        ...

    def trace(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> Sequence[Event]:
        """Return the events of one run as far as this source has come, by seq.

        Only those whose seq is greater than ``after``, and at most ``limit``: so a long run is read in parts.

        Raises:
            RunNotFoundError: it knows of no such run.
            StoreError: it cannot be read now.
        """
        ...


class TailSource:
    """Follows a store: the runs under way, the newest that ended, then each event that any process adds."""

    def __init__(self, store: TraceStore, *, recent: int = RECENT) -> None:
        """Follow ``store``; nothing is read yet."""
        self._store, self._recent = store, recent
        self._after: int | None = None
        self._earlier: deque[RunId] = deque()  # runs from before, of which the first is read
        self._read_to = -1  # the seq that this one is read to
        self._waiting: deque[Event] = deque()

    @property
    def label(self) -> str:
        """Return the URL of the store."""
        return self._store.url

    @property
    def is_over(self) -> bool:
        """Return ``False``: any process may write more."""
        return False

    def more(self) -> Sequence[Event]:
        """Return the next events, those of earlier runs first."""
        if self._after is None:
            after = self._store.last_place()  # before the runs are read: what comes meanwhile comes again, and is known
            self._earlier.extend(self._begun_earlier())
            self._after = after
        while self._earlier and len(self._waiting) < BATCH:
            self._read_earlier()
        if self._waiting:
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        stored = self._store.tail(self._after, limit=BATCH)
        if stored:
            self._after = stored[-1].place
        return [one.event for one in stored]

    def trace(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> Sequence[Event]:
        """Return the stored events of a run."""
        return self._store.events(run_id, after=after, limit=limit)

    def _begun_earlier(self) -> list[RunId]:
        newest = [summary.id for summary in self._store.runs(limit=self._recent)]
        open_runs = [
            summary.id
            for status in (RunStatus.RUNNING, RunStatus.WAITING)
            for summary in self._store.runs(RunFilter(status=status), limit=OPEN)
        ]
        return list(reversed(dict.fromkeys([*newest, *open_runs])))

    def _read_earlier(self) -> None:
        """Read on in an earlier run; a long one takes seconds, so it is read in parts."""
        part: Sequence[Event] = ()
        with suppress(RunNotFoundError):  # pruned meanwhile
            part = self._store.events(self._earlier[0], after=self._read_to, limit=BATCH)
        self._waiting.extend(part)
        self._read_to = part[-1].seq if part else -1
        if len(part) < BATCH:
            self._earlier.popleft()
            self._read_to = -1


class MeshSource:
    """Listens to a mesh in this process: give it to ``Mesh(listeners=[...])``.

    Scores are not said by a run, and may come from anybody: they are read from the store as they are written there.

    Args:
        store: The store of that mesh, which keeps the runs that have ended. It is read to know where it ends.
    """

    def __init__(self, store: TraceStore) -> None:
        self._store = store
        self._after = store.last_place()
        self._heard: deque[Event] = deque()

    @property
    def label(self) -> str:
        """Return which mesh is listened to."""
        return f"this process, {self._store.url}"

    @property
    def is_over(self) -> bool:
        """Return ``False``: the mesh may always run another task."""
        return False

    def __call__(self, event: Event) -> None:
        """Take one event; it costs the mesh the adding to a list. Scores come from the store, each once."""
        if not isinstance(event, FeedbackGiven):
            self._heard.append(event)

    def more(self) -> Sequence[Event]:
        """Return what was heard since the last time, and scores that were stored."""
        stored = self._store.tail(self._after, limit=BATCH)
        if stored:
            self._after = stored[-1].place
        # a run is heard before it is stored and scored, so what a score belongs to stands before it in the queue
        self._heard.extend(one.event for one in stored if isinstance(one.event, FeedbackGiven))
        return [self._heard.popleft() for _ in range(min(BATCH, len(self._heard)))]

    def trace(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> Sequence[Event]:
        """Return the stored events of a run; what it says now is stored within a moment."""
        return self._store.events(run_id, after=after, limit=limit)


SLOWEST: Final = 0.1
FASTEST: Final = 100.0


class PlayedSource:
    """Plays the events of a stored run again as they came, faster or slower, with stops.

    They are read as their time comes, so that a long run begins at once. Safe to steer from another thread than the one
    that asks for events.

    Args:
        family: The run, and those it started.
        clock: Tells how much time has gone by.
        speed: How many recorded seconds go by in a second, 0.1 to 100.
    """

    def __init__(self, family: Family, clock: Clock, *, speed: float = 1.0) -> None:
        self._family, self._clock = family, clock
        self._events: list[Event] = []  # the first ones, as far as they were read: they may be played once more
        self._places: dict[RunId, list[int]] = {}
        for place, run_id in enumerate(family.runs):
            self._places.setdefault(run_id, []).append(place)
        self._lock = threading.Lock()  # guards what follows, and is not held while the store is read
        self._next = 0
        self._sought = 0  # where it was sent; those up to there are given as fast as they are asked for
        self._round = self._round_given = 0
        self._played_s = 0.0  # recorded seconds that have gone by
        self._last = clock.monotonic()
        self._speed = min(max(speed, SLOWEST), FASTEST)
        self._paused = False

    @property
    def label(self) -> str:
        """Return which run it plays, and how fast."""
        how = "paused" if self._paused else f"x{self._speed:g}"
        return f"run {self._family.runs[0]}, {how}, event {self.position[0]} of {len(self._family)}"

    @property
    def is_over(self) -> bool:
        """Return whether the last event was played."""
        return self._next >= len(self._family)

    @property
    def run_ids(self) -> list[RunId]:
        """Return the runs that are played, in the order in which they begin."""
        return list(self._places)

    @property
    def position(self) -> tuple[int, int]:
        """Return how many events were played, of how many; where it was sent to a place, it counts as being there."""
        return max(self._next, self._sought), len(self._family)

    @property
    def paused(self) -> bool:
        """Return whether it stands still."""
        return self._paused

    @property
    def speed(self) -> float:
        """Return how many recorded seconds go by in a second."""
        return self._speed

    def more(self) -> Sequence[Event]:
        """Return the events whose time has come; where they cannot be read, they come the next time."""
        offsets_s = self._family.offsets_s
        with self._lock:
            self._go_by()
            begin, self._round_given = self._next, self._round
            end = bisect_right(offsets_s, self._played_s, begin, min(begin + BATCH, len(offsets_s)))
            self._next = end
        try:
            self._events += self._family.read(len(self._events), end)
        except StoreError:
            with self._lock:
                if not self.is_outdated:
                    self._next = begin
            raise
        return self._events[begin:end]

    def trace(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> Sequence[Event]:
        """Return the events of a run that were played."""
        places = self._places.get(run_id, ())
        end = bisect_left(places, min(self._next, len(self._events)))
        if not end:
            raise RunNotFoundError(f"nothing of run {run_id!r} was played so far")
        begin = bisect_right(places, after, hi=end, key=self._family.seqs.__getitem__)
        return [self._events[place] for place in places[begin : end if limit is None else min(begin + limit, end)]]

    def pause(self, paused: bool) -> None:
        """Stand still, or go on."""
        with self._lock:
            self._go_by()
            self._paused = paused

    def set_speed(self, speed: float) -> None:
        """Play so fast from here on; the nearest of 0.1 to 100 is taken."""
        with self._lock:
            self._go_by()
            self._speed = min(max(speed, SLOWEST), FASTEST)

    def step(self) -> None:
        """Let the time of the next event come at once, and stand still."""
        with self._lock:
            self._go_by()
            self._paused = True
            # not the next one that is asked for: two steps may come before that is done
            offsets_s = self._family.offsets_s
            place = bisect_right(offsets_s, self._played_s)
            if place < len(offsets_s):
                self._played_s = offsets_s[place]

    @property
    def times_sent_back(self) -> int:
        """Return how often it was sent back: what was read of it before that may lie ahead of it."""
        return self._round

    @property
    def is_outdated(self) -> bool:
        """Return whether it was sent back since :meth:`more` was last asked: what that gave is given anew."""
        return self._round_given != self._round

    def seek(self, position: int) -> bool:
        """Go to where ``position`` events have been played; those up to there come by :meth:`more`, without a pause.

        Returns:
            Whether all that was played comes once more, so that a board that shows it begins anew.
        """
        with self._lock:
            self._sought = min(max(position, 0), len(self._family))
            self._played_s = self._family.offsets_s[self._sought - 1] if self._sought else 0.0
            self._last = self._clock.monotonic()
            is_back = self._sought < self._next
            if is_back:
                self._next, self._round = 0, self._round + 1
            return is_back

    def _go_by(self) -> None:
        now = self._clock.monotonic()
        if not self._paused:
            self._played_s += (now - self._last) * self._speed
        self._last = now
