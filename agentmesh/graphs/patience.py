"""How long a call is waited for, and how one is left that does not end: nobody can make an agent stop."""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

logger = logging.getLogger(__name__)

GRACE_S: Final = 0.1
"""How long a call that was cancelled may take to clean up before its run goes on without it."""

CLOSING_S: Final = 2.0
"""How long a mesh that closes waits for calls that were left."""


@dataclass(slots=True)
class Patience:
    """Waits for one call, within its own time and within that between two signs of life.

    Args:
        timeout_s: What the call may take, ``None`` for as long as it likes.
        idle_timeout_s: What may pass without a sign, ``None`` for any time.
    """

    timeout_s: float | None
    idle_timeout_s: float | None = None
    is_over: bool = False
    _begun: float = field(init=False, default=0.0)  # on the event loop's clock, which is the one that wakes us
    _last_sign: float = field(init=False, default=0.0)

    def sign(self) -> None:
        """Take note that the call is alive."""
        if self.idle_timeout_s is not None:
            self._last_sign = asyncio.get_running_loop().time()

    async def outlast(self, call: asyncio.Task[Any]) -> str | None:
        """Wait until the call has ended, or return why it is not waited for any longer."""
        loop = asyncio.get_running_loop()
        self._begun = self._last_sign = loop.time()
        while True:
            left, why = self._left(loop.time())
            await asyncio.wait(
                (call,), timeout=left
            )  # even with no time left: one that has its answer at hand gives it
            if call.done():
                return None
            if self._left(loop.time())[0] == 0:
                return why

    def _left(self, now: float) -> tuple[float | None, str]:
        """Return the seconds that are left, and what to say when there are none."""
        ends: list[tuple[float, str]] = []
        if self.timeout_s is not None:
            ends.append((self._begun + self.timeout_s, f"no answer within {self.timeout_s:g} s"))
        if self.idle_timeout_s is not None:
            ends.append((self._last_sign + self.idle_timeout_s, f"no sign of life for {self.idle_timeout_s:g} s"))
        if not ends:
            return None, ""
        end, why = min(ends)
        return max(end - now, 0.0), why


class LeftBehind:
    """Calls that did not end when they were told to. Their answers count nowhere."""

    def __init__(self) -> None:
        """Begin with none."""
        self._calls: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._calls)

    async def leave(self, call: asyncio.Task[Any], inside: Collection[asyncio.Task[Any]] = ()) -> None:
        """Cancel a call and the runs inside it, and give them a moment; what goes on all the same is kept here."""
        running = {task for task in (call, *inside) if not task.done()}
        for task in running:
            task.cancel()
        try:
            if running:
                await asyncio.wait(running, timeout=GRACE_S)
        finally:
            if call.done():
                _forget(call)
            else:
                self._calls.add(call)
                call.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """Cancel what is left once more and wait a little for it; say what could not be ended."""
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(set(self._calls), timeout=CLOSING_S)
        if self._calls:
            names = sorted(call.get_name() for call in self._calls)
            logger.warning("%d calls of agents go on though they were cancelled: %s", len(names), ", ".join(names))

    def _ended(self, call: asyncio.Task[Any]) -> None:
        self._calls.discard(call)
        _forget(call)


def _forget(call: asyncio.Task[Any]) -> None:
    """Look at how a call ended, so that nobody is told that an error was never looked at."""
    if not call.cancelled():
        call.exception()
