"""The spans of one run that have begun, and how they end."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from agentmesh.telemetry.spans import Anchor, Attributes, FinishedSpan, Moment, clean, span_id_of, trace_id_of
from agentmesh.types import RunId

MOST_MOMENTS: Final = 128
"""Moments that a run keeps, as many as OpenTelemetry's own limit; a workflow may wait a thousand times."""

Key: TypeAlias = tuple[str | int, ...]
"""Which span of a run: what it is of, and which one of those."""

RUN: Final[Key] = ("run",)


@dataclass(frozen=True, slots=True)
class BegunSpan:
    """A span that has not ended."""

    name: str
    at: float
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Ending:
    """What is known of a span only when it ends, beside its attributes. ``error`` is as in a finished span."""

    error: str | None = None
    parent: Key = RUN
    links: tuple[Anchor, ...] = ()
    is_client: bool = False


class OpenSpans:
    """Spans by their keys, from when they begin until they end, and the moments of the run.

    Args:
        run_id: The run.
        parent: What the run hangs from, in whose trace it is then; a trace of its own by default.
    """

    def __init__(self, run_id: RunId, parent: Anchor | None) -> None:
        self._run_id = run_id
        self._parent = parent
        trace = Anchor(trace_id_of(run_id), 0) if parent is None else parent
        self.run: Final = trace.child(span_id_of(run_id, *RUN))
        self._begun: dict[Key, BegunSpan] = {}
        self._moments: list[Moment] = []
        self._left_out = 0

    def __contains__(self, key: Key) -> bool:
        """Return whether a span has begun and not ended."""
        return key in self._begun

    def inner(self) -> list[Key]:
        """Return the keys of the spans that have not ended, but the run's own."""
        return [key for key in self._begun if key != RUN]

    def anchor_of(self, key: Key) -> Anchor:
        """Return where a span of this run is."""
        if key == RUN:
            return self.run
        return self.run.child(span_id_of(self._run_id, *key))

    def begin(self, key: Key, name: str, at: float, told: Attributes) -> None:
        """Begin a span, or begin it anew."""
        self._begun[key] = BegunSpan(name, at, told)

    def end(self, key: Key, at: float, told: Attributes, *, name: str = "", ending: Ending = Ending()) -> FinishedSpan:
        """End a span; one whose beginning was not told begins and ends at once."""
        begun = self._begun.pop(key, None) or BegunSpan(name or str(key[0]), at, {})
        return self.whole(key, BegunSpan(name or begun.name, begun.at, begun.attributes | told), at, ending)

    def whole(self, key: Key, begun: BegunSpan, at: float, ending: Ending) -> FinishedSpan:
        """Return a span that begins and ends."""
        return FinishedSpan(
            name=clean(begun.name),
            own=self.anchor_of(key),
            parent=self._parent if key == RUN else self.anchor_of(ending.parent),
            began_at=begun.at,
            ended_at=max(at, begun.at),  # a clock may go back
            attributes={"agentmesh.run.id": clean(self._run_id), **begun.attributes},
            moments=self._told() if key == RUN else (),
            links=ending.links,
            error=ending.error,
            is_client=ending.is_client,
        )

    def drop(self, key: Key) -> None:
        """Forget that a span has begun."""
        self._begun.pop(key, None)

    def note(self, name: str, at: float, told: Attributes) -> None:
        """Keep a moment of the run, while there is room."""
        if len(self._moments) < MOST_MOMENTS:
            self._moments.append(Moment(name, at, told))
        else:
            self._left_out += 1

    def _told(self) -> tuple[Moment, ...]:
        if self._left_out:
            last = self._moments[-1]
            return (
                *self._moments[:-1],
                Moment("agentmesh.left_out", last.at, {"agentmesh.moments": self._left_out + 1}),
            )
        return tuple(self._moments)
