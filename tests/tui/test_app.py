"""Every screen and every key of the app, by a pilot on a real store."""

import asyncio
from pathlib import Path

import pytest

from agentmesh import Approval, Learning, Mesh, agent, open_store
from agentmesh.errors import StoreError
from agentmesh.records import RunStatus
from agentmesh.store import TraceStore
from agentmesh.tui.app import SCREENS
from agentmesh.tui.sources import MeshSource, PlayedSource
from agentmesh.tui.themes import THEMES
from agentmesh.tui.widgets.rows import Rows
from tests.tui.apps import LARGE, SMALL, shown, text_of, until
from tests.tui.story import StandingClock, sum_asked, told_store

LEADS = {
    "live": "4 ended, 3 under way",
    "runs": "7 runs, all states",
    "agents": "Solves arithmetic and algebra.",
    "routers": "no router is stored yet",
    "compare": "what would this router have done",
    "approvals": "may poetry be called",
}


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_each_screen_is_a_key_away_and_says_what_it_is(size: tuple[int, int]) -> None:
    async with shown(size=size) as (app, pilot):
        for place, name in enumerate(SCREENS, start=1):
            await pilot.press(str(place))
            await until(pilot, lambda name=name: LEADS[name] in text_of(app))
            assert f"agentmesh {name}" in text_of(app)


async def test_the_live_screen_tells_titles_units_and_words() -> None:
    async with shown() as (app, _):
        text = text_of(app)
        for word in ("state", "task", "asked", "score", "margin", "USD", " s", "quality", "cost", "margin: its lead"):
            assert word in text
        assert "What is 12 * 7?" in text
        assert "\x1b" not in text


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        ("j", 1),
        ("j j k", 1),
        ("G", 7),
        ("G g", 0),
        ("down", 1),
        ("end", 7),
        ("end home", 0),
        ("ctrl+d", 7),
        ("pagedown ctrl+u", 0),
    ],
)
async def test_tables_are_walked_by_vim_keys_and_by_arrows(keys: str, row: int) -> None:
    async with shown() as (app, pilot):
        await until(pilot, lambda: len(app.screen.query_one(Rows)) == 8)
        await pilot.press(*keys.split())
        await pilot.pause()
        assert app.screen.query_one(Rows).cursor == row


async def test_a_run_is_opened_walked_through_and_left() -> None:
    async with shown(size=LARGE) as (app, pilot):
        rows = app.screen.query_one(Rows)
        while rows.key != "battle":
            await pilot.press("j")
        await pilot.press("enter")
        await until(pilot, lambda: "would need" in text_of(app))
        assert "drawn to explore" in text_of(app)
        for part, word in (
            ("timeline", "they do not agree"),
            ("calls", "tokens in/out"),
            ("answer", "left out, maths: outvoted"),
            ("context", "names Hastings"),
        ):
            await pilot.press("l")
            await until(pilot, lambda word=word: word in text_of(app))
            assert app.screen.query_one("#parts").active == part
        await pilot.press("h", "left", "right")
        assert app.screen.query_one("#parts").active == "answer"
        await pilot.press("escape")
        assert "agentmesh live" in text_of(app)


async def test_the_answer_of_the_call_under_the_cursor_is_shown_whole() -> None:
    async with shown() as (app, pilot):
        app.open_run("battle")
        await until(pilot, lambda: "would need" in text_of(app))
        await pilot.press("l", "l", "j")
        await until(pilot, lambda: app.screen.query_one("#said").content == "1066")


async def test_the_list_is_held_and_goes_on() -> None:
    store = told_store()
    async with shown(store) as (app, pilot):
        await pilot.press("space")
        store.append(sum_asked("later", 20.0).events)
        await until(pilot, lambda: "5 ended" in text_of(app))
        assert "held" in text_of(app)
        assert len(app.screen.query_one(Rows)) == 8
        await pilot.press("space")
        assert len(app.screen.query_one(Rows)) == 9


