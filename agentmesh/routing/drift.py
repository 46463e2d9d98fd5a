"""Notices when an agent is no longer what its trails say: one sequential test for each type of task and edge."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.routing.ledger import part
from agentmesh.types import FloatArray, IndexArray

SLACK: Final = 0.15
"""Quality that predictions may be off by, on average, before it counts: smaller changes are left to evaporation."""
SIDES, ROWS = 2, 3  # for a fall and for a rise: the statistic, and good evidence and evidence since it last was 0


class DriftWatch:
    """Adds up how far outcomes lie below (and above) what was predicted, less a slack; too much of it is a change.

    Rule (Page's cumulative sum): for every outcome q predicted as p, ``g <- max(0, g + w (p - q - 0.15))`` for a fall
    and the mirror image for a rise. When g passes ``threshold``, the quality has changed since g was last 0, and what
    was seen since then is what holds now. With a threshold of 8, a fall from .75 to .2 is noticed after some 20
    outcomes, and an agent that does not change gives a false alarm once in some ten thousand.

    Reference: Page, Continuous inspection schemes, Biometrika 41, 1954.

    >>> watch = DriftWatch(threshold=2.0)
    >>> changes = [watch.observe(0, np.ones(1), predicted=0.9, quality=q, weight=1.0) for q in (1.0, 0.0, 0.0, 0.0)]
    >>> [len(types) for types, _ in changes], changes[-1][1].tolist()
    ([0, 0, 0, 1], [[0.0], [3.0]])
    """

    def __init__(self, threshold: float) -> None:
        """Start with nothing seen; a ``threshold`` of 0 switches the watch off."""
        self._threshold = threshold
        self._rows: FloatArray = np.zeros((0, SIDES, ROWS, 1))  # (edges, 2, 3, types)

    def observe(
        self, column: int, weights: FloatArray, *, predicted: float, quality: float, weight: float
    ) -> tuple[IndexArray, FloatArray]:
        """Take in one outcome.

        Returns:
            The types on which the edge has changed, (k,), and what was seen of it there since the change: good
            evidence and evidence, (2, k).

        Shapes:
            weights: (types,) how much the task is of each type.
        """
        if self._threshold <= 0:
            return np.zeros(0, np.int64), np.zeros((2, 0))
        if column >= len(self._rows):
            self._rows = np.pad(self._rows, ((0, column + 1 - len(self._rows)), (0, 0), (0, 0), (0, 0)))
        cell, share, miss = self._rows[column], weight * weights, predicted - quality
        steps = np.array([[miss - SLACK, quality, 1.0], [-miss - SLACK, quality, 1.0]])
        cell += steps[:, :, None] * share
        cell *= cell[:, :1] > 0.0  # a statistic that is not above 0 begins anew
        if cell[:, 0].max() <= self._threshold:
            return np.zeros(0, np.int64), np.zeros((2, 0))
        types = np.flatnonzero(cell[:, 0].max(axis=0) > self._threshold)
        since: FloatArray = cell[np.argmax(cell[:, 0, types], axis=0), 1:, types].T
        cell[:, :, types] = 0.0
        return types, since

    def drop(self, columns: IndexArray) -> None:
        """Begin anew on some edges."""
        self._rows[columns[columns < len(self._rows)]] = 0.0

    def reshape(self, sources: list[int]) -> None:
        """Make the types anew: each takes over from the old type given, or begins at 0 where that is -1."""
        blank = np.zeros((len(self._rows), SIDES, ROWS, 1))
        self._rows = np.ascontiguousarray(np.concatenate([self._rows, blank], axis=3)[..., sources])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all numbers, for a router's state."""
        return {"drift": self._rows}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what :meth:`arrays` returned.

        Raises:
            ConfigError: it is of another shape.
        """
        rows = part(arrays, "drift")
        if rows.ndim != 4 or rows.shape[1:3] != (SIDES, ROWS):
            raise ConfigError(f"the state's watch for drift has shape {rows.shape!r}; expected (edges, 2, 3, types)")
        self._rows = rows.copy()
