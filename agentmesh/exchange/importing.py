"""Reads a file of traces into a store: runs some at a time, each whole, then what was learned from them.

A file may be taken in again, and again after it was cut short: what is stored already changes nothing.
"""

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, cast

from agentmesh.errors import DuplicateEventError, ExchangeError, RunNotFoundError, SchemaVersionError
from agentmesh.events import SCHEMA, BaseEvent, Event
from agentmesh.exchange.lines import (
    FORMAT,
    TRACES_FILE,
    VERSION,
    End,
    ExperienceLine,
    Header,
    Line,
    MarkLine,
    RegistryLine,
    RouterLine,
    RunLine,
    StateLine,
    expected,
    parsed,
)
from agentmesh.records import Experience, Record, RouterMark, RouterState
from agentmesh.store.base import TraceStore

_EVENTS: Final = 2000
"""Events in one transaction, and those of the last run beyond."""

_EXPERIENCES: Final = 500
"""Experiences and marks in one transaction."""


class Taken(Record):
    """What was taken in: ``runs`` are new, ``grown`` were stored and went on, ``known`` were there already."""

    runs: int = 0
    grown: int = 0
    known: int = 0
    events: int = 0
    learned: int = 0
    states: int = 0


def import_runs(store: TraceStore, source: str | os.PathLike[str], *, learned: bool = True) -> Taken:
    """Take what ``export_runs`` wrote into a store.

    Args:
        store: Where it goes.
        source: The file, or the folder that it is in.
        learned: Whether what was learned comes along; it keeps its numbers, since decisions name them.

    Raises:
        ExchangeError: the file is missing, damaged, cut short or no such file, or a run in it differs from the one
            that the store has under its id. What stands before that is stored, each run whole.
        SchemaVersionError: a newer agentmesh wrote it.
        StoreError: the store cannot be written, or has learned something else under the same numbers.
    """
    return _Import(store, learned=learned).read(_lines(_file_in(Path(source))), str(source))


