"""Long runs: shown from their first part on, read on where they are new, and let go of."""

import asyncio
import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event as Signal
from threading import Semaphore
from time import monotonic

import pytest

from agentmesh.errors import RunNotFoundError
from agentmesh.events import Event, fold
from agentmesh.store import TraceStore, open_store
from agentmesh.testing.traces import start
from agentmesh.tui.reading import LONG, PART, RunReading
from agentmesh.tui.run_presenters import slice_rows
from agentmesh.tui.sources import BATCH, PlayedSource, TailSource
from agentmesh.tui.sparing import NEVER, SPARING
from agentmesh.tui.widgets.rows import Rows
from agentmesh.types import RunId
from tests.tui.apps import LARGE, press, reads, shown, text_of, until
from tests.tui.story import StandingClock, Telling, decision, family_of, story, sum_asked, told_store


def long_run(events: int) -> Telling:
    """Return a run of so many events, two for each call, that has not ended."""
    told = Telling("long").start("Ask again and again").decide(decision())
    while len(told.events) < events:
        told.call("maths", "84")
    return told


def read(reading: RunReading, store: TraceStore) -> list[tuple[int, bool, bool]]:
    """Read to the end, and return count, whether it was folded, and whether it was the last, of each part."""
    parts = reading.parts(TailSource(store), goes_on=lambda: True)
    return [(part.count, part.run is not None, part.is_last) for part in parts]


def stored(events: list[Event]) -> TraceStore:
    store = open_store()
    store.append(events)
    return store


def test_a_long_run_is_told_as_it_doubles_and_only_what_is_new_is_read_of_it_later() -> None:
    told = long_run(5 * PART + 1)
    store, reading = stored(told.events), RunReading("long")
    doubled = [1, 2, 4]
    assert read(reading, store) == [
        *((place * PART, place in doubled, False) for place in range(1, 6)),
        (5 * PART + 1, True, True),
    ]
    before = reading.events[0]
    assert read(reading, store) == [(5 * PART + 1, False, True)]
    store.append(told.call("maths", "85").events[-2:])
    (last,) = reading.parts(TailSource(store), goes_on=lambda: True)
    assert (last.run, reading.events[0] is before) == (fold(told.events), True)
    assert reading.events == told.events


def test_slices_of_context_are_read_with_the_rest_and_reading_stops_when_nobody_looks() -> None:
    events = next(told for told in story() if told.run_id == "battle").events
    reading = RunReading("battle")
    read(reading, stored(events))
    assert reading.slices == slice_rows(events)
    assert len(reading.slices) == 2
    assert list(RunReading("battle").parts(TailSource(stored(events)), goes_on=lambda: False)) == []


def test_a_run_that_is_not_known_or_not_begun_is_told_so() -> None:
    with pytest.raises(RunNotFoundError, match="'long'"):
        read(RunReading("long"), stored([]))
    events = long_run(5).events
    reading = RunReading("long")
    assert read(reading, stored(events[1:])) == [(len(events) - 1, False, True)]
    assert not reading.is_begun
    assert read(RunReading("r"), stored([start("r")])) == [(1, True, True)]


