"""An app that says so where its terminal is too small, and fills it again when that grows."""

from textual.app import App
from textual.events import Resize

from agentmesh.tui.screens.palette import Palette
from agentmesh.tui.screens.small import LEAST, SmallScreen


class FittedApp(App[None]):
    """What lies above all screens of an app, whichever is in front: the note on its size, and the palette."""

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - the size is the app's own once this is handled
        """See whether the terminal has become too small, or large enough again, and paint all of it anew.

        Textual knows the new size only after this: what is laid out now would be of the old one. It paints nothing
        where the size is the same again, but a terminal that shrank and grew in between has lost what it cut off.
        """
        self.call_later(self._refit)

    def action_command_palette(self) -> None:
        """Show all commands."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def _refit(self) -> None:
        if self.screen_stack:  # otherwise the app is being left
            self._fit()
            self.screen.refresh(layout=True)

    def _fit(self) -> None:
        """Say so where the terminal is too small to show anything, until it is larger again."""
        is_small = self.size.width < LEAST.width or self.size.height < LEAST.height
        if is_small and not isinstance(self.screen, SmallScreen):
            self.push_screen(SmallScreen())
        elif not is_small and isinstance(self.screen, SmallScreen):
            self.pop_screen()
