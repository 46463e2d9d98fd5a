"""Run: one run from its task to its answer, with everybody who was considered for it."""

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Header, Static, TabbedContent, TabPane

from agentmesh.errors import AgentMeshError
from agentmesh.events import Event, fold
from agentmesh.tui.board import Board
from agentmesh.tui.messages import TraceRead
from agentmesh.tui.presenters import CANDIDATES, TIMELINE, candidate_rows, timeline_rows
from agentmesh.tui.screens.board_screen import BoardScreen
from agentmesh.tui.widgets.rows import Rows


class RunScreen(BoardScreen):
    """One run: decision, timeline, answers."""

    SUB_TITLE = "run"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,backspace", "app.pop_screen", "Back")]

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id
        self._events: Sequence[Event] = ()
        self._seen = -2

    def compose(self) -> ComposeResult:
        """Lay out the tabs."""
        yield Header()
        yield Static(id="headline", markup=False)
        with TabbedContent(id="parts"):
            with TabPane("Decision", id="decision"):
                yield Rows(CANDIDATES, id="candidates", empty="no decision yet")
                with VerticalScroll(id="why"):
                    yield Static(id="words", markup=False)
            with TabPane("Timeline", id="timeline"):
                yield Rows(TIMELINE, id="events")
        yield Footer()

    def show_board(self, board: Board, now: float) -> None:  # noqa: ARG002 - what is shown comes from the trace
        """Read the trace again where the run has gone on."""
        run = board.runs.get(self.run_id)
        seen = -1 if run is None else run.last_seq
        if seen != self._seen:
            self._seen = seen
            self._read_trace()

    def on_trace_read(self, message: TraceRead) -> None:
        """Show what was read."""
        if message.reason:
            self.query_one("#headline", Static).update(message.reason)
            return
        self._events = message.events
        run, decided = fold(message.events), None
        self.query_one("#headline", Static).update(f"{run.id}  {run.status}  {run.task.text[:200]}")
        decided = run.decision
        if decided is not None:
            rows = candidate_rows(decided)
            ids = [candidate.agent_id for candidate in decided.candidates]
            self.query_one("#candidates", Rows).show(ids, rows.__getitem__)
            self.query_one("#words", Static).update(decided.explain(most=5))
        told = timeline_rows(message.events)
        self.query_one("#events", Rows).show([str(event.seq) for event in message.events], told.__getitem__)

    @work(thread=True, exclusive=True, group="trace")
    def _read_trace(self) -> None:
        """Read the events of the run from the store."""
        try:
            events = self.watched.store.events(self.run_id)
        except AgentMeshError as error:
            self.post_message(TraceRead(self.run_id, reason=str(error)))
        else:
            self.post_message(TraceRead(self.run_id, events))
