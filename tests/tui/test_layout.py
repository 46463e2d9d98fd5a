"""The app opens as it was left: colours, screen, search and filter; a file that is spoiled changes nothing."""

from pathlib import Path

import pytest

from agentmesh.records import RunStatus
from agentmesh.tui.app import WatchApp
from agentmesh.tui.layout import LARGEST, Layout, layout_path, read_layout, write_layout
from agentmesh.tui.screens.runs import RunsScreen
from agentmesh.tui.sources import PlayedSource, TailSource
from agentmesh.tui.watching import Watched
from agentmesh.tui.widgets.rows import Rows
from tests.tui.apps import SMALL, press, reads, text_of, until
from tests.tui.story import StandingClock, family_of, sum_asked, told_store

LEFT = Layout(theme="mesh-light", screen="runs", find="poem", search="o", state=RunStatus.WAITING, stages=True)


async def test_the_app_opens_as_it_was_left() -> None:
    store = told_store()
    app = WatchApp(Watched(TailSource(store), store, clock=StandingClock()))
    async with app.run_test(size=SMALL) as pilot:
        await reads(pilot, "agentmesh live", "What is 12 * 7?")
        await press(pilot, "slash")
        app.screen.query_one("#search").value = "poem"
        await press(pilot, "enter", "2")
        await reads(pilot, "7 runs, all states")
        await press(pilot, "s", "s", "a", "slash", "o", "enter", "t")
        await reads(pilot, "1 runs, waiting, search 'o', with runs of stages")
    assert app.layout == LEFT
    app = WatchApp(Watched(TailSource(store), store, clock=StandingClock()), layout=LEFT)
    async with app.run_test(size=SMALL) as pilot:
        await reads(pilot, "agentmesh runs", "1 runs, waiting, search 'o', with runs of stages")
        assert app.screen.query_one("#search").display
        assert app.theme == "mesh-light"
        await press(pilot, "escape", "1")
        await until(pilot, lambda: len(app.screen.query_one(Rows)) == 1)
        assert app.screen.query_one("#search").value == "poem"
        await press(pilot, "escape")
        await reads(pilot, "What is 12 * 7?")
    assert (app.layout.find, app.layout.search, app.layout.screen) == ("", "", "live")


async def test_what_was_asked_for_wins_over_what_was_left() -> None:
    store = told_store()
    source = PlayedSource(family_of(sum_asked().events), StandingClock(0.0))
    app = WatchApp(Watched(source, store, clock=StandingClock()), theme="mesh-contrast", layout=LEFT)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: "agentmesh run" in text_of(app) and "plays x1" in text_of(app))
        assert app.theme == "mesh-contrast"
        assert not isinstance(app.screen, RunsScreen)
    assert app.layout == LEFT.model_copy(update={"theme": "mesh-contrast"})


async def test_without_a_terminal_of_its_own_the_app_says_that_there_is_no_pager() -> None:
    store = told_store()
    app = WatchApp(Watched(TailSource(store), store, clock=StandingClock()))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        app.page("all of a run")
        await reads(pilot, "there is no pager here")
    assert app.failure is None


async def test_a_layout_that_names_what_is_unknown_opens_the_app_as_new() -> None:
    store = told_store()
    app = WatchApp(Watched(TailSource(store), store), layout=Layout(theme="pink", screen="attic"))
    async with app.run_test(size=SMALL) as pilot:
        await reads(pilot, "agentmesh live")
        assert app.theme == "mesh-dark"


def test_a_layout_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "watch.json"
    for layout in (LEFT, Layout()):
        write_layout(path, layout)
        assert read_layout(path) == layout
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\x00",
        b'{"screen": 3}',
        b'{"state": "lost"}',
        b'{"of": 1}',
        b'{"find": "' + b"a" * LARGEST,
    ],
)
def test_a_file_that_holds_no_layout_is_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "watch.json"
    path.write_bytes(content)
    assert read_layout(path) == read_layout(tmp_path / "missing") == Layout()


def test_what_cannot_be_written_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    write_layout(tmp_path / "file" / "watch.json", LEFT)  # a folder where a file is
    (tmp_path / "watch.json").mkdir()
    write_layout(tmp_path / "watch.json", LEFT)  # a file where a folder is
    write_layout(tmp_path / "other.json", Layout(find="\ud800"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "watch.json"]
    assert read_layout(tmp_path / "watch.json") == Layout()


def test_the_file_lies_where_the_platform_keeps_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert layout_path() == tmp_path / "agentmesh" / "watch.json"
