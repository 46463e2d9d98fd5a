"""Who is at work on a store: a lease for each open mesh, and which of those are of processes that are gone.

A mesh renews its lease every few seconds. Whoever looks on sees by it whether the runs of that mesh are in good hands.
A clock alone never settles it, since clocks jump, and two machines' differ: a lease that was last renewed long ago, or
will be in the future, is only in doubt, and is watched until it is renewed, or has not been for two beats. A process of
this machine that is certainly gone needs no watching.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from agentmesh.store.base import Lease, TraceStore
from agentmesh.store.processes import ProcessMark, fate, this_process
from agentmesh.types import Clock

BEAT_S: Final = 5.0
"""Between two renewals: one small write, so that it costs nothing beside the runs."""

LASTS_S: Final = 60.0
"""How far from now a lease may have been renewed to be taken for living: twelve beats, and clocks that differ a little.
"""

WATCH_S: Final = 12.0
"""How long a lease in doubt is watched: two beats, and a writer that had to wait for others."""

QUIET_S: Final = 3600.0
"""A run of no known owner, as an older agentmesh stored it, counts as left alone once its log is so long quiet."""

Standing: TypeAlias = Literal["living", "gone", "in doubt"]


@dataclass(frozen=True, slots=True)
class Roll:
    """The leases of a store, sorted by how they stand."""

    living: tuple[Lease, ...] = ()
    in_doubt: tuple[Lease, ...] = ()
    gone: tuple[Lease, ...] = ()


def standing(lease: Lease, *, now: float, here: ProcessMark) -> Standing:
    """Say how a lease stands at the time ``now``, Unix seconds, as seen from the process ``here``."""
    mark = ProcessMark(lease.host, lease.pid, lease.place, lease.born)
    if fate(mark, here) == "gone":
        return "gone"
    return "living" if abs(now - lease.renewed_at) <= LASTS_S else "in doubt"


def called(leases: Sequence[Lease], *, now: float) -> Roll:
    """Sort leases by how they stand, as seen from this process."""
    here = this_process()
    stands = [(lease, standing(lease, now=now, here=here)) for lease in leases]
    living, in_doubt, gone = (
        tuple(lease for lease, how in stands if how == wanted) for wanted in ("living", "in doubt", "gone")
    )
    return Roll(living, in_doubt, gone)


async def watched(store: TraceStore, clock: Clock, *, owner: str | None = None, watch_s: float = WATCH_S) -> Roll:
    """Return the leases of a store, or that of one owner, with none in doubt; it takes ``watch_s`` when one was."""
    found = await _leases(store, owner)
    roll = called(found, now=clock.now())
    if not roll.in_doubt:
        return roll
    await asyncio.sleep(watch_s)
    beats = {lease.owner: lease.beats for lease in roll.in_doubt}
    later = {lease.owner: lease for lease in await _leases(store, owner) if lease.owner in beats}
    renewed = tuple(lease for lease in later.values() if lease.beats != beats[lease.owner])
    still = tuple(lease for lease in roll.in_doubt if later.get(lease.owner) == lease)
    return Roll((*roll.living, *renewed), (), (*roll.gone, *still))


async def _leases(store: TraceStore, owner: str | None) -> list[Lease]:
    found = await asyncio.to_thread(store.leases)
    return [lease for lease in found if owner in (None, lease.owner)]
