"""Text broken into lines of a terminal, quickly: a screen has to know how many there are before it shows one."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from rich.cells import cell_len, chop_cells, set_cell_size

TAB = 8
WIDEST = 2
"""Columns of the widest characters."""

_WORD = re.compile(r"\s*\S+\s*")


Piece = tuple[int, int, int]
"""One line: the number of a paragraph, and which of its characters, from the first to the one after the last."""


class Wrapped:
    r"""A text in lines of at most ``width`` columns: words stay whole where they fit into one.

    >>> wrapped = Wrapped("a long word\n\nabcdefg", 4)
    >>> [wrapped.line(number) for number in range(len(wrapped))]
    ['a', 'long', 'word', '', 'abcd', 'efg']
    """

    def __init__(self, text: str, width: int) -> None:
        self._width = width
        self._paragraphs = [one.expandtabs(TAB) if "\t" in one else one for one in text.split("\n")]
        # where lines begin in paragraphs that may not fit into one: most do, and there may be very many of them
        self._breaks = {
            number: tuple(_breaks(paragraph, width))
            for number, paragraph in enumerate(self._paragraphs)
            if len(paragraph) * (1 if paragraph.isascii() else WIDEST) > width
        }
        self._broken = tuple(self._breaks)
        self._further = tuple(accumulate(map(len, self._breaks.values()), initial=0))

    def __len__(self) -> int:
        """Return how many lines there are."""
        return len(self._paragraphs) + self._further[-1]

    def piece(self, number: int) -> Piece:
        """Return where a line stands in the text."""
        begun = bisect_right(range(len(self._broken)), number, key=self._first_line)
        paragraph, line = number, 0
        if begun:
            last = self._broken[begun - 1]
            line = number - self._first_line(begun - 1)
            past = max(line - len(self._breaks[last]), 0)
            paragraph, line = last + past, 0 if past else line
        edges = (0, *self._breaks.get(paragraph, ()), len(self._paragraphs[paragraph]))
        return paragraph, edges[line], edges[line + 1]

    def line(self, number: int) -> str:
        """Return a line, without the blanks at a break."""
        place, begin, end = self.piece(number)
        paragraph = self._paragraphs[place]
        line = paragraph[begin:end]
        if end < len(paragraph):
            line = line.rstrip()
        return line if cell_len(line) <= self._width else set_cell_size(line, self._width)

    def _first_line(self, place: int) -> int:
        """Return the number of the line that one of the broken paragraphs begins with."""
        return self._broken[place] + self._further[place]


def _breaks(paragraph: str, width: int) -> Iterator[int]:
    """Yield where lines begin, but the first."""
    used = 0
    for found in _WORD.finditer(paragraph):
        begin, word = found.start(), found.group()
        size = cell_len(word.rstrip())
        if size <= width - used:
            used += cell_len(word)
        elif size <= width:
            yield begin
            used = cell_len(word)
        else:
            for part in chop_cells(word, width):
                if begin:
                    yield begin
                begin += len(part)
                used = cell_len(part)
