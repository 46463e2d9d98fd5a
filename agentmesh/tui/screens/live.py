"""Live: the runs as they flow by, the newest first, and what they all came to."""

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Header, Input, Static

from agentmesh.tui.board import Board
from agentmesh.tui.finding import fits
from agentmesh.tui.presenters import LEGEND, LIVE, live_row, totals_lines
from agentmesh.tui.screens.board_screen import BoardScreen
from agentmesh.tui.sources import PlayedSource
from agentmesh.tui.widgets.field import Field
from agentmesh.tui.widgets.key_bar import KeyBar
from agentmesh.tui.widgets.play_bar import PlayBar
from agentmesh.tui.widgets.rows import Rows
from agentmesh.tui.widgets.words import Words

WELCOME: Final = "Runs, newest first. Enter: who was considered, and why this one. ?: help."
"""Said above the runs where nothing else is, within 80 columns."""

HELD: Final = "The list is held, the totals move on; space lets it go on."
EMPTY: Final = "no runs yet: 'agentmesh run TASK' or any mesh on this database makes some"


class LiveScreen(BoardScreen):
    """The runs under way and the newest that ended."""

    TITLE = "agentmesh live"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "hold", "Hold"),
        Binding("slash", "find", "Find", key_display="/"),
        Binding("escape", "clear", "Clear"),
        Binding("y", "copy", "Copy id", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._held = False
        self._wanted = ""

    def compose(self) -> ComposeResult:
        """Lay out what is said, totals, table and legend."""
        yield Header()
        yield Static(id="note", markup=False)
        yield Words(id="totals", fixed=True)
        yield Field(placeholder="text of the task, agent or id; or agent:NAME, id:PART", id="search")
        yield Rows(LIVE, id="runs", empty=EMPTY, opens=True)
        yield Static("\n".join(LEGEND), id="legend", markup=False)
        yield PlayBar()
        yield KeyBar()

    def on_mount(self) -> None:
        """Leave the field away until it is asked for, or was left with something in it."""
        field = self.query_one("#search", Field)
        field.value = self._wanted = self.layout_left.find
        field.display = bool(self._wanted)
        self.query_one(Rows).focus()

    def show_board(self, board: Board, now: float) -> None:
        """Show totals and runs; while the list is held only the totals move on."""
        self.query_one("#note", Static).update(HELD if self._held else self.watched.note or WELCOME)
        self.query_one("#totals", Words).show("\n".join(totals_lines(board, now)))
        if not self._held:
            self._show_runs(board, now)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Show the runs that fit what is typed."""
        self._wanted = message.value.strip()
        self.remember(find=self._wanted)
        self._show_runs(self.watched.board, self.watched.clock.now())

    def on_input_submitted(self) -> None:
        """Go from the field to what it found."""
        self.leave_field()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show the run that was chosen."""
        self.app.open_run(message.key)  # type: ignore[attr-defined]  # as in BoardScreen

    def action_hold(self) -> None:
        """Hold the list still, or let it go on; a run that is played stops instead."""
        if isinstance(self.watched.source, PlayedSource):
            self.app.action_pause()  # type: ignore[attr-defined]  # as in BoardScreen
            return
        self._held = not self._held
        self.draw()

    def action_find(self) -> None:
        """Let a search be typed."""
        self.enter_field()

    def action_copy(self) -> None:
        """Copy the id of the run under the cursor."""
        self.copy_id(self.query_one(Rows).key)

    def _show_runs(self, board: Board, now: float) -> None:
        # a list of its own: the board lets go of runs while the table still shows them
        found = [run for run in reversed(board.runs.values()) if not self._wanted or fits(run, self._wanted)]
        self.query_one(Rows).empty = EMPTY if not self._wanted else "no run in sight fits; 2 searches the stored ones"
        self.query_one(Rows).show([run.id for run in found], lambda number: live_row(found[number], now))
