"""How the app is left from outside: by a signal to end, or by a terminal that has gone.

Textual writes in a thread, from a queue of thirty pieces, and reads in another one. Where nobody reads the terminal any
more, or it is gone, the queue fills and the event loop stands still in it; where it is gone, the reader spins. So what
ends the app must not depend on the loop: a signal is handled where the interpreter stands, a thread waits for the
terminal to hang up, and an app that does not follow within ``GRACE_S`` is ended without it.
"""

import asyncio
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

if sys.platform != "win32":
    import termios

GRACE_S: Final = 5.0
"""How long an app that is asked to end may take to write the last, and to close."""

LOOK_MS: Final = 500
"""How often the thread that waits for the terminal to go sees whether the app has ended meanwhile."""

SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

GIVEN_BACK: Final = (
    b"\x1b[?2004l\x1b[?7h\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)
"""What gives a terminal back: unmarked pastes, lines that wrap, no mouse, plain keys, the first screen."""


@contextmanager
def ended_from_outside(leave: Callable[[], object], *, grace_s: float = GRACE_S) -> Iterator[None]:
    """Have a signal to end, and a terminal that goes, call ``leave`` on the running event loop.

    Where the work inside still goes on ``grace_s`` later, the process ends without more ado, and the terminal is given
    back as far as that goes.
    """
    leaving, loop = _Leaving(grace_s), asyncio.get_running_loop()

    def end(number: int) -> None:
        with suppress(RuntimeError):  # the loop is closed, so that it is left already
            loop.call_soon_threadsafe(leave)
        leaving.within_grace(number)

    with ExitStack() as stack:
        stack.callback(leaving.is_over.set)
        for number in SIGNALS:
            stack.callback(_handled(number, end))
        threading.Thread(target=_wait_for_hang_up, args=(leaving.is_over, end), daemon=True).start()
        yield


class _Leaving:
    """Knows how the terminal was, and whether the app has ended."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self.is_over = threading.Event()
        self._attributes = _attributes()

    def within_grace(self, number: int) -> None:
        """See to it that the process ends, as if by the signal ``number``."""
        threading.Thread(target=self._end, args=(number,), daemon=True).start()

    def _end(self, number: int) -> None:
        if not self.is_over.wait(self._grace_s):
            _give_back(self._attributes)
            os._exit(128 + number)  # the event loop stands still, and nothing else would end it


def _handled(number: int, end: Callable[[int], None]) -> Callable[[], object]:
    """Have a signal call ``end``, and return what undoes that. One that is ignored, as under nohup, stays so."""
    before = signal.getsignal(number)
    if before is signal.SIG_IGN:
        return lambda: None
    try:
        signal.signal(number, lambda found, _frame: end(found))
    except ValueError:  # only the first thread hears signals
        return lambda: None
    return lambda: signal.signal(number, before)


def _wait_for_hang_up(is_over: threading.Event, end: Callable[[int], None]) -> None:
    if sys.platform == "win32" or not sys.stdin.isatty():
        return
    poll = select.poll()
    poll.register(sys.stdin.fileno(), 0)  # that the other end is gone is told without being asked for
    while not is_over.is_set():
        if poll.poll(LOOK_MS):
            end(signal.SIGHUP)
            return


def _attributes() -> list[Any] | None:
    if sys.platform == "win32":
        return None
    with suppress(OSError, ValueError, termios.error):  # there is no terminal, or no file at all
        return termios.tcgetattr(sys.stdin.fileno())
    return None


def _give_back(attributes: list[Any] | None) -> None:
    """Set a terminal as it was; what it is told to show is left out where it takes nothing now."""
    if sys.platform == "win32" or attributes is None:
        return
    with suppress(OSError, termios.error):
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, attributes)
        if select.select((), (sys.stdin.fileno(),), (), 0)[1]:
            os.write(sys.stdin.fileno(), GIVEN_BACK)
