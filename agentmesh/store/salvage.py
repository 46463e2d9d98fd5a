"""What can be read of a damaged SQLite file, into a new one: whole runs only, and what was learned.

SQLite keeps no checksums: a changed byte is found where a body is no longer what it should be, or not at all.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection, delete, func, select

from agentmesh.errors import StoreError
from agentmesh.records import AgentCard, Experience, RegistrySnapshot, RouterMark
from agentmesh.store.drawn import draw_anew, read_event
from agentmesh.store.marks import drop_bare_marks
from agentmesh.store.presence import remove_database
from agentmesh.store.query import last_experience
from agentmesh.store.schema import events, metadata, router_states, run_agents, run_reasons, runs
from agentmesh.store.sqlite import SCHEME, SqliteFile
from agentmesh.store.wreck import SPAN, Wreck, readable
from agentmesh.types import RunId

_DRAWN: Final = {runs.name, run_agents.name, run_reasons.name}

_SOUND: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "events": lambda row: read_event([row[name] for name in ("run_id", "seq", "kind", "schema", "body")], url="it"),
    "experiences": lambda row: Experience.model_validate_json(row["body"]),
    "router_marks": RouterMark.model_validate,
    "registries": lambda row: RegistrySnapshot.model_validate_json(row["body"]),
    "agent_cards": lambda row: AgentCard.model_validate_json(row["body"]),
}
"""Builds from a row of a table what it holds, which raises when it is damaged."""


def salvage(damaged: Path, into: Path) -> list[str]:
    """Copy what can be read of a damaged file into a new one, and return what was saved and what was lost, a line each.

    Raises:
        StoreError: nothing can be read, or the new file cannot be written; there is none then.
    """
    with readable(damaged) as wreck:
        database = SqliteFile(into, url=f"{SCHEME}{into}")
        try:
            return database.write(lambda connection: _fill(connection, wreck, into))
        except StoreError:
            database.close()
            remove_database(into)
            raise
        finally:
            database.close()


def _fill(connection: Connection, wreck: Wreck, into: Path) -> list[str]:
    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")  # runs are drawn after their events are there
    said = []
    for table in metadata.sorted_tables:
        if table.name in wreck.tables - _DRAWN:
            said += _copy(connection, wreck, table.name)
    lost = _drop_torn(connection, wreck.known())
    said += drop_bare_marks(connection)
    ahead = router_states.c.sequence > last_experience(connection)
    if connection.execute(delete(router_states).where(ahead)).rowcount > 0:
        said.append("left out states of routers that learned from what was lost: they are made anew from the rest")
    draw_anew(connection, url=str(into))
    for name, last in wreck.counters():  # so that no place is used twice, also where the last rows were lost
        connection.exec_driver_sql("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, name))
    saved = connection.scalar(select(func.count()).select_from(runs))
    return [f"saved {saved} runs into {str(into)!r}", *lost, *said]


def _copy(connection: Connection, wreck: Wreck, table: str) -> list[str]:
    """Copy the sound rows of a table."""
    there = {column.name for column in metadata.tables[table].columns}
    columns = [name for name in wreck.columns(table) if name in there]
    unreadable: list[int] = []
    rows = wreck.rows(table, columns, unreadable)
    damaged = 0
    names, marks = ",".join(f'"{name}"' for name in columns), ",".join("?" * len(columns))
    statement = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - our names
    while chunk := list(islice(rows, SPAN)):
        sound = [row for row in chunk if _is_sound(table, dict(zip(columns, row, strict=True)))]
        damaged += len(chunk) - len(sound)
        if sound:
            connection.exec_driver_sql(statement, sound)
    if not unreadable and not damaged:
        return []
    return [f"of {table}, {damaged} rows were damaged, and up to {len(unreadable)} could not be read"]


def _is_sound(table: str, row: dict[str, Any]) -> bool:
    try:
        _SOUND.get(table, bool)(row)
    except (StoreError, ValidationError, TypeError):  # a number where text should be is no body
        return False
    return True


def _drop_torn(connection: Connection, known: Mapping[RunId, int]) -> list[str]:
    """Drop the runs that lost an event, and name them with those of which nothing is left."""
    table = events.c
    has_ended = func.max(table.kind == "run_finished")
    held = select(table.run_id, func.count(), func.max(table.seq), has_ended).group_by(table.run_id)
    whole, torn = set(), {run_id: (0, last + 1) for run_id, last in known.items()}
    for run_id, count, seq, ended in connection.execute(held).all():
        last = max(seq, known.get(run_id, seq))
        torn[run_id] = (count, last + 1)
        if count == last + 1 and (ended or run_id in known):
            whole.add(run_id)
    for run_id in torn.keys() - whole:
        connection.execute(delete(events).where(table.run_id == run_id))
    return [
        f"lost run {run_id!r}: {count} of its {most} events could be read"
        for run_id, (count, most) in sorted(torn.items())
        if run_id not in whole
    ]
