"""Leases in a database, in the caller's transaction."""

from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select, update

from agentmesh.store.base import Lease
from agentmesh.store.schema import leases


def put(connection: Connection, lease: Lease) -> None:
    """Store a lease in place of the one of the same owner."""
    connection.execute(delete(leases).where(leases.c.owner == lease.owner))
    connection.execute(insert(leases).values(asdict(lease)))


def renew(connection: Connection, owner: str, at: float) -> bool:
    """Count one more beat; return whether the lease is there."""
    beat = update(leases).where(leases.c.owner == owner).values(renewed_at=at, beats=leases.c.beats + 1)
    return connection.execute(beat).rowcount == 1


def end(connection: Connection, owner: str, *, beats: int | None) -> bool:
    """Remove a lease; where ``beats`` are given, only if it has not been renewed since."""
    gone = delete(leases).where(leases.c.owner == owner)
    if beats is not None:
        gone = gone.where(leases.c.beats == beats)
    return connection.execute(gone).rowcount == 1


def stored(connection: Connection) -> list[Lease]:
    """Return all leases, by owner."""
    return [Lease(**row._mapping) for row in connection.execute(select(leases).order_by(leases.c.owner))]
