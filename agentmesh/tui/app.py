"""The app: it reads its source in a worker, folds what comes into the board, and has the screen in front drawn."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from threading import Event as Signal
from typing import Any, ClassVar, Final

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from agentmesh.errors import StoreError
from agentmesh.tui.messages import Arrived, SourceFailed
from agentmesh.tui.screens.board_screen import BoardScreen
from agentmesh.tui.screens.help import HelpScreen
from agentmesh.tui.screens.live import LiveScreen
from agentmesh.tui.screens.run import RunScreen
from agentmesh.tui.themes import THEMES
from agentmesh.tui.watching import Watched

POLL_S: Final = 0.1
"""How long the source rests between two questions."""

DRAW_S: Final = 0.125
"""How often the screen in front is drawn at most, in seconds: as often as a reader can follow."""

RETRY_S: Final = 1.0
"""How long a source that failed is left alone."""


class WatchApp(App[None]):
    """Watches runs: who was considered, who was chosen and why, what it cost, and what came of it."""

    CSS_PATH = "app.tcss"
    TITLE = "agentmesh"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (40, "-narrow"), (110, "-wide")]  # noqa: RUF012 - so declared by Textual
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (12, "-low"), (20, "-tall")]  # noqa: RUF012 - as above
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {"live": LiveScreen}
    DEFAULT_MODE = "live"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "switch_mode('live')", "Live"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("t", "next_theme", "Theme", show=False),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, watched: Watched, *, theme: str | None = None) -> None:
        super().__init__()
        self.watched = watched
        self._folded = Signal()  # set when what the worker sent was folded: it waits, so that a flood cannot pile up
        self._stale = True
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme or THEMES[0].name

    def on_mount(self) -> None:
        """Begin to read, and to draw."""
        with suppress(NotImplementedError, RuntimeError):  # Windows has no such signal; a thread may not listen to it
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.set_interval(DRAW_S, self._draw)
        self._read()

    def on_arrived(self, message: Arrived) -> None:
        """Fold what came into the board."""
        self.watched.board.take(message.events)
        self._folded.set()
        self._stale = True
        self.sub_title = self.watched.source.label

    def on_source_failed(self, message: SourceFailed) -> None:
        """Say why nothing comes."""
        self.notify(message.reason, title="The source cannot be read; trying again", severity="error", timeout=RETRY_S)

    def open_run(self, run_id: str) -> None:
        """Show one run by itself."""
        self.push_screen(RunScreen(run_id))

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

    def _draw(self) -> None:
        board, now = self.watched.board, self.watched.clock.now()
        if not self._stale and not board.totals.under_way:  # what is under way gets older, and shows it
            return
        self._stale = False
        if isinstance(self.screen, BoardScreen):
            self.screen.show_board(board, now)

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
