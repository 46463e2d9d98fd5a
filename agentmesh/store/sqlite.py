"""A SQLite file: one connection that writes, and some that read.

Write-ahead logging lets readers work while the writer commits. ``synchronous=NORMAL`` hands a commit to the operating
system before it returns, so it outlives a kill of the process; a power cut may take the last commits, and leaves the
database whole. ``FULL`` would close that gap for one fsync a commit.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import Error as SqliteError
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from agentmesh.errors import StoreError
from agentmesh.store.presence import Presence
from agentmesh.store.retention import Reclaimed
from agentmesh.store.session import Database
from agentmesh.store.wanted import condition

_T = TypeVar("_T")

SCHEME = "sqlite:///"
SWITCH_PAUSE_S = 0.01
STEPS = 500_000
"""Of SQLite's machine, some ten a row, after which it is asked whether anybody waits: each 20 ms or so."""

_HINTS = {
    "is locked": "another process is writing to it: try again, or give a longer busy_timeout_s",
    "is full": "nothing was written: free some space",
    "not a database": "name a file that agentmesh made, or one that does not exist yet",
    "malformed": "`agentmesh doctor --repair` saves what can be read; or restore it from a copy",
    "disk I/O error": "see whether its disk is full, failing, or may no longer be written",
    "unable to open database file": "see that its folder is there and may be written",
    "readonly": "open it with read_only=True, or make the file and its folder writable",
}
"""What to do about what SQLite says."""


