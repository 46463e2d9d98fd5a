"""Pages of lists of runs. Where texts are searched, the newest are looked through first, then all in one pass."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection

from agentmesh.records import RunSummary
from agentmesh.store.base import RunFilter, RunsPage
from agentmesh.store.codec import summary
from agentmesh.store.log import OUTLINE_COLUMNS, read_outline
from agentmesh.store.query import page_of, start_after

NEWEST: Final = 2500
"""Runs whose texts are looked through first: so few cost SQLite 4 ms and PostgreSQL 5, and fill a page of 100 with what
one run in 25 says."""


def read_page(
    connection: Connection, where: RunFilter | None, *, limit: int, offset: int, newest: int = NEWEST
) -> RunsPage:
    """Return a page of the runs that ``where`` asks for, and how many there are where finding them has told.

    To look through all texts in the order of time takes SQLite twice as long as in the order in which they are stored,
    and they are to be counted anyway: so the first page of a search that finds little falls out of the counting.

    Args:
        connection: Where they are stored.
        where: Which are asked for.
        limit: How many fill a page.
        offset: How many newer ones are passed over.
        newest: How many runs are looked through before all are.
    """
    if where is None or offset or not limit or (where.text is None and where.reason is None):
        return _plain(connection, where, limit=limit, offset=offset)
    near = _among_newest(connection, where, newest)
    if near is not None:
        page = _plain(connection, near, limit=limit, offset=0)
        if len(page.runs) == limit:
            return page
    rows = connection.execute(page_of(where, OUTLINE_COLUMNS, limit=limit, offset=0, counted=True)).all()
    return RunsPage(_read(row[:-1] for row in rows), rows[0].total if rows else 0)


def _plain(connection: Connection, where: RunFilter | None, *, limit: int, offset: int) -> RunsPage:
    rows = connection.execute(page_of(where, OUTLINE_COLUMNS, limit=limit, offset=offset))
    return RunsPage.read(_read(rows), limit=limit, offset=offset)


def _read(rows: Iterable[Sequence[Any]]) -> list[RunSummary]:
    return [summary(read_outline(row)) for row in rows]


def _among_newest(connection: Connection, where: RunFilter, newest: int) -> RunFilter | None:
    """Return what asks for the same only among the newest runs, ``None`` where that would spare nothing."""
    if where.reason is not None:  # all reasons are looked through at once
        return None
    since = connection.scalar(start_after(newest))
    return None if since is None or (where.since is not None and where.since >= since) else replace(where, since=since)
