"""Which schema a database has."""

from sqlalchemy import Connection, column, inspect, select, table

from agentmesh.errors import SchemaVersionError, StoreError

VERSION_TABLE = "agentmesh_schema"
"""Alembic's version table under a name of our own: a database that has it is ours."""

HEAD = "0005"
"""Today's schema: the newest file of ``migrations``. A test holds it to that."""


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
    found: str | None = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    if found is not None and found > HEAD:
        raise SchemaVersionError(
            f"{url!r} has schema {found!r}; this agentmesh reads schemas up to {HEAD!r}: upgrade agentmesh to open it"
        )
    return found
