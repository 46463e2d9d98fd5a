"""A table of any length: what it shows, where its cursor stands, and that only lines in sight are asked for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from agentmesh.tui.cells import Cell, Column, Tone
from agentmesh.tui.themes import THEMES
from agentmesh.tui.widgets.rows import HEADER, Rows
from tests.tui.apps import click, press, settled, until

COLUMNS = (Column("no.", 6, right=True), Column("what", 8, grows=True), Column("more", 10, rank=1))
LINES = 12


class Asked:
    """Makes rows, and remembers which were asked for."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __call__(self, number: int) -> Sequence[Cell]:
        self.numbers.append(number)
        return Cell(str(number)), Cell(f"row {number}", Tone.GOOD), Cell("more")


class TableApp(App[None]):
    """One table, as high as the screen."""

    CSS = "Rows { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        for theme in THEMES:
            self.register_theme(theme)

    def compose(self) -> ComposeResult:
        yield Rows(COLUMNS, id="table", empty="there is nothing", opens=True)

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self.told.append(message.key)


@asynccontextmanager
async def table(length: int, *, width: int = 60) -> AsyncIterator[tuple[Rows, Asked, Pilot]]:
    asked = Asked()
    async with TableApp().run_test(size=(width, LINES)) as pilot:
        rows = pilot.app.query_one(Rows)
        rows.show(keys(length), asked)
        await settled(pilot)
        yield rows, asked, pilot


def keys(length: int, first: int = 0) -> list[str]:
    return [f"k{number}" for number in range(first, first + length)]


def lines(rows: Rows) -> list[str]:
    return [rows.render_line(y).text for y in range(rows.scrollable_content_region.height)]


async def test_an_empty_table_says_so_and_its_keys_do_nothing() -> None:
    async with table(0) as (rows, asked, pilot):
        assert lines(rows)[HEADER].startswith("there is nothing")
        await press(pilot, "j", "k", "G", "g", "pagedown", "pageup", "enter")
        await click(pilot, Rows, (2, 2))
        assert (rows.key, rows.cursor, len(rows), asked.numbers, pilot.app.told) == (None, 0, 0, [], [])


async def test_one_row_is_first_and_last() -> None:
    async with table(1) as (rows, _, pilot):
        await press(pilot, "j", "G", "pagedown", "k", "g")
        assert (rows.key, rows.cursor, pilot.app.told) == ("k0", 0, ["k0"])
        assert "row 0" in lines(rows)[HEADER]
        assert not rows.show_vertical_scrollbar


@pytest.mark.parametrize("width", [20, 21, 40, 79, 80, 160, 300])
async def test_every_line_is_as_wide_as_the_table(width: int) -> None:
    async with table(50, width=width) as (rows, _, _pilot):
        room = rows.scrollable_content_region.width
        assert {rows.render_line(y).cell_length for y in range(LINES)} == {room}
        assert not rows.show_horizontal_scrollbar
        assert ("more" in lines(rows)[0]) == (room >= 26)


async def test_only_lines_in_sight_are_asked_for_however_long_the_table_is() -> None:
    async with table(100_000) as (rows, asked, pilot):
        assert set(asked.numbers) <= set(range(LINES))
        asked.numbers.clear()
        await press(pilot, "G")
        assert set(asked.numbers) - set(range(LINES)) <= set(range(100_000 - LINES, 100_000))
        assert len(asked.numbers) <= 3 * LINES
        assert f"row {99_999}" in lines(rows)[-1]


@pytest.mark.parametrize(("typed", "cursor"), [("pagedown", 10), ("G", 99), ("G pageup", 89), ("j " * 15, 15)])
async def test_the_cursor_stays_in_sight(typed: str, cursor: int) -> None:
    async with table(100) as (rows, _, pilot):
        await press(pilot, *typed.split())
        assert rows.cursor == cursor
        top = rows.scroll_offset.y
        assert top <= cursor < top + rows.scrollable_content_region.height - HEADER


async def test_the_cursor_stays_in_sight_of_a_terminal_that_shrinks_and_grows() -> None:
    async with table(100) as (rows, _, pilot):
        await press(pilot, *"jjjjjjjj")
        for height in (5, 30, 3, 12):
            await pilot.resize_terminal(40, height)
            await settled(pilot)
            top, room = rows.scroll_offset.y, rows.scrollable_content_region.height - HEADER
            assert top <= rows.cursor < top + room
            assert rows.key == "k8"


