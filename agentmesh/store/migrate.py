"""The way from an older schema, or from none, to today's."""

import sqlite3
from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from agentmesh.store.version import VERSION_TABLE
from agentmesh.store.views import drop_views, make_views

_FOLDER = Path(__file__).parent / "migrations"

_NEW: list[str] = []
"""The statements that make a new SQLite database, once this process took the steps for one: to take them costs 60 ms,
which whoever opens one new database after another, as tests do, would pay each time."""


def scripts() -> ScriptDirectory:
    """Return the migrations that ship with the package."""
    return ScriptDirectory(_FOLDER, version_locations=[_FOLDER])


def upgrade(connection: Connection, *, since: str | None, until: str = "head") -> None:
    """Take the steps from schema ``since`` to today's, or to another, inside the caller's transaction.

    Only today's has the views.
    """
    is_new = since is None and until == "head" and connection.dialect.name == "sqlite"
    if is_new and _NEW:
        for statement in _NEW:
            connection.exec_driver_sql(statement)
        return
    take_steps(connection, since=since, until=until)
    if is_new:
        _NEW[:] = statements_of(connection)


def take_steps(connection: Connection, *, since: str | None, until: str) -> None:
    """Take the steps, one after another."""
    directory = scripts()
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    drop_views(connection)  # no step is to be held up by a view over what it changes
    with Operations.context(context):
        for step in reversed(list(directory.iterate_revisions(until, since or "base"))):
            step.module.upgrade()
    context.stamp(directory, until)
    if until == "head":
        make_views(connection)


def statements_of(connection: Connection) -> list[str]:
    """Return the statements that make what an SQLite database holds."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - its dialect says so
    return [line for line in driver.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;")]
