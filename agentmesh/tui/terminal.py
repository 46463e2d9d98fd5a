"""What the app needs of its terminal, and what it does where the terminal lacks a letter."""

import codecs
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.cells import cell_len

IN_CELLS: Final = "agentmesh.cells"
"""The name of the rule that writes what an encoding lacks in as many cells."""

LIKE: Final = {
    ord(letter): like
    for like, letters in {
        ".": "…·",
        "-": "—─━╸╺▔═",
        "|": "│┃┤├▏▎▍▌▐▕",
        "+": "╭╮╰╯┌┐└┘┬┴┼",
        "#": "█▉▊▋▇▆▅■",
        "_": "▄▃▂▁",
        "^": "▲↑",
        "v": "▼↓",
        "<": "◂◀←",
        ">": "▸▶→",
        "*": "●•",
        "o": "○⭘",
    }.items()
    for letter in letters
}
"""What the app draws with, and what looks a little like it; for any other letter a ``?`` stands in each cell."""


def stream_without_terminal() -> str | None:
    """Return which stream is no terminal, ``None`` where the app can be shown.

    It draws on stderr, and stdin has its keys. Where stdout goes elsewhere, nobody means to look at an app.
    """
    for name in ("stdout", "stderr", "stdin"):
        stream = getattr(sys, name)
        if stream is None or not stream.isatty():
            return name
    return None


@contextmanager
def columns_kept() -> Iterator[None]:
    """Have a letter that the locale's encoding lacks take the cells that it has: an escape would push columns aside."""
    drawn_on = sys.__stderr__
    if not isinstance(drawn_on, io.TextIOWrapper):
        yield
        return
    before = drawn_on.errors
    drawn_on.reconfigure(errors=IN_CELLS)
    try:
        yield
    finally:
        drawn_on.reconfigure(errors=before)


def _in_cells(error: UnicodeEncodeError) -> tuple[str, int]:
    drawn = error.object[error.start : error.end].translate(LIKE)
    return re.sub(r"[^\x00-\x7f]+", lambda lacking: "?" * cell_len(lacking[0]), drawn), error.end


codecs.register_error(IN_CELLS, _in_cells)  # type: ignore[arg-type]  # it is a rule for what is written only
