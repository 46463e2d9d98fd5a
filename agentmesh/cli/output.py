"""Results to stdout, everything else to stderr; tables, bars and colour only where a person looks at them."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TextIO

import click

from agentmesh.display import escape, escape_json, escape_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

WIDE = 160
"""Columns of a report that goes to a file or a pipe."""


def print_json(value: object) -> None:
    """Print ``value`` as JSON."""
    click.echo(json_text(value))


def json_text(value: object) -> str:
    r"""Return ``value`` as indented JSON. What could steer a terminal is an escape, which JSON reads back exactly.

    >>> print(json_text(["é", "\x9b1m"]))
    [
      "é",
      "\u009b1m"
    ]
    """
    return escape_json(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_text(text: str) -> None:
    """Print a result of one or more lines."""
    click.echo(escape(text))


def note(text: str) -> None:
    """Print a line for the person, on stderr."""
    click.echo(escape_line(text), err=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, tab-separated with a line of names elsewhere."""
    if is_terminal(sys.stdout):
        _draw(columns, rows)
        return
    for row in (columns, *rows):
        click.echo("\t".join(escape_line(cell) for cell in row))


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(Text(escape_line(cell)) for cell in row))
    print_drawn(table)


def print_drawn(drawing: "RenderableType") -> None:
    """Print what Rich draws; away from a terminal it is plain text, wide enough for a table."""
    from rich.console import Console

    console = shown_on("stdout") or Console(width=WIDE, color_system=None, force_terminal=False)
    console.print(_Harmless(drawing))


def shown_on(name: Literal["stdout", "stderr"]) -> "Console | None":
    """Return a console on a stream of the process, ``None`` when it is no terminal."""
    if not is_terminal(sys.stdout if name == "stdout" else sys.stderr):
        return None
    from rich.console import Console

    return Console(stderr=name == "stderr")


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person looks at ``stream``; a process that was started without one has ``None``."""
    return stream is not None and stream.isatty()


class _Harmless:
    """A drawing whose texts are escaped on their way out; Rich itself lets most control characters through."""

    def __init__(self, drawing: "RenderableType") -> None:
        self._drawing = drawing

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Draw, and escape each piece of text."""
        for segment in console.render(self._drawing, options):
            yield segment if segment.control else segment._replace(text=escape(segment.text))
