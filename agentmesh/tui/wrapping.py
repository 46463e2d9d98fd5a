"""Text broken into lines of a terminal, quickly: a screen has to know how many there are before it shows one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells, set_cell_size

TAB = 8
_WORD = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True)
class Piece:
    """One line: the characters from ``begin`` to ``end`` of the paragraph of that number."""

    paragraph: int
    begin: int
    end: int


class Wrapped:
    r"""A text in lines of at most ``width`` columns: words stay whole where they fit into one.

    >>> wrapped = Wrapped("a long word\n\nabcdefg", 4)
    >>> [wrapped.line(number) for number in range(len(wrapped))]
    ['a', 'long', 'word', '', 'abcd', 'efg']
    """

    def __init__(self, text: str, width: int) -> None:
        self._width = width
        self._paragraphs = [one.expandtabs(TAB) for one in text.split("\n")]
        self._pieces = [piece for number, one in enumerate(self._paragraphs) for piece in _pieces(number, one, width)]

    def __len__(self) -> int:
        """Return how many lines there are."""
        return len(self._pieces)

    def piece(self, number: int) -> Piece:
        """Return where a line stands in the text."""
        return self._pieces[number]

    def line(self, number: int) -> str:
        """Return a line, without the blanks at a break."""
        piece = self._pieces[number]
        paragraph = self._paragraphs[piece.paragraph]
        line = paragraph[piece.begin : piece.end]
        if piece.end < len(paragraph):
            line = line.rstrip()
        return line if cell_len(line) <= self._width else set_cell_size(line, self._width)


def _pieces(number: int, paragraph: str, width: int) -> Iterator[Piece]:
    if len(paragraph) <= width and paragraph.isascii():  # most are so, and there may be many of them
        yield Piece(number, 0, len(paragraph))
        return
    begin = 0
    for end in (*_breaks(paragraph, width), len(paragraph)):
        yield Piece(number, begin, end)
        begin = end


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
