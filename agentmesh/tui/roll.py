"""The roll that an app calls: which runs under way are still in somebody's hands."""

from contextlib import suppress
from typing import Final

from textual import work

from agentmesh.errors import StoreError
from agentmesh.store.at_work import orphans_of
from agentmesh.store.base import TraceStore
from agentmesh.store.leases import called
from agentmesh.tui.messages import RollCalled
from agentmesh.tui.sources import TailSource
from agentmesh.tui.steering import SteeredApp
from agentmesh.types import Clock

ROLL_S: Final = 2.5
"""How often the roll is called: those who are at work say so every five seconds."""


class RollCallingApp(SteeredApp):
    """An app that knows of runs whose process is gone, where other processes write them."""

    def on_mount(self) -> None:
        """Begin to ask; a mesh in this process is at work, and a run that is played was."""
        if isinstance(self.watched.source, TailSource):
            self.set_interval(ROLL_S, self._call_roll)

    def on_roll_called(self, message: RollCalled) -> None:
        """Let the board know who is at work."""
        self.watched.board.call_roll(message.at_work)
        self.draw_soon()

    @work(thread=True, exclusive=True, group="roll")
    def _call_roll(self) -> None:
        with suppress(StoreError):  # the source says so, and it is tried again
            self.post_message(RollCalled(owners_at_work(self.watched.store, self.watched.clock)))


def owners_at_work(store: TraceStore, clock: Clock) -> frozenset[str]:
    """Return the owners of runs that are at work, by their leases; one that is in doubt counts as at work.

    Raises:
        StoreError: they cannot be read.
    """
    now = clock.now()
    return orphans_of(called(store.leases(), now=now), now=now).living
