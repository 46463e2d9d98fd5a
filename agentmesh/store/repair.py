"""The repair of a store by its URL: what the store can put right in itself, and for a file, what is done around that.

A file is copied first. Where the store cannot be put right, what can be read goes into a new file beside it, and never
over the old one.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from agentmesh.errors import EmptyStoreError, SchemaVersionError, StoreError
from agentmesh.store.opening import file_of, open_store
from agentmesh.store.presence import BESIDE, remove_database
from agentmesh.store.salvage import salvage


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did, and what a check of the store still finds, a line each."""

    done: tuple[str, ...]
    left: tuple[str, ...]


def repair(url: str) -> Repaired:
    """Put right what can be, and say what is still wrong.

    Raises:
        ConfigError: the URL names no store.
        SchemaVersionError: the database was written by a newer agentmesh.
        StoreError: there is nothing to repair, it is in use, or no copy of it can be made; nothing was changed.
    """
    path = file_of(url)
    if path is None:
        with open_store(url, create=False) as store:
            return Repaired(done=tuple(store.repair()), left=tuple(store.check()))
    return _repaired_file(path, url)


def _repaired_file(path: Path, url: str) -> Repaired:
    _refuse_foreign(path, url)
    _refuse_company(path, url)
    done, left = [f"kept a copy of the file as it was in {str(_copy(path, url))!r}"], []
    try:
        with open_store(url, create=False) as store:
            done += store.repair()
            left = store.check()
    except StoreError as error:
        left = [str(error)]
    if left:
        done += _salvaged(path)
    return Repaired(done=tuple(done), left=tuple(left))


def _salvaged(path: Path) -> list[str]:
    into = _free(path, "salvaged")
    try:
        lines = salvage(path, into)
    except StoreError as error:
        return [str(error)]
    return [*lines, f"to go on with it, put {into.name!r} in the place of {path.name!r} while no mesh is open"]


def _refuse_foreign(path: Path, url: str) -> None:
    """Raise where a repair would have nothing to do, or does not know what to do."""
    try:
        open_store(url, read_only=True).close()
    except (EmptyStoreError, SchemaVersionError):
        raise
    except StoreError:  # old, or damaged: that is what a repair is for
        if not path.exists():
            raise


def _refuse_company(path: Path, url: str) -> None:
    """Raise where another connection has the file open. Who asks for all of it gets it only when alone."""
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:  # any other is what a repair is for
        if "locked" in str(error):
            raise StoreError(f"{url!r} is open elsewhere; stop what uses it, then repair it") from error


def _copy(path: Path, url: str) -> Path:
    """Copy the database to a new file beside it, or its files as they are when it cannot be read as one."""
    copy = _free(path, "backup")
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error:
        remove_database(copy)
        try:
            for ending in ("", *BESIDE[:1]):
                if (file := path.with_name(path.name + ending)).exists():
                    shutil.copyfile(file, copy.with_name(copy.name + ending))
        except OSError as error:
            remove_database(copy)
            raise StoreError(f"cannot copy {url!r} before its repair: {error}; nothing was changed") from error
    return copy


def _free(path: Path, what: str) -> Path:
    """Return a name beside the file that nothing has."""
    return next(name for name in _names(path, what) if not name.exists())


def _names(path: Path, what: str) -> Iterator[Path]:
    yield path.with_name(f"{path.stem}.{what}{path.suffix}")
    for number in count(2):
        yield path.with_name(f"{path.stem}.{what}-{number}{path.suffix}")
