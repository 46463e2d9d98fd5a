"""Compare: where two runs parted, and what another router would have done."""

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Header

from agentmesh.errors import AgentMeshError
from agentmesh.plugins import names as installed
from agentmesh.tui import late
from agentmesh.tui.board import Board
from agentmesh.tui.cells import Cell, Column
from agentmesh.tui.comparing import diff_lines, whatif_lines
from agentmesh.tui.messages import Compared
from agentmesh.tui.run_presenters import shown
from agentmesh.tui.screens.board_screen import BoardScreen, while_shown
from agentmesh.tui.widgets.key_bar import KeyBar
from agentmesh.tui.widgets.passage import Passage
from agentmesh.tui.widgets.rows import Rows
from agentmesh.types import RunId

NEWEST = 2000
"""Stored tasks that are decided again: enough for an estimate, and done in seconds."""


class CompareScreen(BoardScreen):
    """The routers that can be asked what they would have done, and the last comparison."""

    TITLE = "agentmesh compare"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "stop", "Stop", show=False)]

    def compose(self) -> ComposeResult:
        """Lay out routers and result."""
        yield Header()
        with Horizontal():
            yield Rows((Column("what if", 14, grows=True),), id="routers", opens=True)
            with VerticalScroll(id="result"):
                yield Passage(
                    "Enter: what would this router have done on the newest stored tasks?\n"
                    "Two runs are compared from the list of runs: m marks one, c compares it with another.",
                    id="compared",
                )
        yield KeyBar()

    def on_mount(self) -> None:
        """List the routers."""
        names = installed("agentmesh.routers")
        self.query_one(Rows).show(names, lambda number: (Cell(names[number]),))
        self.query_one(Rows).focus()

    def show_board(self, board: Board, now: float) -> None:
        """Leave the result as it is."""

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Ask what a router would have done."""
        self.query_one("#compared", Passage).update(f"{message.key} decides the newest {NEWEST} stored tasks again ...")
        self._ask(message.key)

    @while_shown
    def on_compared(self, message: Compared) -> None:
        """Show what came of it."""
        self.query_one("#compared", Passage).update(shown("\n".join([message.title, "", *message.lines])))

    def compare(self, first: RunId, second: RunId) -> None:
        """Say where two runs parted."""
        self._compare(first, second)

    def action_stop(self) -> None:
        """Wait no longer."""
        self.workers.cancel_group(self, "compare")
        self.query_one("#compared", Passage).update("stopped")

    @work(thread=True, exclusive=True, group="compare")
    def _ask(self, router: str) -> None:
        """Decide stored tasks again."""
        try:
            found = asyncio.run(late.whatif(self.watched.store, router, limit=NEWEST))
        except AgentMeshError as error:
            self.post_message(Compared(f"What if {router}?", [str(error)]))
        else:
            self.post_message(Compared(f"What if {router}?", whatif_lines(found)))

    @work(thread=True, exclusive=True, group="compare")
    def _compare(self, first: RunId, second: RunId) -> None:
        """Compare two runs."""
        try:
            lines = diff_lines(late.diff(self.watched.store, first, second))
        except AgentMeshError as error:
            lines = [str(error)]
        self.post_message(Compared("Where two runs parted", lines))
