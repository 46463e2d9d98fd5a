"""The line of keys: what it names, what it leaves away, and what a click on it presses."""

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import Input

from agentmesh.tui.widgets.key_bar import KeyBar
from tests.tui.apps import click, press, settled, shown

TURN = Binding.Group("Turn")


class KeyedApp(App[None]):
    """A screen with a field, and keys of its own."""

    BINDINGS = [  # noqa: RUF012 - so declared by Textual
        Binding("a,b", "note('a')", "Add"),
        Binding("l", "note('l')", "Left", group=TURN),
        Binding("r", "note('r')", "Right", group=TURN),
        Binding("h", "note('h')", "Hidden", show=False),
        Binding("n", "never", "Never"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.noted = ""

    def compose(self) -> ComposeResult:
        yield Input()
        yield KeyBar()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        return action != "never"

    def action_note(self, key: str) -> None:
        self.noted += key


async def line(pilot: Pilot[None]) -> str:
    await settled(pilot)
    return str(pilot.app.screen.query_one(KeyBar).render())


async def test_it_names_what_can_be_pressed_and_presses_what_is_clicked() -> None:
    app = KeyedApp()
    async with app.run_test(size=(60, 5)) as pilot:
        app.screen.set_focus(None)
        shown = await line(pilot)
        assert shown == " a Add  lr Turn "  # one is hidden, and one can never be pressed
        for at in ("Add", "lr", "r Turn"):
            await click(pilot, KeyBar, (shown.index(at), 0))
        await click(pilot, KeyBar, (shown.index("Turn"), 0))  # no key: two of them turn
        await click(pilot, KeyBar, (59, 0))
        assert app.noted == "alr"


async def test_it_names_no_key_that_would_be_typed_into_a_field() -> None:
    app = KeyedApp()
    async with app.run_test(size=(60, 5)) as pilot:
        app.screen.set_focus(None)
        assert "Add" in await line(pilot)
        app.query_one(Input).focus()
        assert await line(pilot) == ""


async def test_a_search_says_how_it_ends_and_nothing_else() -> None:
    async with shown() as (_, pilot):
        for screen in ("1", "2"):
            await press(pilot, screen)
            assert "Clear" not in await line(pilot)
            await press(pilot, "slash")
            assert (await line(pilot)).split() == ["⏎", "Done", "esc", "Clear"]
            await press(pilot, "o", "enter")
            assert "Open" in (found := await line(pilot))
            assert "Clear" in found
            await press(pilot, "escape")
            assert "Clear" not in await line(pilot)
