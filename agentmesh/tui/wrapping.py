"""Text broken into lines of a terminal, quickly: a screen has to know how many there are before it shows one."""

import re
from collections.abc import Iterator
from itertools import pairwise

from rich.cells import cell_len, chop_cells, set_cell_size

TAB = 8
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
        self._paragraphs = [one.expandtabs(TAB) for one in text.split("\n")]
        self._pieces: list[Piece] = []
        for number, paragraph in enumerate(self._paragraphs):
            if len(paragraph) <= width and paragraph.isascii():  # most are so, and there may be many of them
                self._pieces.append((number, 0, len(paragraph)))
            else:
                edges = (0, *_breaks(paragraph, width), len(paragraph))
                self._pieces += ((number, begin, end) for begin, end in pairwise(edges))

    def __len__(self) -> int:
        """Return how many lines there are."""
        return len(self._pieces)

    def piece(self, number: int) -> Piece:
        """Return where a line stands in the text."""
        return self._pieces[number]

    def line(self, number: int) -> str:
        """Return a line, without the blanks at a break."""
        place, begin, end = self._pieces[number]
        paragraph = self._paragraphs[place]
        line = paragraph[begin:end]
        if end < len(paragraph):
            line = line.rstrip()
        return line if cell_len(line) <= self._width else set_cell_size(line, self._width)


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
