"""What takes the events of a replay: nothing of it is stored."""

from collections.abc import Sequence

from agentmesh.events import Event


class Kept:
    """Takes the events of a replay and keeps them in memory."""

    def __init__(self) -> None:
        """Begin with none."""
        self.events: list[Event] = []

    def post(self, events: Sequence[Event]) -> None:
        """Keep events."""
        self.events.extend(events)

    async def write(self, events: Sequence[Event]) -> None:
        """Keep events."""
        self.events.extend(events)
