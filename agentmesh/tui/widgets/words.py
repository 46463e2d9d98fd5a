"""Text of strangers, made harmless, and drawn again only when it has changed."""

from textual.visual import VisualType
from textual.widgets import Static

from agentmesh.display import escape


class Words(Static):
    """Shows text as it is, without markup; what could steer a terminal is written as an escape.

    Args:
        text: What it shows first.
        id: The id of the widget.
        fixed: Whether its size does not depend on its text: then a change moves nothing else on the screen.
    """

    def __init__(self, text: str = "", *, id: str, fixed: bool = False) -> None:
        super().__init__(text, id=id, markup=False)
        self._shown, self._fixed = text, fixed

    def show(self, text: str) -> None:
        """Show another text; the same one costs nothing."""
        if text != self._shown:
            self._shown = text
            self.update(text, layout=not self._fixed)

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Show something else; of text only what is harmless."""
        super().update(escape(content) if isinstance(content, str) else content, layout=layout)
