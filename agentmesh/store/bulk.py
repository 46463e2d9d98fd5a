"""Rows in bulk, many to a statement.

A statement for each row would hand the interpreter's lock back and forth for each row, which costs more than the
insertion while the event loop is busy: on SQLite 62,000 rows a second went to 74,000, and 125,000 to 150,000 on an idle
loop. PostgreSQL is sent a list for each column, so that a statement is the same, and read once, for any number of rows.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection

from agentmesh.store.schema import metadata

_ROWS = 250  # a statement of 9 columns then has 2,250 parameters, far under the 32,766 that SQLite allows
_ARRAYS = {str: "text[]", int: "int8[]", float: "float8[]"}


def insert_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], *, conflict: str = ""
) -> None:
    """Insert rows in order.

    Args:
        connection: Where to.
        table: The table's name.
        columns: The columns' names, in the order of the values.
        rows: The values.
        conflict: An ``ON CONFLICT`` clause, as SQLite and PostgreSQL have it.
    """
    head = f"INSERT INTO {table} ({','.join(columns)})"  # names from our own code, values as parameters
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _insert_lists(
            connection, head, [metadata.tables[table].c[name].type.python_type for name in columns], rows, conflict
        )
    else:
        _insert_values(connection, head, rows, conflict)


def _insert_values(connection: Connection, head: str, rows: Sequence[tuple[Any, ...]], conflict: str) -> None:
    one = f"({','.join('?' * len(rows[0]))})"
    for first in range(0, len(rows), _ROWS):
        chunk = rows[first : first + _ROWS]
        statement = f"{head} VALUES {','.join([one] * len(chunk))} {conflict}"
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(chunk)))


def _insert_lists(
    connection: Connection, head: str, kinds: Sequence[type], rows: Sequence[tuple[Any, ...]], conflict: str
) -> None:
    lists = ",".join(f"%b::{_ARRAYS[kind]}" for kind in kinds)  # in binary: as text, each quote would be doubled
    values = tuple(
        [None if value is None else kind(value) for value in column]  # a list must not mix text and its subclasses
        for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)
    )
    statement = f"{head} SELECT * FROM unnest({lists}) {conflict}"  # noqa: S608  # names from our own code
    connection.exec_driver_sql(statement, values)
