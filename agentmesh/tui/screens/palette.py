"""Palette: all commands, found by their names."""

from textual.command import CommandPalette
from textual.widgets import Input

from agentmesh.display import HARMLESS_LINE


class Palette(CommandPalette):
    """Textual's own list of commands, whose field takes nothing that steers a terminal."""

    def on_mount(self) -> None:
        """Refuse what no name of a command holds; its field is Textual's, and cannot escape it."""
        self.query_one(Input).restrict = HARMLESS_LINE
