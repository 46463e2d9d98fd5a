"""Which schema a database has, and the way from there to today's."""

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from agentmesh.errors import SchemaVersionError, StoreError

VERSION_TABLE = "agentmesh_schema"
"""Alembic's version table under a name of our own: a database that has it is ours."""

HEAD = "0001"
"""Today's schema: the newest file of ``migrations``. A test holds it to that."""

_FOLDER = Path(__file__).parent / "migrations"


def scripts() -> ScriptDirectory:
    """Return the migrations that ship with the package."""
    return ScriptDirectory(_FOLDER, version_locations=[_FOLDER])


def schema_of(connection: Connection, *, url: str) -> str | None:
    """Return the schema of a database, ``None`` when it is empty.

    Raises:
        StoreError: it holds another application's tables.
        SchemaVersionError: it was written by a newer package.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        shown = ", ".join(sorted(tables)[:5])
        raise StoreError(f"{url!r} is no agentmesh database: it holds the tables {shown}; it was left untouched")
    found = _context(connection).get_current_revision()
    if found is not None and found > HEAD:
        raise SchemaVersionError(
            f"{url!r} has schema {found!r}; this agentmesh reads schemas up to {HEAD!r}: upgrade agentmesh to open it"
        )
    return found


def upgrade(connection: Connection, *, since: str | None) -> None:
    """Take the steps from schema ``since`` to today's, inside the caller's transaction."""
    directory, context = scripts(), _context(connection)
    with Operations.context(context):
        for step in reversed(list(directory.iterate_revisions("head", since or "base"))):
            step.module.upgrade()
    context.stamp(directory, "head")


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
