"""From a URL to a store."""

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmesh.addresses import without_password
from agentmesh.errors import ConfigError, MissingExtraError
from agentmesh.store.base import TraceStore
from agentmesh.store.memory import MemoryStore

if TYPE_CHECKING:
    from agentmesh.store.session import Database

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")
_ACCEPTED = "'memory://', 'sqlite:///path/to/file.db' or 'postgresql://user@host/database'"


def open_store(
    url: str | None = None, *, read_only: bool = False, create: bool = True, busy_timeout_s: float = 5.0
) -> TraceStore:
    """Open the store that a URL names, making and migrating its tables where needed.

    Args:
        url: ``None`` or ``"memory://"`` keeps traces in this process; ``"sqlite:///mesh.db"`` names a file in the
            current folder, ``"sqlite:////var/mesh.db"`` one from the root. Its folder must exist.
            ``"postgresql://user:password@host/database"`` names a PostgreSQL database, which must exist; its query
            takes what libpq takes, such as ``?sslmode=require``.
        read_only: Refuse to write. A missing database is then an error, and nothing is created or migrated. A store
            in memory is always new, so it may be written all the same.
        create: ``False`` makes a missing database an error also where it is to be written; an old one is migrated.
        busy_timeout_s: How long to wait for another process that is writing, and for a server that went away.

    Raises:
        ConfigError: the URL names no store.
        MissingExtraError: it names one that needs a package which is not installed.
        StoreError: the database cannot be opened, is damaged, or is another application's.
        SchemaVersionError: the database was written by a newer agentmesh.

    >>> open_store().url
    'memory://'
    """
    if url is None or url == "memory://":
        return MemoryStore()
    database: Database
    if is_file(url):
        path, module = Path(url.removeprefix(_SQLITE)), _loaded("sqlite")
        database = module.SqliteFile(path, url=url, read_only=read_only, create=create, busy_timeout_s=busy_timeout_s)
    elif url.startswith(_POSTGRES):
        if importlib.util.find_spec("psycopg") is None:
            raise MissingExtraError("psycopg", extra="postgres")
        module = _loaded("postgres")
        database = module.PostgresDatabase(url, read_only=read_only, create=create, busy_timeout_s=busy_timeout_s)
    else:
        raise ConfigError(f"{without_password(url)!r} names no store; {_hint(url)}")
    store: TraceStore = _loaded("sql").SqlStore(database)
    return store


def is_file(url: str) -> bool:
    """Say whether a URL names a database in a file.

    >>> is_file("sqlite:///mesh.db"), is_file("postgresql://localhost/mesh")
    (True, False)
    """
    return url.startswith(_SQLITE) and url not in {_SQLITE, _SQLITE + ":memory:"} and "\0" not in url


def file_of(url: str) -> Path | None:
    """Return the path of the file that a URL names, ``None`` when it names none.

    >>> file_of("sqlite:///mesh.db"), file_of("postgresql://localhost/mesh")
    (PosixPath('mesh.db'), None)
    """
    return Path(url.removeprefix(_SQLITE)) if is_file(url) else None


def is_database(text: str) -> bool:
    """Say whether a text is the URL of a database, and not the path of a folder.

    >>> is_database("sqlite:///mesh.db"), is_database("postgresql://localhost/mesh"), is_database("sets/mmlu_pro")
    (True, True, False)
    """
    return text.startswith((_SQLITE, *_POSTGRES))


def is_new(url: str) -> bool:
    """Say whether a URL names a file that is not there yet, in a folder that is."""
    path = Path(url.removeprefix(_SQLITE))
    return is_file(url) and path.absolute().parent.is_dir() and not path.exists()


def _hint(url: str) -> str:
    if "://" not in url and url:
        return f"for a SQLite file write {_SQLITE + url!r}"
    return f"accepted are {_ACCEPTED}"


def _loaded(name: str) -> Any:
    """Load a module only now: SQLAlchemy and alembic take 0.2 s, and a store in memory needs neither."""
    return importlib.import_module(f"agentmesh.store.{name}")
