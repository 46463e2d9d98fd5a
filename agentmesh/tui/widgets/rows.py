"""A table of which only the lines in sight are drawn, so that its length costs nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, overload

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from agentmesh.tui.cells import Cell, Column, Tone, fitted, laid_out

Line = tuple[tuple[Cell, ...], str | None]
"""The cells of a line, and the style of all of it where it has one."""

RowAt = Callable[[int], Sequence[Cell]]
"""Returns the cells of a row by its number; it is asked only for those in sight."""

HEADER: Final = 1

KEPT_LINES: Final = 256
"""Lines that are kept as they were drawn: as many as fit on a large screen, a few times over."""

_PARTS: Final = {tone: f"rows--{tone}" for tone in Tone}


class Rows(ScrollView, can_focus=True):
    """A table with a cursor that keeps to its row's key while rows come and go.

    It is drawn again when :meth:`show` is called, the cursor moves, or it scrolls.

    Args:
        columns: Its columns.
        id: The id of the widget.
        empty: What it says while it has no rows.
        opens: Whether something comes of choosing a row.
    """

    DEFAULT_CSS = "Rows { overflow-x: hidden; }"  # its columns always fit; a bar for them would take a line
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--header", "rows--cursor", *_PARTS.values()}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Down", show=False),
        Binding("k,up", "move(-1)", "Up", show=False),
        Binding("ctrl+d,pagedown", "page(1)", "Page down", show=False),
        Binding("ctrl+u,pageup", "page(-1)", "Page up", show=False),
        Binding("g,home", "to_end(-1)", "First", show=False),
        Binding("G,end", "to_end(1)", "Last", show=False),
        Binding("enter", "choose", "Open"),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)  # only the lines that it leaves and comes to

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

    def __init__(self, columns: Sequence[Column], *, id: str, empty: str = "nothing yet", opens: bool = False) -> None:
        super().__init__(id=id)
        self._opens = opens
        self.columns = tuple(columns)
        self.empty = empty
        self._keys: Sequence[str] = ()
        self._row_at: RowAt = _no_row
        self._styles: dict[str, Style] = {}
        self._lines: LRUCache[tuple[tuple[Cell, ...], int, str | None], Strip] = LRUCache(KEPT_LINES)
        self._laid_out: tuple[int, Sequence[tuple[int, int]]] = (-1, ())
        self._told: dict[int, Line | None] = {}  # what each line in sight was when it was last drawn

    @property
    def key(self) -> str | None:
        """Return the key of the row under the cursor, ``None`` in an empty table."""
        return self._keys[self.cursor] if self._keys else None

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._keys)

    def show(self, keys: Sequence[str], row_at: RowAt) -> None:
        """Show other rows; the cursor stays with its key where that is still there, else with its number.

        It stays in sight if it was: who has scrolled away from it by the mouse is left there.
        """
        before, was_in_sight = self.key, self._is_in_sight
        self._keys, self._row_at = keys, row_at
        self._take_length()
        kept = self._place_of(before)
        self.set_reactive(Rows.cursor, kept)
        if before is None or before != self.key:
            self._tell()
        if was_in_sight:
            self._scroll_to_cursor()
        self._refresh_changed()

    def render_line(self, y: int) -> Strip:
        """Draw one line of what is in sight: the titles first, below them the rows."""
        width = self.scrollable_content_region.width
        line = self._told[y] = self._line_at(y)
        if line is None:
            note = self.empty if not self._keys and y == HEADER else ""
            return Strip([Segment(fitted(note, width), self._style("rows--dim"))], width)
        cells, part = line
        return self._line(cells, width, part)

    def notify_style_update(self) -> None:
        """Forget what was drawn in other colours."""
        self._styles.clear()
        self._lines.clear()
        super().notify_style_update()

    def watch_cursor(self, before: int, now: int) -> None:
        """Draw the line that the cursor left, and the one it came to."""
        self.refresh_line(before + HEADER)
        self.refresh_line(now + HEADER)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - as Textual has it
        """Offer to open a row only where something comes of it."""
        return action != "choose" or self._opens

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
        self._take_length()
        self._scroll_to_cursor()

    def _line_at(self, y: int) -> Line | None:
        """Return what is to stand on one line of what is in sight, ``None`` below the last row."""
        if y < HEADER:
            return tuple(Cell(column.title) for column in self.columns), "rows--header"
        number = self.scroll_offset.y + y - HEADER
        if number >= len(self._keys):
            return None
        return tuple(self._row_at(number)), "rows--cursor" if number == self.cursor and self.has_focus else None

    def _refresh_changed(self) -> None:
        """Draw the lines that have changed: a terminal far away is told of nothing else."""
        height = self.scrollable_content_region.height
        changed = [y for y in range(HEADER, height) if y not in self._told or self._told[y] != self._line_at(y)]
        if not self._keys or 2 * len(changed) > height:
            self.refresh()
            return
        for y in changed:
            self.refresh_line(self.scroll_offset.y + y)

    def _take_length(self) -> None:
        """Tell how long the table is; the screen is laid out anew only where a scroll bar comes or goes."""
        size = Size(self.size.width, len(self._keys) + HEADER)
        if self.show_vertical_scrollbar != (size.height > self.container_size.height):
            self.virtual_size = size
        elif size != self.virtual_size:
            self.set_reactive(Rows.virtual_size, size)
            if self.show_vertical_scrollbar:
                self.vertical_scrollbar.window_virtual_size = size.height
            self.scroll_y = min(self.scroll_y, self.max_scroll_y)

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

    @property
    def _is_in_sight(self) -> bool:
        top = self.scroll_offset.y
        return top <= self.cursor < max(top + self.scrollable_content_region.height - HEADER, 1)

    def _scroll_to_cursor(self) -> None:
        height = self.scrollable_content_region.height - HEADER
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif height > 0 and self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)

    def _line(self, cells: tuple[Cell, ...], width: int, part: str | None) -> Strip:
        """Return a line, all of it in the style of ``part`` where one is named; one that was drawn is drawn by now."""
        drawn = self._lines.get((cells, width, part))
        if drawn is None:
            drawn = self._lines[cells, width, part] = self._drawn(cells, width, part)
        return drawn

    def _drawn(self, cells: tuple[Cell, ...], width: int, part: str | None) -> Strip:
        if width != self._laid_out[0]:
            self._laid_out = width, laid_out(self.columns, width)
        plain = self._style(part or _PARTS[Tone.PLAIN])
        pieces: list[tuple[str, Style]] = []
        for place, (index, room) in enumerate(self._laid_out[1]):
            cell = cells[index]
            style = plain if part is not None else self._style(_PARTS[cell.tone])
            text = (" " if place else "") + fitted(cell.text, room, right=self.columns[index].right)
            if pieces and pieces[-1][1] is style:  # the fewer pieces, the less a terminal is told
                text = pieces.pop()[0] + text
            pieces.append((text, style))
        return Strip([Segment(*piece) for piece in pieces]).adjust_cell_length(width, plain)

    def _style(self, part: str) -> Style:
        """Return the style of a part, which is looked up once for each theme."""
        style = self._styles.get(part)
        if style is None:
            style = self._styles[part] = self.get_component_rich_style(part)
        return style


class Numbered(Sequence[str]):
    """The keys of rows that keep their numbers: more only come after them. They are made as they are asked for.

    >>> keys = Numbered(3)
    >>> list(keys), keys.index("2")
    (['0', '1', '2'], 2)
    """

    def __init__(self, length: int) -> None:
        self._numbers = range(length)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        """Return the key of a row."""
        return list(map(str, self._numbers[place])) if isinstance(place, slice) else str(self._numbers[place])

    def index(self, value: str, start: int = 0, stop: int | None = None) -> int:  # noqa: ARG002 - as a list has it
        """Return the place of a key.

        Raises:
            ValueError: it is none of them.
        """
        return self._numbers.index(int(value))


def _no_row(_number: int) -> Sequence[Cell]:
    return ()
