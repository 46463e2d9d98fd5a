"""Names for plain values, and the two sources of the outside world that code is handed: a clock and a generator."""

import time
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pydantic import JsonValue as JsonValue

if TYPE_CHECKING:
    from agentmesh.arrays import FloatArray as FloatArray
    from agentmesh.arrays import IndexArray as IndexArray
    from agentmesh.arrays import MaskArray as MaskArray
    from agentmesh.arrays import Rng as Rng
    from agentmesh.arrays import VectorArray as VectorArray
else:
    _ARRAYS = frozenset({"FloatArray", "IndexArray", "MaskArray", "Rng", "VectorArray"})

    def __getattr__(name: str) -> object:
        """Load numpy when an array is first named: who lists runs, or watches them, names none."""
        if name not in _ARRAYS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("agentmesh.arrays"), name)


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
