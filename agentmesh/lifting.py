"""Events of older shapes, lifted to those of today."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from pydantic import TypeAdapter

from agentmesh.events import Event

_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)

LiftStep: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
_LIFTS: tuple[LiftStep, ...] = ()
"""Step ``i`` turns the JSON object of schema ``i + 1`` into that of schema ``i + 2``."""


def lift(shape: dict[str, Any], *, schema: int, steps: Sequence[LiftStep] = _LIFTS) -> Event:
    """Build an event from the JSON object of any schema up to today's.

    Args:
        shape: The event as it was stored. It may be changed.
        schema: The version of the shapes it was stored under, 1 to ``SCHEMA``.
        steps: What lifts schema 1 to 2, 2 to 3, and so on.
    """
    for step in steps[schema - 1 :]:
        shape = step(shape)
    return _ADAPTER.validate_python(shape)


def parse_event(text: str | bytes) -> Event:
    """Build an event from JSON text of today's schema."""
    return _ADAPTER.validate_json(text)
