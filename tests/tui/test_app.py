"""Every screen and every key of the app, by a pilot on a real store."""

import asyncio
from pathlib import Path
from threading import Event

import pytest

from agentmesh import Approval, Learning, Mesh, agent, open_store
from agentmesh.errors import StoreError
from agentmesh.records import RunStatus, RunSummary
from agentmesh.store import MemoryStore, RunFilter, TraceStore
from agentmesh.tui.app import SCREENS, WatchApp
from agentmesh.tui.messages import WaitingRead
from agentmesh.tui.pages import PAGE
from agentmesh.tui.sources import MeshSource, PlayedSource
from agentmesh.tui.themes import THEMES
from agentmesh.tui.watching import Watched
from agentmesh.tui.widgets.rows import Rows
from tests.tui.apps import LARGE, SMALL, click, press, reads, settled, shown, text_of, until
from tests.tui.story import StandingClock, family_of, sum_asked, told_store

LEADS = {
    "live": "4 ended, 3 under way",
    "runs": "7 runs, all states",
    "agents": "Solves arithmetic and algebra.",
    "routers": "no router yet",
    "compare": "what would this router have done",
    "approvals": "may poetry be called",
}


async def test_each_screen_is_a_key_away_and_says_what_it_is() -> None:
    async with shown() as (app, pilot):
        for word in ("state", "task", "asked", "score", "USD", " s", "quality", "cost", "margin: its lead"):
            assert word in text_of(app)
        assert "What is 12 * 7?" in text_of(app)
        assert "newest 50.7 s ago" in text_of(app)
        for place, name in enumerate(SCREENS, start=1):
            await press(pilot, str(place))
            await reads(pilot, f"agentmesh {name}", LEADS[name])


async def test_tables_are_walked_by_vim_keys_and_by_arrows() -> None:
    async with shown() as (app, pilot):
        rows = app.screen.query_one(Rows)
        for keys, row in (
            ("j j k", 1), ("G", 7), ("g", 0), ("down down up", 1), ("end", 7), ("home", 0), ("ctrl+d", 7),
            ("ctrl+u", 0), ("pagedown", 7), ("pageup", 0),
        ):  # fmt: skip
            await press(pilot, *keys.split())
            await until(pilot, lambda row=row: rows.cursor == row)
        await click(pilot, Rows, (5, 3))
        assert rows.cursor == 2
        await click(pilot, Rows, (5, 3), times=2)
        await reads(pilot, "agentmesh run —")


async def test_a_run_is_opened_walked_through_and_left() -> None:
    async with shown(size=LARGE) as (app, pilot):
        rows = app.screen.query_one(Rows)
        rows.action_move([*rows._keys].index("battle"))
        await press(pilot, "enter")
        await reads(pilot, "would need", "drawn to explore")
        for part, words in (
            ("timeline", ("they do not agree",)),
            ("calls", ("tokens in/out", "1067")),
            ("answer", ("left out, maths: outvoted", "by history")),
            ("context", ("names Hastings",)),
        ):
            await press(pilot, "l")
            await reads(pilot, *words)
            assert app.screen.query_one("#parts").active == part
        await press(pilot, "h", "left", "right")
        assert app.screen.query_one("#parts").active == "answer"
        await press(pilot, "h", "j")
        await until(pilot, lambda: app.screen.query_one("#said").content == "1066")
        await press(pilot, "escape")
        await reads(pilot, "agentmesh live")
        app.open_run("never")
        await until(pilot, lambda: "never" in text_of(app) and "reading" not in text_of(app))
        await press(pilot, "1")  # a screen may be asked for on one that lies above another
        await reads(pilot, "agentmesh live")


async def test_the_list_is_held_and_goes_on_and_its_cursor_keeps_to_its_run() -> None:
    store = told_store()
    async with shown(store) as (app, pilot):
        rows = app.screen.query_one(Rows)
        await press(pilot, "j", "j", "space")
        before = rows.key
        store.append(sum_asked("later", 20.0).events)
        await reads(pilot, "5 ended", "held")
        assert len(rows) == 8
        await press(pilot, "space")
        await until(pilot, lambda: len(rows) == 9)
        assert (rows.key, rows.cursor) == (before, 3)


