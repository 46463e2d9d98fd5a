"""Where an export goes: written whole beside its place, and moved there last, so that no half of one is ever found.

What stands there already is replaced only by force, and only where every file of it is one that such an export writes.
"""

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from agentmesh.errors import ExchangeError

_NAMED = 3
"""Foreign files that an error names."""


@contextmanager
def whole_file(target: Path, *, force: bool) -> Iterator[Path]:
    """Lend the path of a file that becomes ``target`` at the end, or is gone if the work fails.

    Raises:
        ExchangeError: ``target`` exists and ``force`` does not hold, is a folder, or cannot be written.
    """
    if target.is_dir() or (target.exists() and not force):
        raise _in_the_way(target, "a folder" if target.is_dir() else "a file")
    with _beside(target) as folder:
        draft = folder / target.name
        yield draft
        draft.replace(target)


@contextmanager
def whole_folder(target: Path, *, names: Collection[str], force: bool) -> Iterator[Path]:
    """Lend the path of a folder, not made yet, that becomes ``target`` at the end, or is gone if the work fails.

    Args:
        target: Where it goes; an empty folder counts as none.
        names: The files that such an export may hold.
        force: Whether a former export is replaced.

    Raises:
        ExchangeError: ``target`` exists and ``force`` does not hold, holds other files, or cannot be written.
    """
    try:
        _check_folder(target, names=names, force=force)
    except OSError as error:
        raise _unwritable(target, error) from error
    with _beside(target) as folder:
        draft, former = folder / "new", folder / "old"
        yield draft
        if target.exists():
            _check_folder(target, names=names, force=force)  # again: it may have been filled meanwhile
            target.replace(former)
        try:
            draft.replace(target)
        except OSError:
            if former.exists():
                former.replace(target)
            raise


def _check_folder(target: Path, *, names: Collection[str], force: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise _in_the_way(target, "a file")
    held = sorted(entry.name for entry in target.iterdir())
    foreign = [name for name in held if name not in names or not (target / name).is_file()]
    if foreign:
        named = ", ".join(map(repr, foreign[:_NAMED])) + (" and more" if len(foreign) > _NAMED else "")
        raise ExchangeError(f"{str(target)!r} holds {named}, which no such export writes; name a new or empty folder")
    if held and not force:
        raise _in_the_way(target, "an export")


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        yield folder
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_the_way(target: Path, what: str) -> ExchangeError:
    return ExchangeError(f"{str(target)!r} is there already and is {what}; name another place, or use force (--force)")


def _unwritable(target: Path, error: OSError) -> ExchangeError:
    reason = error.strerror or os.strerror(error.errno or 0)
    return ExchangeError(f"{str(target)!r} cannot be written: {reason}; name a place in a folder that exists")
