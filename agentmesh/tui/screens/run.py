"""Run: one run from its task to its answer, with everybody who was considered for it."""

import asyncio
from collections.abc import Iterator
from time import thread_time
from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Header, Static, TabbedContent, TabPane
from textual.worker import get_current_worker

from agentmesh.errors import AgentMeshError
from agentmesh.records import AgentCall, Run
from agentmesh.tui.board import Board
from agentmesh.tui.messages import TraceRead
from agentmesh.tui.presenters import CANDIDATES, CANDIDATES_LEGEND, TIMELINE, candidate_rows, timeline_row
from agentmesh.tui.reading import RunReading
from agentmesh.tui.run_presenters import (
    CALLS,
    SLICES,
    against_text,
    answer_text,
    call_row,
    call_text,
    headline,
    reading_line,
    run_text,
    shown,
)
from agentmesh.tui.screens.board_screen import BoardScreen, while_shown
from agentmesh.tui.sources import PlayedSource
from agentmesh.tui.widgets.key_bar import KeyBar
from agentmesh.tui.widgets.passage import Passage
from agentmesh.tui.widgets.play_bar import PlayBar
from agentmesh.tui.widgets.rows import Numbered, Rows
from agentmesh.tui.widgets.words import Words

PARTS = ("decision", "timeline", "calls", "answer", "context")
NEVER: Final = -2
NO_MORE: Final = object()
READING_SHARE: Final = 0.1
"""How much of a processor reading a trace that goes on may take: the longer it is, the less often it is read anew."""

RETRY_S: Final = 1.0
"""How long a trace that could not be read is left alone."""

