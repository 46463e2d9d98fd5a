"""Events into the log, and the rows of runs drawn from them, in the caller's transaction."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, select

from agentmesh.events import ApprovalGiven, DecisionMade, Event, RunResumed
from agentmesh.records import RunStatus
from agentmesh.store.bulk import insert_rows
from agentmesh.store.codec import EVENT_COLUMNS, RUN_COLUMNS, EventRow, Outline, decode, outline, reason_of, searchable
from agentmesh.store.refusals import refusal
from agentmesh.store.schema import events as event_table
from agentmesh.store.schema import runs as run_table
from agentmesh.types import RunId

OUTLINE_COLUMNS = tuple(run_table.c[name] for name in RUN_COLUMNS if name != "folded_text")
"""What an outline is rebuilt from. The searchable text is left out: it may be long, and it never changes."""

_UPSERT = "ON CONFLICT (id) DO UPDATE SET folded_text = COALESCE(excluded.folded_text, runs.folded_text), " + ", ".join(
    f"{name} = excluded.{name}" for name in RUN_COLUMNS if name not in {"id", "folded_text"}
)
_NEWEST_REASON = "ON CONFLICT (run_id) DO UPDATE SET folded_reason = excluded.folded_reason"
_STARTED = "ON CONFLICT (agent_id, run_id) DO UPDATE SET started_at = excluded.started_at"
_IDS = 500  # ids in one IN list
_OUTLINES = select(*OUTLINE_COLUMNS).where(run_table.c.id.in_(bindparam("ids", expanding=True)))
"""Made once: making it took a third of a small commit."""


def append_events(connection: Connection, events: Sequence[Event], rows: Sequence[EventRow], *, url: str) -> None:
    """Store events with their rows, and bring the rows of their runs up to date.

    Raises:
        DuplicateEventError: one is stored already, or comes twice.
    """
    by_run: dict[RunId, list[Event]] = {}
    for event in events:
        by_run.setdefault(event.run_id, []).append(event)
    known = _outlines(connection, list(by_run))
    drawn, agents = [], []
    for run_id, fresh in by_run.items():
        before = known.get(run_id) or Outline(run_id)
        seen, started_at = set(before.agents), before.started_at
        after = _advance(connection, before, fresh, url=url)
        drawn.append(after.row())
        is_new = started_at != after.started_at  # a call may be stored before its run is said to have started
        agents += [(one, run_id, after.started_at) for one in after.agents if is_new or one not in seen]
    insert_rows(connection, "runs", RUN_COLUMNS, drawn, conflict=_UPSERT)
    insert_rows(connection, "events", EVENT_COLUMNS, rows)
    insert_rows(connection, "run_agents", ("agent_id", "run_id", "started_at"), agents, conflict=_STARTED)
    insert_rows(connection, "run_reasons", ("run_id", "folded_reason"), _reasons(events), conflict=_NEWEST_REASON)


def are_stored(connection: Connection, rows: Sequence[EventRow]) -> bool:
    """Say whether exactly these events are stored: all of one transaction are, or none is."""
    run_id, seq, *_, body = rows[0]
    table = event_table.c
    return connection.scalar(select(table.body).where(table.run_id == run_id, table.seq == seq)) == body


def _reasons(events: Sequence[Event]) -> list[tuple[RunId, str]]:
    """Return the last reason of each run that these events give one for."""
    made = ((event.run_id, reason_of(event.decision)) for event in events if isinstance(event, DecisionMade))
    return list({run_id: (run_id, searchable(reason)) for run_id, reason in made if reason}.values())


def has_events(connection: Connection, run_id: RunId) -> bool:
    """Say whether anything of a run is stored."""
    table = event_table.c
    return connection.execute(select(table.seq).where(table.run_id == run_id).limit(1)).first() is not None


def read_events(
    connection: Connection, run_id: RunId, *, url: str, after: int = -1, limit: int | None = None
) -> list[Event]:
    """Return the stored events of a run by seq, or the next ``limit`` of them after one; none for an unknown run."""
    table = event_table.c
    wanted = (
        select(table.seq, table.schema, table.body)
        .where(table.run_id == run_id, table.seq > after)
        .order_by(table.seq)
        .limit(limit)
    )
    return [
        decode(body, schema, where=f"event {seq} of run {run_id!r} in {url!r}")
        for seq, schema, body in connection.execute(wanted)
    ]


def read_times(connection: Connection, run_id: RunId) -> list[tuple[int, float]]:
    """Return seq and time of the stored events of a run, by seq; none for an unknown run."""
    table = event_table.c
    wanted = select(table.seq, table.at).where(table.run_id == run_id).order_by(table.seq)
    return [(seq, at) for seq, at in connection.execute(wanted)]


def read_outline(row: Sequence[Any]) -> Outline:
    """Return the outline that a row of ``OUTLINE_COLUMNS`` holds."""
    run_id, last_seq, started_at, status, text, elapsed_s, cost_usd, agents, parent, owner = row
    return Outline(
        run_id,
        last_seq=last_seq,
        started_at=started_at,
        status=None if status is None else RunStatus(status),
        text=text,
        elapsed_s=elapsed_s,
        cost_usd=None if cost_usd is None else Decimal(cost_usd),
        agents=json.loads(agents),
        parent=parent,
        owner=owner,
    )


def _outlines(connection: Connection, run_ids: Sequence[RunId]) -> dict[RunId, Outline]:
    found = {}
    for first in range(0, len(run_ids), _IDS):
        rows = connection.execute(_OUTLINES, {"ids": run_ids[first : first + _IDS]})
        found.update({row[0]: read_outline(row) for row in rows})
    return found


def _advance(connection: Connection, before: Outline, fresh: Sequence[Event], *, url: str) -> Outline:
    """Return the outline after ``fresh``: one event further each, or drawn anew when they come out of order."""
    last = before.last_seq
    for event in fresh:
        is_answer = isinstance(event, ApprovalGiven | RunResumed) and before.status is RunStatus.WAITING
        if event.seq <= last or is_answer:  # which requests are still open no row says
            return _draw_anew(connection, before.run_id, fresh, url=url)
        last = event.seq
    for event in fresh:
        before.take(event)
    return before


def _draw_anew(connection: Connection, run_id: RunId, fresh: Sequence[Event], *, url: str) -> Outline:
    by_seq = {event.seq: event for event in read_events(connection, run_id, url=url)}
    for event in fresh:
        if event.seq in by_seq:
            raise refusal(by_seq[event.seq], event, url=url)
        by_seq[event.seq] = event
    return outline(run_id, (by_seq[seq] for seq in sorted(by_seq)))