class SqliteFile(Database):
    """An open SQLite file of today's schema.

    Args:
        path: The file. It is made, and migrated, unless ``read_only``.
        url: What to call it in errors.
        read_only: Refuse to write; a missing file is an error, and nothing is created.
        create: Whether a missing file is made; else it is an error.
        busy_timeout_s: How long to wait for another process that is writing.
    """

    foreign = (*Database.foreign, SqliteError)
    hints = _HINTS

    def __init__(
        self, path: Path, *, url: str, read_only: bool = False, create: bool = True, busy_timeout_s: float = 5.0
    ) -> None:
        super().__init__(url=url, read_only=read_only, create=create)
        self._path = path
        self._write_lock = Lock()  # one transaction at a time: the writing engine has one connection
        try:
            _check_path(path, read_only=read_only, create=self._create)
        except OSError as error:
            raise StoreError(f"cannot open {url!r}: {error.strerror or error}") from error
        self._busy_timeout_s = busy_timeout_s
        self._presence: Presence | None = None  # none until the database is there
        access = _access(path)
        self._reader = _engine(path, access, begin="BEGIN", busy_timeout_s=busy_timeout_s)
        self._writer = _engine(path, {"mode": "rwc"}, begin="BEGIN IMMEDIATE", busy_timeout_s=busy_timeout_s)
        try:
            # until it is known to be ours it is only read
            self._prepare(self._found() if path.exists() else None)
            if not read_only:
                with self._translating("open"), closing(self._writer.raw_connection()) as connection:
                    self._keep_log_beside(connection.cursor())
            self._presence = Presence(path, url=url, alone="immutable" in access)
        except StoreError:
            self.close()
            raise

    @property
    def address(self) -> str | None:
        """Return the file's URL with its whole path, since the working directory may change; none when it is gone."""
        return f"{SCHEME}{self._path.resolve()}" if self._path.is_file() else None

    def check_open(self) -> None:
        """Raise a ``StoreError`` when the database was closed, or its files are no longer those that were opened."""
        super().check_open()
        if self._presence is not None:
            self._presence.check()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection that sees one state of the database throughout, and stops where nobody waits any more."""
        wanted = condition()
        with super().reading() as connection:
            if wanted is None:
                yield connection
                return
            file: Any = connection.connection.driver_connection
            file.set_progress_handler(lambda: not wanted(), STEPS)
            try:
                yield connection
            finally:
                file.set_progress_handler(None, 0)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend the connection that writes; all of its work is committed at the end, or none of it."""
        self._check_writable()
        with self._write_lock, self._translating("write"), self._writer.begin() as connection:
            yield connection

    def erase(self, work: Callable[[Connection], _T]) -> _T:
        """Do work that deletes; what it deletes is overwritten with zeros, which costs other work too much."""
        with self.writing() as connection:
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
            try:
                return work(connection)
            finally:
                connection.exec_driver_sql("PRAGMA secure_delete=OFF")

    def vacuum(self) -> Reclaimed:
        """Write the file anew without its empty pages, and empty its log, which still holds what was deleted."""
        self._check_writable()
        before = self._size()
        with self._write_lock, self._translating("vacuum"), closing(self._writer.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("VACUUM")
            (is_read, *_), *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if is_read:
            raise StoreError(
                f"{self.url!r} is packed, but somebody reads what it held before, so that its space cannot be given "
                "back yet; vacuum again when nobody does"
            )
        return Reclaimed(before, self._size())

    def _size(self) -> int:
        beside = self._path.with_name(self._path.name + "-wal")
        return sum(path.stat().st_size for path in (self._path, beside) if path.exists())

    def integrity(self, connection: Connection) -> list[str]:
        """Return what SQLite's own check of the file finds, a line each."""
        lines = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        return [line for line in lines if line != "ok"]

    def mend(self, connection: Connection) -> list[str]:
        """Make the indexes anew when SQLite finds fault with the file; its counters put themselves right."""
        if not self.integrity(connection):
            return []
        connection.exec_driver_sql("REINDEX")
        return ["made the indexes anew"]

    def close(self) -> None:
        """Close every connection. Closing twice is harmless."""
        self._closed = True
        self._reader.dispose()
        self._writer.dispose()

    def _keep_log_beside(self, cursor: Any) -> None:
        """Switch the file to a write-ahead log, which it keeps.

        Only the first switch of a new file needs it alone, and there SQLite does not wait for others: so we do.
        """
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                cursor.execute("PRAGMA journal_mode=WAL")
                return
            except SqliteError as error:
                if "locked" not in str(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(SWITCH_PAUSE_S)


def _check_path(path: Path, *, read_only: bool, create: bool) -> None:
    """Refuse a path early where SQLite would only say that it is unable to open the file."""
    if path.is_dir():
        raise IsADirectoryError(0, f"{str(path)!r} is a folder; name a file in it")
    if not create and not path.exists():
        raise FileNotFoundError(0, f"there is no file {str(path)!r}; a run creates it")
    log = path.with_name(path.name + "-wal")
    if path.exists() and path.stat().st_size == 0 and log.exists() and log.stat().st_size > 0:
        raise OSError(0, f"{str(path)!r} was emptied, and its log {log.name!r} was not: SQLite would throw that away")
    if read_only:
        return
    if not path.parent.is_dir():
        raise FileNotFoundError(0, f"the folder {str(path.parent)!r} does not exist; make it first")
    for place in (path.parent, path):  # the log of writes lies beside the file, so the folder matters as well
        if place.exists() and not os.access(place, os.W_OK):
            raise PermissionError(0, f"{str(place)!r} may not be written; name another place, or open it read_only")


def _engine(path: Path, access: dict[str, str], *, begin: str, busy_timeout_s: float) -> Engine:
    """Return an engine whose transactions begin with the statement ``begin``."""
    writes = begin != "BEGIN"
    engine = create_engine(
        URL.create("sqlite", database=f"file:{_quoted(path)}", query={**access, "uri": "true"}),
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
        poolclass=QueuePool,
        pool_size=1 if writes else 4,
        max_overflow=0 if writes else -1,
    )

    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # pysqlite would otherwise begin transactions by itself, and too late
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA query_only={'OFF' if writes else 'ON'}")

    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _quoted(path: Path) -> str:
    """Return a path as the file part of a SQLite URI."""
    return path.resolve().as_uri().removeprefix("file://")


def _access(path: Path) -> dict[str, str]:
    """Return how SQLite is to open the file for reading.

    Beside a file that it reads, SQLite makes two more and cleans up after a writer that was killed, so it wants to
    write even then. Where it may not write the folder, and no writer left a log, the file cannot change and is read
    as it is.
    """
    folder, log = path.parent, path.with_name(path.name + "-wal")
    if os.access(folder, os.W_OK):
        return {"mode": "rw" if os.access(path, os.W_OK) or not path.exists() else "ro"}
    return {"mode": "ro"} if log.exists() else {"mode": "ro", "immutable": "1"}
