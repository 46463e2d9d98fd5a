"""The lease of one open mesh: taken when it opens, renewed by a thread of its own, released when it closes."""

import asyncio
import logging
import secrets
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from agentmesh.errors import StoreError
from agentmesh.records import RunSummary
from agentmesh.store.base import Lease, Orphaned, RunFilter, TraceStore
from agentmesh.store.leases import BEAT_S, QUIET_S, WATCH_S, Roll, called, watched
from agentmesh.store.processes import this_process
from agentmesh.types import Clock

logger = logging.getLogger(__name__)


class AtWork:
    """Says that a mesh is at work on its store, and finds the runs of meshes that are not any more.

    A thread renews the lease, so that an agent which holds up the event loop does not lose it. Where the store cannot
    be written it is tried again; where the lease was ended meanwhile, it is taken again: runs that others went on with
    meanwhile are theirs by their logs, the rest are still this mesh's.

    Args:
        store: The store.
        clock: Says when it is renewed.
        beat_s: Seconds between two renewals.
        watch_s: Seconds for which the lease of another is watched that is in doubt.
    """

    def __init__(self, store: TraceStore, clock: Clock, *, beat_s: float = BEAT_S, watch_s: float = WATCH_S) -> None:
        self.owner = secrets.token_hex(8)
        self._store, self._clock = store, clock
        self._beat_s, self._watch_s = beat_s, watch_s
        self._closing = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_told = False  # that it cannot be renewed
        self._thread = threading.Thread(target=self._beat, name="agentmesh-lease", daemon=True)

    async def __aenter__(self) -> Self:
        """Take the lease, and say what others left behind.

        Raises:
            StoreError: the store cannot be read.
        """
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._open)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lease."""
        await asyncio.to_thread(self._stop)

    async def holder(self, owner: str) -> Lease | None:
        """Return the lease of another mesh that is at work, ``None`` when it is not any more, or is this one.

        Raises:
            StoreError: the store cannot be read or written.
        """
        if owner in ("", self.owner):
            return None
        roll = await watched(self._store, self._clock, owner=owner, watch_s=self._watch_s)
        await asyncio.to_thread(self._end, roll)
        return roll.living[0] if roll.living else None

    async def orphans(self) -> list[RunSummary]:
        """Return the runs whose process is gone, oldest first.

        Raises:
            StoreError: the store cannot be read or written.
        """
        roll = await watched(self._store, self._clock, watch_s=self._watch_s)
        await asyncio.to_thread(self._end, roll)
        where = RunFilter(orphaned=orphans_of(roll, now=self._clock.now(), own=self.owner))
        return await asyncio.to_thread(_oldest_first, self._store, where)

    def _open(self) -> None:
        try:
            self._store.put_lease(self._lease())
        except StoreError as error:  # a mesh that only routes needs to write nothing
            self._tell(error)
        roll = called(self._store.leases(), now=self._clock.now())
        with suppress(StoreError):
            self._end(roll)
        orphaned = orphans_of(roll, now=self._clock.now(), own=self.owner)
        left = self._store.count_runs(RunFilter(orphaned=orphaned))
        if left:
            logger.warning(
                "%d run(s) in %r were left by a process that is gone: 'agentmesh runs list --orphaned' shows them, "
                "'agentmesh runs resume --all' goes on with them",
                left,
                self._store.url,
            )

    def _lease(self) -> Lease:
        mark, now = this_process(), self._clock.now()
        return Lease(self.owner, mark.host, mark.pid, mark.place, mark.born, now, now)

    def _end(self, roll: Roll) -> None:
        """Remove the leases of those who are gone, so that nobody has to find it out again."""
        for lease in roll.gone:
            self._store.end_lease(lease.owner, beats=lease.beats)

    def _beat(self) -> None:
        while not self._closing.wait(self._beat_s):
            if self._loop is not None and self._loop.is_closed():
                return  # the mesh was dropped, and nobody works any more
            try:
                if not self._store.renew_lease(self.owner, self._clock.now()):
                    self._store.put_lease(self._lease())
                self._is_told = False
            except StoreError as error:
                self._tell(error)

    def _stop(self) -> None:
        self._closing.set()
        self._thread.join()
        try:
            self._store.end_lease(self.owner)
        except StoreError as error:
            self._tell(error)

    def _tell(self, error: StoreError) -> None:
        if not self._is_told:
            logger.warning("others cannot see that this process is at work: %s", error)
        self._is_told = True


def orphans_of(roll: Roll, *, now: float, own: str = "") -> Orphaned:
    """Return which runs are those of who is gone. Who is in doubt counts as at work, and so does ``own``."""
    living = frozenset({own, *(lease.owner for lease in (*roll.living, *roll.in_doubt))})
    return Orphaned(living, now - QUIET_S)


def _oldest_first(store: TraceStore, where: RunFilter) -> list[RunSummary]:
    return store.runs(where, limit=store.count_runs(where) + 1)[::-1]