async def test_stored_runs_are_searched() -> None:
    async with shown() as (app, pilot):
        await press(pilot, "2")
        rows = app.screen.query_one(Rows)
        for typed, found in (
            ("battle", {"battle"}),
            ("agent:history", {"battle", "flow-facts"}),
            ("id:po", {"poem"}),
            ("reason:nobody knows", {"lottery"}),
        ):
            await press(pilot, "slash")
            app.screen.query_one("#search").value = typed
            await press(pilot, "enter")
            await until(pilot, lambda found=found: {rows._keys[place] for place in range(len(rows))} == found)
        await press(pilot, "escape")
        await until(pilot, lambda: len(rows) == 7)
        await press(pilot, "enter")
        await reads(pilot, "agentmesh run —", "What is 6 * 9?")


class GatedStore(MemoryStore):
    """Counts runs, and lists those of a search, only while its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.counted, self.searched = Event(), list[RunFilter | None](), list[str]()
        self.append([event for number in range(PAGE + 5) for event in sum_asked(f"r{number:03}", number).events])

    def count_runs(self, where: RunFilter | None = None) -> int:
        self.counted.append(where)
        self.gate.wait(60)
        return super().count_runs(where)

    def runs(self, where: RunFilter | None = None, *, limit: int = 50, offset: int = 0) -> list[RunSummary]:
        if where is not None and where.text is not None:
            self.searched.append(where.text)
            self.gate.wait(60)
        return super().runs(where, limit=limit, offset=offset)


async def test_the_first_page_of_a_list_is_shown_before_the_list_is_counted() -> None:
    store = GatedStore()
    async with shown(store, size=LARGE) as (app, pilot):
        await press(pilot, "2")
        await reads(pilot, "counting ..., all states", "What is 12 * 7?")
        rows = app.screen.query_one(Rows)
        await press(pilot, "G")
        assert (len(rows), rows.key) == (PAGE, "r005")
        store.gate.set()
        await reads(pilot, "105 runs, all states")
        assert (len(rows), rows.key) == (PAGE + 5, "r005")
        await press(pilot, "G")
        await until(pilot, lambda: rows.key == "r000")
        await press(pilot, "s", "s")
        await reads(pilot, " 0 runs, waiting")


async def test_a_list_that_nobody_waits_for_any_more_is_neither_counted_nor_shown() -> None:
    store = GatedStore()
    async with shown(store) as (app, pilot):
        store.gate.set()
        await press(pilot, "2")
        await reads(pilot, "105 runs")
        store.gate.clear()
        await press(pilot, "slash")
        app.screen.query_one("#search").value = "12 * 7"
        await press(pilot, "enter")
        await reads(pilot, "reading ..., all states, search '12 * 7'")
        await press(pilot, "escape")
        await until(pilot, lambda: len(store.counted) == 2)
        store.gate.set()
        await reads(pilot, "105 runs, all states")
        await until(pilot, lambda: not any(one.group == "pages" for one in app.workers))
        assert [one.text for one in store.counted] == [None, None]


async def test_what_a_search_finds_that_was_replaced_meanwhile_is_dropped() -> None:
    store = GatedStore()
    async with shown(store) as (app, pilot):
        store.gate.set()
        await press(pilot, "2")
        await reads(pilot, "105 runs")
        store.gate.clear()
        for typed in ("12 * 7", "id:r001"):  # the first one waits at the gate, the second one does not
            await press(pilot, "slash")
            app.screen.query_one("#search").value = typed
            await press(pilot, "enter")
        await reads(pilot, "1 runs, all states, search 'id:r001'")
        store.gate.set()
        await until(pilot, lambda: not any(one.group == "pages" for one in app.workers))
        await reads(pilot, "1 runs, all states, search 'id:r001'")
        assert app.screen.query_one(Rows)._keys[:9] == ["r001"]


async def test_stored_runs_are_searched_as_letters_are_typed() -> None:
    async with shown() as (app, pilot):
        await press(pilot, "2")
        await reads(pilot, "7 runs, all states")
        rows, field = app.screen.query_one(Rows), app.screen.query_one("#search")
        await press(pilot, "slash")
        for letter, told in (("b", "search 'b'"), ("a", "1 runs, all states, search 'ba'"), ("x", " 0 runs, all")):
            await press(pilot, letter)
            await reads(pilot, told)
        await press(pilot, "backspace")
        await reads(pilot, "1 runs, all states, search 'ba'")
        assert (field.has_focus, rows._keys[0]) == (True, "battle")
        await press(pilot, "enter")
        await until(pilot, lambda: rows.has_focus)
        assert field.display
        await press(pilot, "slash", "backspace", "backspace")
        await reads(pilot, "7 runs, all states")
        await press(pilot, "enter")
        await until(pilot, lambda: rows.has_focus and not field.display)


@pytest.mark.parametrize("named", ["agent:", "reason: ", "id:"])
async def test_a_search_that_does_not_say_yet_of_which_asks_for_all(named: str) -> None:
    async with shown() as (app, pilot):
        await press(pilot, "2", "slash")
        app.screen.query_one("#search").value = named
        await reads(pilot, f"7 runs, all states, search {named.strip()!r}")


async def test_while_searches_are_slow_two_are_under_way_and_the_last_is_next() -> None:
    store = GatedStore()
    async with shown(store) as (app, pilot):
        await press(pilot, "2")
        store.gate.set()
        await reads(pilot, "105 runs")
        store.gate.clear()
        store.searched.clear()
        await press(pilot, "slash", "1")
        await until(pilot, lambda: store.searched == ["1"])
        await press(pilot, "2")
        await until(pilot, lambda: store.searched == ["1", "12"])
        await press(pilot, *" * 7")
        await reads(pilot, "reading ..., all states, search '12 * 7'")
        assert store.searched == ["1", "12"]
        store.gate.set()
        await reads(pilot, "105 runs, all states, search '12 * 7'")
        await until(pilot, lambda: not any(one.group == "pages" for one in app.workers))
        assert store.searched == ["1", "12", "12 * 7"]


async def test_the_list_is_read_anew_as_events_come_and_left_alone_while_none_do() -> None:
    store = told_store()
    async with shown(store) as (app, pilot):
        await press(pilot, "2")
        await reads(pilot, "7 runs")
        asked = app.screen._asked
        app.screen._follow()
        assert app.screen._asked == asked
        store.append(sum_asked("later", 20.0).events)
        await until(pilot, lambda: "later" in app.watched.board.runs)
        app.screen._follow()
        await reads(pilot, "8 runs")


async def test_stored_runs_are_filtered_pinned_and_compared() -> None:
    async with shown(size=LARGE) as (app, pilot):
        await press(pilot, "2")
        rows = app.screen.query_one(Rows)
        await until(pilot, lambda: len(rows) == 7)
        await press(pilot, "c")
        await reads(pilot, "mark one run with m")
        await press(pilot, "s", "s")
        await reads(pilot, "1 runs, waiting")
        while app.screen._state is not None:
            await press(pilot, "s")
        await press(pilot, "a")
        await reads(pilot, "8 runs, all states, with runs of stages")
        await press(pilot, "G", "p")
        await until(pilot, lambda: rows._keys[0] == "sum" and len(rows) == 9)
        await press(pilot, "g", "m")
        await until(pilot, lambda: app.screen._marked == "sum")
        await press(pilot, "j", "c")
        await reads(pilot, "agentmesh compare", "they part at")
        await press(pilot, "2", "g", "p")
        await until(pilot, lambda: len(rows) == 8)


async def test_what_another_router_would_have_done_is_asked_by_enter() -> None:
    async with shown(size=LARGE) as (app, pilot):
        await press(pilot, "5", "enter")
        await until(pilot, lambda: "What if" in text_of(app))
        await press(pilot, "escape")
        await reads(pilot, "stopped")


async def test_help_palette_and_themes_are_keys_away() -> None:
    async with shown(size=LARGE) as (app, pilot):
        await press(pilot, "2", "question_mark")
        await reads(pilot, "Keys", "Search", "Pin", "Compare")
        await press(pilot, "end")
        await reads(pilot, "best single", "would need")
        await press(pilot, "escape")
        await reads(pilot, "agentmesh runs")
        seen = []
        for _ in THEMES:
            await press(pilot, "t")
            seen.append(app.theme)
        assert set(seen) == {theme.name for theme in THEMES}
        await press(pilot, "ctrl+p", *"approv")
        await reads(pilot, "Show the screen approvals")
        await press(pilot, "enter")
        await reads(pilot, LEADS["approvals"])


async def test_a_terminal_that_shrinks_says_so_and_goes_on() -> None:
    async with shown() as (app, pilot):
        await pilot.resize_terminal(20, 5)
        await reads(pilot, "too small")
        await pilot.resize_terminal(*SMALL)
        await reads(pilot, "What is 12 * 7?")
        await pilot.resize_terminal(20, 5)
        await reads(pilot, "too small")
        await press(pilot, "q")
        await until(pilot, lambda: app._exit)


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_a_key_quits_from_every_screen(key: str) -> None:
    async with shown() as (app, pilot):
        await press(pilot, "4", key)
        await until(pilot, lambda: app._exit)
    assert (app.return_code, app.failure) == (0, None)


async def test_an_error_inside_the_app_ends_it_and_is_kept_for_who_ran_it(capsys) -> None:
    store = told_store()
    app = WatchApp(Watched(Failing(store, ValueError("no such thing")), store, clock=StandingClock()))
    with pytest.raises(Exception, match="no such thing"):
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.failure)
    assert app.return_code == 1
    assert capsys.readouterr() == ("", "")  # no traceback with all the values at hand


async def test_scores_and_answers_are_written_into_a_database_that_is_watched(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    told_store(url).close()
    with open_store(url, read_only=True) as store:
        async with shown(store, size=LARGE) as (app, pilot):
            app.open_run("asking")
            await reads(pilot, "What is 6 * 9?", "would need")
            await press(pilot, "plus")
            await reads(pilot, "run 'asking' in")
            await press(pilot, "y")
            await reads(pilot, "there is no answer yet")
            await press(pilot, "escape")
            app.open_run("flow-facts")
            await reads(pilot, "part of flow", "would need")
            await press(pilot, "y", "minus")
            assert app.clipboard == "Many."
            await reads(pilot, "scored 0; it counts for history")
            await press(pilot, "6")
            await reads(pilot, "may poetry be called")
            await press(pilot, "e", "escape", "e")
            app.screen.query_one("#instead").value = "A poem on tin"
            await press(pilot, "enter")
            await until(pilot, lambda: store.run("poem").status is not RunStatus.WAITING)
            await reads(pilot, "agentmesh runs resume poem")
            await reads(pilot, "nothing waits for a person")


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
        await press(pilot, "6")
        await reads(pilot, "may maths be called")
        await until(pilot, lambda: len(app.screen.query_one(Rows)) == 2)
        await press(pilot, "a")
        await until(pilot, lambda: sum(store.run(run.id).status == "completed" for run in (first, second)) == 1)
        await until(pilot, lambda: len(app.screen.query_one(Rows)) == 1)
        await press(pilot, "r")
        await until(pilot, lambda: all(store.run(run.id).status.has_ended for run in (first, second)))
        done = next(run.id for run in (first, second) if store.run(run.id).status == "completed")
        app.open_run(done)
        await reads(pilot, "would need")
        await press(pilot, "plus")
        await until(pilot, lambda: store.events(done)[-1].kind == "feedback_given")


async def test_a_list_of_what_waits_that_was_asked_for_earlier_is_not_shown_after_a_later_one() -> None:
    async with shown() as (app, pilot):
        await press(pilot, "6")
        await reads(pilot, "may poetry be called")
        app.screen.post_message(WaitingRead(0, []))
        await settled(pilot)
        assert len(app.screen.query_one(Rows)) == 1


async def test_a_run_that_is_played_is_steered_by_keys() -> None:
    clock = StandingClock(0.0)
    source = PlayedSource(family_of(sum_asked().events), clock)
    async with shown(source=source) as (app, pilot):
        # there is nothing else to look at
        await until(pilot, lambda: "agentmesh run" in text_of(app) and "plays x1" in text_of(app))
        await press(pilot, "space")
        assert source.paused
        await until(pilot, lambda: "paused x1" in text_of(app))
        await press(pilot, "escape", "space", "space")
        assert source.paused
        await press(pilot, "full_stop", "full_stop")
        await until(pilot, lambda: app.watched.board.totals.events == 3)
        await press(pilot, "greater_than_sign", "greater_than_sign", "less_than_sign")
        assert source.speed == 2.0
        await press(pilot, "right_square_bracket")
        await until(pilot, lambda: source.position[0] == 4)
        await press(pilot, "left_square_bracket", "left_square_bracket")
        await until(pilot, lambda: app.watched.board.totals.events == 2)
        assert "event 2 of 7" in app.watched.source.label
        await press(pilot, "space")
        clock.at = 99.0
        await reads(pilot, "1 ended")
        assert source.is_over


class Failing:
    """A source that fails, then works again."""

    label, is_over = "flaky", False

    def __init__(self, store: TraceStore, error: Exception) -> None:
        self.asked, self._store, self._error = 0, store, error

    def more(self):
        self.asked += 1
        if self.asked == 1:
            raise self._error
        return self._store.events("sum") if self.asked == 2 else []

    def trace(self, run_id, **part):
        return self._store.events(run_id, **part)


async def test_a_source_that_fails_is_told_and_tried_again() -> None:
    store = told_store()
    hostile = StoreError("the file [/red] is gone \x1b[2J")
    app = WatchApp(Watched(Failing(store, hostile), store, clock=StandingClock()))
    async with app.run_test(size=LARGE, notifications=True) as pilot:
        await reads(pilot, r"the file [/red] is gone \x1b[2J")
        await reads(pilot, "What is 12 * 7?")
