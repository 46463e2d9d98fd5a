"""A flood of events: none is lost, none piles up, and what the watcher holds stays as small as it was."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentmesh.events import Event
from agentmesh.store import open_store
from agentmesh.testing.flood import Flood
from agentmesh.tui.app import SCREENS
from agentmesh.tui.board import KEPT, Board
from agentmesh.tui.sources import BATCH, TailSource
from agentmesh.tui.widgets.rows import Rows
from tests.tui.apps import LARGE, press, shown, text_of, until
from tests.tui.story import BEGUN, sum_asked

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tui.py"
MODELS = [sum_asked().score(1.0).events]
LIVE = 60


class Pouring:
    """Gives a flood as fast as it is asked for, once ``is_open``, and notes how much of it was not folded by then."""

    label, is_over = "a flood", False

    def __init__(self, events: int, *, at_once: int) -> None:
        self.flood, self.board, self.behind = Flood(MODELS, live=LIVE), Board(), list[int]()
        self._left, self._at_once, self.is_open = events, at_once, False

    def more(self) -> Sequence[Event]:
        self.behind.append(self.flood.told - self.board.totals.events)
        count = min(self._left, self._at_once) if self.is_open or not self.flood.told else 0
        self._left -= count
        return self.flood.take(count, BEGUN + self.flood.told / 1000)

    def trace(self, run_id: str, **_: object) -> Sequence[Event]:
        raise NotImplementedError(run_id)


async def test_a_flood_is_counted_whole_and_never_piles_up() -> None:
    source = Pouring(12_000, at_once=BATCH)
    async with shown(open_store(), source=source, board=source.board) as (app, pilot):
        source.is_open = True
        await until(pilot, lambda: source.board.totals.events == 12_000)
        totals = source.board.totals
        assert set(source.behind) == {0}
        assert (totals.ended.total(), totals.under_way) == (source.flood.ended, 0)
        assert totals.worth.count == source.flood.ended
        await until(pilot, lambda: "1500 ended, 0 under way" in text_of(app))


async def test_every_screen_outlives_a_flood_and_a_list_that_is_held_too() -> None:
    source = Pouring(3_000, at_once=400)
    async with shown(open_store(), source=source, board=source.board, size=LARGE) as (app, pilot):
        await press(pilot, "space")
        held = app.screen.query_one(Rows).key
        source.is_open = True
        await until(pilot, lambda: held not in source.board.runs)  # what is held is on the screen all the same
        await press(pilot, "j", "G", "k", "g")
        assert app.screen.query_one(Rows).key == held
        await press(pilot, "space", "j")
        for place in range(1, len(SCREENS) + 1):
            await press(pilot, str(place))
        assert app.is_running


def test_what_a_board_holds_does_not_grow_with_what_it_saw() -> None:
    flood, board = Flood(MODELS, live=LIVE), Board()
    for _ in range(20):
        board.take(flood.take(1000, BEGUN + flood.told / 1000))
    assert board.totals.ended.total() == flood.ended > 5 * KEPT
    assert len(board.runs) <= KEPT + LIVE
    assert len(board.totals.ends) <= 12_000 / len(MODELS[0])


def test_a_flood_that_another_process_writes_is_followed_to_its_end(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'flood.db'}"
    flood, board = Flood(MODELS, live=LIVE), Board()
    with open_store(url) as writer, open_store(url, read_only=True) as store:
        source = TailSource(store)
        for count in (1, 50, BATCH + 700, 3):
            writer.append(flood.take(count, BEGUN))
            while events := source.more():
                assert len(events) <= BATCH
                board.take(events)
    assert (board.totals.events, board.totals.ended.total()) == (flood.told, flood.ended)


def test_a_flood_tells_whole_runs_each_in_its_order() -> None:
    events = Flood(MODELS, live=3).take(100, BEGUN)
    runs = {event.run_id: [one.seq for one in events if one.run_id == event.run_id] for event in events}
    assert all(seqs == list(range(len(seqs))) for seqs in runs.values())
    assert max(map(len, runs.values())) == len(MODELS[0])
    assert {event.task.text for event in events if event.kind == "run_started"} == {
        f"What is 12 * 7? ({run_id})" for run_id in runs
    }


@pytest.mark.soak
@pytest.mark.timeout(500)
@pytest.mark.parametrize("source", ["mesh", "tail"])
def test_five_minutes_of_a_thousand_events_a_second_lose_nothing_and_fill_no_memory(source: str) -> None:
    command = [sys.executable, SCRIPT, "--seconds", "300", "--source", source, "--json"]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (figures["events"], figures["lost"]) == (300_000, 0)
    assert figures["mb_at_end"] < figures["mb_at_10_s"] + 50
