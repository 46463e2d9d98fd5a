"""A table of which only the lines in sight are drawn, so that its length costs nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from agentmesh.tui.cells import Cell, Column, Tone, fitted, laid_out

RowAt = Callable[[int], Sequence[Cell]]
"""Returns the cells of a row by its number; it is asked only for those in sight."""

HEADER: Final = 1


class Rows(ScrollView, can_focus=True):
    """A table with a cursor that keeps to its row's key while rows come and go.

    It is drawn again when :meth:`show` is called, the cursor moves, or it scrolls.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--header", "rows--cursor", *(f"rows--{tone}" for tone in Tone)}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Down", show=False),
        Binding("k,up", "move(-1)", "Up", show=False),
        Binding("ctrl+d,pagedown", "page(1)", "Page down", show=False),
        Binding("ctrl+u,pageup", "page(-1)", "Page up", show=False),
        Binding("g,home", "to_end(-1)", "First", show=False),
        Binding("G,end", "to_end(1)", "Last", show=False),
        Binding("enter", "choose", "Open"),
    ]

    cursor: reactive[int] = reactive(0, repaint=True)

    @dataclass
    class Chosen(Message):
        """A row was chosen, by enter or by a click on the row where the cursor stood."""

        rows: "Rows"
        key: str

        @property
        def control(self) -> "Rows":
            """Return the table."""
            return self.rows

    @dataclass
    class Moved(Message):
        """The cursor moved to another row."""

        rows: "Rows"
        key: str

        @property
        def control(self) -> "Rows":
            """Return the table."""
            return self.rows

    def __init__(self, columns: Sequence[Column], *, id: str, empty: str = "nothing yet") -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.empty = empty
        self._keys: Sequence[str] = ()
        self._row_at: RowAt = _no_row

    @property
    def key(self) -> str | None:
        """Return the key of the row under the cursor, ``None`` in an empty table."""
        return self._keys[self.cursor] if self._keys else None

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._keys)

    def show(self, keys: Sequence[str], row_at: RowAt) -> None:
        """Show other rows; the cursor stays with its key where that is still there, else with its number."""
        before = self.key
        self._keys, self._row_at = keys, row_at
        self.virtual_size = Size(self.size.width, len(keys) + HEADER)
        kept = self._place_of(before)
        self.set_reactive(Rows.cursor, kept)
        if before is None or before != self.key:
            self._tell()
        self._scroll_to_cursor()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one line of what is in sight: the titles first, below them the rows."""
        width = self.scrollable_content_region.width
        layout = laid_out(self.columns, width)
        if y < HEADER:
            titles = [Cell(column.title) for column in self.columns]
            return self._line(titles, layout, width, self.get_component_rich_style("rows--header"))
        number = self.scroll_offset.y + y - HEADER
        if number >= len(self._keys):
            note = self.empty if not self._keys and number == 0 else ""
            return Strip([Segment(fitted(note, width), self.get_component_rich_style("rows--dim"))])
        base = self.get_component_rich_style("rows--cursor") if number == self.cursor and self.has_focus else None
        return self._line(self._row_at(number), layout, width, base)

    def action_move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        self._go_to(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by so many screens."""
        self._go_to(self.cursor + by * max(self.scrollable_content_region.height - HEADER - 1, 1))

    def action_to_end(self, end: int) -> None:
        """Move the cursor to the first row, or to the last."""
        self._go_to(len(self._keys) - 1 if end > 0 else 0)

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if self.key is not None:
            self.post_message(self.Chosen(self, self.key))

    def on_click(self, event: Click) -> None:
        """Move the cursor to the row that was clicked; a click where it stands chooses the row."""
        number = self.scroll_offset.y + event.y - HEADER
        if event.y < HEADER or number >= len(self._keys):
            return
        if number == self.cursor and event.chain > 1:
            self.action_choose()
        self._go_to(number)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.virtual_size = Size(self.size.width, len(self._keys) + HEADER)
        self._scroll_to_cursor()

    def _go_to(self, number: int) -> None:
        if not self._keys:
            return
        number = min(max(number, 0), len(self._keys) - 1)
        if number != self.cursor:
            self.cursor = number
            self._scroll_to_cursor()
            self._tell()

    def _tell(self) -> None:
        if self.key is not None:
            self.post_message(self.Moved(self, self.key))

    def _place_of(self, key: str | None) -> int:
        last = max(len(self._keys) - 1, 0)
        if key is None or self.cursor == 0:  # at the top one stays at the top: that is where news comes in
            return 0
        try:
            return self._keys.index(key)
        except ValueError:
            return min(self.cursor, last)

    def _scroll_to_cursor(self) -> None:
        height = self.scrollable_content_region.height - HEADER
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif height > 0 and self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)

    def _line(self, cells: Sequence[Cell], layout: Sequence[tuple[int, int]], width: int, base: Style | None) -> Strip:
        segments: list[Segment] = []
        plain = base if base is not None else self.get_component_rich_style(f"rows--{Tone.PLAIN}")
        for place, (index, room) in enumerate(layout):
            if place:
                segments.append(Segment(" ", plain))
            cell = cells[index]
            style = base if base is not None else self.get_component_rich_style(f"rows--{cell.tone}")
            segments.append(Segment(fitted(cell.text, room, right=self.columns[index].right), style))
        return Strip(segments).adjust_cell_length(width, plain)


def _no_row(_number: int) -> Sequence[Cell]:
    return ()
