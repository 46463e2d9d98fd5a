"""A damaged SQLite file, read as far as it can be.

Rows are asked for by their number in ever smaller spans, so that a page that cannot be read costs the rows on it and no
others. A file that SQLite refuses as a whole, because its end or its header is gone, is read from a copy with another
header: ours are all alike.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from agentmesh.errors import StoreError
from agentmesh.store.presence import BESIDE, remove_database
from agentmesh.types import RunId

SPAN: Final = 1000
"""Rows asked for at once, and held in memory."""

_Row: TypeAlias = tuple[Any, ...]
_LEAST_BYTES: Final = 16  # of a row of ours, to say how many a file can hold when nothing else says so
_MAGIC: Final = b"SQLite format 3\0"
_PAGE_BYTES: Final = 4096  # what SQLite takes by itself, and so what our files have


class Wreck:
    """A damaged database, read as far as it can be.

    Args:
        source: A connection to it.
        size: The size of its file, in bytes.

    Raises:
        StoreError: not even the names of its tables can be read.
    """

    def __init__(self, source: sqlite3.Connection, *, size: int) -> None:
        self._source, self._size = source, size
        try:
            self.tables = {name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.Error as error:
            raise StoreError(f"nothing can be saved: not even the names of the tables can be read ({error})") from error
        if "events" not in self.tables:
            raise StoreError("nothing can be saved: there is no table of events")

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns; an older schema has fewer."""
        return [row[1] for row in self._source.execute(f"PRAGMA table_info({table})")]

    def rows(self, table: str, columns: Sequence[str], unreadable: list[int]) -> Iterator[_Row]:
        """Yield the rows that can be read, in order of their number; ``unreadable`` gets the numbers that cannot."""
        names = ",".join(f'"{name}"' for name in columns)
        statement = f"SELECT {names} FROM {table} WHERE rowid BETWEEN ? AND ? ORDER BY rowid"  # noqa: S608 - our names
        last = self._last(table)
        for first in range(1, last + 1, SPAN):
            spans = [(first, min(first + SPAN - 1, last))]
            while spans:
                low, high = spans.pop()
                try:
                    yield from self._source.execute(statement, (low, high)).fetchall()
                except sqlite3.Error:
                    middle = (low + high) // 2
                    if low == high:
                        unreadable.append(low)
                    else:
                        spans += [(middle + 1, high), (low, middle)]

    def known(self) -> dict[RunId, int]:
        """Return the last seq of each run that anything still tells of: its row, or the index over the events."""
        found: dict[RunId, int] = {}
        in_index: list[_Row] = []
        with suppress(sqlite3.Error):
            in_index = self._source.execute("SELECT run_id, max(seq) FROM events GROUP BY run_id").fetchall()
        for run_id, seq in [*self.rows("runs", ("id", "last_seq"), []), *in_index]:
            if isinstance(run_id, str) and isinstance(seq, int):
                found[run_id] = max(found.get(run_id, -1), seq)
        return found

    def counters(self) -> list[_Row]:
        """Return the last number that each counting table gave out."""
        with suppress(sqlite3.Error):
            return self._source.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
        return []

    def _last(self, table: str) -> int:
        with suppress(sqlite3.Error):
            return self._source.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0] or 0  # noqa: S608
        given_out = [last for name, last in self.counters() if name == table]
        return int(given_out[0]) if given_out else self._size // _LEAST_BYTES


@contextmanager
def readable(path: Path) -> Iterator[Wreck]:
    """Lend a damaged file for reading, or a copy with another header where it is refused as a whole.

    Raises:
        StoreError: not even the names of its tables can be read.
    """
    with closing(_connected(path)) as source:
        if _is_accepted(source):
            yield Wreck(source, size=path.stat().st_size)
            return
    copy = path.with_name(f"{path.name}.reading")
    try:
        _copy_with_header(path, copy)
        with closing(_connected(copy)) as source:
            yield Wreck(source, size=path.stat().st_size)
    except OSError as error:
        raise StoreError(f"nothing can be saved: {str(path)!r} cannot be copied to be read: {error}") from error
    finally:
        remove_database(copy)


def _is_accepted(source: sqlite3.Connection) -> bool:
    with suppress(sqlite3.Error):
        return source.execute("SELECT count(*) FROM sqlite_master").fetchone() is not None
    return False


def _copy_with_header(path: Path, copy: Path) -> None:
    """Copy a file and its log; the copy is filled up to a whole page, and has a header that SQLite takes."""
    shutil.copyfile(path, copy)
    log = path.with_name(path.name + BESIDE[0])
    if log.exists():
        shutil.copyfile(log, copy.with_name(copy.name + BESIDE[0]))
    with copy.open("r+b") as file:
        old = file.read(100).ljust(100, b"\0")
        page_bytes = _page_bytes(old)
        pages = -(-path.stat().st_size // page_bytes)
        file.truncate(pages * page_bytes)
        file.seek(0)
        file.write(_header(old, pages=pages, page_bytes=page_bytes))


def _page_bytes(header: bytes) -> int:
    """Return the size of a page; a header that is garbage does not say."""
    said = int.from_bytes(header[16:18], "big")
    return said if header.startswith(_MAGIC) and 512 <= said <= 32768 and said & (said - 1) == 0 else _PAGE_BYTES


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)


def _header(old: bytes, *, pages: int, page_bytes: int) -> bytes:
    """Return the header of a file of so many pages, field by field as the file format of SQLite has them."""
    fixed = bytes([2, 2, 0, 64, 32, 32])  # with a write-ahead log; nothing reserved; fractions that SQLite demands
    numbers = [1, pages, 0, 0, 1, 4, 0, 0, 1, 0, 0, 0]  # changes, size, no free pages, cookie, format, ..., UTF-8
    counted = b"".join(number.to_bytes(4, "big") for number in numbers)
    return _MAGIC + page_bytes.to_bytes(2, "big") + fixed + counted + bytes(20) + (1).to_bytes(4, "big") + old[96:100]
