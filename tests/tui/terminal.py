"""A real terminal of its own, with a shell in it, that a test types into and reads: tmux on a socket of the test's."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

PROMPT = "] at your service"
ROUNDS = 600
"""How often the screen is read before what must become so is given up: about half a minute."""


class Terminal:
    """A terminal of 80x24 in which a shell runs, whose prompt tells how the last program ended."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """Start the terminal; programs run in ``folder``."""
        self._socket = folder / "tmux"
        settings = {"PYTHONWARNINGS": "error", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        settings["XDG_STATE_HOME"] = str(folder / "state")  # the layout of whoever runs the tests is none of theirs
        said = [f"-e{name}={value}" for name, value in {**settings, **environment}.items()]
        unset = {name: value for name, value in os.environ.items() if not name.startswith(("TMUX", "AGENTMESH_"))}
        self._environment = {**unset, "LANG": "C.UTF-8", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        start = ("new-session", "-d", "-s", "main", "-x", "80", "-y", "24", "-c", str(folder), *said, "sh")
        self._tmux("-f", os.devnull, *start)
        self.run(f"PS1='[$?{PROMPT} '; clear")  # a shell takes no prompt from its environment
        self.until(lambda: self.is_given_back(0))

    def run(self, command: str) -> None:
        """Have the shell run a command."""
        self._tmux("send-keys", "-l", command)
        self.until(lambda: command[:20] in self.screen())  # before that the prompt of the last command stands alone
        self._tmux("send-keys", "Enter")

    def press(self, *keys: str) -> None:
        """Press keys, by the names that tmux gives them."""
        self._tmux("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        """Make the window larger or smaller, as who drags its corner does."""
        self._tmux("resize-window", "-t", "main", "-x", str(columns), "-y", str(lines))

    def screen(self, *, styled: bool = False) -> str:
        """Return what stands on the screen, with its colours where it is to be ``styled``."""
        return self._tmux("capture-pane", "-p", *(["-e"] if styled else []))

    def reads(self, *words: str) -> str:
        """Wait until all the words stand on the screen at once, and return all that does then."""
        seen = [self.screen()]
        self.until(lambda: all(word in seen[-1] for word in words) or seen.append(self.screen()))
        return seen[-1]

    def until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so."""
        for _ in range(ROUNDS):
            if is_so():
                return
            Event().wait(0.05)
        raise AssertionError(f"it did not come to be so; the screen shows\n{self.screen()}")

    def is_given_back(self, status: int) -> bool:
        """Return whether a program ended so, and left the screen, the mouse and the cursor as they were."""
        modes = self._tmux("display", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}").strip()
        return self.screen().rstrip().endswith(f"[{status}{PROMPT}") and modes == "0 0 1"

    def close(self) -> None:
        """End the terminal and all that runs in it."""
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *arguments], env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def no_tmux() -> None:
    """Skip the test where tmux is missing, or fail it where it must not be."""
    if os.environ.get("AGENTMESH_REQUIRE_TMUX"):
        pytest.fail("the program must be tested in a terminal (AGENTMESH_REQUIRE_TMUX), but tmux was not found")
    pytest.skip("the program is not tested in a terminal: tmux was not found")
