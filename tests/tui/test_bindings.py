"""No key without a proof that it works: all bindings, as the app declares them, are driven here or in a test named."""

import ast
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

from textual.app import App
from textual.binding import Binding
from textual.events import MouseScrollDown, MouseScrollUp
from textual.screen import Screen
from textual.widgets import TabbedContent

import agentmesh.tui
from agentmesh import Learning, Mesh, agent, open_store
from agentmesh.records import RunStatus
from agentmesh.tui.app import SCREENS, WatchApp
from agentmesh.tui.screens.help import HelpScreen
from agentmesh.tui.screens.run import RunScreen
from agentmesh.tui.widgets.rows import Rows
from tests.tui.apps import click, press, reads, shown, text_of, until
from tests.tui.story import sum_asked, told_store

Key = tuple[str, str]
"""The name of the class that binds a key, and the key."""

Step = tuple[str, str, Callable[[WatchApp], object]]
"""A key, and what is so after it was pressed; the class is "" where it is only typed."""

WALKED = "test_app.test_tables_are_walked_by_vim_keys_and_by_arrows"
OPENED = "test_app.test_a_run_is_opened_walked_through_and_left"
STEERED = "test_app.test_a_run_that_is_played_is_steered_by_keys"
WRITTEN = "test_app.test_scores_and_answers_are_written_into_a_database_that_is_watched"
ANSWERED = "test_app.test_a_mesh_in_this_process_goes_on_when_it_is_approved_here"
FILTERED = "test_app.test_stored_runs_are_filtered_pinned_and_compared"
HELPED = "test_app.test_help_palette_and_themes_are_keys_away"
TURNED = "test_routers.test_the_parts_of_a_router_are_keys_away_and_fit_80_columns"
STEPPED = "test_routers.test_the_history_of_a_router_is_walked_by_keys_with_what_changed"
QUIT = "test_app.test_a_key_quits_from_every_screen"

MOVING = ("j", "down", "k", "up", "ctrl+d", "pagedown", "ctrl+u", "pageup", "g", "home", "G", "end")
STEERING = (
    "space", "full_stop", "less_than_sign", "greater_than_sign", "left_square_bracket", "right_square_bracket",
)  # fmt: skip
ELSEWHERE: dict[str, dict[str, str]] = {
    "Rows": {**dict.fromkeys(MOVING, WALKED), "enter": OPENED},
    "SteeredApp": dict.fromkeys(STEERING, STEERED),
    "WatchApp": {"t": HELPED, "q": QUIT},
    "App": {"ctrl+q": QUIT, "ctrl+c": QUIT, "ctrl+p": HELPED},
    "LiveScreen": {"space": "test_app.test_the_list_is_held_and_goes_on_and_its_cursor_keeps_to_its_run"},
    "RunScreen": dict.fromkeys(("escape", "l", "right", "h", "left"), OPENED)
    | dict.fromkeys(("plus", "minus", "y"), WRITTEN)
    | {"o": "test_terminal.test_a_run_is_shown_in_the_pager_of_the_user_and_the_app_comes_back"},
    "RoutersScreen": dict.fromkeys(("l", "right", "h", "left", "J", "K"), TURNED) | dict.fromkeys("pn", STEPPED),
    "RunsScreen": dict.fromkeys("sapmc", FILTERED),
    "CompareScreen": {"escape": "test_app.test_what_another_router_would_have_done_is_asked_by_enter"},
    "ApprovalsScreen": {"a": ANSWERED, "r": ANSWERED, "e": WRITTEN, "escape": WRITTEN},
    "SmallScreen": {"q": "test_app.test_a_terminal_that_shrinks_says_so_and_goes_on"},
}
HERE = {*(("RunsScreen", key) for key in ("plus", "minus", "r")), ("RoutersScreen", "r"), ("Screen", "super+c")}
"""Keys that a test below drives by itself."""


def rows(app: WatchApp) -> Rows:
    return app.screen.query_one(Rows)


def scrolled(lines: int) -> Callable[[WatchApp], bool]:
    return lambda app: app.screen.query_one("#help").scroll_y == lines


def titled(name: str) -> Callable[[WatchApp], bool]:
    return lambda app: f"agentmesh {name}" in text_of(app) and not isinstance(app.screen, HelpScreen)


def has_search(app: WatchApp) -> bool:
    return app.focused is app.screen.query_one("#search")


def helps(app: WatchApp) -> bool:
    return isinstance(app.screen, HelpScreen) and "This screen" in text_of(app)


TOUR: tuple[Step, ...] = (
    ("LiveScreen", "y", lambda app: app.clipboard == rows(app).key == "asking"),
    ("LiveScreen", "slash", has_search),
    *(("", letter, has_search) for letter in "BATTL"),
    ("", "E", lambda app: list(rows(app)._keys) == ["battle"]),
    ("", "x", lambda app: "no run in sight fits" in text_of(app)),
    ("", "backspace", lambda app: rows(app).key == "battle"),
    ("Field", "enter", lambda app: rows(app).has_focus and len(rows(app)) == 1),
    ("LiveScreen", "escape", lambda app: len(rows(app)) == 8 and not app.screen.query_one("#search").display),
    ("WatchApp", "question_mark", helps),
    ("HelpScreen", "j", scrolled(1)),
    ("HelpScreen", "down", scrolled(2)),
    ("HelpScreen", "k", scrolled(1)),
    ("HelpScreen", "up", scrolled(0)),
    ("HelpScreen", "q", titled("live")),
    ("", "enter", lambda app: isinstance(app.screen, RunScreen)),
    ("", "question_mark", lambda app: helps(app) and "Pager" in text_of(app)),
    ("HelpScreen", "question_mark", lambda app: isinstance(app.screen, RunScreen)),
    ("RunScreen", "backspace", titled("live")),
    *(("WatchApp", str(place), titled(name)) for place, name in enumerate(SCREENS, start=1)),
    ("", "3", titled("agents")),
    ("Screen", "tab", lambda app: not rows(app).has_focus),
    ("Screen", "shift+tab", lambda app: rows(app).has_focus),
    ("", "question_mark", helps),
    ("HelpScreen", "escape", titled("agents")),
    ("", "2", lambda app: titled("runs")(app) and len(rows(app)) == 7),
    ("RunsScreen", "y", lambda app: app.clipboard == rows(app).key == "asking"),
    ("RunsScreen", "slash", has_search),
    ("RunsScreen", "escape", lambda app: rows(app).has_focus and not app.screen.query_one("#search").display),
    ("", "j", lambda app: rows(app).cursor == 1),  # the list is read anew by itself only while the cursor is above it
)