async def test_the_cursor_keeps_to_its_run_while_others_come() -> None:
    store = told_store()
    async with shown(store) as (app, pilot):
        await pilot.press("j", "j")
        rows = app.screen.query_one(Rows)
        before = rows.key
        store.append(sum_asked("later", 20.0).events)
        await until(pilot, lambda: len(rows) == 9)
        assert (rows.key, rows.cursor) == (before, 3)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("battle", {"battle"}),
        ("agent:history", {"battle", "flow-facts"}),
        ("id:po", {"poem"}),
        ("reason:nobody knows", {"lottery"}),
    ],
)
async def test_stored_runs_are_searched(typed: str, found: set[str]) -> None:
    async with shown() as (app, pilot):
        await pilot.press("2", "slash")
        app.screen.query_one("#search").value = typed
        await pilot.press("enter")
        rows = app.screen.query_one(Rows)
        await until(pilot, lambda: {rows._keys[place] for place in range(len(rows))} == found)
        await pilot.press("escape")
        await until(pilot, lambda: len(rows) == 7)


async def test_stored_runs_are_filtered_pinned_and_compared() -> None:
    async with shown(size=LARGE) as (app, pilot):
        await pilot.press("2")
        rows = app.screen.query_one(Rows)
        await until(pilot, lambda: len(rows) == 7)
        await pilot.press("s", "s")
        await until(pilot, lambda: "1 runs, waiting" in text_of(app))
        while app.screen._state is not None:
            await pilot.press("s")
        await pilot.press("a")
        await until(pilot, lambda: "8 runs, all states, with runs of stages" in text_of(app))
        await pilot.press("G", "p")
        await until(pilot, lambda: rows._keys[0] == "sum")
        await pilot.press("g", "m", "j", "c")
        await until(pilot, lambda: "they part at" in text_of(app))
        assert "agentmesh compare" in text_of(app)


async def test_comparing_wants_two_runs() -> None:
    async with shown() as (app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: len(app.screen.query_one(Rows)) == 7)
        await pilot.press("c")
        await until(pilot, lambda: "mark one run with m" in text_of(app))


async def test_what_another_router_would_have_done_is_asked_by_enter() -> None:
    async with shown(size=LARGE) as (app, pilot):
        await pilot.press("5", "enter")
        await until(pilot, lambda: "What if" in text_of(app))
        await pilot.press("escape")
        assert "stopped" in text_of(app)


async def test_help_lists_the_keys_of_the_screen_and_the_words() -> None:
    async with shown(size=LARGE) as (app, pilot):
        await pilot.press("2", "question_mark")
        await until(pilot, lambda: "Keys" in text_of(app))
        for word in ("Search", "Pin", "Compare", "best single", "would need"):
            assert word in text_of(app)
        await pilot.press("escape")
        assert "agentmesh runs" in text_of(app)


async def test_themes_take_turns() -> None:
    async with shown() as (app, pilot):
        seen = []
        for _ in THEMES:
            await pilot.press("t")
            seen.append(app.theme)
        assert set(seen) == {theme.name for theme in THEMES}


async def test_the_palette_offers_the_screens() -> None:
    async with shown(size=LARGE) as (app, pilot):
        await pilot.press("ctrl+p")
        await pilot.press(*"approv")
        await until(pilot, lambda: "Approvals" in text_of(app))


async def test_a_row_is_opened_by_two_clicks() -> None:
    async with shown() as (app, pilot):
        rows = app.screen.query_one(Rows)
        await pilot.click(Rows, offset=(5, 3))
        assert rows.cursor == 2
        await pilot.click(Rows, offset=(5, 3), times=2)
        await until(pilot, lambda: "agentmesh run" in text_of(app) and "runs" not in text_of(app).splitlines()[0])


async def test_a_terminal_that_shrinks_says_so_and_goes_on() -> None:
    async with shown() as (app, pilot):
        await pilot.resize_terminal(20, 5)
        await until(pilot, lambda: "too small" in text_of(app))
        await pilot.resize_terminal(*SMALL)
        await until(pilot, lambda: "What is 12 * 7?" in text_of(app))