SHORT_S: Final = 0.02
"""What costs less than this needs no rest: it is asked for a few times a second at most."""

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
        self._reading = RunReading(run_id)
        self._run: Run | None = None
        self._calls: list[AgentCall] = []
        self._seen = 0, NEVER  # how often what is played was sent back, and the last seq, when the trace was read
        self._is_reading = False  # or rests from it
        self._is_orphaned = False
        self._how_far = ""  # while it is being read

    def compose(self) -> ComposeResult:
        """Lay out the tabs."""
        yield Header()
        yield Words("reading ...", id="headline")
        with TabbedContent(id="parts"):
            with TabPane("Decision", id="decision"):
                yield Rows(CANDIDATES, id="candidates", empty="no decision yet")
                with VerticalScroll(classes="text"):
                    yield Passage(id="words")
                yield Static("\n".join(CANDIDATES_LEGEND), id="legend", markup=False)
            with TabPane("Timeline", id="timeline"):
                yield Rows(TIMELINE, id="events")
            with TabPane("Calls", id="calls"):
                yield Rows(CALLS, id="attempts", empty="nobody was called yet")
                with VerticalScroll(classes="text"):
                    yield Passage(id="said")
            with TabPane("Answer", id="answer"), Horizontal():
                with VerticalScroll(classes="text"):
                    yield Passage(id="final")
                with VerticalScroll(classes="text"):
                    yield Passage(id="against")
            with TabPane("Context", id="context"):
                yield Rows(SLICES, id="slices", empty="no context was given, or everybody got all of it")
        yield PlayBar()
        yield KeyBar()

    def on_unmount(self) -> None:
        """Forget what was read; more is not read."""
        self.workers.cancel_node(self)
        self._run = None
        _take_all(self._reading.let_go(self._calls))

    def show_board(self, board: Board, now: float) -> None:  # noqa: ARG002 - what is shown comes from the trace
        """Read the trace again where the run has gone on, and follow what is being said."""
        run, source = board.runs.get(self.run_id), self.watched.source
        sent_back = source.times_sent_back if isinstance(source, PlayedSource) else 0
        seen = sent_back, -1 if run is None else run.last_seq
        if seen != self._seen and not self._is_reading:  # a long trace takes longer to read than to be drawn
            if sent_back != self._seen[0]:  # what was read may lie ahead by now
                self._reading.end()
                self._reading = RunReading(self.run_id)
            self._seen, self._is_reading = seen, True
            self._read_trace(self._reading)
        elif run is not None and run.said:
            self._show_said()
        if run is not None and run.orphaned != self._is_orphaned:
            self._is_orphaned = run.orphaned
            self._show_head()

    @while_shown
    def on_trace_read(self, message: TraceRead) -> None:
        """Show what was read, or how far that has come."""
        if message.reason:
            self.query_one("#headline", Words).show(message.reason)
            self._seen = self._seen[0], NEVER  # it may be there later, or be readable again
            self.set_timer(RETRY_S, self._rested)
            return
        if message.is_whole:
            self._rest_after(message.cost_s)
        self._run = message.run or self._run
        self._how_far = "" if message.is_whole else self._reading_line(message.count)
        self._show_head()
        if message.run is not None:
            self._show(message.run, message.count)

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

    @work(group="page")
    async def action_page(self) -> None:
        """Show all of the run in $PAGER; a long one takes seconds to be told."""
        if self._run is not None:
            self.app.page(await asyncio.to_thread(run_text, tuple(self._reading.events)))  # type: ignore[attr-defined]  # as in BoardScreen

    def action_copy(self) -> None:
        """Copy the answer."""
        answer = None if self._run is None else self._run.answer
        if answer is None:
            self.notify("there is no answer yet")
            return
        self.copy(answer, "the answer")

    def action_score(self, score: int) -> None:
        """Say what the answer was worth."""
        self.app.score(self.run_id, float(score))  # type: ignore[attr-defined]  # as in BoardScreen

    def _rest_after(self, cost_s: float) -> None:
        """Read the trace again only when what reading it takes of a processor is no more than its share."""
        if cost_s < SHORT_S:
            self._rested()
        else:
            self.set_timer(cost_s / READING_SHARE - cost_s, self._rested)

    def _rested(self) -> None:
        self._is_reading = False

    def _reading_line(self, count: int) -> str:
        seen = self.watched.board.runs.get(self.run_id)
        return reading_line(count, 0 if seen is None else seen.last_seq + 1)

    def _show(self, run: Run, count: int) -> None:
        if run.decision is not None:
            rows = candidate_rows(run.decision)
            ids = [candidate.agent_id for candidate in run.decision.candidates]
            self.query_one("#candidates", Rows).show(ids, rows.__getitem__)
            self.query_one("#words", Passage).show(shown(run.decision.explain(most=5)))
        events, slices = self._reading.events, self._reading.slices
        self.query_one("#events", Rows).show(Numbered(count), lambda place: timeline_row(events[place], events[0].at))
        self._calls[:] = run.calls
        calls = self._calls  # and not those of the run, which a table would hold until the collector finds it
        self.query_one("#attempts", Rows).show(Numbered(len(calls)), lambda place: call_row(calls[place]))
        self.query_one("#slices", Rows).show(Numbered(len(slices)), slices.__getitem__)
        self.query_one("#against", Passage).show(against_text(run))
        self._show_said()

    def _show_head(self) -> None:
        run, how_far = self._run, self._how_far
        if run is not None:
            self.query_one("#headline", Words).show(headline(run, how_far, orphaned=self._is_orphaned))
            self.query_one("#final", Passage).show(how_far if how_far and run.answer is None else answer_text(run))

    def _show_said(self) -> None:
        """Show the answer of the call under the cursor, and what agents under way have said so far."""
        table, run = self.query_one("#attempts", Rows), self.watched.board.runs.get(self.run_id)
        calls = self._calls
        parts = [call_text(calls[int(table.key)])] if table.key is not None and int(table.key) < len(calls) else []
        parts += [] if run is None else [f"{agent_id} ...\n{shown(text)}" for agent_id, text in run.said.items()]
        self.query_one("#said", Passage).show("\n\n".join(parts))

    @work(thread=True, exclusive=True, group="trace")
    def _read_trace(self, reading: RunReading) -> None:
        """Read the events of the run, those that are not known yet."""
        begun_s, worker = thread_time(), get_current_worker()
        try:
            for part in reading.parts(self.watched.source, goes_on=lambda: not worker.is_cancelled):
                is_missing = part.is_last and not reading.is_begun
                self.post_message(
                    TraceRead(
                        self.run_id,
                        part.run,
                        part.count,
                        is_whole=part.is_last,
                        reason="it has not begun yet" if is_missing else "",
                        cost_s=thread_time() - begun_s,
                    )
                )
                begun_s = thread_time()
        except AgentMeshError as error:
            self.post_message(TraceRead(self.run_id, reason=str(error)))


def _take_all(steps: Iterator[None]) -> None:
    """Take steps one after the other, and let the event loop do in between what it has to."""
    if next(steps, NO_MORE) is not NO_MORE:
        asyncio.get_running_loop().call_soon(_take_all, steps)
