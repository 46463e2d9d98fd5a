"""One end of a pseudo-terminal, with a program at the other: a terminal that a test closes, or leaves unread."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

PATIENCE_S = 30.0


class PseudoTerminal:
    """A terminal of 80x24 with one program in it, which hears of the terminal's end only from the terminal itself."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        """Start Python with ``arguments`` in it."""
        self._end, self._inner = pty.openpty()
        fcntl.ioctl(self._inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = self.settings()
        paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TERM": "xterm-256color"}
        self.program = subprocess.Popen(
            [sys.executable, "-W", "error", *map(str, arguments)],
            stdin=self._inner,
            stdout=self._inner,
            stderr=self._inner,
            env={**os.environ, **paths, **environment},
            start_new_session=True,
        )
        self.said = b""

    def settings(self) -> Sequence[Any]:
        """Return how the terminal is set."""
        return termios.tcgetattr(self._inner)

    def reads(self, wanted: bytes) -> None:
        """Read what the program writes until it wrote this."""
        until = time.monotonic() + PATIENCE_S
        while wanted not in self.said:
            assert time.monotonic() < until, self.said
            if select.select([self._end], [], [], 0.1)[0]:
                self.said += os.read(self._end, 65536)

    def go(self) -> None:
        """Close the terminal, as the end of the program that showed it does."""
        for end in (self._end, self._inner):
            os.close(end)

    def ends(self) -> int:
        """Return how the program ended, once it has; meanwhile read what it writes."""
        until = time.monotonic() + PATIENCE_S
        while self.program.poll() is None:
            assert time.monotonic() < until
            with suppress(OSError, ValueError):  # the terminal may be closed
                if select.select([self._end], [], [], 0.05)[0]:
                    self.said += os.read(self._end, 65536)
        return self.program.returncode

    def close(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):
            self.go()
        self.program.kill()
        self.program.wait()