def declared() -> Iterator[Key]:
    """Return all keys that classes of the watcher bind, and those of Textual that every app and screen has."""
    modules = [import_module(one.name) for one in pkgutil.walk_packages(agentmesh.tui.__path__, "agentmesh.tui.")]
    found = {kind for module in modules for kind in vars(module).values() if inspect.isclass(kind)}
    own = {kind for kind in found if kind.__module__.startswith("agentmesh.tui.")}
    for kind in {*own, App, Screen}:
        for binding in kind.__dict__.get("BINDINGS", ()):
            keys = binding.key if isinstance(binding, Binding) else binding[0]
            yield from ((kind.__name__, key) for key in keys.split(","))
    yield "App", App.COMMAND_PALETTE_BINDING


def test_every_binding_is_driven_by_a_test() -> None:
    named = {(owner, key) for owner, keys in ELSEWHERE.items() for key in keys}
    toured = {(owner, key) for owner, key, _ in TOUR if owner}
    same = {("Screen", "ctrl+c")}  # copies what is selected, as super+c does
    assert named | toured | HERE | same == set(declared())
    assert not named & (toured | HERE)


@cache
def written(module: str, name: str) -> str:
    """Return how a test is written, decorators included."""
    text = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    found = (one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    test = next(one for one in found if one.name == name)
    begin = min([test.lineno, *(one.lineno for one in test.decorator_list)])
    return "\n".join(text.splitlines()[begin - 1 : test.end_lineno])


def test_the_tests_that_are_named_press_the_keys() -> None:
    for keys in ELSEWHERE.values():
        for key, place in keys.items():
            source = written(*place.split("."))
            assert re.search(rf"[\"' ]{re.escape(key)}[\"' ]", source), (place, key)


async def test_keys_do_what_they_say_on_every_screen() -> None:
    store = told_store()
    async with shown(store) as (app, pilot):
        for owner, key, is_so in TOUR:
            await press(pilot, key)
            try:
                await until(pilot, lambda is_so=is_so: is_so(app))
            except AssertionError as error:
                raise AssertionError(f"{key} of {owner or 'what is typed'}: {error}") from error
        store.append(sum_asked("later", 20.0).events)
        await press(pilot, "r")
        await until(pilot, lambda: len(rows(app)) == 8)


async def test_stored_runs_are_scored_from_their_list(tmp_path: Path) -> None:
    with told_store(f"sqlite:///{tmp_path / 'watched.db'}") as store:
        for place, run_id in enumerate(("bad", "good")):
            store.append(sum_asked(run_id, 20.0 + place).events)
        async with shown(store) as (app, pilot):
            await press(pilot, "2")
            await until(pilot, lambda: rows(app).key == "good")
            await press(pilot, "plus")
            await until(pilot, lambda: store.events("good")[-1].kind == "feedback_given")
            await press(pilot, "j", "minus")
            await until(pilot, lambda: store.events("bad")[-1].kind == "feedback_given")
        assert [store.events(run_id)[-1].feedback.score for run_id in ("good", "bad")] == [1.0, 0.0]


@agent(description="Solves arithmetic.", price_per_call_usd="0.001")
async def maths(task):
    return "84"


async def test_routers_are_read_again_by_r() -> None:
    with open_store() as store:
        async with shown(store) as (_, pilot):
            await press(pilot, "4")
            await reads(pilot, "no router yet")
            async with Mesh([maths], router="pheromone", store=store, learning=Learning(mode="loop")) as mesh:
                run = await mesh.run("What is 12 * 7?")
                await mesh.feedback(run.id, 1.0)
                assert run.status is RunStatus.COMPLETED
            await press(pilot, "r")
            await reads(pilot, "pheromone")


async def test_the_mouse_scrolls_picks_and_opens_and_what_it_selects_is_copied() -> None:
    store = told_store()
    for number in range(40):
        store.append(sum_asked(f"more-{number:02}", 20.0 + number).events)
    async with shown(store) as (app, pilot):
        table = rows(app)
        await until(pilot, lambda: table.allow_vertical_scroll)
        for event, top in ((MouseScrollDown, True), (MouseScrollUp, False)):
            for _ in range(4):
                table.post_message(event(table, 5, 5, 0, 1, 0, False, False, False))
            await until(pilot, lambda top=top: (table.scroll_offset.y > 3) == top)
        await click(pilot, Rows, (5, 4))
        assert (table.cursor, app.focused) == (3, table)
        app.screen.query_one("#totals").text_select_all()
        await press(pilot, "super+c")
        await until(pilot, lambda: "44 ended" in app.clipboard)
        await click(pilot, Rows, (5, 4), times=2)
        await reads(pilot, "would need")
        await click(pilot, "#--content-tab-calls")
        await until(pilot, lambda: app.screen.query_one(TabbedContent).active == "calls")
