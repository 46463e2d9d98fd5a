"""What an open database does, whichever it is: lend connections, and turn every failure into a ``StoreError``."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from agentmesh.errors import EmptyStoreError, StoreError
from agentmesh.store.refusals import closed
from agentmesh.store.retention import Reclaimed
from agentmesh.store.version import HEAD, schema_of

_T = TypeVar("_T")


class Database(ABC):
    """An open database of today's schema. One transaction at a time writes to it, whoever has it open.

    Args:
        url: What to call it in errors: without a password.
        read_only: Refuse to write; nothing is created or migrated.
        create: Whether tables are made where there are none; else that is an error.
    """

    foreign: ClassVar[tuple[type[Exception], ...]] = (SQLAlchemyError, OverflowError, UnicodeError)
    """What its driver and SQLAlchemy raise."""

    hints: ClassVar[Mapping[str, str]] = {}
    """What to do about what the database says, by a piece of it."""

    _reader: Engine
    """Begins transactions that write nothing, each on one state of the database."""

    def __init__(self, *, url: str, read_only: bool, create: bool) -> None:
        self.url = url
        self.read_only = read_only
        self._create = create and not read_only
        self._closed = False

    @property
    @abstractmethod
    def address(self) -> str | None:
        """Return the URL under which another process can open it, with its password; ``None`` when none can."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection that sees one state of the database throughout."""
        self.check_open()
        with self._translating("read"), self._reader.begin() as connection:
            yield connection

    @abstractmethod
    def writing(self) -> AbstractContextManager[Connection]:
        """Lend the connection that writes; all of its work is committed at the end, or none of it."""

    def write(self, work: Callable[[Connection], _T], *, stored: Callable[[Connection], bool] | None = None) -> _T:
        """Do work that writes, and return what it returns once that is committed.

        Args:
            work: It may be done again when the database went away before it was committed.
            stored: Says, where the answer to a commit was lost, whether it took effect; ``again`` where the work may
                simply be done again. Without it, such a loss is an error.
        """
        del stored  # a database in this process answers
        with self.writing() as connection:
            return work(connection)

    def erase(self, work: Callable[[Connection], _T]) -> _T:
        """Do work that deletes, and return what it returns once that is committed and not to be read from the files."""
        return self.write(work, stored=again)

    @abstractmethod
    def vacuum(self) -> Reclaimed:
        """Give space back to the system; nobody may write meanwhile.

        Raises:
            StoreError: others write, or read what is to be given back, for too long.
        """

    @abstractmethod
    def integrity(self, connection: Connection) -> list[str]:
        """Return what the database's own check of itself finds, a line each."""

    @abstractmethod
    def mend(self, connection: Connection) -> list[str]:
        """Put right what the database keeps for itself, such as indexes, and return what was done, a line each."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection. Closing twice is harmless."""

    def check_open(self) -> None:
        """Raise a ``StoreError`` when the database was closed."""
        if self._closed:
            raise closed(self.url)

    def _check_writable(self) -> None:
        self.check_open()
        if self.read_only:
            raise StoreError(f"{self.url!r} was opened for reading only; open it without read_only to write")

    def _prepare(self, found: str | None) -> None:
        """Bring a database that has schema ``found`` to today's."""
        advice = "open it once without read_only, as a run does, to make them"
        if found is None and not self._create:
            raise EmptyStoreError(f"{self.url!r} has no tables; {advice}")
        if found != HEAD and self.read_only:
            raise StoreError(f"{self.url!r} has the tables of schema {found!r}, not yet those of {HEAD!r}; {advice}")
        if found != HEAD:
            self.write(self._upgrade)

    def _upgrade(self, connection: Connection) -> None:
        found = schema_of(connection, url=self.url)  # another process may have been faster: look again, now alone
        if found != HEAD:
            # loaded only now: alembic takes 0.1 s, and nearly every database is of today's schema
            importlib.import_module("agentmesh.store.migrate").upgrade(connection, since=found)

    def _found(self) -> str | None:
        with self.reading() as connection:
            return schema_of(connection, url=self.url)

    @contextmanager
    def _translating(self, doing: str) -> Iterator[None]:
        try:
            yield
        except self.foreign as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            advice = [hint for sign, hint in self.hints.items() if sign in reason]
            raise StoreError("; ".join([f"cannot {doing} {self.url!r}: {reason}", *advice])) from error


def again(_connection: Connection) -> bool:
    """Say of work whose commit was not answered that it is to be done again, since doing it twice is doing it once."""
    return False
