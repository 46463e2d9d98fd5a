"""Small: what is said in a terminal that has no room for anything else."""

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

LEAST: Final = Size(40, 10)
"""Columns and lines that the screens need."""


class SmallScreen(Screen[None]):
    """Stands above all others while the terminal is too small; it hides them, so that nothing of them is painted."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "app.quit", "Quit")]

    def compose(self) -> ComposeResult:
        """Say so."""
        yield Static(f"too small: {LEAST.width}x{LEAST.height} is needed", markup=False)
