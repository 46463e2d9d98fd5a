"""Approvals: what waits for a person, and the keys to answer it."""

from collections.abc import Sequence
from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Header, Input

from agentmesh.display import escape_line
from agentmesh.errors import AgentMeshError
from agentmesh.records import Run, RunStatus
from agentmesh.store.base import RunFilter
from agentmesh.tui.board import Board
from agentmesh.tui.messages import WaitingRead
from agentmesh.tui.presenters import WAITING, request_text, waiting_rows
from agentmesh.tui.screens.board_screen import BoardScreen, while_shown
from agentmesh.tui.widgets.field import Field
from agentmesh.tui.widgets.key_bar import KeyBar
from agentmesh.tui.widgets.passage import Passage
from agentmesh.tui.widgets.rows import Rows

MOST = 500
"""Waiting runs that are read: the newest."""

REREAD_S: Final = 1.0
"""How often they are read."""

LONGEST_EDITED: Final = 2000
"""Characters of a request that can be edited here: a line is laid out anew at each key."""


class ApprovalsScreen(BoardScreen):
    """The calls that wait for a person."""

    TITLE = "agentmesh approvals"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "answer('approve')", "Approve"),
        Binding("r", "answer('reject')", "Reject"),
        Binding("e", "edit", "Edit and approve"),
        Binding("escape", "clear", "Clear"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._runs: Sequence[Run] = ()
        self._asked = self._shown = 0  # the number of the list that was asked for last, and of that which is shown
        self._offered = ""  # what the field began with: where that is left as it is, so is what is asked

    def compose(self) -> ComposeResult:
        """Lay out table, request and field."""
        yield Header()
        yield Rows(WAITING, id="waiting", empty="nothing waits for a person")
        with VerticalScroll(classes="text"):
            yield Passage(id="request")
        yield Field(placeholder="what the agent is asked instead; enter approves it", id="instead")
        yield KeyBar()

    def on_mount(self) -> None:
        """Read what waits, now and every second."""
        self.query_one("#instead").display = False
        self.query_one(Rows).focus()
        self.set_interval(REREAD_S, self.reread)

    def on_screen_resume(self) -> None:
        """Read what waits at once when the screen comes to the front."""
        self.reread()

    def show_board(self, board: Board, now: float) -> None:
        """Show nothing of it: the list is read from the store."""

    def reread(self) -> None:
        """Read what waits, while the screen is in front."""
        if self.is_current:
            self._asked += 1
            self._read(self._asked)

    @while_shown
    def on_waiting_read(self, message: WaitingRead) -> None:
        """Show what was read, unless it was read before what is shown."""
        if message.asked < self._shown:
            return
        self._runs, self._shown = message.runs, message.asked
        now = self.watched.clock.now()
        rows = waiting_rows(self._runs, now)
        self.query_one(Rows).show([f"{run.id}\n{place}" for run, place in self._places()], rows.__getitem__)
        self._show_request(now)

    @while_shown
    def on_rows_moved(self) -> None:
        """Show the request under the cursor."""
        self._show_request(self.watched.clock.now())

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Approve with another text."""
        if message.value.strip():
            self._answer("approve", None if message.value == self._offered else message.value)
        self.action_clear()

    def action_answer(self, verdict: str) -> None:
        """Approve or reject the request under the cursor."""
        self._answer(verdict, None)

    def action_edit(self) -> None:
        """Let another text be typed."""
        found = self._found()
        if found is None:
            return
        run, place = found
        text = run.waiting_for[place].text
        if len(text) > LONGEST_EDITED:
            self.notify(
                f"it is asked {len(text):,} characters, and a line holds {LONGEST_EDITED:,}; approve or reject it"
            )
            return
        self._offered = escape_line(text)
        self.enter_field().value = self._offered

    def _answer(self, verdict: str, text: str | None) -> None:
        found = self._found()
        if found is not None:
            run, place = found
            self.app.answer(run.id, run.waiting_for[place].agent_id, verdict, text)  # type: ignore[attr-defined]

    def _places(self) -> list[tuple[Run, int]]:
        return [(run, place) for run in self._runs for place in range(len(run.waiting_for))]

    def _found(self) -> tuple[Run, int] | None:
        key = self.query_one(Rows).key
        return next((one for one in self._places() if f"{one[0].id}\n{one[1]}" == key), None)

    def _show_request(self, now: float) -> None:
        found = self._found()
        shown = "" if found is None else request_text(*found, now)
        self.query_one("#request", Passage).show(shown)

    @work(thread=True, exclusive=True, group="waiting")
    def _read(self, asked: int) -> None:
        """Read the runs that wait."""
        store = self.watched.store
        try:
            waiting = store.runs(RunFilter(status=RunStatus.WAITING), limit=MOST)
            runs = [store.run(one.id) for one in waiting]
        except AgentMeshError:
            return  # the source says so, and it is tried again
        # a run of a workflow waits for what the run of its stage waits for
        self.post_message(WaitingRead(asked, [run for run in runs if run.decision is not None]))