async def test_a_table_that_gets_shorter_shows_its_end() -> None:
    async with table(100) as (rows, asked, pilot):
        await press(pilot, "G")
        rows.show(keys(30), asked)
        await settled(pilot)
        assert (rows.cursor, rows.key) == (29, "k29")
        assert "row 29" in lines(rows)[-1]
        rows.show(keys(3), asked)
        await settled(pilot)
        assert (rows.cursor, rows.scroll_offset.y, rows.show_vertical_scrollbar) == (2, 0, False)
        rows.show([], asked)
        assert (rows.key, rows.cursor) == (None, 0)


async def test_a_scroll_bar_comes_and_goes_with_the_length_and_tells_it() -> None:
    async with table(3) as (rows, asked, pilot):
        for length in (LINES - HEADER, LINES - HEADER + 1, 500, 600, 2):
            rows.show(keys(length), asked)
            await settled(pilot)
            assert rows.show_vertical_scrollbar == (length + HEADER > LINES)
            assert rows.max_scroll_y == max(length + HEADER - LINES, 0)
            if rows.show_vertical_scrollbar:
                assert rows.vertical_scrollbar.window_virtual_size == length + HEADER


async def test_a_table_that_only_grows_lays_nothing_out_anew() -> None:
    async with table(100) as (rows, asked, pilot):
        laid_out = rows._layout_updates
        for length in (101, 150, 90):
            rows.show(keys(length), asked)
            await settled(pilot)
        assert rows._layout_updates == laid_out
        assert rows.virtual_size.height == 90 + HEADER


async def test_the_cursor_follows_its_row_down_and_keeps_its_place_when_that_goes() -> None:
    async with table(20) as (rows, asked, pilot):
        await press(pilot, "j", "j")
        rows.show([*keys(30, 100), *keys(20)], asked)
        assert (rows.key, rows.cursor) == ("k2", 32)
        rows.show(keys(50, 100), asked)
        await settled(pilot)
        assert (rows.key, rows.cursor) == ("k132", 32)
        assert pilot.app.told[-1] == "k132"


async def test_a_row_that_changed_is_drawn_anew_and_one_that_did_not_is_not() -> None:
    async with table(5) as (rows, asked, _pilot):
        before = rows.render_line(HEADER + 1)
        assert rows.render_line(HEADER + 1) is before
        rows.show(keys(5), lambda number: (*asked(number)[:2], Cell("changed")))
        assert "changed" in rows.render_line(HEADER + 1).text


async def test_another_theme_gives_rows_other_colours() -> None:
    async with table(5) as (rows, _, pilot):
        pilot.app.theme = THEMES[0].name
        await settled(pilot)
        before = rows.render_line(HEADER + 1)
        pilot.app.theme = THEMES[1].name
        await settled(pilot)
        after = rows.render_line(HEADER + 1)
        assert before.text == after.text
        assert [one.style for one in before] != [one.style for one in after]


async def test_clicks_and_the_wheel_move_a_table() -> None:
    async with table(100) as (rows, _, pilot):
        await click(pilot, Rows, (3, 0))
        assert rows.cursor == 0
        await click(pilot, Rows, (3, 4))
        assert rows.cursor == 4 - HEADER
        rows.scroll_to(y=50, animate=False)
        await settled(pilot)
        await click(pilot, Rows, (3, 4))
        assert rows.cursor == 50 + 4 - HEADER


async def test_only_lines_that_changed_are_drawn_again() -> None:
    async with table(8) as (rows, _, pilot):
        drawn: list[int] = []
        render_line = rows.render_line
        rows.render_line = lambda y: drawn.append(y) or render_line(y)  # type: ignore[method-assign]  # to count
        for changed, lines in (("row 2", [2 + HEADER]), ("row 2", []), ("longer", [2 + HEADER])):
            drawn.clear()

            def row(number: int, changed: str = changed) -> Sequence[Cell]:
                text = f"row {number}" if number != 2 else f"{changed}!"
                return Cell(str(number)), Cell(text, Tone.GOOD), Cell("more")

            rows.show(keys(8), row)
            await settled(pilot)
            assert drawn == lines
        drawn.clear()
        rows.show(keys(8, first=5), lambda number: (Cell(""), Cell(f"new {number}"), Cell("")))
        await settled(pilot)
        assert set(drawn) == set(range(LINES))  # nearly all are new, and all are drawn at once


async def test_who_scrolled_away_from_the_cursor_is_left_there() -> None:
    async with table(100) as (rows, asked, pilot):
        rows.scroll_to(y=40, animate=False)
        await until(pilot, lambda: rows.scroll_offset.y == 40)
        rows.show(keys(100), asked)
        await settled(pilot)
        assert (rows.scroll_offset.y, rows.cursor) == (40, 0)
        rows.action_move(1)
        await until(pilot, lambda: rows.scroll_offset.y == 1)
