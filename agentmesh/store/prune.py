"""Runs taken out of a database with all that was drawn from them, in the caller's transaction.

What was learned stays: experiences, marks and states of routers keep their numbers and their content, so that learning
goes on as if nothing had been pruned, and the runs that stay can be replayed. Places and numbers are never used twice.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, and_, delete, exists, func, or_, select

from agentmesh.events import FeedbackGiven
from agentmesh.records import RunStatus
from agentmesh.store.bulk import insert_rows
from agentmesh.store.retention import Cursor, Pruned, Pruning, Retention, Standing, released
from agentmesh.store.schema import events, learning_faults, prunings, run_agents, run_reasons, runs
from agentmesh.types import RunId

_IDS = 500  # ids in one IN list
_ADDED = (
    "ON CONFLICT (at) DO UPDATE SET before = excluded.before, "
    "runs = prunings.runs + excluded.runs, events = prunings.events + excluded.events"
)


def prune(
    connection: Connection, retention: Retention, *, after: Cursor | None, limit: int, at: float | None
) -> Pruned:
    """Delete the runs of the next families that may go, or count them.

    Args:
        connection: Where they are.
        retention: Which may go.
        after: The last run that was looked at.
        limit: Families to look at.
        at: When that is, under which it is noted; ``None`` only counts.
    """
    roots = _roots(connection, retention, after=after, limit=limit)
    gone = released(_families(connection, [run_id for run_id, _ in roots]), retention)
    count = _delete(connection, gone) if at is not None else _count(connection, gone)
    if at is not None and gone:
        noted = [(at, retention.before, len(gone), count)]
        insert_rows(connection, "prunings", ("at", "before", "runs", "events"), noted, conflict=_ADDED)
    reached = (roots[-1][1], roots[-1][0]) if len(roots) == limit else None
    return Pruned(len(gone), count, reached)


def stored_prunings(connection: Connection) -> list[Pruning]:
    """Return what was pruned, the first first."""
    return [Pruning(**row._mapping) for row in connection.execute(select(prunings).order_by(prunings.c.at))]


def _roots(
    connection: Connection, retention: Retention, *, after: Cursor | None, limit: int
) -> list[tuple[RunId, float]]:
    outer = runs.alias("outer_runs")
    wanted = select(runs.c.id, runs.c.started_at).where(
        runs.c.started_at < retention.before,
        runs.c.status.in_(sorted(retention.wanted)),
        or_(runs.c.parent.is_(None), ~exists().where(outer.c.id == runs.c.parent)),
    )
    if after is not None:
        begun, run_id = after
        later = or_(runs.c.started_at > begun, and_(runs.c.started_at == begun, runs.c.id > run_id))
        wanted = wanted.where(runs.c.started_at >= begun, later)  # the first is what an index finds
    wanted = wanted.order_by(runs.c.started_at, runs.c.id).limit(limit)
    return [(run_id, started_at) for run_id, started_at in connection.execute(wanted)]


def _families(connection: Connection, roots: Sequence[RunId]) -> dict[RunId, dict[RunId, Standing]]:
    """Return how each of these runs stands, and those that it started, and those that these started."""
    scored = exists().where(events.c.run_id == runs.c.id, events.c.kind == FeedbackGiven.model_fields["kind"].default)
    asked = select(runs.c.id, runs.c.parent, runs.c.status, scored)
    families: dict[RunId, dict[RunId, Standing]] = {run_id: {} for run_id in roots}
    family_of = {run_id: run_id for run_id in roots}
    column, wanted = runs.c.id, list(roots)
    while wanted:
        found = [row for ids in _parts(wanted) for row in connection.execute(asked.where(column.in_(ids)))]
        for run_id, parent, status, is_scored in found:
            family_of.setdefault(run_id, family_of.get(parent, run_id))
            families[family_of[run_id]][run_id] = Standing(RunStatus(status) if status else None, bool(is_scored))
        column, wanted = runs.c.parent, [run_id for run_id, *_ in found]
    return families


def _count(connection: Connection, run_ids: Sequence[RunId]) -> int:
    wanted = select(func.count()).select_from(events)
    return sum(connection.scalar(wanted.where(events.c.run_id.in_(ids))) or 0 for ids in _parts(run_ids))


def _delete(connection: Connection, run_ids: Sequence[RunId]) -> int:
    count = 0
    for ids in _parts(run_ids):
        count += connection.execute(delete(events).where(events.c.run_id.in_(ids))).rowcount
        for table in (run_agents, run_reasons, learning_faults):
            connection.execute(delete(table).where(table.c.run_id.in_(ids)))
        connection.execute(delete(runs).where(runs.c.id.in_(ids)))
    return count


def _parts(run_ids: Sequence[RunId]) -> Iterator[Sequence[RunId]]:
    return (run_ids[first : first + _IDS] for first in range(0, len(run_ids), _IDS))
