"""A field to type into: what is pasted there, from wherever, steers no terminal."""

from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widgets import Input

from agentmesh.display import escape_line

TYPED: Final = frozenset({"slash", "plus", "minus"})
"""Keys that a screen binds by names of which Textual does not know the letters; all others it knows."""


class Field(Input):
    """One line of text in which control characters stand as escapes, as they do wherever such text is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Done")]

    def validate_value(self, value: str) -> str:
        """Return what the field holds when it is given ``value``."""
        return escape_line(value)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Say of a key whether it is typed, so that nobody is told it did something else."""
        return key in TYPED or super().check_consume_key(key, character)

    def replace(self, text: str, start: int, end: int) -> None:
        """Put text between two places: all that is typed or pasted comes this way, and the cursor goes behind it."""
        super().replace(escape_line(text), start, end)
