"""A long text of strangers, of which only the lines in sight are drawn."""

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.geometry import Offset, Size
from textual.strip import Strip
from textual.style import Style

from agentmesh.tui.widgets.words import Words
from agentmesh.tui.wrapping import Wrapped

if TYPE_CHECKING:
    from textual.selection import Selection

WIDTHS = 2
"""Widths that a text is broken for at once: with a scroll bar beside it, and without one."""


class Passage(Words):
    """Shows text as ``Words`` do; a text of twenty thousand lines is drawn as fast as one of twenty.

    Textual draws all lines of a text that is scrolled whenever one of them is to be seen, which may take a second.
    """

    def __init__(self, text: str = "", *, id: str) -> None:
        super().__init__(text, id=id)
        self._wrapped = lru_cache(WIDTHS)(self._wrap)

    def update(self, content: object = "", *, layout: bool = True) -> None:
        """Show another text."""
        self._wrapped.cache_clear()
        super().update(str(content), layout=layout)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - as Textual has it
        """Return how many lines there are."""
        return len(self._wrapped(width)) if width else 0

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        wrapped, style = self._wrapped(self.size.width), self.visual_style
        if y >= len(wrapped):
            return Strip.blank(self.size.width, style.rich_style)
        paragraph, x, _ = wrapped.piece(y)
        segments = []
        for text, part_style in self._parts(wrapped.line(y), style, Offset(x, paragraph)):
            segments.append(Segment(text, part_style.rich_style_with_offset(x, paragraph)))
            x += len(text)
        return Strip(segments)

    def _wrap(self, width: int) -> Wrapped:
        return Wrapped(str(self.content), width)

    def _parts(self, line: str, style: Style, at: Offset) -> list[tuple[str, Style]]:
        """Return the parts of a line that are selected and those that are not."""
        chosen = self.text_selection
        span = None if chosen is None else _span(chosen, line, at)
        if span is None:
            return [(line, style)]
        selected = style + Style.from_styles(self.screen.get_component_styles("screen--selection"))
        begin, end = span
        parts = [(line[:begin], style), (line[begin:end], selected), (line[end:], style)]
        return [part for part in parts if part[0]]


def _span(selection: "Selection", line: str, at: Offset) -> tuple[int, int] | None:
    """Return which characters of a line that begins ``at`` a place of its text are selected."""
    found = selection.get_span(at.y)
    if found is None:
        return None
    begin, end = found
    length = len(line)
    return min(max(begin - at.x, 0), length), length if end == -1 else min(max(end - at.x, 0), length)
