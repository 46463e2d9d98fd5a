"""Reading that ends early, once nobody waits for it any more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_WANTED: Final = ContextVar[Callable[[], bool] | None]("wanted", default=None)


@contextmanager
def only_while(wanted: Callable[[], bool]) -> Iterator[None]:
    """Read from databases here, and in threads that are begun from here, only while what is read is wanted.

    A SQLite file asks now and then as it looks through its rows; a server of PostgreSQL goes on to the end. To ask
    takes Python's lock, which a busy event loop may hold for some milliseconds: so it is for searches and the like.

    Args:
        wanted: Says whether anybody still waits. It is asked by the thread that reads.

    Raises:
        StoreError: nobody did, and so reading was ended.
    """
    before = _WANTED.set(wanted)
    try:
        yield
    finally:
        _WANTED.reset(before)


def condition() -> Callable[[], bool] | None:
    """Return what says whether that which is read here is wanted, ``None`` where it is in any case."""
    return _WANTED.get()
