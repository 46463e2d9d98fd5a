"""The one writer of a store: what many runs say at once becomes one commit.

Events that somebody waits for are committed at once, and with them whatever else has come in: while a commit is under
way, the rest waits in a list that the next commit takes whole. Events that nobody waits for go along with those, or
alone after a twentieth of a second.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock

from agentmesh.errors import DuplicateEventError, StoreError
from agentmesh.events import AnswerChunk, Event
from agentmesh.store.base import TraceStore
from agentmesh.types import RunId

POSTED_S = 0.05
"""How long events that nobody waits for may stay out of the store: short enough for a watcher in another process, long
enough that a busy mesh rarely commits for their sake. Committing each post at once took twice the commits."""


@dataclass(slots=True)
class _Parcel:
    """Events that were handed in together, and who waits for them."""

    events: Sequence[Event]
    waiter: asyncio.Future[None] | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Hole:
    """The first event that a run's log lacks, and why."""

    seq: int
    error: Exception


class TraceWriter:
    """Writes events from an event loop in one background thread, in the order they were handed in.

    A failure costs only the runs it hit. Their later events are refused with the same error, so that no stored log has
    a hole; handing in the lost events again is accepted. A store is closed by who opened it, after :meth:`aclose`.

    Args:
        store: Where to. Nothing else may append to the same runs meanwhile.
    """

    def __init__(self, store: TraceStore) -> None:
        self.store = store
        self._lock = Lock()  # guards the six below, which the loops' threads and the writing thread share
        self._pending: list[_Parcel] = []
        self._draining = False
        self._urgent = False  # somebody waits for what is pending, or it has waited long enough
        self._timed = False  # a timer will make it urgent
        self._closed = False
        self._unreported: list[Exception] = []
        self._holes: dict[RunId, _Hole] = {}  # touched by the writing thread alone
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agentmesh-writer")

    def post(self, events: Sequence[Event]) -> None:
        """Hand events in and return at once.

        If they cannot be stored, the next ``write`` of the same run says so, and the next ``flush`` or ``aclose``.

        Raises:
            StoreError: the writer is closed.
        """
        self._hand_in(_Parcel(_stored(events)))

    async def write(self, events: Sequence[Event]) -> None:
        """Hand events in and return when they are committed. If this call is cancelled, they are written all the same.

        Raises:
            DuplicateEventError: one of them is stored already.
            StoreError: they, or earlier events of the same run, cannot be stored; or the writer is closed.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hand_in(_Parcel(_stored(events), waiter))
        await waiter

    async def flush(self) -> None:
        """Return when everything handed in so far is committed.

        Raises:
            StoreError: posted events could not be stored, and nobody was told yet.
        """
        await self.write(())
        self._report()

    async def aclose(self) -> None:
        """Write what is left and stop. Closing twice is harmless.

        Raises:
            StoreError: posted events could not be stored, and nobody was told yet.
        """
        with self._lock:
            if self._pending and not self._closed:
                self._hurry()
            self._closed = True
        await asyncio.to_thread(self._executor.shutdown)
        self._report()

    def _report(self) -> None:
        with self._lock:
            errors, self._unreported = self._unreported, []
        if errors:
            raise errors[0]

    def _hand_in(self, parcel: _Parcel) -> None:
        with self._lock:
            if self._closed:
                raise StoreError(f"the writer of {self.store.url!r} is closed; open a new one to write")
            self._pending.append(parcel)
            if parcel.waiter is not None:
                self._hurry()
            elif not self._timed and not self._urgent:
                self._hurry_soon()

    def _hurry_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no loop to wait on
            self._hurry()
        else:
            self._timed = True
            loop.call_later(POSTED_S, self._time_is_up)

    def _time_is_up(self) -> None:
        with self._lock:
            self._timed = False
            if self._pending and not self._closed:
                self._hurry()

    def _hurry(self) -> None:
        """Have what is pending committed; the lock is held."""
        self._urgent = True
        if not self._draining:
            self._executor.submit(self._drain)
            self._draining = True

    def _drain(self) -> None:
        while parcels := self._take():
            self._commit(parcels)
            _tell(parcels)

    def _take(self) -> list[_Parcel]:
        with self._lock:
            if not self._urgent:
                self._draining = False
                return []
            parcels, self._pending = self._pending, []
            self._urgent, self._draining = False, bool(parcels)
        return parcels

    def _commit(self, parcels: Sequence[_Parcel]) -> None:
        """Store all parcels at once, or, when that fails, each by itself to find those that cannot be."""
        wanted = [parcel for parcel in parcels if not self._refuse(parcel)]
        error = self._append([event for parcel in wanted for event in parcel.events])
        one_is_to_blame = isinstance(error, DuplicateEventError) or not isinstance(error, StoreError)
        for parcel in wanted:
            if error is not None and one_is_to_blame:
                parcel.error = self._refusal(parcel.events) or self._append(parcel.events)
            else:  # a locked database or a full disk hits all alike
                parcel.error = error if parcel.events else None
            self._remember(parcel)

    def _append(self, events: Sequence[Event]) -> Exception | None:
        try:
            self.store.append(events)
        except Exception as error:  # noqa: BLE001  # the worker's boundary: whoever waits for the events gets it
            return error
        return None

    def _refuse(self, parcel: _Parcel) -> bool:
        parcel.error = self._refusal(parcel.events)
        if parcel.error is not None:
            self._remember(parcel)
        return parcel.error is not None

    def _refusal(self, events: Sequence[Event]) -> Exception | None:
        """Return why these events would leave a hole in the log of a run, ``None`` when they would not."""
        if not self._holes:
            return None
        first: dict[RunId, int] = {}
        for event in events:
            first.setdefault(event.run_id, event.seq)
        for run_id, seq in first.items():
            hole = self._holes.get(run_id)
            if hole is not None and seq > hole.seq:
                return hole.error
        return None

    def _remember(self, parcel: _Parcel) -> None:
        if parcel.error is None:
            if self._holes:
                for event in parcel.events:
                    self._holes.pop(event.run_id, None)
            return
        for event in parcel.events:
            self._holes.setdefault(event.run_id, _Hole(event.seq, parcel.error))
        with self._lock:
            self._unreported = [error for error in self._unreported if error is not parcel.error]
            if parcel.waiter is None:
                self._unreported.append(parcel.error)


def _stored(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, AnswerChunk)]


def _tell(parcels: Sequence[_Parcel]) -> None:
    """Wake those who wait, each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Parcel]] = {}
    for parcel in parcels:
        if parcel.waiter is not None:
            by_loop.setdefault(parcel.waiter.get_loop(), []).append(parcel)
    for loop, waiting in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed, so nobody waits any more
            loop.call_soon_threadsafe(_wake, waiting)


def _wake(parcels: Sequence[_Parcel]) -> None:
    for parcel in parcels:
        if parcel.waiter is None or parcel.waiter.done():
            continue
        if parcel.error is None:
            parcel.waiter.set_result(None)
        else:
            parcel.waiter.set_exception(parcel.error)
