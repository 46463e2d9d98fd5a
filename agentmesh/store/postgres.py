"""A PostgreSQL database: one transaction at a time writes to it, whatever process it is of, and all may read meanwhile.

A lock that is held until the commit makes it one at a time, as SQLite does by itself. So a place or a number that is
given out is seen before any higher one, and a reader who remembers the last place misses none.

A server that goes away is waited for: work that was not committed is done again, and where the answer to a commit was
lost, what is stored says whether it took effect.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from psycopg import Connection as PsycopgConnection
from psycopg import Error as PsycopgError
from psycopg import OperationalError as PsycopgOperationalError
from psycopg.abc import Buffer
from psycopg.types.string import StrBinaryDumper, StrDumperUnknown, TextLoader
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError

from agentmesh.addresses import without_password
from agentmesh.errors import ConfigError, StoreError
from agentmesh.store.retention import Reclaimed
from agentmesh.store.schema import metadata
from agentmesh.store.session import Database
from agentmesh.store.text import meant, spelled
from agentmesh.store.version import schema_of

_T = TypeVar("_T")

RETRY_PAUSE_S: Final = 0.05
"""Between two attempts to reach a server that went away."""

_SECRETS: Final = ("password", "sslpassword")
_COUNTED: Final = ("events", "learning_faults")
_LOCK: Final = 1_634_887_021
"""The first half of the lock's number, which is ours; the second is the schema, so that two need not wait for one
another."""

_LOCKED: Final = f"{_LOCK}, hashtext(coalesce(current_schema()::text, ''))"

_SIZE: Final = (
    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
)
"""Bytes of all tables with their indexes and long values."""

_HINTS: Final = {
    "password authentication failed": "check user and password; write @, : and / in them as %40, %3A and %2F",
    "no password supplied": "write it into the URL, as in 'postgresql://user:password@host/mesh', or set PGPASSWORD",
    "does not exist": "make it first, with createdb or by CREATE DATABASE",
    "refused": "check host and port, and that the server is running",
    "resolve host": "check the host's name",
    "timeout expired": "check host and port, and that the server can be reached",
    "lock timeout": "another process is writing to it: try again, or give a longer busy_timeout_s",
    "permission denied": "let the user create tables in its schema, or open it with read_only=True",
    "read-only transaction": "name the server that takes writes, or open it with read_only=True",
    "invalid connection option": "accepted are the parameters of libpq, such as sslmode",
}
"""What to do about what PostgreSQL says."""


class PostgresDatabase(Database):
    """An open PostgreSQL database of today's schema.

    Args:
        address: Its URL, with a password where one is needed.
        read_only: Refuse to write; nothing is created or migrated.
        create: Whether tables are made where there are none; else that is an error.
        busy_timeout_s: How long to wait for another process that is writing, and for a server that went away.

    Raises:
        ConfigError: the URL cannot be read.
        StoreError: the database cannot be opened, or is another application's.
        SchemaVersionError: it was written by a newer agentmesh.
    """

    foreign = (*Database.foreign, PsycopgError)
    hints = _HINTS

    def __init__(
        self, address: str, *, read_only: bool = False, create: bool = True, busy_timeout_s: float = 5.0
    ) -> None:
        parsed = _parsed(address)
        public = without_password(parsed.difference_update_query(_SECRETS).render_as_string(hide_password=False))
        super().__init__(url=public, read_only=read_only, create=create)
        self._address = parsed.render_as_string(hide_password=False)
        self._wait_s = busy_timeout_s
        self._write_lock = Lock()  # one transaction at a time, also before the database is asked for its lock
        self._writer = _engine(parsed, wait_s=busy_timeout_s)
        self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        try:
            self._prepare(self._found())
        except StoreError:
            self.close()
            raise

    @property
    def address(self) -> str | None:
        """Return the URL with its password; it is for other processes, and never shown."""
        return self._address

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend a connection that writes; all of its work is committed at the end, or none of it."""
        self._check_writable()
        with self._write_lock, self._translating("write"), self._writer.begin() as connection:
            self._lock(connection)
            yield connection

    def write(self, work: Callable[[Connection], _T], *, stored: Callable[[Connection], bool] | None = None) -> _T:
        """Do work that writes, and return what it returns once that is committed.

        Raises:
            StoreError: the server was gone for too long; or its answer to the commit was lost, and ``stored`` is not
                there to say whether it took effect.
        """
        self._check_writable()
        job = _Job(work, stored)
        deadline = time.monotonic() + self._wait_s
        with self._write_lock, self._translating("write"):
            while True:
                try:
                    with self._writer.connect() as connection:
                        self._lock(connection)  # held until whoever had it has ended, be it our own lost commit
                        return job.attempt(connection)
                except DBAPIError as error:
                    if not _is_gone(error) or time.monotonic() >= deadline:
                        raise
                time.sleep(RETRY_PAUSE_S)

    def vacuum(self) -> Reclaimed:
        """Write every table anew without what was deleted; who reads one of them meanwhile waits."""
        self._check_writable()
        alone = self._writer.execution_options(isolation_level="AUTOCOMMIT")
        with self._write_lock, self._translating("vacuum"), alone.connect() as connection:
            connection.detach()  # it is closed at the end, and with it goes the lock
            connection.exec_driver_sql(f"SET lock_timeout = {self._wait_ms}")
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({_LOCKED})")
            before = connection.exec_driver_sql(_SIZE).scalar_one()
            for table in metadata.sorted_tables:
                connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {table.name}")
            return Reclaimed(int(before), int(connection.exec_driver_sql(_SIZE).scalar_one()))

    def integrity(self, connection: Connection) -> list[str]:
        """Name indexes that the server gave up on, and counters behind what they counted."""
        found = [f"the index {name} is not valid; REINDEX makes it anew" for name in _invalid(connection)]
        return found + [
            f"the counter {table}_place_seq is behind the places of {table}; setval puts it right"
            for table in _behind(connection)
        ]

    def mend(self, connection: Connection) -> list[str]:
        """Make those indexes anew, and set those counters."""
        done = []
        for name in _invalid(connection):
            connection.exec_driver_sql(f"REINDEX INDEX {name}")
            done.append(f"made the index {name} anew")
        for table in _behind(connection):
            connection.exec_driver_sql(
                f"SELECT setval('{table}_place_seq', max(place)) FROM {table}"  # noqa: S608 - our names
            )
            done.append(f"set the counter {table}_place_seq to the last place of {table}")
        return done

    def close(self) -> None:
        """Close every connection. Closing twice is harmless."""
        self._closed = True
        self._writer.dispose()

    def _found(self) -> str | None:
        with self._translating("open"), self._reader.begin() as connection:
            return schema_of(connection, url=self.url)

    def _lock(self, connection: Connection) -> None:
        """Wait until nobody else writes; the lock goes with the transaction, once what it did can be seen."""
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {self._wait_ms}; SELECT pg_advisory_xact_lock({_LOCKED})")

    @property
    def _wait_ms(self) -> int:
        return max(1, round(self._wait_s * 1000))  # 0 would mean for ever


