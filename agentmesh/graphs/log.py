"""The log of one run: numbers and stamps its events, stores them, and tells those who listen."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from agentmesh.events import AnswerChecked, AnswerChunk, BaseEvent, CallFinished, Event, RunStarted
from agentmesh.graphs.steps import Step, step_of
from agentmesh.protocols import EventSink
from agentmesh.records import AgentCall
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
    """The events of one run, in order. ``events`` is the trace so far.

    The log of a run that goes on begins with the events ``before``. A step that is among them is not recorded again:
    whoever adds its event gets the one that stands there, so that what is the same work over again leaves no trace.
    """

    def __init__(
        self,
        run_id: RunId,
        *,
        writer: EventWriter,
        clock: Clock,
        listeners: Sequence[EventSink] = (),
        before: Sequence[Event] = (),
    ) -> None:
        """Begin a log: an empty one, or that of a run which goes on."""
        self.run_id = run_id
        self.events: list[Event] = list(before)
        steps = {step_of(event): event for event in before}
        self._before: Mapping[Step, Event] = {step: event for step, event in steps.items() if step is not None}
        self._first_own = next((event.first_own for event in before if isinstance(event, RunStarted)), 0)
        self._writer = writer
        self._clock = clock
        self._listeners = tuple(listeners)

    @property
    def is_watched(self) -> bool:
        """Return whether anybody listens, so that pieces of answers are worth sending."""
        return bool(self._listeners)

    def earlier(self, kind: type[E], *place: object) -> E | None:
        """Return the event of a step that was done before this run went on, ``None`` where it is still to be done.

        ``place`` says which step of its kind it is, as ``step_of`` gives it: nothing for the decision, which is made
        once, or agent, wave and attempt for a call.
        """
        found = self._before.get((kind, *place))
        return found if isinstance(found, kind) else None

    def own(self, kind: type[E]) -> list[E]:
        """Return the events of a kind so far, without those that a fork took over: another run has paid for them."""
        return [event for event in self.events if isinstance(event, kind) and event.seq >= self._first_own]

    def calls_before(self, agent_id: AgentId, *, wave: int) -> list[AgentCall]:
        """Return the calls of an agent in a wave that had ended before this run went on, by attempt."""
        ended = [event.call for event in self._before.values() if isinstance(event, CallFinished)]
        meant = [call for call in ended if (call.agent_id, call.wave) == (agent_id, wave)]
        return sorted(meant, key=lambda call: call.attempt)

    def checks_before(self, agent_id: AgentId, *, wave: int) -> list[AnswerChecked]:
        """Return what was checked of the answer of an agent in a wave before this run went on."""
        checks = [event for event in self._before.values() if isinstance(event, AnswerChecked)]
        return [one for one in checks if (one.agent_id, one.wave, one.before) == (agent_id, wave, False)]

    def post(self, kind: type[E], **fields: Any) -> E:
        """Add an event; it is stored soon, in order."""
        event, is_new = self._add(kind, fields)
        if is_new:
            self._writer.post([event])  # type: ignore[list-item]  # E is one of the union's members
        return event

    async def commit(self, kind: type[E], **fields: Any) -> E:
        """Add an event and wait until it, and all before it, are stored."""
        return (await self.commit_all(kind, [fields]))[0]

    async def commit_all(self, kind: type[E], each: Sequence[Mapping[str, Any]]) -> list[E]:
        """Add events of one kind and wait until they are stored, in one transaction: all of them, or none."""
        added = [self._add(kind, fields) for fields in each]
        await self._writer.write([event for event, is_new in added if is_new])  # type: ignore[misc]  # as above
        return [event for event, _ in added]

    def chunk(self, agent_id: AgentId, text: str) -> None:
        """Tell listeners of a piece of an answer. It is not stored and takes no number."""
        self._tell(
            AnswerChunk(run_id=self.run_id, seq=len(self.events), at=self._clock.now(), agent_id=agent_id, text=text)
        )

    def _add(self, kind: type[E], fields: Mapping[str, Any]) -> tuple[E, bool]:
        """Return an event that is now in the log, and whether it is new there."""
        event = kind(run_id=self.run_id, seq=len(self.events), at=self._clock.now(), **fields)
        if self._before:
            step = step_of(event)  # type: ignore[arg-type]  # as above
            known = None if step is None else self._before.get(step)
            if isinstance(known, kind):
                return known, False
        self.events.append(event)  # type: ignore[arg-type]  # as above
        self._tell(event)  # type: ignore[arg-type]  # as above
        return event, True

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)
