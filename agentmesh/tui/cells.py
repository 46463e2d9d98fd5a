"""Text in columns of a terminal: cut and filled by the room it takes there, bars and sparklines of block characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from rich.cells import cell_len, set_cell_size

from agentmesh.display import escape_line

ELLIPSIS: Final = "…"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
HEIGHTS: Final = "▁▂▃▄▅▆▇█"
"""Blocks of one to eight eighths of a line."""

NAMES_SHARE: Final = 4
"""A column that grows to some width takes a quarter of the room that is left, where others grow beside it."""


class Tone(StrEnum):
    """What a piece of text means, for a theme to give it a colour. No tone says what the text does not."""

    PLAIN = "plain"
    DIM = "dim"
    ACCENT = "accent"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text in one line of one column."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. One that ``grows`` takes the room that is left; those of rank 0 stay longest.

    ``most`` is how wide it grows, where that has an end: names are seldom longer, and texts take the rest.
    """

    title: str
    width: int
    right: bool = False
    grows: bool = False
    rank: int = 0
    most: int | None = None


def fitted(text: str, width: int, *, right: bool = False) -> str:
    r"""Return ``text`` as exactly ``width`` columns: harmless, on one line, cut or filled.

    Wide characters take two columns, and a cut never leaves half of one.

    >>> fitted("routing", 5), fitted("7", 3, right=True), fitted("日本語", 4), fitted("a\x1b[1m", 9)
    ('rout…', '  7', '日 …', 'a\\x1b[1m ')
    """
    return _fitted(text[: 4 * width + 1], width, right)  # one that is long is not read to its end


@lru_cache(4096)  # the same names and numbers stand on the screen again and again
def _fitted(text: str, width: int, right: bool) -> str:
    line = escape_line(text)
    size = cell_len(line)
    if size > width:
        return set_cell_size(line, width - 1) + ELLIPSIS if width else ""
    blank = " " * (width - size)
    return blank + line if right else line + blank


def bar(share: float | None, width: int) -> str:
    """Return a bar of ``width`` columns that is filled to ``share``, 0 to 1, in eighths of a column.

    >>> bar(0.5, 4), bar(1.2, 2), bar(None, 2)
    ('██  ', '██', '  ')
    """
    eighths = round(8 * width * min(max(share or 0.0, 0.0), 1.0))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the last ``width`` values as columns of a height between the least and the greatest.

    >>> sparkline([1.0, 2.0, 3.0], 5), sparkline([2.0, 2.0], 2), sparkline([], 3)
    ('▁▅█  ', '▁▁', '   ')
    """
    last = list(values)[-width:]
    low, high = min(last, default=0.0), max(last, default=0.0)
    step = (high - low) / (len(HEIGHTS) - 1)
    return "".join(HEIGHTS[round((value - low) / step) if step else 0] for value in last).ljust(width)


def laid_out(columns: Sequence[Column], width: int, *, gap: int = 1) -> list[tuple[int, int]]:
    """Return which columns fit into ``width``, as index and width; those of the highest rank go first.

    >>> laid_out([Column("a", 4), Column("b", 4, grows=True), Column("c", 4, rank=1)], 20)
    [(0, 4), (1, 10), (2, 4)]
    >>> laid_out([Column("a", 4), Column("b", 4, grows=True), Column("c", 4, rank=1)], 12)
    [(0, 4), (1, 7)]
    >>> laid_out([Column("name", 4, grows=True, most=10), Column("text", 4, grows=True)], 49), 10 + 1 + 38
    ([(0, 10), (1, 38)], 49)
    """
    shown = list(range(len(columns)))
    while len(shown) > 1 and _needed(columns, shown, gap) > width:
        shown.remove(max(shown, key=lambda index: (columns[index].rank, index)))
    spare = max(width - _needed(columns, shown, gap), 0)
    widths = {index: columns[index].width for index in shown}
    names = [index for index in shown if columns[index].grows and columns[index].most is not None]
    texts = [index for index in shown if columns[index].grows and columns[index].most is None]
    for index in names:
        share = spare // NAMES_SHARE if texts else spare
        share = min(share, (columns[index].most or 0) - widths[index])
        widths[index] += share
        spare -= share
    for index in texts:
        widths[index] += spare // len(texts)
    return list(widths.items())


def _needed(columns: Sequence[Column], shown: Sequence[int], gap: int) -> int:
    return sum(columns[index].width for index in shown) + gap * (len(shown) - 1)
