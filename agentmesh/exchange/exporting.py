"""Writes what a store holds to a file of traces, run by run, so that another store can take it in.

All runs are read as they are at one moment, and what was learned up to a moment before: a score that is exported may
lack its lesson where both came in between, never the other way round.
"""

import gzip
import io
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Literal, TextIO, TypeAlias

from agentmesh.errors import ExchangeError, StoreError
from agentmesh.events import SCHEMA, DecisionMade, Event, RunStarted
from agentmesh.exchange.lines import (
    FORMAT,
    TRACES_FILE,
    VERSION,
    End,
    ExperienceLine,
    Header,
    MarkLine,
    RegistryLine,
    RouterLine,
    RunLine,
    StateLine,
    event_line,
)
from agentmesh.exchange.places import whole_file, whole_folder
from agentmesh.records import Record, RouterMark
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.store.codec import json_of

Learned: TypeAlias = Literal["all", "log", "none"]
"""How much of what was learned goes along: all of it, without the snapshots that can be learned again, or nothing."""

_AT_ONCE: Final = 500
"""Experiences in memory."""


class Carried(Record):
    """How much was exported; ``without`` are versions of registries that runs name and the store does not hold."""

    runs: int = 0
    events: int = 0
    experiences: int = 0
    marks: int = 0
    states: int = 0
    without: tuple[str, ...] = ()


def export_runs(
    store: TraceStore,
    out: str | os.PathLike[str],
    *,
    where: RunFilter | None = None,
    learned: Learned = "all",
    force: bool = False,
) -> Carried:
    """Write runs, their scores, agents and routers, and what was learned, to a file of traces.

    The same content gives the same bytes. A million events need no more memory than the runs of a page.

    Args:
        store: Where they are kept; nothing is written to it.
        out: A file that ends in ``.jsonl`` or ``.jsonl.gz``, else a folder with ``traces.jsonl.gz`` in it.
        where: Only these runs, and those that they started. What was learned goes along whole: decisions rest on it.
        learned: How much of that. Without it, decisions of routers that learn cannot be made again.
        force: Replace an earlier export.

    Raises:
        ExchangeError: ``out`` exists, or cannot be written; nothing is left of it.
        StoreError: the store cannot be read, or is damaged; nothing is left of it either.
    """
    target = Path(out)
    if target.name.endswith((".jsonl", ".jsonl.gz")):
        with whole_file(target, force=force) as draft:
            return _write(store, draft, where, learned)
    with whole_folder(target, names=(TRACES_FILE,), force=force) as draft:
        draft.mkdir()
        return _write(store, draft / TRACES_FILE, where, learned)


def _write(store: TraceStore, path: Path, where: RunFilter | None, learned: Learned) -> Carried:
    with text_file(path) as file:
        return _Export(store, file).write(where, learned)


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """Open a new file for lines, gzipped where its name ends in ``.gz``; the same content gives the same bytes."""
    with path.open("xb") as raw:
        if path.suffix != ".gz":
            with io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
                yield file
            return
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
        ):
            yield file


class _Export:
    """One export under way."""

    def __init__(self, store: TraceStore, file: TextIO) -> None:
        self._store, self._file = store, file
        self._lines = self._runs = self._events = 0
        self._registries: dict[str, bool] = {}  # by version, whether the store holds it

    def write(self, where: RunFilter | None, learned: Learned) -> Carried:
        last, marks = self._store.last_experience(), self._store.every_mark()
        marks = [mark for mark in marks if mark.sequence <= last]
        self._put(json_of(Header(format=FORMAT, version=VERSION, event_schema=SCHEMA)))
        self._put_routers()
        with closing(_closable(self._store.traces(where))) as traces:
            for events in traces:
                self._put_run(events)
        told = (0, 0, 0) if learned == "none" else self._put_learned(last, marks, snapshots=learned == "all")
        self._put(json_of(End(lines=self._lines, runs=self._runs)))
        missing = tuple(sorted(version for version, held in self._registries.items() if not held))
        experiences, marked, states = told
        return Carried(
            runs=self._runs,
            events=self._events,
            experiences=experiences,
            marks=marked,
            states=states,
            without=missing,
        )

    def _put(self, line: str) -> None:
        self._file.write(line + "\n")
        self._lines += 1

    def _put_routers(self) -> None:
        for name, parameters_hash in self._store.routers():
            parameters = self._store.router_parameters(name, parameters_hash)
            if parameters is not None:
                line = RouterLine(name=name, parameters_hash=parameters_hash, parameters=parameters)
                self._put(json_of(line))

    def _put_run(self, events: Sequence[Event]) -> None:
        for version in _versions(events):
            if version not in self._registries:
                self._registries[version] = self._put_registry(version)
        self._put(json_of(RunLine(id=events[0].run_id, events=len(events))))
        for event in events:
            self._put(event_line(event))
        self._runs += 1
        self._events += len(events)

    def _put_registry(self, version: str) -> bool:
        try:
            registry = self._store.registry(version)
        except StoreError:  # a run may name one that was never stored: then it cannot be replayed here either
            return False
        self._put(json_of(RegistryLine(registry=registry)))
        return True

    def _put_learned(self, last: int, marks: Sequence[RouterMark], *, snapshots: bool) -> tuple[int, int, int]:
        """Write experiences and marks in the order of their numbers, then states; return how many of each."""
        waiting, after, count = list(marks), 0, 0
        while page := self._store.experiences(after, until=last, limit=_AT_ONCE):
            for experience in page:
                while waiting and waiting[0].sequence < experience.sequence:
                    self._put_mark(waiting.pop(0))
                self._put(json_of(ExperienceLine(experience=experience)))
            after, count = page[-1].sequence, count + len(page)
        for mark in waiting:
            self._put_mark(mark)
        return count, len(marks), self._put_states(last) if snapshots else 0

    def _put_mark(self, mark: RouterMark) -> None:
        state = self._store.nearest_state(mark.router, mark.parameters, until=mark.sequence)
        if state is None or state.sequence != mark.sequence:
            raise ExchangeError(
                f"mark {mark.sequence} of router {mark.router!r} in {self._store.url!r} has no state, so its learning "
                "cannot go on elsewhere; leave out what was learned (learned='none', --learned none)"
            )
        self._put(json_of(MarkLine(mark=mark, state=StateLine.of(state))))

    def _put_states(self, last: int) -> int:
        count = 0
        for router, parameters in self._store.routers():
            for sequence, _ in self._store.states(router, parameters):
                state = self._store.nearest_state(router, parameters, until=sequence) if sequence <= last else None
                if state is not None:
                    self._put(json_of(StateLine.of(state)))
                    count += 1
        return count


def _closable(traces: Iterable[list[Event]]) -> Generator[list[Event], None, None]:
    """Return a generator over ``traces``, since not every iterator can be closed."""
    yield from traces


def _versions(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        if isinstance(event, RunStarted):
            yield event.registry_version
        elif isinstance(event, DecisionMade):
            yield event.decision.registry_version
