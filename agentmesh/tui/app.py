"""The app: it reads its source in a worker, folds what comes into the board, and has the screen in front drawn."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from threading import Event as Signal
from typing import Any, ClassVar, Final

import click
from textual import work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen

from agentmesh.errors import AgentMeshError, StoreError
from agentmesh.tui.messages import Arrived, SourceFailed
from agentmesh.tui.screens.agents import AgentsScreen
from agentmesh.tui.screens.approvals import ApprovalsScreen
from agentmesh.tui.screens.board_screen import BoardScreen
from agentmesh.tui.screens.compare import CompareScreen
from agentmesh.tui.screens.help import HelpScreen
from agentmesh.tui.screens.live import LiveScreen
from agentmesh.tui.screens.routers import RoutersScreen
from agentmesh.tui.screens.run import RunScreen
from agentmesh.tui.screens.runs import RunsScreen
from agentmesh.tui.screens.small import LEAST, SmallScreen
from agentmesh.tui.steering import SteeredApp
from agentmesh.tui.themes import THEMES, theme_named
from agentmesh.tui.watching import Watched, given_answer, given_score
from agentmesh.types import AgentId, RunId

POLL_S: Final = 0.1
"""How long the source rests between two questions."""

DRAW_S: Final = 0.125
"""How often the screen in front is drawn at most, in seconds: as often as a reader can follow."""

RETRY_S: Final = 1.0
"""How long a source that failed is left alone."""


SCREENS: Final[dict[str, Callable[[], Screen[Any]]]] = {
    "live": LiveScreen,
    "runs": RunsScreen,
    "agents": AgentsScreen,
    "routers": RoutersScreen,
    "compare": CompareScreen,
    "approvals": ApprovalsScreen,
}
"""The screens, in the order of the keys that show them."""

SCREEN_KEYS: Final = Binding.Group("Screens", compact=True)


class WatchApp(SteeredApp):
    """Watches runs: who was considered, who was chosen and why, what it cost, and what came of it."""

    CSS_PATH = "app.tcss"
    TITLE = "agentmesh"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (40, "-narrow"), (110, "-wide")]  # noqa: RUF012 - so declared by Textual
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (12, "-low"), (20, "-tall")]  # noqa: RUF012 - as above
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = dict(SCREENS)
    DEFAULT_MODE = "live"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", key_display="?"),
        *(
            Binding(str(place), f"show('{name}')", name.capitalize(), group=SCREEN_KEYS)
            for place, name in enumerate(SCREENS, start=1)
        ),
        Binding("t", "next_theme", "Theme", show=False),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, watched: Watched, *, theme: str | None = None) -> None:
        super().__init__(watched)
        self._folded = Signal()  # set when what the worker sent was folded: it waits, so that a flood cannot pile up
        self._stale = True
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme_named(theme or THEMES[0].name).name

    def on_mount(self) -> None:
        """Begin to read, and to draw."""
        with suppress(NotImplementedError, RuntimeError):  # Windows has no such signal; a thread may not listen to it
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.set_interval(DRAW_S, self._draw)
        self._read()
        if self.played is not None and len(self.played.run_ids) == 1:  # there is nothing else to look at
            self.call_after_refresh(self.open_run, self.played.run_ids[0])

    def on_resize(self, event: Resize) -> None:
        """Say so where the terminal has become too small to show anything, until it is larger again."""
        is_small = event.size.width < LEAST.width or event.size.height < LEAST.height
        if is_small and not isinstance(self.screen, SmallScreen):
            self.push_screen(SmallScreen())
        elif not is_small and isinstance(self.screen, SmallScreen):
            self.pop_screen()

    def on_arrived(self, message: Arrived) -> None:
        """Fold what came into the board."""
        self.watched.board.take(message.events)
        self._folded.set()
        self._stale = True

    def on_source_failed(self, message: SourceFailed) -> None:
        """Say why nothing comes."""
        self.notify(message.reason, title="The source cannot be read; trying again", severity="error", timeout=RETRY_S)

    def open_run(self, run_id: str) -> None:
        """Show one run by itself."""
        self.push_screen(RunScreen(run_id))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer the screens in the palette, beside what every app offers."""
        yield from super().get_system_commands(screen)
        for name in SCREENS:
            yield SystemCommand(name.capitalize(), f"Show the screen {name}", partial(self.action_show, name))

    async def compare(self, first: RunId, second: RunId) -> None:
        """Show where two runs parted."""
        await self.action_show("compare")
        if isinstance(self.screen, CompareScreen):
            self.screen.compare(first, second)

    def page(self, text: str) -> None:
        """Show a text in $PAGER, and come back."""
        with self.suspend():
            click.echo_via_pager(text)

    @work(group="writing")
    async def score(self, run_id: RunId, worth: float) -> None:
        """Say what an answer was worth."""
        await self._written(given_score(self.watched, run_id, worth))

    @work(group="writing")
    async def answer(self, run_id: RunId, agent_id: AgentId, verdict: str, text: str | None) -> None:
        """Say whether a call may be made."""
        await self._written(given_answer(self.watched, run_id, agent_id, verdict, text))

    async def action_show(self, name: str) -> None:
        """Show one of the screens, without what lies above it."""
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        await self.switch_mode(name)

    def action_help(self) -> None:
        """Show what the keys do, and what the words mean."""
        self.push_screen(HelpScreen(self.screen))

    def action_next_theme(self) -> None:
        """Take the next theme."""
        names = [theme.name for theme in THEMES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]

    def draw_soon(self) -> None:
        """Have the screen in front drawn again, though nothing came."""
        self._stale = True

    async def _written(self, writing: Coroutine[Any, Any, str]) -> None:
        try:
            self.notify(await writing)
        except AgentMeshError as error:
            self.notify(str(error), severity="error")

    def _draw(self) -> None:
        self.sub_title = self.watched.source.label
        if not self._stale and not self.watched.board.totals.under_way:  # what is under way gets older, and shows it
            return
        self._stale = False
        if isinstance(self.screen, BoardScreen):
            self.screen.draw()

    @work(thread=True, exclusive=True, group="source")
    def _read(self) -> None:
        """Ask the source for events again and again, until the app ends."""
        while self.is_running:
            self._folded.clear()
            try:
                events = self.watched.source.more()
            except StoreError as error:
                self.post_message(SourceFailed(str(error)))
                self._folded.wait(RETRY_S)
                continue
            if events:
                self.post_message(Arrived(events))
                self._folded.wait(RETRY_S)
            else:
                self._folded.wait(POLL_S)