def test_what_was_read_of_a_long_run_is_let_go_of_in_steps_and_the_collector_does_all_of_its_work_again() -> None:
    before, reading, told = gc.get_threshold(), RunReading("long"), long_run(LONG)
    try:
        read(reading, stored(told.events))
        assert gc.get_threshold() == (*before[:2], NEVER)
        calls = list(range(PART + 1))
        steps = reading.let_go(calls)
        next(steps)
        assert len(reading.events) == len(told.events) - PART
        assert len(list(steps)) == -(-len(told.events) // PART) - 1 + 2
        assert (reading.events, calls, gc.get_threshold()) == ([], [], before)
    finally:
        gc.set_threshold(*before)


def test_the_collector_does_all_of_its_work_again_when_the_last_long_run_is_left_in_whatever_order() -> None:
    before, first, second = gc.get_threshold(), RunReading("first"), RunReading("second")
    for reading in (first, second):
        SPARING.begin(reading)
    first.end()
    assert gc.get_threshold() == (*before[:2], NEVER)
    first.end()
    second.end()
    assert gc.get_threshold() == before


def test_a_long_run_that_is_left_while_a_part_is_read_is_read_no_further_and_keeps_the_collector_from_nothing() -> None:
    before, reading, told = gc.get_threshold(), RunReading("long"), long_run(LONG)

    class Left(TailSource):
        def trace(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> Sequence[Event]:
            part = super().trace(run_id, after=after, limit=limit)
            if after + 1 + PART >= LONG:
                reading.end()
            return part

    counts = [part.count for part in reading.parts(Left(stored(told.events)), goes_on=lambda: True)]
    assert counts[-1] == LONG
    assert gc.get_threshold() == before


class Halting(TailSource):
    """Gives the first part of a run, and more of it once it ``goes_on``."""

    def __init__(self, store: TraceStore) -> None:
        super().__init__(store, recent=0)
        self.goes_on = Signal()

    def trace(self, run_id: str, *, after: int = -1, limit: int | None = None) -> Sequence[Event]:
        assert after < 0 or self.goes_on.wait(20)
        return super().trace(run_id, after=after, limit=limit)


async def test_a_long_run_is_shown_with_how_far_it_is_read_and_then_as_it_grows(tmp_path: Path) -> None:
    told = long_run(PART + 100)
    with open_store(f"sqlite:///{tmp_path / 'watched.db'}") as store:
        store.append(told.events)
        source = Halting(store)
        async with shown(store, source=source, size=LARGE) as (app, pilot):
            app.open_run("long")
            try:
                await reads(pilot, f"long  reading {PART:,} of {len(told.events):,} events ...", "would need")
                assert len(app.screen.query_one("#events", Rows)) == PART
            finally:
                source.goes_on.set()
            await reads(pilot, "long  running")
            store.append(told.end("84", "0.1", "maths").events[-2:])
            await reads(pilot, "long  completed")
            assert len(app.screen.query_one("#events", Rows)) == len(told.events)
            await press(pilot, "escape")
            await reads(pilot, "agentmesh live")


async def test_a_run_that_is_played_is_sent_far_ahead_and_back_in_steps() -> None:
    source = PlayedSource(family_of(long_run(2 * BATCH).events), StandingClock(0.0))
    async with shown(source=source) as (app, pilot):
        await press(pilot, "space", *["right_square_bracket"] * 11)
        place = source.position[0]
        assert place > BATCH
        await until(pilot, lambda: app.watched.board.totals.events == place)
        await until(pilot, lambda: len(app.screen.query_one("#events", Rows)) == place)
        await press(pilot, *["left_square_bracket"] * 9)
        place = source.position[0]
        assert place < BATCH
        await until(pilot, lambda: app.watched.board.totals.events == place)
        await until(pilot, lambda: len(app.screen.query_one("#events", Rows)) == place)
        assert app.watched.board.runs["long"].last_seq == place - 1


class Halted(PlayedSource):
    """Stands still before it reads of a run, and again before it says what it read, until it is let go on."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__(family_of(events), StandingClock(0.0))
        self.halts, self.goes_on = 0, Semaphore(0)

    def trace(self, run_id: str, *, after: int = -1, limit: int | None = None) -> Sequence[Event]:
        self._halt()
        found = super().trace(run_id, after=after, limit=limit)
        self._halt()
        return found

    def _halt(self) -> None:
        self.halts += 1
        assert self.goes_on.acquire(timeout=40)


async def test_a_run_that_is_played_and_sent_back_while_it_is_read_is_shown_no_further_than_it_is_played() -> None:
    source = Halted(long_run(200).events)
    async with shown(source=source) as (app, pilot):
        await until(pilot, lambda: source.halts == 1)
        await press(pilot, "space", *["right_square_bracket"] * 8)
        ahead = source.position[0]
        await until(pilot, lambda: app.watched.board.totals.events == ahead)
        source.goes_on.release()
        await until(pilot, lambda: source.halts == 2)
        await press(pilot, *["left_square_bracket"] * 4)
        place = source.position[0]
        assert 1 < place < ahead
        await until(pilot, lambda: app.watched.board.totals.events == place)
        source.goes_on.release(1000)
        await until(pilot, lambda: len(app.screen.query_one("#events", Rows)) == place)


def test_an_earlier_run_that_is_long_is_taken_in_in_parts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    told_store(url).close()
    told = long_run(2 * BATCH + 100)
    with open_store(url) as store:
        store.append(told.events)
        source = TailSource(store)
        taken = [source.more() for _ in range(4)]
        assert max(map(len, taken)) == BATCH
        assert [len(part) for part in taken[-1:]] == [0]
        events = [event for part in taken for event in part]
        assert [event for event in events if event.run_id == "long"] == told.events
        assert len(events) == len(told.events) + sum(len(one.events) for one in story())
        store.append(sum_asked("later", 50.0).events)
        assert source.more() == sum_asked("later", 50.0).events


async def longest_hold(is_going_on: Callable[[], object]) -> float:
    """Return for how many seconds nothing else was done at most while something went on."""
    held, last = 0.0, monotonic()
    while is_going_on():
        await asyncio.sleep(0.005)
        held, last = max(held, monotonic() - last), monotonic()
    return held


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_run_of_a_hundred_thousand_events_and_a_megabyte_is_opened_walked_through_and_left(
    tmp_path: Path,
) -> None:
    told = long_run(100_000)
    told.call("maths", "\n" * 1_000_000).end("a line of it\n" * 80_000, "0.1", "maths")
    with open_store(f"sqlite:///{tmp_path / 'watched.db'}") as store:
        store.append(told.events)
        async with shown(store, size=LARGE) as (app, pilot):
            app.open_run("long")
            await until(pilot, lambda: app.screen.query("#events") and len(app.screen.query_one("#events", Rows)))
            assert "reading" in text_of(app)
            assert await longest_hold(lambda: len(app.screen.query_one("#events", Rows)) < len(told.events)) < 1.0
            for part in ("Timeline", "Calls", "Answer"):
                await press(pilot, "l")
                await reads(pilot, part)
            await reads(pilot, "long  completed", "a line of it")
            events = app.screen._reading.events
            async with asyncio.TaskGroup() as group:
                hold = group.create_task(longest_hold(lambda: events))
                await press(pilot, "escape")
            assert hold.result() < 0.5
            await reads(pilot, "agentmesh live")
