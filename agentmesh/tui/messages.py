"""What the workers of the app tell it."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.message import Message

from agentmesh.events import Event
from agentmesh.types import RunId


@dataclass
class Arrived(Message):
    """Events came from the source."""

    events: Sequence[Event]


@dataclass
class SourceFailed(Message):
    """The source could not be read; it is tried again."""

    reason: str


@dataclass
class TraceRead(Message):
    """The events of a run were read, and those of the runs of its stages; ``reason`` says why not."""

    run_id: RunId
    events: Sequence[Event] = ()
    reason: str = ""