def _invalid(connection: Connection) -> Sequence[str]:
    """Return the names of the indexes that are not valid, quoted where they need to be."""
    return (
        connection.exec_driver_sql(
            "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "WHERE NOT indisvalid AND relnamespace = current_schema()::regnamespace ORDER BY 1"
        )
        .scalars()
        .all()
    )


def _behind(connection: Connection) -> list[str]:
    """Return the tables whose counter is behind the places that they hold."""
    last = "SELECT max(place) > (SELECT last_value FROM {0}_place_seq) FROM {0}"
    return [name for name in _COUNTED if connection.exec_driver_sql(last.format(name)).scalar()]


class _Job(Generic[_T]):
    """Work that may take more than one attempt, since its server may go away."""

    def __init__(self, work: Callable[[Connection], _T], stored: Callable[[Connection], bool] | None) -> None:
        self._work, self._stored = work, stored
        self._unanswered: list[_T] = []  # what the work returned, where the answer to its commit was lost

    def attempt(self, connection: Connection) -> _T:
        """Do the work, unless it turns out to be done, and commit.

        Raises:
            StoreError: the answer to the commit was lost, and nobody can say whether it took effect.
        """
        if self._unanswered and self._stored is not None and self._stored(connection):
            return self._unanswered[-1]
        done = self._work(connection)
        try:
            connection.commit()
        except DBAPIError as error:
            if _is_gone(error) and self._stored is None:
                raise StoreError(
                    "the connection was lost during a commit: what was written may be stored or not; "
                    "look before you write it again"
                ) from error
            self._unanswered.append(done)
            raise
        return done


class _Dumper(StrDumperUnknown):
    """Sends text as PostgreSQL can hold it."""

    def dump(self, obj: str) -> Buffer | None:
        return spelled(obj).encode()


class _BinaryDumper(StrBinaryDumper):
    """Sends text in binary, as lists of it are sent."""

    def dump(self, obj: str) -> Buffer | None:
        return spelled(obj).encode()


class _Loader(TextLoader):
    """Reads text as it was meant."""

    def load(self, data: Buffer) -> str:
        return meant(str(data, "utf-8"))


def _parsed(address: str) -> URL:
    """Return a URL for our driver.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        parsed = make_url(address).set(drivername="postgresql")
    except (ArgumentError, ValueError) as error:
        raise ConfigError(
            f"{without_password(address)!r} cannot be read; 'postgresql://user:password@host:5432/database' is accepted"
        ) from error
    if "@" in (parsed.host or ""):
        raise ConfigError(f"{without_password(address)!r} has more than one @; write it as %40 in user and password")
    return parsed


def _engine(parsed: URL, *, wait_s: float) -> Engine:
    defaults = {
        "application_name": "agentmesh",
        "client_encoding": "utf8",
        "connect_timeout": max(2, math.ceil(wait_s)),
        "keepalives_idle": 30,  # seconds; the system's two hours would let a vanished server hold up the writer
        "tcp_user_timeout": 30_000,
    }
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        connect_args={name: value for name, value in defaults.items() if name not in parsed.query},
        pool_size=4,
        max_overflow=16,
        pool_pre_ping=True,  # a server that was started again has closed what is in the pool
        use_native_hstore=False,
    )
    event.listen(engine, "connect", _configure)
    return engine


def _configure(connection: PsycopgConnection[Any], _record: object) -> None:
    connection.adapters.register_dumper(str, _BinaryDumper)
    connection.adapters.register_dumper(str, _Dumper)  # the last one is taken where nothing else is asked for
    for name in ("text", "varchar"):
        connection.adapters.register_loader(name, _Loader)


def _is_gone(error: DBAPIError) -> bool:
    """Say whether the server is gone, or is not there to be connected to."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    return isinstance(error.orig, PsycopgOperationalError) and (state is None or state.startswith("57P"))
