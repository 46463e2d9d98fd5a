"""A field to type into: what is pasted there, from wherever, steers no terminal."""

from textual.widgets import Input

from agentmesh.display import escape_line


class Field(Input):
    """One line of text in which control characters stand as escapes, as they do wherever such text is shown."""

    def validate_value(self, value: str) -> str:
        """Return what the field holds when it is given ``value``."""
        return escape_line(value)

    def replace(self, text: str, start: int, end: int) -> None:
        """Put text between two places: all that is typed or pasted comes this way, and the cursor goes behind it."""
        super().replace(escape_line(text), start, end)
