"""The rows that are drawn from events: held against what the events say, and drawn anew where they differ.

Lists and filters trust ``runs``, ``run_agents`` and ``run_reasons``; the events are the truth. A row that says
otherwise is drawn anew. One that knows of later events than are stored is kept: it tells that they are gone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, delete, exists, select

from agentmesh.errors import StoreError
from agentmesh.events import DecisionMade, Event
from agentmesh.store.bulk import insert_rows
from agentmesh.store.codec import RUN_COLUMNS, Outline, decode, reason_of, searchable
from agentmesh.store.refusals import differs, hole, no_row, stray
from agentmesh.store.schema import events, run_agents, run_reasons, runs
from agentmesh.types import AgentId, RunId

_AT_ONCE = 500  # events, and rows of runs, in memory while all are read
_DRAWN_ANEW = "ON CONFLICT (id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in RUN_COLUMNS if name != "id"
)


@dataclass(slots=True)
class Told:
    """What the events of one run say; where ``damage`` names some that cannot be read, that is not all."""

    drawn: Outline
    reason: str | None = None
    stored: int = 0
    damage: list[str] = field(default_factory=list)

    @property
    def run_id(self) -> RunId:
        """Return whose events they are."""
        return self.drawn.run_id

    def take(self, event: Event) -> None:
        """Take in the next event."""
        self.drawn.take(event)
        if isinstance(event, DecisionMade):
            self.reason = searchable(reason_of(event.decision)) or self.reason

    def row(self) -> tuple[Any, ...]:
        """Return the row of the run, its agents and its reason, as they are to be stored."""
        return (*self.drawn.row(), frozenset(self.agents()), self.reason)

    def agents(self) -> list[tuple[AgentId, float | None]]:
        """Return whom the run called, each with when the run started, as they are to be stored."""
        return [(agent_id, self.drawn.started_at) for agent_id in self.drawn.agents]


@dataclass(frozen=True, slots=True)
class Difference:
    """A run whose rows say otherwise than its events, and how to say so."""

    told: Told
    line: str
    is_lost: bool = False
    """Whether the row knows of later events than are stored: no drawing brings them back."""


def read_event(row: Sequence[Any], *, url: str) -> Event:
    """Build an event from its run's id, seq, kind, schema and body.

    Raises:
        StoreError: the body is no event, or another one than its row says.
    """
    run_id, seq, kind, schema, body = row
    where = f"event {seq} of run {run_id!r} in {url!r}"
    event = decode(body, schema, where=where)
    if (event.run_id, event.seq, event.kind) != (run_id, seq, kind):
        raise StoreError(
            f"{where} is damaged: its row says {kind!r}, its body is event {event.seq} of run {event.run_id!r}, "
            f"{event.kind!r}"
        )
    return event


def read_runs(connection: Connection, *, url: str) -> Iterator[Told]:
    """Read every event, and yield what those of each run say, by id."""
    table = events.c
    wanted = select(table.run_id, table.seq, table.kind, table.schema, table.body).order_by(table.run_id, table.seq)
    rows = connection.execute(wanted, execution_options={"yield_per": _AT_ONCE})
    for run_id, theirs in groupby(rows, key=itemgetter(0)):
        yield _told(run_id, theirs, url=url)


def differences(
    connection: Connection, *, url: str, damaged: Callable[[str], None] = lambda _line: None
) -> Iterator[Difference]:
    """Yield the runs whose rows say otherwise than their events; of a run with a damaged event, only its damage.

    Args:
        connection: Where both are.
        url: What to call the store.
        damaged: Is told of each event that cannot be read.
    """
    told = read_runs(connection, url=url)
    while batch := list(islice(told, _AT_ONCE)):
        for one in batch:
            for line in one.damage:
                damaged(line)
        sound = [one for one in batch if not one.damage]
        stored = _stored(connection, [one.run_id for one in sound])
        for one in sound:
            found = _difference(one, stored.get(one.run_id))
            if found is not None:
                yield found


def strays(connection: Connection) -> list[str]:
    """Name the runs that agents or reasons are kept of without a row of the run itself."""
    found = {run_id for table in (run_agents, run_reasons) for run_id in connection.scalars(_without_run(table))}
    return [stray(run_id) for run_id in sorted(found)]


def draw_anew(connection: Connection, *, url: str) -> list[str]:
    """Draw the rows anew that say otherwise than the events, and return what was done, a line each."""
    done = []
    for found in differences(connection, url=url):
        if not found.is_lost:
            _put(connection, found.told)
            done.append(f"drew the rows of run {found.told.run_id!r} anew from its events: {found.line}")
    done += [f"forgot what belongs to no run: {line}" for line in strays(connection)]
    for table in (run_agents, run_reasons):
        connection.execute(delete(table).where(table.c.run_id.not_in(select(runs.c.id))))
    return done


def _told(run_id: RunId, rows: Iterable[Sequence[Any]], *, url: str) -> Told:
    told = Told(Outline(run_id))
    for row in rows:
        told.stored += 1
        try:
            told.take(read_event(row, url=url))
        except StoreError as error:
            told.damage.append(str(error))
    return told


def _difference(told: Told, stored: tuple[Any, ...] | None) -> Difference | None:
    run_id, wanted = told.run_id, told.row()
    if stored is None:
        return Difference(told, no_row(run_id))
    last_seq = stored[RUN_COLUMNS.index("last_seq")]
    if last_seq > told.drawn.last_seq:
        return Difference(told, hole(run_id, stored=told.stored, last_seq=last_seq), is_lost=True)
    names = (*RUN_COLUMNS, "run_agents", "run_reasons")
    unlike = [name for name, have, want in zip(names, stored, wanted, strict=True) if have != want]
    return Difference(told, differs(run_id, unlike)) if unlike else None


def _stored(connection: Connection, run_ids: Sequence[RunId]) -> dict[RunId, tuple[Any, ...]]:
    """Return the row of each run with its agents and its reason."""
    agents: dict[RunId, set[tuple[AgentId, float | None]]] = {}
    theirs = run_agents.c
    for run_id, *called in _of(connection, run_ids, theirs.run_id, theirs.agent_id, theirs.started_at):
        agents.setdefault(run_id, set()).add((called[0], called[1]))
    reasons = {row[0]: row[1] for row in _of(connection, run_ids, run_reasons.c.run_id, run_reasons.c.folded_reason)}
    rows = _of(connection, run_ids, *(runs.c[name] for name in RUN_COLUMNS))
    return {row[0]: (*row, frozenset(agents.get(row[0], ())), reasons.get(row[0])) for row in rows}


def _of(connection: Connection, run_ids: Sequence[RunId], key: Any, *columns: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(select(key, *columns).where(key.in_(run_ids)))]


def _without_run(table: Any) -> Any:
    return select(table.c.run_id).where(~exists().where(runs.c.id == table.c.run_id))


def _put(connection: Connection, told: Told) -> None:
    run_id = told.run_id
    insert_rows(connection, "runs", RUN_COLUMNS, [told.drawn.row()], conflict=_DRAWN_ANEW)
    for table in (run_agents, run_reasons):
        connection.execute(delete(table).where(table.c.run_id == run_id))
    agents = [(agent_id, run_id, started_at) for agent_id, started_at in told.agents()]
    insert_rows(connection, "run_agents", ("agent_id", "run_id", "started_at"), agents)
    if told.reason is not None:
        insert_rows(connection, "run_reasons", ("run_id", "folded_reason"), [(run_id, told.reason)])
