"""Runs: all that is stored, searched and filtered, however much that is."""

from collections.abc import Sequence
from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Header, Input, Static

from agentmesh.errors import AgentMeshError
from agentmesh.records import RunStatus, RunSummary
from agentmesh.store.base import RunFilter
from agentmesh.tui.board import Board
from agentmesh.tui.cells import Cell
from agentmesh.tui.messages import PageRead
from agentmesh.tui.pages import PAGE, RunPages
from agentmesh.tui.presenters import STORED, stored_row
from agentmesh.tui.screens.board_screen import BoardScreen, while_shown
from agentmesh.tui.widgets.rows import Rows
from agentmesh.types import RunId

STATES: Final = (None, *RunStatus)
SCORE_KEYS: Final = Binding.Group("Score", compact=True)
MARKS: Final = "   ^ pinned  > marked"
"""What the first column may hold, said below the list."""

REREAD_S: Final = 2.0
"""How often the list is read anew while runs come in."""


class RunsScreen(BoardScreen):
    """The stored runs, newest first; pinned ones stand above them."""

    TITLE = "agentmesh runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("s", "next_state", "State"),
        Binding("a", "toggle_stages", "Stages", show=False),
        Binding("p", "pin", "Pin", show=False),
        Binding("m", "mark", "Mark"),
        Binding("c", "compare", "Compare"),
        Binding("plus", "score(1)", "Good answer", key_display="+", group=SCORE_KEYS),
        Binding("minus", "score(0)", "Bad answer", key_display="-", group=SCORE_KEYS),
        Binding("y", "copy", "Copy id", show=False),
        Binding("r", "reread", "Read again", show=False),
        Binding("escape", "clear", "Clear", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._pages = RunPages()
        self._asked = 0  # the number of the list that is shown: pages of another one come too late
        self._reading: set[int] = set()
        self._text = ""
        self._state: RunStatus | None = None
        self._alone = True
        self._pinned: dict[RunId, RunSummary] = {}
        self._marked: RunId | None = None

    def compose(self) -> ComposeResult:
        """Lay out search, table and status."""
        yield Header()
        yield Input(placeholder="text of the task, or agent:ID, reason:TEXT, id:BEGINNING", id="search")
        yield Rows(STORED, id="stored", empty="no run is stored that fits")
        yield Static(id="filter", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Read the first page."""
        self.query_one("#search").display = False
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
            self.query_one("#filter", Static).update(message.reason)
            return
        if message.total is not None:
            self._pages = RunPages(message.total, list(self._pinned.values()))
            self._reading.clear()
        self._pages.put(message.number, message.runs)
        self._show()

    @while_shown
    def on_rows_moved(self) -> None:
        """Read what is coming into sight."""
        self._read_ahead()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show the run that was chosen."""
        if message.key:
            self.app.open_run(message.key)  # type: ignore[attr-defined]  # as in BoardScreen

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Search for what was typed."""
        self._text = message.value.strip()
        self.query_one("#search").display = bool(self._text)
        self.query_one(Rows).focus()
        self.action_reread()

    def action_search(self) -> None:
        """Let a search be typed."""
        field = self.query_one("#search", Input)
        field.display = True
        field.focus()

    def action_clear(self) -> None:
        """Leave the search."""
        field = self.query_one("#search", Input)
        field.value, field.display, self._text = "", False, ""
        self.query_one(Rows).focus()
        self.action_reread()

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
        self._asked += 1
        self._reading = {0}
        self._read(self._asked, self._where(), 0, counted=True)

    def _follow(self) -> None:
        """Read anew what may have changed, while the reader is at the top."""
        if self.is_current and self.query_one(Rows).cursor == 0 and not self._reading:
            self.action_reread()

    def _where(self) -> RunFilter:
        """Return what is to be listed: a search may name a field."""
        field, colon, value = self._text.partition(":")
        named = {"agent": "agent_id", "reason": "reason", "id": "prefix"}.get(field) if colon else None
        wanted = {named: value.strip()} if named else {"text": self._text} if self._text else {}
        return RunFilter(status=self._state, alone=self._alone and named != "agent_id", **wanted)  # type: ignore[arg-type]

    def _show(self) -> None:
        pages, marked, pinned = self._pages, self._marked, self._pinned

        def row(place: int) -> Sequence[Cell]:
            run = pages.run(place)
            return stored_row(
                run, marked=run is not None and run.id == marked, pinned=run is not None and run.id in pinned
            )

        self.query_one(Rows).show(pages, row)
        state = "all states" if self._state is None else self._state.value.replace("_", " ")
        search = f", search {self._text!r}" if self._text else ""
        stages = "" if self._alone else ", with runs of stages"
        self.query_one("#filter", Static).update(f"{len(pages):,} runs, {state}{search}{stages}{MARKS}")
        self._read_ahead()

    def _read_ahead(self) -> None:
        table = self.query_one(Rows)
        top = table.cursor
        for number in self._pages.missing(top - PAGE // 2, top + PAGE // 2):
            if number not in self._reading:
                self._reading.add(number)
                self._read(self._asked, self._where(), number, counted=False)

    @work(thread=True, group="pages")
    def _read(self, asked: int, where: RunFilter, number: int, *, counted: bool) -> None:
        """Read a page of the list, and how long it is where that is ``counted``."""
        store = self.watched.store
        try:
            total = store.count_runs(where) if counted else None
            runs = store.runs(where, limit=PAGE, offset=number * PAGE)
        except AgentMeshError as error:
            self.post_message(PageRead(asked, number, reason=str(error)))
        else:
            self.post_message(PageRead(asked, number, runs, total))
