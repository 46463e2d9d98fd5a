"""How the app behind a page speaks with the server, and that it does not outlive it."""

import os
import signal
from contextlib import suppress
from typing import Any

from textual.drivers.web_driver import WebDriver
from textual.theme import Theme


class ServedDriver(WebDriver):
    """Shows the app in a page by way of a server, which holds the other end of its stdin and stdout."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._write_all = self._write
        self._write = self._write_while_heard  # type: ignore[assignment]  # as its base has it, a function of bytes

    def start_application_mode(self) -> None:
        """Begin to show the app; a line that the browser takes to be longer than the app does is cut, not wrapped."""
        super().start_application_mode()
        self.write("\x1b[?7l")
        self._show_theme(self._app.current_theme)
        self._app.theme_changed_signal.subscribe(self._app, self._show_theme)

    def run_input_thread(self) -> None:
        """Pass on what is typed until the app ends, or the server: then nobody is there to end it."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            os.kill(os.getpid(), _gone())

    def _show_theme(self, theme: Theme) -> None:
        """Give what no cell covers the background of the theme."""
        self.write(f"\x1b]11;{theme.to_color_system().generate()['background']}\x07")

    def _write_while_heard(self, data: bytes) -> int:
        with suppress(BrokenPipeError):  # the server is gone, and the app about to follow
            return self._write_all(data)
        return len(data)


def _gone() -> signal.Signals:
    """Return the signal by which the app ends: that of a terminal that goes, unless it is ignored, as under nohup."""
    hang_up = getattr(signal, "SIGHUP", signal.SIGTERM)
    return signal.SIGTERM if signal.getsignal(hang_up) is signal.SIG_IGN else hang_up
