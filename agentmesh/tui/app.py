"""The app: it reads its source in a worker, folds what comes into the board, and has the screen in front drawn."""

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from threading import Event as Signal
from time import monotonic, thread_time
from typing import Any, ClassVar, Final

import click
from textual import work
from textual.app import SuspendNotSupported, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import WorkerFailed

from agentmesh.display import escape, escape_line
from agentmesh.errors import AgentMeshError, StoreError
from agentmesh.tui.layout import Layout
from agentmesh.tui.leaving import ended_from_outside
from agentmesh.tui.messages import Arrived, SourceFailed
from agentmesh.tui.pacing import AGE_S, DRAW_S, Pace
from agentmesh.tui.roll import RollCallingApp
from agentmesh.tui.screens.agents import AgentsScreen
from agentmesh.tui.screens.approvals import ApprovalsScreen
from agentmesh.tui.screens.board_screen import BoardScreen
from agentmesh.tui.screens.compare import CompareScreen
from agentmesh.tui.screens.help import HelpScreen
from agentmesh.tui.screens.live import LiveScreen
from agentmesh.tui.screens.routers import RoutersScreen
from agentmesh.tui.screens.run import RunScreen
from agentmesh.tui.screens.runs import RunsScreen
from agentmesh.tui.terminal import columns_kept
from agentmesh.tui.themes import THEMES, known_theme, theme_named
from agentmesh.tui.watching import Watched, given_answer, given_score
from agentmesh.types import AgentId, RunId

POLL_S: Final = 0.25
"""How long the source rests between two questions."""

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


class WatchApp(RollCallingApp):
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

    def __init__(
        self,
        watched: Watched,
        *,
        theme: str | None = None,
        layout: Layout | None = None,
        settled: Callable[[], object] = lambda: None,
    ) -> None:
        self._settled = settled  # called once the first screen stands
        self.layout = layout or Layout()
        """How the app was left the last time, and in the end how it was left this time."""
        if self.layout.screen in SCREENS:
            self.DEFAULT_MODE = self.layout.screen  # type: ignore[misc]  # Textual reads it once, as an app is made
        super().__init__(watched)
        self._folded = Signal()  # set when what the worker sent was folded: it waits, so that a flood cannot pile up
        self._stale = True
        self._pace = Pace()
        self.animation_level = "none"  # what moves here tells something, and a terminal may be far away
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme_named(theme).name if theme else known_theme(self.layout.theme, self.available_themes)

    async def run_async(self, **options: Any) -> None:
        """Run until the app is left, by a key, by a signal to end, or with its terminal."""
        with columns_kept(), ended_from_outside(self.exit):
            await super().run_async(**options)

    def on_mount(self) -> None:
        """Begin to read, and to draw."""
        self.set_interval(DRAW_S, self._draw)
        self.set_interval(AGE_S, self.draw_soon)
        self._read()
        if self.played is not None and len(self.played.run_ids) == 1:  # there is nothing else to look at
            self.call_after_refresh(self.open_run, self.played.run_ids[0])

    def on_ready(self) -> None:
        """Say that the first screen stands."""
        self._settled()

    def on_unmount(self) -> None:
        """Have the worker see at once that the app has ended."""
        self._folded.set()
        self.remember(theme=self.theme)

    @property
    def failure(self) -> Exception | None:
        """Return the error that ended the app, ``None`` where it was left."""
        found = self._exception.error if isinstance(self._exception, WorkerFailed) else self._exception
        return found if isinstance(found, Exception) else None

    def on_arrived(self, message: Arrived) -> None:
        """Fold what came into the board."""
        board = self.watched.board
        if not board.runs:
            self._pace = Pace()  # whoever opened the app waits for these: what opening took does not count against them
        if self.played is None or not self.played.is_outdated:
            board.take(message.events)
        self._folded.set()
        self._stale = True

    def on_source_failed(self, message: SourceFailed) -> None:
        """Say why nothing comes."""
        self._tell(
            message.reason, title="The source cannot be read; trying again", is_bad=True, timeout=message.again_s
        )

    def remember(self, **changed: object) -> None:
        """Keep in mind what the next start is to begin with."""
        self.layout = self.layout.model_copy(update=changed)

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
        """Show a text in $PAGER, and come back; a browser has none."""
        try:
            with self.suspend():
                click.echo_via_pager(text)
        except SuspendNotSupported:
            self._tell("there is no pager here; in a terminal there is", is_bad=True)

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
            self.pop_screen()  # not awaited: the key may have been pressed on the very screen that goes
        await self.switch_mode(name)
        self.remember(screen=name)

    def action_help_quit(self) -> None:
        """Quit by Ctrl-C, too, as other programs do; where text is selected, it copies that before it comes here."""
        self.exit()

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
            self._tell(await writing)
        except AgentMeshError as error:
            self._tell(str(error), is_bad=True)

    def _tell(self, text: str, *, title: str = "", is_bad: bool = False, timeout: float | None = None) -> None:
        """Say something in a corner; it may hold the words of a stranger."""
        self.notify(
            escape(text), title=title, severity="error" if is_bad else "information", timeout=timeout, markup=False
        )

    def _fatal_error(self) -> None:
        """End without the traceback that would print every value at hand; whoever ran the app tells its ``failure``."""
        self._close_messages_no_wait()

    def _draw(self) -> None:
        if not self.screen_stack:  # the app is being left
            return
        self.sub_title = escape_line(self.watched.source.label)
        if self._stale and self._pace.is_time(monotonic(), thread_time()):
            self._stale = False
            self._fit()
            if isinstance(self.screen, BoardScreen):
                self.screen.draw()

    @work(thread=True, exclusive=True, group="source")
    def _read(self) -> None:
        """Ask the source for events again and again, until the app ends."""
        while self.is_running:
            self._folded.clear()
            asked_at = monotonic()
            try:
                events = self.watched.source.more()
            except StoreError as error:
                self.post_message(SourceFailed(str(error), again_s=monotonic() - asked_at + RETRY_S))
                self._folded.wait(RETRY_S)
                continue
            if events:
                self.post_message(Arrived(events))
                while not self._folded.wait(RETRY_S) and self.is_running:
                    pass
            else:
                self._folded.wait(POLL_S)
