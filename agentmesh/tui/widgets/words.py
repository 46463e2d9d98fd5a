"""Text that is drawn again only when it has changed."""

from textual.widgets import Static


class Words(Static):
    """Shows text as it is, without markup.

    Args:
        id: The id of the widget.
        fixed: Whether its size does not depend on its text: then a change moves nothing else on the screen.
    """

    def __init__(self, *, id: str, fixed: bool = False) -> None:
        super().__init__(id=id, markup=False)
        self._shown, self._fixed = "", fixed

    def show(self, text: str) -> None:
        """Show another text; the same one costs nothing."""
        if text != self._shown:
            self._shown = text
            self.update(text, layout=not self._fixed)
