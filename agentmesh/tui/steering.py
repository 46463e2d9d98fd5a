"""How a run that is played again is steered; what is not played takes no heed."""

from collections.abc import Sequence
from typing import Final

from agentmesh.events import Event
from agentmesh.tui.sources import PlayedSource, Source

SPEEDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0)
STEERING: Final = frozenset({"step", "slower", "faster", "seek"})
"""The actions that only a run that is played knows."""

JUMPS: Final = 20
"""Into how many parts a jump divides a run that is played."""


def step(source: Source) -> None:
    """Play the next event, and stand still."""
    if isinstance(source, PlayedSource):
        source.step()


def change_speed(source: Source, by: int) -> None:
    """Play at a speed so many places further in ``SPEEDS``."""
    if isinstance(source, PlayedSource):
        nearest = min(range(len(SPEEDS)), key=lambda place: abs(SPEEDS[place] - source.speed))
        source.set_speed(SPEEDS[min(max(nearest + by, 0), len(SPEEDS) - 1)])


def jump(source: Source, by: int) -> Sequence[Event] | None:
    """Jump ahead or back by so many twentieths; return all events up to there, ``None`` where nothing is played."""
    if not isinstance(source, PlayedSource):
        return None
    place, length = source.position
    return source.seek(place + by * max(length // JUMPS, 1))
