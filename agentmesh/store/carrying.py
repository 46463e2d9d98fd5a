"""What is carried from one store to another: whole runs as they are read, and learning under the numbers it has."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, Row, insert, select

from agentmesh.events import Event
from agentmesh.records import Experience, RouterMark, RouterState
from agentmesh.store.base import RunFilter
from agentmesh.store.bulk import insert_rows
from agentmesh.store.carried import Numbered, new_ones, with_those_started
from agentmesh.store.codec import decode
from agentmesh.store.marks import put_state, read_mark
from agentmesh.store.query import last_experience, listed
from agentmesh.store.schema import events, experiences, router_marks, runs
from agentmesh.store.scores import EXPERIENCE_COLUMNS, experience_row, read_experience
from agentmesh.types import RunId

_RUNS = 100
"""Runs whose events are in memory at once."""


def read_traces(connection: Connection, where: RunFilter | None, *, url: str) -> Iterator[list[Event]]:
    """Yield the events of each run that ``where`` asks for and of those it started, the oldest run first."""
    wanted = list(_run_ids(connection, where))
    for first in range(0, len(wanted), _RUNS):
        ids, found = wanted[first : first + _RUNS], dict[RunId, list[Event]]()
        table = events.c
        asked = select(table.run_id, table.seq, table.schema, table.body).where(table.run_id.in_(ids))
        for run_id, seq, version, body in connection.execute(asked.order_by(table.run_id, table.seq)):
            event = decode(body, version, where=f"event {seq} of run {run_id!r} in {url!r}")
            found.setdefault(run_id, []).append(event)
        yield from (found[run_id] for run_id in ids if run_id in found)


def _run_ids(connection: Connection, where: RunFilter | None) -> Iterator[RunId]:
    in_order = select(runs.c.id).order_by(runs.c.started_at.is_(None), runs.c.started_at, runs.c.id)
    if where is None:
        return iter(connection.scalars(in_order).all())
    parents = select(runs.c.id, runs.c.parent).where(runs.c.parent.is_not(None))
    started_by: Mapping[RunId, RunId] = {row.id: row.parent for row in connection.execute(parents)}
    chosen = with_those_started(set(connection.scalars(select(listed(where).c.id))), started_by)
    return (run_id for run_id in connection.scalars(in_order).all() if run_id in chosen)


def every_mark(connection: Connection, *, url: str) -> list[RouterMark]:
    """Return the marks of all routers, rising."""
    rows = connection.execute(select(router_marks).order_by(router_marks.c.sequence)).all()
    return [read_mark(row, url=url) for row in rows]


def take_over(
    connection: Connection, learned: Sequence[Experience], marks: Sequence[tuple[RouterMark, RouterState]], *, url: str
) -> int:
    """Store experiences and marks under the numbers they have, and return how many were not there.

    Raises:
        StoreError: a number stands for something else, or the log has passed it.
    """
    asked: list[Numbered] = [*learned, *(mark for mark, _ in marks)]
    fresh = new_ones(asked, _stored(connection, asked, url=url), last=last_experience(connection), url=url)
    rows = [experience_row(item) for item in learned if item.sequence in fresh]
    insert_rows(connection, "experiences", EXPERIENCE_COLUMNS, rows)
    for mark, state in marks:
        if mark.sequence in fresh:
            connection.execute(insert(router_marks).values(mark.model_dump()))
            put_state(connection, state.model_copy(update={"sequence": mark.sequence}))
    return len(fresh)


def _stored(connection: Connection, asked: Sequence[Numbered], *, url: str) -> dict[int, Numbered]:
    if not asked:
        return {}
    numbers = [item.sequence for item in asked]
    between = experiences.c.sequence.between(min(numbers), max(numbers))
    marked = router_marks.c.sequence.between(min(numbers), max(numbers))
    bodies = connection.execute(select(experiences.c.sequence, experiences.c.body).where(between))
    found: dict[int, Numbered] = {number: read_experience(body, number, url=url) for number, body in bodies}
    set_at: Sequence[Row[tuple[object, ...]]] = connection.execute(select(router_marks).where(marked)).all()
    found |= {mark.sequence: mark for mark in (read_mark(row, url=url) for row in set_at)}
    return {number: found[number] for number in numbers if number in found}