def _file_in(source: Path) -> Path:
    return source / TRACES_FILE if source.is_dir() else source


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file; one that the end of the file cut short is an error, as is damage to its packing."""
    number = 0
    try:
        with _opened(path) as file:
            for line in file:
                number += 1
                if not line.endswith(b"\n"):
                    raise ExchangeError(f"{str(path)!r} is cut short in line {number}; take it in whole")
                yield line
    except FileNotFoundError as error:
        raise ExchangeError(f"{str(path)!r} is missing; name a file that 'runs export' wrote") from error
    except EOFError as error:
        raise ExchangeError(f"{str(path)!r} is cut short after line {number}; take it in whole") from error
    except (OSError, zlib.error) as error:
        raise ExchangeError(f"{str(path)!r} cannot be read after line {number}: {error}") from error


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


class _Import:
    """One import under way."""

    def __init__(self, store: TraceStore, *, learned: bool) -> None:
        self._store, self._learned = store, learned
        self._logs: list[list[Event]] = []
        self._held = 0  # events in them
        self._experiences: list[Experience] = []
        self._marks: list[tuple[RouterMark, RouterState]] = []
        self._counts = dict.fromkeys(("runs", "grown", "known", "events", "learned", "states"), 0)

    def read(self, lines: Iterator[bytes], source: str) -> Taken:
        numbered = ((number, line, f"line {number} of {source!r}") for number, line in enumerate(lines, start=1))
        runs, end = 0, False
        for number, line, place in numbered:
            if end:
                raise ExchangeError(f"{place} comes after the end of the export; take in one export at a time")
            found = parsed(line, place=place)
            if number == 1:
                _check_header(found, place=place)
            elif isinstance(found, RunLine):
                self._take_run(_events_of(found, numbered, place=place))
                runs += 1
            elif isinstance(found, End):
                end = _check_end(found, lines=number - 1, runs=runs, place=place)
            else:
                self._take(found, place=place)
        if not end:
            raise ExchangeError(f"{source!r} is cut short: its last line is not the end of an export")
        self._store_runs()
        self._store_learned()
        return Taken(**self._counts)

    def _take(self, found: Line | Event, *, place: str) -> None:
        """Take in what is no event of a run."""
        if isinstance(found, RouterLine):
            self._store.put_router(found.name, found.parameters_hash, found.parameters)
        elif isinstance(found, RegistryLine):
            self._store.put_registry(found.registry)
        elif isinstance(found, ExperienceLine | MarkLine | StateLine):
            self._store_runs()
            if self._learned:
                self._take_learned(found)
        else:
            expected(found, RunLine, place=place)

    def _take_run(self, events: list[Event]) -> None:
        self._logs.append(events)
        self._held += len(events)
        if self._held >= _EVENTS:
            self._store_runs()

    def _store_runs(self) -> None:
        """Store the runs that are held, in one transaction where none of them is there."""
        logs, self._logs, self._held = self._logs, [], 0
        try:
            self._store.append([event for events in logs for event in events])
        except DuplicateEventError:
            for events in logs:
                self._store_run(events)
            return
        self._counts["runs"] += len(logs)
        self._counts["events"] += sum(map(len, logs))

    def _store_run(self, events: Sequence[Event]) -> None:
        run_id = events[0].run_id
        try:
            stored = {event.seq: event for event in self._store.events(run_id)}
        except RunNotFoundError:
            stored = {}
        for event in events:
            if stored.get(event.seq, event) != event:
                raise ExchangeError(
                    f"run {run_id!r} differs from the one in {self._store.url!r}: event {event.seq} is another "
                    f"{stored[event.seq].kind!r}; nothing of it was stored. Take the export into another database"
                )
        fresh = [event for event in events if event.seq not in stored]
        self._store.append(fresh)
        self._counts["known" if not fresh else "grown" if stored else "runs"] += 1
        self._counts["events"] += len(fresh)

    def _take_learned(self, found: ExperienceLine | MarkLine | StateLine) -> None:
        if isinstance(found, ExperienceLine):
            self._experiences.append(found.experience)
        elif isinstance(found, MarkLine):
            self._marks.append((found.mark, found.state.state()))
        else:
            self._store_learned()
            self._put_state(found.state())
        if len(self._experiences) + len(self._marks) >= _EXPERIENCES:
            self._store_learned()

    def _store_learned(self) -> None:
        experiences, marks, self._experiences, self._marks = self._experiences, self._marks, [], []
        if experiences or marks:
            self._counts["learned"] += self._store.take_over(experiences, marks)

    def _put_state(self, state: RouterState) -> None:
        held = self._store.nearest_state(state.router, state.parameters, until=state.sequence)
        if held is None or held.sequence != state.sequence:
            self._store.put_state(state)
            self._counts["states"] += 1


def _check_header(found: Line | Event, *, place: str) -> None:
    header = expected(found, Header, place=place)
    if header.format != FORMAT:
        raise ExchangeError(f"{place} says that this is {header.format!r}; accepted: {FORMAT!r}")
    if header.version > VERSION or header.event_schema > SCHEMA:
        raise SchemaVersionError(
            f"{place}: version {header.version} of the file and schema {header.event_schema} of its events are newer "
            f"than this agentmesh, which reads {VERSION} and {SCHEMA}: upgrade it"
        )


def _check_end(found: End, *, lines: int, runs: int, place: str) -> bool:
    if (found.lines, found.runs) != (lines, runs):
        raise ExchangeError(
            f"{place} says that {found.lines} lines with {found.runs} runs stand before it, not {lines} with {runs}: "
            "some are missing, or were added"
        )
    return True


def _events_of(run: RunLine, lines: Iterator[tuple[int, bytes, str]], *, place: str) -> list[Event]:
    """Return the events that follow the line of a run."""
    events: list[Event] = []
    for _, line, at in lines:
        found = parsed(line, place=at)
        last = events[-1].seq if events else -1
        if not isinstance(found, BaseEvent) or found.run_id != run.id or found.seq <= last:
            raise ExchangeError(f"{at} is out of place: an event of run {run.id!r} after {last} was expected there")
        events.append(found)
        if len(events) == run.events:
            return events
    raise ExchangeError(f"{place} begins run {run.id!r} of {run.events} events, and only {len(events)} follow")
