"""Run: one run from its task to its answer, with everybody who was considered for it."""

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Footer, Header, Static, TabbedContent, TabPane

from agentmesh.display import escape
from agentmesh.errors import AgentMeshError
from agentmesh.events import Event, RunStarted, fold
from agentmesh.records import Run
from agentmesh.tui.board import Board
from agentmesh.tui.messages import TraceRead
from agentmesh.tui.presenters import CANDIDATES, CANDIDATES_LEGEND, TIMELINE, candidate_rows, timeline_row
from agentmesh.tui.run_presenters import (
    CALLS,
    SLICES,
    against_text,
    answer_text,
    call_row,
    call_text,
    headline,
    run_text,
    shown,
    slice_rows,
)
from agentmesh.tui.screens.board_screen import BoardScreen, while_shown
from agentmesh.tui.widgets.play_bar import PlayBar
from agentmesh.tui.widgets.rows import Rows

PARTS = ("decision", "timeline", "calls", "answer", "context")
NEVER = -2
SCORE_KEYS = Binding.Group("Score", compact=True)


class RunScreen(BoardScreen):
    """One run: decision, timeline, calls, answer and context, each under a tab."""

    TITLE = "agentmesh run"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "app.pop_screen", "Back"),
        Binding("l,right", "turn(1)", "Next part"),
        Binding("h,left", "turn(-1)", "Part before", show=False),
        Binding("o", "page", "Pager"),
        Binding("y", "copy", "Copy answer"),
        Binding("plus", "score(1)", "Good answer", key_display="+", group=SCORE_KEYS),
        Binding("minus", "score(0)", "Bad answer", key_display="-", group=SCORE_KEYS),
    ]

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id
        self._events: Sequence[Event] = ()
        self._run: Run | None = None
        self._seen = NEVER
        self._is_reading = False

    def compose(self) -> ComposeResult:
        """Lay out the tabs."""
        yield Header()
        yield Static("reading ...", id="headline", markup=False)
        with TabbedContent(id="parts"):
            with TabPane("Decision", id="decision"):
                yield Rows(CANDIDATES, id="candidates", empty="no decision yet")
                with VerticalScroll(classes="text"):
                    yield Static(id="words", markup=False)
                yield Static("\n".join(CANDIDATES_LEGEND), id="legend", markup=False)
            with TabPane("Timeline", id="timeline"):
                yield Rows(TIMELINE, id="events")
            with TabPane("Calls", id="calls"):
                yield Rows(CALLS, id="attempts", empty="nobody was called yet")
                with VerticalScroll(classes="text"):
                    yield Static(id="said", markup=False)
            with TabPane("Answer", id="answer"), Horizontal():
                with VerticalScroll(classes="text"):
                    yield Static(id="final", markup=False)
                with VerticalScroll(classes="text"):
                    yield Static(id="against", markup=False)
            with TabPane("Context", id="context"):
                yield Rows(SLICES, id="slices", empty="no context was given, or everybody got all of it")
        yield PlayBar()
        yield Footer(show_command_palette=False)

    def show_board(self, board: Board, now: float) -> None:  # noqa: ARG002 - what is shown comes from the trace
        """Read the trace again where the run has gone on, and follow what is being said."""
        run = board.runs.get(self.run_id)
        seen = -1 if run is None else run.last_seq
        if seen != self._seen and not self._is_reading:  # a long trace takes longer to read than to be drawn
            self._seen, self._is_reading = seen, True
            self._read_trace()
        elif run is not None and run.said:
            self._show_said()

    @while_shown
    def on_trace_read(self, message: TraceRead) -> None:
        """Show what was read."""
        self._is_reading = False
        if message.run is None:
            self.query_one("#headline", Static).update(escape(message.reason))
            return
        self._events, self._run = message.events, message.run
        self._show(message.run)

    @while_shown
    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Show what was said in the call under the cursor."""
        if message.rows.id == "attempts":
            self._show_said()

    def action_turn(self, by: int) -> None:
        """Show the next part, or the one before."""
        tabs = self.query_one(TabbedContent)
        tabs.active = PARTS[(PARTS.index(tabs.active) + by) % len(PARTS)]
        tabs.get_pane(tabs.active).query("Rows, VerticalScroll").first().focus()  # what is hidden must not keep it

    def action_page(self) -> None:
        """Show all of the run in $PAGER."""
        if self._events:
            self.app.page(run_text(self._events))  # type: ignore[attr-defined]  # as in BoardScreen

    def action_copy(self) -> None:
        """Copy the answer."""
        answer = None if self._run is None else self._run.answer
        if answer is None:
            self.notify("there is no answer yet")
            return
        self.app.copy_to_clipboard(answer)
        self.notify("the answer is copied, where the terminal allows it")

    def action_score(self, score: int) -> None:
        """Say what the answer was worth."""
        self.app.score(self.run_id, float(score))  # type: ignore[attr-defined]  # as in BoardScreen

    def _show(self, run: Run) -> None:
        self.query_one("#headline", Static).update(headline(run))
        if run.decision is not None:
            rows = candidate_rows(run.decision)
            ids = [candidate.agent_id for candidate in run.decision.candidates]
            self.query_one("#candidates", Rows).show(ids, rows.__getitem__)
            self.query_one("#words", Static).update(shown(run.decision.explain(most=5)))
        events, slices = self._events, slice_rows(self._events)
        self.query_one("#events", Rows).show(
            [str(event.seq) for event in events], lambda place: timeline_row(events[place], events[0].at)
        )
        self.query_one("#attempts", Rows).show(
            [str(place) for place in range(len(run.calls))], lambda place: call_row(run.calls[place])
        )
        self.query_one("#slices", Rows).show([str(place) for place in range(len(slices))], slices.__getitem__)
        self.query_one("#final", Static).update(answer_text(run))
        self.query_one("#against", Static).update(against_text(run))
        self._show_said()

    def _show_said(self) -> None:
        """Show the answer of the call under the cursor, and what agents under way have said so far."""
        table, run = self.query_one("#attempts", Rows), self.watched.board.runs.get(self.run_id)
        calls = () if self._run is None else self._run.calls
        parts = [call_text(calls[int(table.key)])] if table.key is not None and int(table.key) < len(calls) else []
        parts += [] if run is None else [f"{agent_id} ...\n{shown(text)}" for agent_id, text in run.said.items()]
        self.query_one("#said", Static).update("\n\n".join(parts))

    @work(thread=True, exclusive=True, group="trace")
    def _read_trace(self) -> None:
        """Read the events of the run."""
        try:
            events = self.watched.source.trace(self.run_id)
        except AgentMeshError as error:
            self.post_message(TraceRead(self.run_id, reason=str(error)))
            return
        if any(isinstance(event, RunStarted) for event in events):
            self.post_message(TraceRead(self.run_id, events, fold(events)))
        else:
            self.post_message(TraceRead(self.run_id, reason="it has not begun yet"))
