"""The store on a database, by SQLAlchemy Core."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from pydantic import ValidationError
from sqlalchemy import Connection, func, select

from agentmesh.errors import StoreError
from agentmesh.events import AnswerChunk, Event, fold
from agentmesh.records import (
    AgentCard,
    Experience,
    Feedback,
    LearningFault,
    Record,
    RegistrySnapshot,
    RouterMark,
    RouterState,
    Run,
    RunSummary,
)
from agentmesh.store import faults, lease_rows, marks, schema
from agentmesh.store.base import Lease, RunFilter, RunsPage, StoredEvent, TraceStore
from agentmesh.store.bulk import insert_rows
from agentmesh.store.carrying import every_mark, read_traces, take_over
from agentmesh.store.codec import decode, encode
from agentmesh.store.drawn import differences, draw_anew, strays
from agentmesh.store.log import (
    append_events,
    are_stored,
    has_events,
    read_events,
    read_times,
)
from agentmesh.store.pages import read_page
from agentmesh.store.prune import prune, stored_prunings
from agentmesh.store.query import (
    holes,
    last_experience,
    latest_cards,
    listed,
    named_routers,
    parameters_of,
    registry_of,
)
from agentmesh.store.refusals import foreign_state, no_registry, no_run
from agentmesh.store.retention import Cursor, Pruned, Pruning, Reclaimed, Retention
from agentmesh.store.scores import accept, is_given, read_experience
from agentmesh.store.session import Database, again
from agentmesh.types import RunId

_R = TypeVar("_R", bound=Record)
_CARD_COLUMNS = ("agent_id", "version", "body")
_ROUTER_COLUMNS = ("name", "parameters_hash", "parameters")
_KEEP = "ON CONFLICT DO NOTHING"


class SqlStore(TraceStore):
    """Keeps everything in a database, which is closed with it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._url = database.url

    @property
    def url(self) -> str:
        """Return the URL this store was opened with, without a password."""
        return self._url

    @property
    def address(self) -> str | None:
        """Return the URL under which another process can open the same store, with its password."""
        return self._database.address

    def append(self, events: Sequence[Event]) -> None:
        """Store events of any runs, in order; when this returns they survive a kill of the process."""
        kept = [event for event in events if not isinstance(event, AnswerChunk)]
        rows = [encode(event) for event in kept]  # before the transaction, so that others wait less for it
        if rows:
            self._database.write(
                lambda connection: append_events(connection, kept, rows, url=self._url),
                stored=lambda connection: are_stored(connection, rows),
            )

    def events(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> list[Event]:
        """Return the events of a run by seq, or the next ``limit`` of them after one."""
        with self._database.reading() as connection:
            found = read_events(connection, run_id, url=self._url, after=after, limit=limit)
            if not found and not has_events(connection, run_id):
                raise no_run(run_id, self._url)
        return found

    def times(self, run_id: RunId) -> list[tuple[int, float]]:
        """Return seq and time of each stored event of a run, without reading what it says."""
        with self._database.reading() as connection:
            found = read_times(connection, run_id)
        if not found:
            raise no_run(run_id, self._url)
        return found

    def run(self, run_id: RunId) -> Run:
        """Return a run folded from its events."""
        return fold(self.events(run_id))

    def runs(self, where: RunFilter | None = None, *, limit: int = 50, offset: int = 0) -> list[RunSummary]:
        """List runs, newest first."""
        return self.runs_page(where, limit=limit, offset=offset).runs

    def runs_page(self, where: RunFilter | None = None, *, limit: int = 50, offset: int = 0) -> RunsPage:
        """List runs, newest first, and say how many there are where finding them told."""
        with self._database.reading() as connection:
            return read_page(connection, where, limit=limit, offset=offset)

    def count_runs(self, where: RunFilter | None = None) -> int:
        """Count the runs that ``runs`` would list without a limit."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(listed(where))) or 0

    def tail(self, after: int = 0, *, limit: int = 1000) -> list[StoredEvent]:
        """Return the events stored after place ``after``, in order."""
        table = schema.events.c
        wanted = select(table.place, table.schema, table.body).where(table.place > after)
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(table.place).limit(limit)).all()
        return [
            StoredEvent(place, decode(body, version, where=f"the event at place {place} in {self._url!r}"))
            for place, version, body in rows
        ]

    def last_place(self) -> int:
        """Return the place of the last event stored, 0 where there is none."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.max(schema.events.c.place))) or 0

    def traces(self, where: RunFilter | None = None) -> Iterator[list[Event]]:
        """Yield the events of each run by seq, the oldest run first, all from one transaction."""
        with self._database.reading() as connection:
            yield from read_traces(connection, where, url=self._url)

    def add_feedback(self, feedback: Feedback, experiences: Sequence[Experience] = ()) -> list[Experience]:
        """Store a score as an event of its run, and number and store what was learned from it."""
        return self._database.write(
            lambda connection: accept(connection, feedback, experiences, url=self._url),
            stored=lambda connection: is_given(connection, feedback, url=self._url),
        )

    def experiences(self, after: int = 0, *, until: int | None = None, limit: int | None = None) -> list[Experience]:
        """Return experiences with ``after < sequence <= until``, in order."""
        table = schema.experiences.c
        wanted = select(table.sequence, table.body).where(table.sequence > after).order_by(table.sequence).limit(limit)
        if until is not None:
            wanted = wanted.where(table.sequence <= until)
        with self._database.reading() as connection:
            rows = connection.execute(wanted).all()
        return [read_experience(body, sequence, url=self._url) for sequence, body in rows]

    def last_experience(self) -> int:
        """Return the highest number that an experience or a mark has, 0 when there is none."""
        with self._database.reading() as connection:
            return last_experience(connection)

    def put_registry(self, snapshot: RegistrySnapshot) -> None:
        """Store a registry's cards under its version; storing a version again changes nothing."""
        registry = [(snapshot.version, snapshot.model_dump_json())]
        cards = [(card.id, card.version, card.model_dump_json()) for card in snapshot.cards]

        def put(connection: Connection) -> None:
            if connection.scalar(registry_of(snapshot.version)) is None:
                insert_rows(connection, "registries", ("version", "body"), registry)
                insert_rows(connection, "agent_cards", _CARD_COLUMNS, cards, conflict=_KEEP)

        self._database.write(put, stored=again)

    def registry(self, version: str) -> RegistrySnapshot:
        """Return the cards stored under ``version``."""
        with self._database.reading() as connection:
            body = connection.scalar(registry_of(version))
        if body is None:
            raise no_registry(version, self._url)
        return self._read(RegistrySnapshot, body, f"registry {version!r}")

    def latest_cards(self) -> tuple[AgentCard, ...]:
        """Return the card of the highest version of every agent in any registry stored, sorted by id."""
        with self._database.reading() as connection:
            bodies = connection.scalars(latest_cards()).all()
        return tuple(self._read(AgentCard, body, "a card") for body in bodies)

    def put_router(self, name: str, parameters_hash: str, parameters: str) -> None:
        """Store the JSON text of a router's parameters under their hash; storing it again changes nothing."""
        rows = [(name, parameters_hash, parameters)]
        self._database.write(
            lambda connection: insert_rows(connection, "routers", _ROUTER_COLUMNS, rows, conflict=_KEEP), stored=again
        )

    def router_parameters(self, name: str, parameters_hash: str) -> str | None:
        """Return the JSON text stored for these parameters, ``None`` when there is none."""
        with self._database.reading() as connection:
            found: str | None = connection.scalar(parameters_of(name, parameters_hash))
        return found

    def routers(self) -> list[tuple[str, str]]:
        """Return each name and parameters hash that parameters or states are stored under, sorted."""
        with self._database.reading() as connection:
            return sorted({(name, parameters) for name, parameters in connection.execute(named_routers())})

    def put_state(self, state: RouterState) -> None:
        """Store a router state; the same router, parameters and sequence replace an earlier one."""
        self._database.write(lambda connection: marks.put_state(connection, state), stored=again)

    def nearest_state(self, router: str, parameters: str, *, until: int | None = None) -> RouterState | None:
        """Return the stored state with the highest ``sequence <= until``, ``None`` when there is none."""
        with self._database.reading() as connection:
            row = connection.execute(marks.nearest_state(router, parameters, until=until)).one_or_none()
        return None if row is None else RouterState(**row._mapping)

    def states(self, router: str, parameters: str) -> list[tuple[int, float]]:
        """Return sequence and time of each stored state, rising."""
        with self._database.reading() as connection:
            return [(sequence, at) for sequence, at in connection.execute(marks.stored_states(router, parameters))]

    def put_mark(self, mark: RouterMark, state: RouterState) -> RouterMark:
        """Store a mark under the next number, and the state that holds from it on under the same one."""
        if (state.router, state.parameters) != (mark.router, mark.parameters):
            raise foreign_state(mark, state)
        return self._database.write(lambda connection: marks.put_mark(connection, mark, state))

    def marks(self, router: str, root: str, *, after: int = 0, until: int | None = None) -> list[RouterMark]:
        """Return the marks of a router with ``after < sequence <= until``, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(marks.marks_of(router, root, after=after, until=until)).all()
        return [marks.read_mark(row, url=self._url) for row in rows]

    def every_mark(self) -> list[RouterMark]:
        """Return the marks of all routers, in order."""
        with self._database.reading() as connection:
            return every_mark(connection, url=self._url)

    def take_over(self, experiences: Sequence[Experience], marks: Sequence[tuple[RouterMark, RouterState]] = ()) -> int:
        """Store experiences and marks under the numbers they have, and return how many were not there."""
        return self._database.write(
            lambda connection: take_over(connection, experiences, marks, url=self._url), stored=again
        )

    def add_fault(self, fault: LearningFault) -> None:
        """Store what could not be learned from, and forget the oldest of more than 10,000."""
        self._database.write(lambda connection: marks.add_fault(connection, faults.kept(fault)), stored=again)

    def faults(self, *, limit: int = 50) -> list[LearningFault]:
        """Return the last faults stored, newest first."""
        with self._database.reading() as connection:
            return marks.newest_faults(connection, limit)

    def put_lease(self, lease: Lease) -> None:
        """Store a lease in place of the one of the same owner."""
        self._database.write(lambda connection: lease_rows.put(connection, lease), stored=again)

    def renew_lease(self, owner: str, at: float) -> bool:
        """Count one more beat of a lease; return whether it is still there."""
        return self._database.write(lambda connection: lease_rows.renew(connection, owner, at), stored=again)

    def end_lease(self, owner: str, *, beats: int | None = None) -> bool:
        """Remove a lease, or only where it has not been renewed since; return whether it was."""
        return self._database.write(lambda connection: lease_rows.end(connection, owner, beats=beats), stored=again)

    def leases(self) -> list[Lease]:
        """Return all leases, by owner."""
        with self._database.reading() as connection:
            return lease_rows.stored(connection)

    def prune(self, retention: Retention, *, at: float | None, after: Cursor | None = None, limit: int = 100) -> Pruned:
        """Delete or count runs that may go, with the runs that they started."""

        def work(connection: Connection) -> Pruned:
            return prune(connection, retention, after=after, limit=limit, at=at)

        if at is None:
            with self._database.reading() as connection:
                return work(connection)
        return self._database.erase(work)

    def prunings(self) -> list[Pruning]:
        """Return what was pruned and when, the first first."""
        with self._database.reading() as connection:
            return stored_prunings(connection)

    def vacuum(self) -> Reclaimed:
        """Give the space of what was deleted back, and leave nothing of it in the database's files."""
        return self._database.vacuum()

    def check(self) -> list[str]:
        """Ask the database to check itself, read every event, and name what does not fit together."""
        found: list[str] = []
        try:
            with self._database.reading() as connection:
                found += [f"{self._url!r}: {line}" for line in self._database.integrity(connection)]
                found += holes(connection)
                found += marks.broken_marks(connection)
                found += strays(connection)
                found += [one.line for one in differences(connection, url=self._url, damaged=found.append)]
        except StoreError as error:
            self._database.check_open()
            found.append(str(error))  # damage so bad that the check itself cannot go on
        return list(dict.fromkeys(found))

    def repair(self) -> list[str]:
        """Have the database put right what is its own, and draw the rows anew that say otherwise than the events."""
        return self._database.write(
            lambda connection: [*self._database.mend(connection), *draw_anew(connection, url=self._url)], stored=again
        )

    def close(self) -> None:
        """Let go of the database. Closing twice is harmless."""
        self._database.close()

    def _read(self, record: type[_R], body: str, what: str) -> _R:
        try:
            return record.model_validate_json(body)
        except ValidationError as error:
            raise StoreError(f"{what} in {self._url!r} is damaged: {body[:60]!r}") from error
