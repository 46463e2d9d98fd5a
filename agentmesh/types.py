"""Names for plain values, and the two sources of the outside world that code is handed: a clock and a generator."""

import time
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue as JsonValue

AgentId: TypeAlias = str
RunId: TypeAlias = str
FloatArray: TypeAlias = NDArray[np.float64]
VectorArray: TypeAlias = NDArray[np.float32]
IndexArray: TypeAlias = NDArray[np.int64]
MaskArray: TypeAlias = NDArray[np.bool_]
Rng: TypeAlias = np.random.Generator


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
