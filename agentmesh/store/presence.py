"""Whether the files of an open SQLite database are still those that were opened.

SQLite goes on with files that were deleted or replaced under it: what it commits then is in no file that anybody can
open, and a second process that makes a log of its own beside ours would tear the database. So each transaction looks
first, which takes some microseconds.
"""

import os
from pathlib import Path
from typing import Final, TypeAlias

from agentmesh.errors import StoreError

_Identity: TypeAlias = tuple[int, int]
BESIDE: Final = ("-wal", "-shm")
"""What SQLite keeps beside a database with a write-ahead log: the log, and its index."""


class Presence:
    """Remembers which files were opened.

    Args:
        path: The database.
        url: What to call it in errors.
        alone: Nothing is kept beside it, since it is read as it is.
    """

    def __init__(self, path: Path, *, url: str, alone: bool) -> None:
        self._url = url
        self._file = os.fspath(path.resolve())  # the working directory may change
        self._beside = [] if alone else [self._file + ending for ending in BESIDE]
        self._known: dict[str, _Identity] = {}
        self.check()

    def check(self) -> None:
        """Raise a ``StoreError`` when a file is gone, was emptied, or is another one than before."""
        if self._size_of(self._file, must_be=True) == 0:
            raise StoreError(f"{self._url!r} was emptied while it was open; close it, and restore it from a copy")
        for name in self._beside:  # they come with the first transaction, and stay as long as somebody is connected
            self._size_of(name, must_be=name in self._known)

    def _size_of(self, name: str, *, must_be: bool) -> int | None:
        """Return the size of a file in bytes, ``None`` when it is not there and need not be."""
        try:
            found = os.stat(name)
        except OSError as error:
            if must_be:
                raise self._gone(name, "deleted") from error
            return None
        identity = found.st_dev, found.st_ino
        if self._known.setdefault(name, identity) != identity:
            raise self._gone(name, "replaced")
        return found.st_size

    def _gone(self, name: str, how: str) -> StoreError:
        advice = (
            "put it back, or close this store and open it again"
            if name == self._file
            else "close every store that has it open, which takes what was stored into the file, and open it again"
        )
        return StoreError(f"{name!r} was {how} while {self._url!r} was open: nothing is read or written; {advice}")


def remove_database(path: Path) -> None:
    """Delete a database of our own making that nobody has open, and what lies beside it."""
    for ending in ("", *BESIDE, "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
