"""From a URL to a store."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from agentmesh.errors import ConfigError
from agentmesh.store.base import TraceStore
from agentmesh.store.memory import MemoryStore

if TYPE_CHECKING:
    from agentmesh.store.sql import SqlStore

_SQLITE = "sqlite:///"
_ACCEPTED = "'memory://' or 'sqlite:///path/to/file.db'"


def open_store(
    url: str | None = None, *, read_only: bool = False, create: bool = True, busy_timeout_s: float = 5.0
) -> TraceStore:
    """Open the store that a URL names, making and migrating its tables where needed.

    Args:
        url: ``None`` or ``"memory://"`` keeps traces in this process; ``"sqlite:///mesh.db"`` names a file in the
            current folder, ``"sqlite:////var/mesh.db"`` one from the root. Its folder must exist.
        read_only: Refuse to write. A missing database is then an error, and nothing is created or migrated. A store
            in memory is always new, so it may be written all the same.
        create: ``False`` makes a missing database an error also where it is to be written; an old one is migrated.
        busy_timeout_s: How long to wait for another process that is writing.

    Raises:
        ConfigError: the URL names no store.
        StoreError: the database cannot be opened, is damaged, or is another application's.
        SchemaVersionError: the database was written by a newer agentmesh.

    >>> open_store().url
    'memory://'
    """
    if url is None or url == "memory://":
        return MemoryStore()
    if url.startswith(_SQLITE) and url not in {_SQLITE, _SQLITE + ":memory:"} and "\0" not in url:
        path = Path(url.removeprefix(_SQLITE))
        return _sql_store()(path, url=url, read_only=read_only, create=create, busy_timeout_s=busy_timeout_s)
    raise ConfigError(f"{url!r} names no store; {_hint(url)}")


def _hint(url: str) -> str:
    if "://" not in url and url:
        return f"for a SQLite file write {_SQLITE + url!r}"
    return f"accepted are {_ACCEPTED}"


def _sql_store() -> "type[SqlStore]":
    """Load the class only now: SQLAlchemy and alembic take 0.2 s, and a store in memory needs neither."""
    module = importlib.import_module("agentmesh.store.sql")
    return module.SqlStore  # type: ignore[no-any-return]  # a module found by name has no static type