async def test_scores_and_answers_are_written_into_a_database_that_is_watched(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    told_store(url).close()
    with open_store(url, read_only=True) as store:
        async with shown(store, size=LARGE) as (app, pilot):
            app.open_run("asking")
            await until(pilot, lambda: "What is 6 * 9?" in text_of(app))
            await pilot.press("plus")
            await until(pilot, lambda: "not finished" in text_of(app) or "has not" in text_of(app))
            await pilot.press("escape", "6")
            await until(pilot, lambda: "may poetry be called" in text_of(app))
            await pilot.press("e")
            app.screen.query_one("#instead").value = "A poem on tin"
            await pilot.press("enter")
            await until(pilot, lambda: store.run("poem").status is not RunStatus.WAITING)
            assert "agentmesh runs resume poem" in text_of(app)
            await until(pilot, lambda: "nothing waits for a person" in text_of(app))


@agent(description="Solves arithmetic.", price_per_call_usd="0.001")
async def maths(task):
    return "84"


async def test_a_mesh_in_this_process_goes_on_when_it_is_approved_here() -> None:
    store = open_store()
    source = MeshSource(store)
    rule = Approval(agents=frozenset({"maths"}))
    mesh = Mesh([maths], store=store, learning=Learning(mode="off"), listeners=[source], approvals=[rule])
    async with mesh, shown(store, source=source, mesh=mesh, size=LARGE) as (app, pilot):
        first, second = await asyncio.gather(mesh.run("What is 12 * 7?"), mesh.run("What is 6 * 9?"))
        await pilot.press("6")
        await until(pilot, lambda: "may maths be called" in text_of(app))
        await pilot.press("a")
        await until(pilot, lambda: sum(store.run(run.id).status == "completed" for run in (first, second)) == 1)
        await until(pilot, lambda: len(app.screen.query_one(Rows)) == 1)
        await pilot.press("r")
        await until(pilot, lambda: all(store.run(run.id).status.has_ended for run in (first, second)))
        done = next(run.id for run in (first, second) if store.run(run.id).status == "completed")
        await pilot.press("1")
        app.open_run(done)
        await until(pilot, lambda: "would need" in text_of(app))
        await pilot.press("plus")
        await until(pilot, lambda: app.watched.board.totals.worth.count == 1)


async def test_a_run_that_is_played_is_steered_by_keys() -> None:
    clock = StandingClock(0.0)
    source = PlayedSource(sum_asked().events, clock)
    async with shown(source=source) as (app, pilot):
        await until(pilot, lambda: "What is 12 * 7?" in text_of(app) and "plays x1" in text_of(app))
        assert "agentmesh run" in text_of(app)  # there is nothing else to look at
        await pilot.press("space")
        assert source.paused
        await until(pilot, lambda: "paused x1" in text_of(app))
        await pilot.press("escape", "space", "space")
        assert source.paused
        await pilot.press("full_stop", "full_stop")
        await until(pilot, lambda: app.watched.board.totals.events == 3)
        await pilot.press("greater_than_sign", "greater_than_sign", "less_than_sign")
        assert source.speed == 2.0
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: source.position[0] == 4)
        await pilot.press("left_square_bracket", "left_square_bracket")
        assert app.watched.board.totals.events == 2
        assert "event 2 of 7" in app.watched.source.label
        await pilot.press("space")
        clock.at = 99.0
        await until(pilot, lambda: source.is_over)
        await until(pilot, lambda: "1 ended" in text_of(app))


class Failing:
    """A source that fails, then works again."""

    label, is_over = "flaky", False

    def __init__(self, store: TraceStore) -> None:
        self.asked, self._store = 0, store

    def more(self):
        self.asked += 1
        if self.asked == 1:
            raise StoreError("the file is gone")
        return self._store.events("sum") if self.asked == 2 else []

    def trace(self, run_id):
        return self._store.events(run_id)


async def test_a_source_that_fails_is_told_and_tried_again() -> None:
    store = told_store()
    async with shown(store, source=Failing(store), size=LARGE) as (app, pilot):
        await until(pilot, lambda: "the file is gone" in text_of(app))
        await until(pilot, lambda: "What is 12 * 7?" in text_of(app))


async def test_a_run_that_was_deleted_meanwhile_is_told() -> None:
    async with shown() as (app, pilot):
        app.open_run("never")
        await until(pilot, lambda: "never" in text_of(app) and "reading" not in text_of(app))


async def test_copying_and_paging_take_the_run_as_it_is() -> None:
    async with shown() as (app, pilot):
        app.open_run("sum")
        await until(pilot, lambda: "would need" in text_of(app))
        await pilot.press("y")
        assert app.clipboard == "84"
        await pilot.press("escape")
        app.open_run("asking")
        await until(pilot, lambda: "would need" in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: "there is no answer yet" in text_of(app))


async def test_q_quits() -> None:
    async with shown() as (app, pilot):
        await pilot.press("q")
        await pilot.pause()
        assert not app.is_running or app._exit
