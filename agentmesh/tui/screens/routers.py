"""Routers: what each of them has learned, how it came to that, and whether what it expects comes true."""

from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, ClassVar

from rich.console import Group
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Header, Static, TabbedContent, TabPane
from textual.worker import get_current_worker

from agentmesh.display import escape
from agentmesh.errors import AgentMeshError
from agentmesh.tui import late
from agentmesh.tui.board import Board, Explained
from agentmesh.tui.cells import Cell, Column, Tone
from agentmesh.tui.heat import HeatMap
from agentmesh.tui.learning_presenters import SLIDER, changed_lines, curve_lines, slider_lines
from agentmesh.tui.messages import PredictionsRead, RouterRead, RoutersRead, TrailsRead
from agentmesh.tui.reliability_presenters import calibration_lines
from agentmesh.tui.router_presenters import intent_lines, neighbourhood_lines, report_lines
from agentmesh.tui.screens.board_screen import BoardScreen, while_shown
from agentmesh.tui.widgets.key_bar import KeyBar
from agentmesh.tui.widgets.rows import Rows
from agentmesh.tui.widgets.words import Words

if TYPE_CHECKING:
    from agentmesh.learning.predictions import Predictions
    from agentmesh.learning.versions import StoredRouter
    from agentmesh.tui.learned import LearnedRouter

COLUMNS = (Column("router", 16, grows=True), Column("newest", 8, right=True))
VERSIONS = Binding.Group("Version", compact=True)
PARTS = ("trails", "curve", "calibration", "tasks", "about")


