"""The log of one run: numbers and stamps its events, stores them, and tells those who listen."""

from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeVar

from agentmesh.events import AnswerChunk, BaseEvent, Event
from agentmesh.protocols import EventSink
from agentmesh.types import AgentId, Clock, RunId

E = TypeVar("E", bound=BaseEvent)


LONGEST_ERROR: Final = 10_000
"""Characters of an error that a trace keeps: some hold the whole page that they came with."""


def named(error: BaseException) -> str:
    """Return an error as a trace records it: its kind and what it says, as text that can be stored.

    >>> named(ValueError("too small"))
    'ValueError: too small'
    """
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - the node boundary: the error is somebody's own, and cannot say what it is
        said = "it cannot be shown as text"
    shown = said if len(said) <= LONGEST_ERROR else f"{said[:LONGEST_ERROR]}..."
    return f"{type(error).__name__}: {shown}".encode(errors="backslashreplace").decode()


class EventWriter(Protocol):
    """Takes events towards the store; ``agentmesh.store.writer.TraceWriter`` is the one in use."""

    def post(self, events: Sequence[Event]) -> None:
        """Queue events and return at once."""
        ...

    async def write(self, events: Sequence[Event]) -> None:
        """Queue events and return when they are committed."""
        ...


class RunLog:
    """The events of one run, in order. ``events`` is the trace so far."""

    def __init__(
        self, run_id: RunId, *, writer: EventWriter, clock: Clock, listeners: Sequence[EventSink] = ()
    ) -> None:
        """Begin an empty log."""
        self.run_id = run_id
        self.events: list[Event] = []
        self._writer = writer
        self._clock = clock
        self._listeners = tuple(listeners)

    @property
    def is_watched(self) -> bool:
        """Return whether anybody listens, so that pieces of answers are worth sending."""
        return bool(self._listeners)

    def post(self, kind: type[E], **fields: Any) -> E:
        """Add an event; it is stored soon, in order."""
        event = self._add(kind, fields)
        self._writer.post([event])  # type: ignore[list-item]  # E is one of the union's members
        return event

    async def commit(self, kind: type[E], **fields: Any) -> E:
        """Add an event and wait until it, and all before it, are stored."""
        event = self._add(kind, fields)
        await self._writer.write([event])  # type: ignore[list-item]  # as above
        return event

    def chunk(self, agent_id: AgentId, text: str) -> None:
        """Tell listeners of a piece of an answer. It is not stored and takes no number."""
        self._tell(
            AnswerChunk(run_id=self.run_id, seq=len(self.events), at=self._clock.now(), agent_id=agent_id, text=text)
        )

    def _add(self, kind: type[E], fields: dict[str, Any]) -> E:
        event = kind(run_id=self.run_id, seq=len(self.events), at=self._clock.now(), **fields)
        self.events.append(event)  # type: ignore[arg-type]  # as above
        self._tell(event)  # type: ignore[arg-type]  # as above
        return event

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)
