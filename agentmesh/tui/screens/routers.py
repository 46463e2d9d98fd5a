"""Routers: what each of them has learned, and how that moved."""

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Header

from agentmesh.errors import AgentMeshError
from agentmesh.tui import late
from agentmesh.tui.board import Board
from agentmesh.tui.cells import Cell, Column, Tone
from agentmesh.tui.heat import HeatMap
from agentmesh.tui.messages import RouterRead, RoutersRead
from agentmesh.tui.router_presenters import curve_lines, intent_lines, neighbourhood_lines, report_lines
from agentmesh.tui.screens.board_screen import BoardScreen, while_shown
from agentmesh.tui.widgets.key_bar import KeyBar
from agentmesh.tui.widgets.rows import Rows
from agentmesh.tui.widgets.words import Words

if TYPE_CHECKING:
    from agentmesh.learning.versions import StoredRouter

COLUMNS = (Column("router", 16, grows=True), Column("newest", 8, right=True))


class RoutersScreen(BoardScreen):
    """The routers of the store, and what the one under the cursor has learned."""

    TITLE = "agentmesh routers"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "reread", "Read again")]

    def __init__(self) -> None:
        super().__init__()
        self._routers: dict[str, StoredRouter] = {}

    def compose(self) -> ComposeResult:
        """Lay out the list beside what is known."""
        yield Header()
        with Horizontal():
            yield Rows(COLUMNS, id="routers", empty="no router yet")
            with VerticalScroll(id="learned"):
                yield Words(id="about")
                yield Words(id="trails")
                yield Words(id="seen")
        yield KeyBar()

    def on_mount(self) -> None:
        """Read which routers there are."""
        self.query_one(Rows).focus()
        self.action_reread()

    def show_board(self, board: Board, now: float) -> None:  # noqa: ARG002 - nothing here ages
        """Show what was seen of the decisions."""
        text, decision = board.explained or ("", None)
        tree = neighbourhood_lines(decision, text)
        parts = ["Kinds of task, of all decisions seen", *intent_lines(board.intents), ""]
        self.query_one("#seen", Words).update("\n".join([*parts, "What the newest such decision rests on", *tree]))

    @while_shown
    def on_routers_read(self, message: RoutersRead) -> None:
        """Show the list."""
        names = list(message.names)
        rows = [
            (Cell(name), Cell(str(self._routers[name].sequence), Tone.DIM))
            if name in self._routers
            else (Cell(name), Cell(""))
            for name in names
        ]
        self.query_one(Rows).show(names, rows.__getitem__)

    @while_shown
    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Read what the router under the cursor has learned."""
        self.query_one("#about", Words).update(f"reading {message.key} ...")
        self._read_router(message.key)

    @while_shown
    def on_router_read(self, message: RouterRead) -> None:
        """Show what was read, if the cursor is still there."""
        if message.name != self.query_one(Rows).key:
            return
        lines = [message.reason] if message.reason else []
        for title, told in message.sections:
            lines += [title, *told, ""]
        self.query_one("#about", Words).update("\n".join(lines))
        drawn = "" if message.trails is None else HeatMap(message.trails)
        self.query_one("#trails", Words).update(drawn)

    def action_reread(self) -> None:
        """Read the list anew."""
        self._read_list()

    @work(thread=True, exclusive=True, group="routers")
    def _read_list(self) -> None:
        """Read which routers there are."""
        try:
            found = late.routers_in(self.watched.store)
        except AgentMeshError:
            return  # the source says so
        self._routers = {f"{one.name} {one.root[:6]} {one.embedder}".strip(): one for one in found}
        self.post_message(RoutersRead(list(self._routers)))

    @work(thread=True, exclusive=True, group="router")
    def _read_router(self, name: str) -> None:
        """Rebuild a router, and read what it has learned."""
        store = self.watched.store
        try:
            report = late.inspect_router(store, self._routers[name])
            curve = curve_lines(store.experiences())
        except AgentMeshError as error:
            self.post_message(RouterRead(name, reason=str(error)))
            return
        sections = [("Router", report_lines(report)), ("Learning curve", curve)]
        trails = None if report.trails is None else report.trails.as_map()
        self.post_message(RouterRead(name, sections, trails))
