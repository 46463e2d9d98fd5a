"""What the workers of the app tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from agentmesh.events import Event
from agentmesh.records import AgentCard, Run, RunSummary
from agentmesh.types import RunId

if TYPE_CHECKING:
    from agentmesh.learning.predictions import Predictions
    from agentmesh.learning.versions import StoredRouter
    from agentmesh.tui.learned import LearnedRouter, TrailsAt


@dataclass
class Arrived(Message):
    """Events came from the source."""

    events: Sequence[Event]


@dataclass
class SourceFailed(Message):
    """The source could not be read; whether it can is known again ``again_s`` later."""

    reason: str
    again_s: float


@dataclass
class RollCalled(Message):
    """It was read which owners of runs are at work."""

    at_work: frozenset[str]


@dataclass
class CardsRead(Message):
    """The newest card of every agent was read."""

    cards: Sequence[AgentCard]


@dataclass
class PageRead(Message):
    """A page of the list of stored runs was read; ``asked`` is the list it belongs to. Its first page begins a list.

    ``total`` is how long the list is, ``None`` where reading the page did not tell.
    """

    asked: int
    number: int
    runs: Sequence[RunSummary] = ()
    total: int | None = None
    reason: str = ""


@dataclass
class RunsCounted(Message):
    """It is known how long the list ``asked`` of stored runs is."""

    asked: int
    total: int


@dataclass
class WaitingRead(Message):
    """The runs that wait for a person were read; ``asked`` counts how often they were asked for."""

    asked: int
    runs: Sequence[Run]


@dataclass
class RoutersRead(Message):
    """The stored routers were read, by their names with the hash of their parameters and their embedder.

    ``asked`` says in which reading of everything, here and below.
    """

    asked: int
    routers: "Mapping[str, StoredRouter]"


@dataclass
class RouterRead(Message):
    """The history of one router was read; ``reason`` says why not."""

    name: str
    learned: "LearnedRouter | None" = None
    reason: str = ""


@dataclass
class TrailsRead(Message):
    """The trails of a router at a place of its history were read; ``reason`` says why not."""

    learned: "LearnedRouter"
    place: int
    found: "TrailsAt | None" = None
    reason: str = ""


@dataclass
class PredictionsRead(Message):
    """What routers expected of the newest scored answers was read; ``reason`` says why not."""

    asked: int
    found: "Predictions | None" = None
    reason: str = ""


@dataclass
class Compared(Message):
    """Two runs were compared, or a router was asked what it would have done: ``lines`` tell what came of it."""

    title: str
    lines: Sequence[str]


@dataclass
class TraceRead(Message):
    """Events of a run were read, ``count`` by now, and this is what they come to; ``reason`` says why not.

    ``is_whole`` says whether these are all; reading the last of them took ``cost_s`` of a processor.
    """

    run_id: RunId
    run: Run | None = None
    count: int = 0
    is_whole: bool = False
    reason: str = ""
    cost_s: float = 0.0
