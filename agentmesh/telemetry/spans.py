"""A span as a plain value, where it hangs, and how its ids follow from the run: no part of OpenTelemetry is needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, TypeAlias

from agentmesh.types import RunId

AttributeValue: TypeAlias = str | bool | int | float | tuple[str, ...] | tuple[float, ...]
Attributes: TypeAlias = dict[str, AttributeValue]

LAST_MOMENT_S: Final = 9e9
"""Seconds since the epoch that still fit the 64 bits of nanoseconds of a span; the year 2255."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A span that others hang from: its ids, whether its trace is recorded, and the trace state it came with."""

    trace_id: int
    span_id: int
    is_sampled: bool = True
    state: str = ""

    def child(self, span_id: int) -> "Anchor":
        """Return the anchor of another span of this trace."""
        return Anchor(self.trace_id, span_id, self.is_sampled, self.state)


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened within a span, at a time in Unix seconds."""

    name: str
    at: float
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class FinishedSpan:
    """A span that has ended; its times are Unix seconds. ``error`` says what went wrong, ``None`` where nothing did.

    ``links`` are spans that it has to do with, beside its parent. ``is_client`` says that it waits for another machine.
    """

    name: str
    own: Anchor
    parent: Anchor | None
    began_at: float
    ended_at: float
    attributes: Mapping[str, AttributeValue]
    moments: tuple[Moment, ...] = ()
    links: tuple[Anchor, ...] = field(default=())
    error: str | None = None
    is_client: bool = False


def trace_id_of(run_id: RunId) -> int:
    """Return the id of the trace that a run begins: always the same 128 bits.

    >>> f"{trace_id_of('r1'):032x}"
    '801b6e4d4503281540e08e1191d733f5'
    """
    return _digest(("trace", run_id), 16)


def span_id_of(run_id: RunId, *place: str | int) -> int:
    """Return the id of a span of a run: always the same 64 bits. ``place`` says which one it is.

    >>> span_id_of("r1", "run") == span_id_of("r1", "run") != span_id_of("r1", "route")
    True
    """
    return _digest(("span", run_id, *place), 8)


def nanoseconds(at: float) -> int:
    """Return Unix seconds as whole nanoseconds, as a span tells them; a time that is none is the nearest that is.

    >>> nanoseconds(1.5), nanoseconds(-3.0), nanoseconds(float("nan"))
    (1500000000, 0, 0)
    """
    return int(min(at, LAST_MOMENT_S) * 1e9) if at > 0 else 0


def clean(text: str) -> str:
    r"""Return a text that UTF-8 can hold, since one that it cannot costs every span that is sent with it.

    >>> clean("caf\u00e9 \ud800")
    'café \\ud800'
    """
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _digest(parts: tuple[str | int, ...], size: int) -> int:
    """Return a number that is never zero, since zero is no id. ``ascii`` tells all parts apart, in any version."""
    return int.from_bytes(blake2b(ascii(parts).encode(), digest_size=size).digest(), "big") or 1
