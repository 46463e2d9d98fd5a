"""The way from an older schema, or from none, to today's."""

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from agentmesh.store.version import VERSION_TABLE
from agentmesh.store.views import drop_views, make_views

_FOLDER = Path(__file__).parent / "migrations"


def scripts() -> ScriptDirectory:
    """Return the migrations that ship with the package."""
    return ScriptDirectory(_FOLDER, version_locations=[_FOLDER])


def upgrade(connection: Connection, *, since: str | None, until: str = "head") -> None:
    """Take the steps from schema ``since`` to today's, or to another, inside the caller's transaction.

    Only today's has the views.
    """
    directory = scripts()
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    drop_views(connection)  # no step is to be held up by a view over what it changes
    with Operations.context(context):
        for step in reversed(list(directory.iterate_revisions(until, since or "base"))):
            step.module.upgrade()
    context.stamp(directory, until)
    if until == "head":
        make_views(connection)
