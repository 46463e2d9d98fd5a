"""Live: the runs as they flow by, the newest first, and what they all came to."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Header, Static

from agentmesh.tui.board import Board
from agentmesh.tui.presenters import LEGEND, LIVE, live_row, totals_lines
from agentmesh.tui.screens.board_screen import BoardScreen
from agentmesh.tui.sources import PlayedSource
from agentmesh.tui.widgets.rows import Rows
from agentmesh.tui.widgets.words import Words


class LiveScreen(BoardScreen):
    """The runs under way and the newest that ended."""

    TITLE = "agentmesh live"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "hold", "Hold")]

    def __init__(self) -> None:
        super().__init__()
        self._held = False

    def compose(self) -> ComposeResult:
        """Lay out totals, table and legend."""
        yield Header()
        yield Words(id="totals", fixed=True)
        yield Rows(LIVE, id="runs", empty="no runs yet: they show up here as soon as a mesh writes them")
        yield Static("\n".join(LEGEND), id="legend", markup=False)
        yield Footer()

    def show_board(self, board: Board, now: float) -> None:
        """Show totals and runs; while the list is held only the totals move on."""
        held = "   [held: space goes on]" if self._held else ""
        first, second = totals_lines(board, now)
        self.query_one("#totals", Words).show(f"{first}{held}\n{second}")
        if not self._held:
            runs = list(reversed(board.runs.values()))  # the board may forget some before they are drawn again
            self.query_one(Rows).show([run.id for run in runs], lambda number: live_row(runs[number], now))

    def action_hold(self) -> None:
        """Hold the list still, or let it go on; a run that is played stops with it."""
        self._held = not self._held
        if isinstance(self.watched.source, PlayedSource):
            self.watched.source.pause(self._held)
        self.draw()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show the run that was chosen."""
        self.app.open_run(message.key)  # type: ignore[attr-defined]  # as in BoardScreen
