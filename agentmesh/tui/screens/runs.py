"""Runs: all that is stored, searched and filtered, however much that is."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Header, Input

from agentmesh.errors import AgentMeshError
from agentmesh.records import RunStatus, RunSummary
from agentmesh.store.base import RunFilter
from agentmesh.store.wanted import only_while
from agentmesh.tui.board import Board
from agentmesh.tui.cells import Cell
from agentmesh.tui.messages import PageRead, RunsCounted
from agentmesh.tui.pages import PAGE, RunPages
from agentmesh.tui.presenters import STORED, stored_row
from agentmesh.tui.screens.board_screen import BoardScreen, while_shown
from agentmesh.tui.widgets.field import Field
from agentmesh.tui.widgets.key_bar import KeyBar
from agentmesh.tui.widgets.rows import Rows
from agentmesh.tui.widgets.words import Words
from agentmesh.types import RunId

STATES: Final = (None, *RunStatus)
FIELDS: Final = {"agent": "agent_id", "reason": "reason", "id": "prefix"}
"""What a search may begin with, before a colon, and what of a filter it is then."""

SCORE_KEYS: Final = Binding.Group("Score", compact=True)
MARKS: Final = "   ^ pinned  > marked"
"""What the first column may hold, said below the list."""

REREAD_S: Final = 2.0
"""How often the list is read anew while events come in."""

LISTS_AT_ONCE: Final = 2
"""Lists that are looked for at the same time: what a letter asked for may be looked for to its end, though nobody waits
for it once the next one is typed."""


class RunsScreen(BoardScreen):
    """The stored runs, newest first; pinned ones stand above them."""

    TITLE = "agentmesh runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("escape", "clear", "Clear"),
        Binding("s", "next_state", "State"),
        Binding("a", "toggle_stages", "Stages", show=False),
        Binding("p", "pin", "Pin", show=False),
        Binding("m", "mark", "Mark"),
        Binding("c", "compare", "Compare"),
        Binding("plus", "score(1)", "Good answer", key_display="+", group=SCORE_KEYS),
        Binding("minus", "score(0)", "Bad answer", key_display="-", group=SCORE_KEYS),
        Binding("y", "copy", "Copy id", show=False),
        Binding("r", "reread", "Read again", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._pages = RunPages()
        self._asked = 0  # the number of the list that is wanted: pages of another one come too late
        self._where = RunFilter(alone=True)  # which runs are on that list
        self._total: int | None = None  # how many they are, once that is known
        self._reading: set[int] = set()  # pages; the first one until its list is counted
        self._turn = asyncio.Semaphore(LISTS_AT_ONCE)
        self._events_seen = -1  # when the list was read last
        self._text = ""
        self._state: RunStatus | None = None
        self._alone = True
        self._pinned: dict[RunId, RunSummary] = {}
        self._marked: RunId | None = None

    def compose(self) -> ComposeResult:
        """Lay out search, table and status."""
        yield Header()
        yield Field(placeholder="text of the task, or agent:ID, reason:TEXT, id:BEGINNING", id="search")
        yield Rows(STORED, id="stored", empty="no run is stored that fits", opens=True)
        yield Words(id="filter", fixed=True)
        yield KeyBar()

    def on_mount(self) -> None:
        """Read the first page of what was listed the last time."""
        left, field = self.layout_left, self.query_one("#search", Field)
        field.value = self._text = left.search
        field.display = bool(left.search)
        self._state, self._alone = left.state, not left.stages
        self.query_one(Rows).focus()
        self.action_reread()
        self.set_interval(REREAD_S, self._follow)

    def show_board(self, board: Board, now: float) -> None:
        """Leave the list as it is: it is read anew now and then, so that a reader keeps the place."""

    @while_shown
    def on_page_read(self, message: PageRead) -> None:
        """Keep a page, and draw it."""
        if message.asked != self._asked:
            return
        self._reading.discard(message.number)
        if message.reason:
            self._events_seen = -1  # it is tried again
            self.query_one("#filter", Words).show(message.reason)
            return
        if message.number == 0:
            self._begin(message.runs, message.total)
        self._pages.put(message.number, message.runs)
        self._show()

    @while_shown
    def on_runs_counted(self, message: RunsCounted) -> None:
        """Let the list be as long as it is."""
        if message.asked == self._asked:
            self._reading.discard(0)
            self._total = message.total
            self._pages.take_total(message.total)
            self._show()

    @while_shown
    def on_rows_moved(self) -> None:
        """Read what is coming into sight."""
        self._read_ahead()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show the run that was chosen."""
        if message.key:
            self.app.open_run(message.key)  # type: ignore[attr-defined]  # as in BoardScreen

    def on_input_changed(self, message: Input.Changed) -> None:
        """Show the runs that fit what is typed."""
        text = message.value.strip()
        if text != self._text:  # it is the same where the field was filled by the screen
            self._text = text
            self.action_reread()

    def on_input_submitted(self) -> None:
        """Go from the field to what it found."""
        self.leave_field()

    def action_search(self) -> None:
        """Let a search be typed."""
        self.enter_field()

    def action_next_state(self) -> None:
        """Show only runs of the next state, after the last one all."""
        self._state = STATES[(STATES.index(self._state) + 1) % len(STATES)]
        self.action_reread()

    def action_toggle_stages(self) -> None:
        """Show runs that another one started, too, or not."""
        self._alone = not self._alone
        self.action_reread()

    def action_pin(self) -> None:
        """Keep the run under the cursor above all others, or let it go."""
        place = self.query_one(Rows).cursor
        run = self._pages.run(place) if len(self._pages) else None
        if run is None:
            return
        if self._pinned.pop(run.id, None) is None:
            self._pinned[run.id] = run
        self.action_reread()

    def action_mark(self) -> None:
        """Remember the run under the cursor, to be compared with another one."""
        self._marked = self.query_one(Rows).key or None
        self._show()

    async def action_compare(self) -> None:
        """Say where the marked run and the one under the cursor parted."""
        other = self.query_one(Rows).key
        if self._marked is None or not other or other == self._marked:
            self.notify("mark one run with m, go to another one, and press c")
            return
        await self.app.compare(self._marked, other)  # type: ignore[attr-defined]  # as in BoardScreen

    def action_score(self, score: int) -> None:
        """Say what the answer of the run under the cursor was worth."""
        key = self.query_one(Rows).key
        if key:
            self.app.score(key, float(score))  # type: ignore[attr-defined]  # as in BoardScreen

    def action_copy(self) -> None:
        """Copy the id of the run under the cursor."""
        self.copy_id(self.query_one(Rows).key)

    def action_reread(self) -> None:
        """Read the list anew from its beginning."""
        where = self._filter()
        if where != self._where:
            self._where, self._total = where, None
        if self._total is None:
            self._say("reading ...")
        self.remember(search=self._text, state=self._state, stages=not self._alone)
        self._asked += 1
        self._reading = {0}
        self._events_seen = self.watched.board.totals.events
        self._read_list(self._asked, where)

    def _follow(self) -> None:
        """Read anew what has changed, while the reader is at the top."""
        is_old = self._events_seen != self.watched.board.totals.events
        if is_old and self.is_current and self.query_one(Rows).cursor == 0 and not self._reading:
            self.action_reread()

    def _begin(self, runs: Sequence[RunSummary], total: int | None) -> None:
        """Begin the list anew, with its first page. Unless that told how long the list is, it is being counted."""
        table = self.query_one(Rows)
        if self._total is None and table.key not in {run.id for run in runs}:
            table.action_to_end(-1)
        self._total = self._total if total is None else total
        self._pages = RunPages(max(self._total or 0, len(runs)), list(self._pinned.values()))
        self._reading = {0} if total is None else set()

    def _filter(self) -> RunFilter:
        """Return what is to be listed: a search may name a field, and then asks for nothing until it says of which."""
        field, colon, value = self._text.partition(":")
        named = FIELDS.get(field) if colon else None
        asked, sought = (named, value.strip()) if named else ("text", self._text)
        wanted = {asked: sought} if sought else {}
        return RunFilter(status=self._state, alone=self._alone and "agent_id" not in wanted, **wanted)  # type: ignore[arg-type]

    def _show(self) -> None:
        pages, marked, pinned = self._pages, self._marked, self._pinned

        def row(place: int) -> Sequence[Cell]:
            run = pages.run(place)
            return stored_row(
                run, marked=run is not None and run.id == marked, pinned=run is not None and run.id in pinned
            )

        self.query_one(Rows).show(pages, row)
        self._say("counting ..." if self._total is None else f"{len(pages):,} runs")
        self._read_ahead()

    def _say(self, found: str) -> None:
        """Say how many runs were found, and what was asked for."""
        state = "all states" if self._state is None else self._state.value.replace("_", " ")
        search = f", search {self._text!r}" if self._text else ""
        stages = "" if self._alone else ", with runs of stages"
        self.query_one("#filter", Words).show(f"{found}, {state}{search}{stages}{MARKS}")

    def _read_ahead(self) -> None:
        table = self.query_one(Rows)
        top = table.cursor
        for number in self._pages.missing(top - PAGE // 2, top + PAGE // 2):
            if number not in self._reading:
                self._reading.add(number)
                self._read_page(self._asked, self._where, number)

    @work(group="pages")
    async def _read_list(self, asked: int, where: RunFilter) -> None:
        """Read the first page of a list, unless another list is wanted by the time its turn comes."""
        async with self._turn:
            with only_while(lambda: asked == self._asked):
                await asyncio.to_thread(self._read, asked, where, 0)

    @work(thread=True, group="pages")
    def _read_page(self, asked: int, where: RunFilter, number: int) -> None:
        """Read a page that is coming into sight."""
        self._read(asked, where, number)

    def _read(self, asked: int, where: RunFilter, number: int) -> None:
        """Read a page of the list, and how long it is where the first one did not tell, as long as it is wanted.

        In a thread of its own.
        """
        store = self.watched.store
        try:
            if asked == self._asked:
                page = store.runs_page(where, limit=PAGE, offset=number * PAGE)
                self.post_message(PageRead(asked, number, page.runs, page.total))
                if number == 0 and page.total is None and asked == self._asked:
                    self.post_message(RunsCounted(asked, store.count_runs(where)))
        except AgentMeshError as error:
            self.post_message(PageRead(asked, number, reason=str(error)))
