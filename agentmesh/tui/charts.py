"""Charts of block characters, with an axis that is labelled: how values moved, and where they lie between 0 and 1."""

from collections.abc import Sequence
from typing import Final

from agentmesh.tui.cells import HEIGHTS, bar

LABEL: Final = 7
"""Characters of a label at the axis."""

_EIGHTHS: Final = " " + HEIGHTS


def chart(values: Sequence[float | None], *, height: int, form: str = ".2f", least: float | None = None) -> list[str]:
    """Return columns over an axis, ``height`` lines of them; the labels are the ends of the range that is drawn.

    Args:
        values: A column each, ``None`` leaves it empty.
        height: Lines, 2 or more.
        form: How a label is spelled.
        least: Where the axis lies; by default at the least value.

    >>> for line in chart([0.0, 0.5, 1.0], height=2): print(line)
       1.00 ┤  █
       0.00 ┤▁██
    """
    known = [value for value in values if value is not None]
    low = min(known, default=0.0) if least is None else least
    high = max([low, *known])
    return [
        f"{_label(line, height, low, high, form)} ┤"
        + "".join(_block(value, line, height, low, high) for value in values)
        for line in reversed(range(height))
    ]


def _label(line: int, height: int, low: float, high: float, form: str) -> str:
    ends = {height - 1: high, 0: low} if high > low else {0: low}
    return f"{ends[line]:{form}}".rjust(LABEL) if line in ends else " " * LABEL


def _block(value: float | None, line: int, height: int, low: float, high: float) -> str:
    """Return the piece of a column that lies on a line, counted from the axis; the least value still shows."""
    if value is None:
        return " "
    share = (value - low) / (high - low) if high > low else 0.0
    eighths = max(round(share * height * 8), 1)
    return _EIGHTHS[min(max(eighths - line * 8, 0), 8)]


def place_on(value: float, width: int) -> int:
    """Return the column, from 0, on which a value between 0 and 1 lies.

    >>> [place_on(value, 11) for value in (0.0, 0.5, 1.0)]
    [0, 5, 10]
    """
    return round(min(max(value, 0.0), 1.0) * (width - 1))


def strip(low: float, high: float, marks: Sequence[tuple[float, str]], width: int) -> str:
    """Return a line from ``low`` to ``high`` on a scale from 0 to 1, with marks on it; a later mark hides another.

    >>> strip(0.2, 0.6, [(0.4, "o"), (1.0, "|")], 11)
    '  ──o──   |'
    """
    cells = [" "] * width
    cells[place_on(low, width) : place_on(high, width) + 1] = "─" * (place_on(high, width) - place_on(low, width) + 1)
    for value, mark in marks:
        cells[place_on(value, width)] = mark
    return "".join(cells)


def signed_bar(value: float, most: float, width: int) -> str:
    """Return a bar as long as ``value`` is beside ``most``, behind its sign.

    >>> signed_bar(-0.5, 1.0, 4), signed_bar(0.0, 0.0, 2)
    ('-██  ', '+  ')
    """
    return ("-" if value < 0 else "+") + bar(abs(value) / most if most else 0.0, width)