class RoutersScreen(BoardScreen):
    """The routers of the store, and what the one under the cursor has learned, at any version of its history."""

    TITLE = "agentmesh routers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l,right", "turn(1)", "Next part"),
        Binding("h,left", "turn(-1)", "Part before", show=False),
        Binding("p", "go(-1)", "Version before", group=VERSIONS),
        Binding("n", "go(1)", "Next version", group=VERSIONS),
        Binding("J", "roll(1)", "Scroll the part down", show=False),
        Binding("K", "roll(-1)", "Scroll the part up", show=False),
        Binding("r", "reread", "Read again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._routers: Mapping[str, StoredRouter] = {}
        self._learned: LearnedRouter | None = None
        self._place = 0
        self._predictions: Predictions | None = None
        self._is_reading = False  # them
        self._asked = 0  # how often all was read anew
        self._one_at_a_time = Lock()  # guards LearnedRouter.maps, and the machine: one place is learned anew at a time

    def compose(self) -> ComposeResult:
        """Lay out the list beside what is known."""
        yield Header()
        with Horizontal():
            yield Rows(COLUMNS, id="routers", empty="no router yet")
            with Vertical(id="learned"):
                yield Words(id="place", fixed=True)
                with TabbedContent(id="parts"):
                    with TabPane("Trails", id="trails"), VerticalScroll():
                        yield Static(id="map", markup=False)
                        yield Words(id="changed")
                    with TabPane("Curve", id="curve"), VerticalScroll():
                        yield Words(id="points")
                    with TabPane("Calibration", id="calibration"), VerticalScroll():
                        yield Words(id="bins")
                    with TabPane("Tasks", id="tasks"), VerticalScroll():
                        yield Words(id="seen")
                    with TabPane("About", id="about"), VerticalScroll():
                        yield Words(id="report")
        yield KeyBar()

    def on_mount(self) -> None:
        """Read which routers there are."""
        self.query_one(Rows).focus()
        self.action_reread()

    def show_board(self, board: Board, now: float) -> None:  # noqa: ARG002 - nothing here ages
        """Show what was seen of the decisions."""
        text, decision = self._newest_explained(board)
        tree = neighbourhood_lines(decision, text)
        parts = ["Kinds of task, of all decisions seen", *intent_lines(board.intents), ""]
        self.query_one("#seen", Words).show("\n".join([*parts, "What the newest such decision rests on", *tree]))

    @while_shown
    def on_routers_read(self, message: RoutersRead) -> None:
        """Show the list, and read again what the router under the cursor has learned."""
        if message.asked != self._asked:
            return
        self._routers = message.routers
        names = list(message.routers)
        rows = [(Cell(name), Cell(str(one.sequence), Tone.DIM)) for name, one in message.routers.items()]
        table = self.query_one(Rows)
        before = table.key
        table.show(names, rows.__getitem__)
        if table.key is not None and table.key == before:  # else it is told that the cursor has moved
            self._read_router(table.key, self._routers[table.key])
        self._show_bins()

    @while_shown
    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Read what the router under the cursor has learned."""
        if message.key not in self._routers:  # the list was read anew meanwhile
            return
        self._learned = None
        self.query_one("#place", Words).show(f"reading {message.key} ...")
        self._read_router(message.key, self._routers[message.key])
        self._show_bins()

    @while_shown
    def on_router_read(self, message: RouterRead) -> None:
        """Show what was read, if the cursor is still there."""
        if message.name != self.query_one(Rows).key:
            return
        self._learned = message.learned
        if message.learned is None:
            self.query_one("#place", Words).show(escape(message.reason))
            return
        self.query_one("#report", Words).show("\n".join([*report_lines(message.learned.report), "", SLIDER]))
        self._go_to(message.learned.newest_in_reach)
        self.draw()

    @while_shown
    def on_trails_read(self, message: TrailsRead) -> None:
        """Show the trails, if that is still the place that is looked at."""
        learned, place, found = message.learned, message.place, message.found
        if learned is not self._learned or place != self._place:
            return
        self.query_one("#place", Words).show("\n".join(slider_lines(learned.stops, place)))
        if found is None:
            self._show_trails(escape(message.reason))
            return
        title = Text(f"Trails at {learned.stops[place].version}", style="bold")
        self.query_one("#map", Static).update(Group(title, HeatMap(found.trails)))
        earlier = learned.stops[place - 1] if place else None
        self.query_one("#changed", Words).show("\n".join(["", *changed_lines(found.changed, earlier)]))

    @while_shown
    def on_predictions_read(self, message: PredictionsRead) -> None:
        """Show the calibration, unless all is read anew meanwhile."""
        if message.asked != self._asked:
            return
        self._predictions, self._is_reading = message.found, False
        if message.found is None:
            self.query_one("#bins", Words).show(escape(message.reason))
        else:
            self._show_bins()

    def on_tabbed_content_tab_activated(self) -> None:
        """Read what was expected when it is first looked at: that takes seconds."""
        self._show_bins()

    def action_turn(self, by: int) -> None:
        """Show the next part, or the one before."""
        tabs = self.query_one(TabbedContent)
        tabs.active = PARTS[(PARTS.index(tabs.active) + by) % len(PARTS)]
        self.query_one(Rows).focus()  # what is hidden must not keep it

    def action_go(self, by: int) -> None:
        """Show the next version of the router, or the one before."""
        if self._learned is not None:
            self._go_to(min(max(self._place + by, 0), len(self._learned.stops) - 1))

    def action_roll(self, by: int) -> None:
        """Scroll the part that is shown."""
        tabs = self.query_one(TabbedContent)
        tabs.get_pane(tabs.active).query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_reread(self) -> None:
        """Read the list anew, and all that is told of it."""
        self._predictions, self._is_reading = None, False
        self._asked += 1
        self._read_list(self._asked)

    def _newest_explained(self, board: Board) -> Explained | tuple[str, None]:
        """Return the newest decision that says what it rests on, by the router under the cursor if any is."""
        stored = self._routers.get(self.query_one(Rows).key or "")
        told = (one for name, one in reversed(board.explained.items()) if stored is None or name == stored.name)
        return next(told, ("", None))

    def _go_to(self, place: int) -> None:
        """Show a version of the router: at once where it lies, and what it had learned when that is read."""
        learned, self._place = self._learned, place
        if learned is None:
            return
        lines = slider_lines(learned.stops, place, is_reading=learned.keeps_trails)
        curve = "\n".join(curve_lines(learned.curve, learned.stops[place].sequence))
        self.query_one("#place", Words).show("\n".join(lines))
        self.query_one("#points", Words).show(curve)
        if learned.keeps_trails:
            self._read_trails(learned, place)
        else:
            self._show_trails(f"This router keeps no trails. What came of the choices:\n\n{curve}")

    def _show_trails(self, words: str) -> None:
        self.query_one("#map", Static).update(words)
        self.query_one("#changed", Words).show("")

    def _show_bins(self) -> None:
        """Show the calibration of the router under the cursor, and read it where that was not done yet."""
        stored = self._routers.get(self.query_one(Rows).key or "")
        if self.query_one(TabbedContent).active != "calibration" or stored is None:
            return
        if self._predictions is None:
            self.query_one("#bins", Words).show("reading the newest scored answers ...")
            if not self._is_reading:
                self._is_reading = True
                self._read_predictions(self._asked)
            return
        held = {stored.root, *(mark.parameters for mark in stored.marks)}
        self.query_one("#bins", Words).show("\n".join(calibration_lines(self._predictions, stored.name, held)))

    @work(thread=True, exclusive=True, group="routers")
    def _read_list(self, asked: int) -> None:
        """Read which routers there are."""
        try:
            found = late.routers_in(self.watched.store)
        except AgentMeshError:
            return  # the source says so
        named = {f"{one.name} {one.root[:6]} {one.embedder}".strip(): one for one in found}
        self.post_message(RoutersRead(asked, named))

    @work(thread=True, exclusive=True, group="router")
    def _read_router(self, name: str, stored: "StoredRouter") -> None:
        """Read the history of a router."""
        try:
            self.post_message(RouterRead(name, late.learned_router(self.watched.store, name, stored)))
        except AgentMeshError as error:
            self.post_message(RouterRead(name, reason=str(error)))

    @work(thread=True, exclusive=True, group="trails")
    def _read_trails(self, learned: "LearnedRouter", place: int) -> None:
        """Rebuild a router as it was, unless somebody has moved on meanwhile."""
        worker = get_current_worker()
        try:
            with self._one_at_a_time:
                found = late.trails_at(self.watched.store, learned, place, goes_on=lambda: not worker.is_cancelled)
        except AgentMeshError as error:
            self.post_message(TrailsRead(learned, place, reason=str(error)))
            return
        if found is not None:
            self.post_message(TrailsRead(learned, place, found))

    @work(thread=True, exclusive=True, group="predictions")
    def _read_predictions(self, asked: int) -> None:
        """Read what was expected of the newest answers that were scored."""
        worker = get_current_worker()
        try:
            found = late.newest_predictions(self.watched.store, goes_on=lambda: not worker.is_cancelled)
            self.post_message(PredictionsRead(asked, found))
        except AgentMeshError as error:
            self.post_message(PredictionsRead(asked, reason=str(error)))
