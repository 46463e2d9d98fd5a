"""The last outcomes that a router saw: bounded, and the ground of its scale of costs."""

from typing import Final

import numpy as np

from agentmesh.routing.objective import Scale
from agentmesh.types import FloatArray

CAPACITY: Final = 1000  # percentiles 5 and 95 then rest on 50 values each
ENOUGH: Final = 32  # below this a percentile is one or two values


class OutcomeWindow:
    """Keeps the newest 1,000 outcomes as rows of quality, cost and latency; NaN where unknown.

    >>> window = OutcomeWindow()
    >>> window.add(quality=1.0, cost=0.002, latency=0.5)
    >>> len(window), window.scale().cost
    (1, None)
    """

    def __init__(self) -> None:
        """Start empty."""
        self._rows: FloatArray = np.full((CAPACITY, 3), np.nan)
        self._count = 0
        self._scale: Scale | None = None

    def __len__(self) -> int:
        """Return how many outcomes are kept."""
        return min(self._count, CAPACITY)

    def add(self, *, quality: float, cost: float, latency: float) -> None:
        """Take in one outcome; the oldest makes room."""
        self._rows[self._count % CAPACITY] = quality, cost, latency
        self._count += 1
        self._scale = None

    def fill(self, quality: FloatArray, cost: FloatArray) -> None:
        """Start again from a table of outcomes: all that were observed, or 1,000 spread evenly over it.

        Shapes:
            quality, cost: (m, n), quality NaN where nothing was observed.
        """
        seen = np.flatnonzero(np.isfinite(quality.ravel()))
        if len(seen) > CAPACITY:
            seen = seen[np.linspace(0, len(seen) - 1, CAPACITY).astype(np.int64)]
        columns = quality.ravel()[seen], cost.ravel()[seen], np.full(len(seen), np.nan)
        self.load(np.stack(columns, axis=1))

    def rows(self) -> FloatArray:
        """Return what is kept, oldest first, shape (m, 3)."""
        if self._count <= CAPACITY:
            return self._rows[: self._count].copy()
        return np.roll(self._rows, -(self._count % CAPACITY), axis=0)

    def load(self, rows: FloatArray) -> None:
        """Take over what :meth:`rows` returned."""
        self._rows = np.full((CAPACITY, 3), np.nan)
        self._count = len(rows)
        self._rows[: self._count] = rows
        self._scale = None

    def scale(self) -> Scale:
        """Return the scale of what is kept; an empty one until 32 outcomes are there."""
        if self._scale is None:
            quality, cost, latency = self.rows().T
            enough = len(self) >= ENOUGH
            self._scale = Scale.of(cost, quality=quality, latency=latency) if enough else Scale()
        return self._scale
