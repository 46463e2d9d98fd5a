"""Names for plain values, and the two sources of the outside world that code is handed: a clock and a generator."""

import time
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pydantic import JsonValue as JsonValue

from agentmesh.lazy import lazily

if TYPE_CHECKING:
    from agentmesh.arrays import FloatArray as FloatArray
    from agentmesh.arrays import IndexArray as IndexArray
    from agentmesh.arrays import MaskArray as MaskArray
    from agentmesh.arrays import Rng as Rng
    from agentmesh.arrays import VectorArray as VectorArray
else:
    # numpy is loaded when an array is first named: who lists runs, or watches them, names none
    __getattr__ = lazily(
        __name__, dict.fromkeys(("FloatArray", "IndexArray", "MaskArray", "Rng", "VectorArray"), "arrays")
    )


AgentId: TypeAlias = str
RunId: TypeAlias = str


class Clock(Protocol):
    """Tells the time. Tests hand in one that stands still."""

    def now(self) -> float:
        """Return seconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go back."""
        ...


class SystemClock:
    """The machine's own clock: the one place that reads it."""

    def now(self) -> float:
        """Return seconds since the Unix epoch, UTC."""
        return time.time()  # noqa: TID251 - the one named place

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go back."""
        return time.perf_counter()
