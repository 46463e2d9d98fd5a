"""The nearest earlier tasks: cosines that come out the same one by one and in bulk, on any machine."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.types import IndexArray, VectorArray

GRID: Final = 2048
"""A component of a unit vector becomes a whole number of 2048ths. By Cauchy and Schwarz every partial sum of a product
of two such vectors stays below 2**24, where float32 is exact: so no order of summing, and no library, changes a cosine,
and ties are ties. A cosine is good to about 0.0003."""


class TaskWindow:
    """Holds the vectors of the newest ``limit`` tasks, and finds those most like others.

    The rows stand in one array with room at its end; when that is used up, the rows that still count are moved to the
    front or to an array of twice the size, so that adding is O(d) amortised.
    """

    def __init__(self, limit: int) -> None:
        """Start empty; the first vector says how long all are."""
        self.limit = limit
        self.dimension = 0
        self._rows: VectorArray = np.zeros((0, 0), np.float32)
        self._names: list[str] = []
        self._start = 0

    def __len__(self) -> int:
        """Return how many tasks are held."""
        return len(self._names) - self._start

    def check(self, vectors: VectorArray) -> None:
        """See that vectors can be compared with those held.

        Raises:
            ConfigError: they have another length, or hold something that is no finite number.
        """
        length = self.dimension or vectors.shape[1]
        if vectors.shape[1] != length or not length:
            raise ConfigError(
                f"a vector of {vectors.shape[1]!r} numbers was given; the graph's vectors have {length!r}"
                if length
                else "an empty vector was given; embed the text first"
            )
        if not np.isfinite(vectors).all():
            raise ConfigError("a vector holds NaN or infinity; every number of an embedding must be finite")

    def extend(self, names: Sequence[str], vectors: VectorArray, *, k: int) -> list[list[tuple[str, float]]]:
        """Add tasks in order, and return for each its ``k`` nearest among the ``limit`` before it.

        Only cosines above 0 count; the nearest comes first, of equally near ones the newest.

        Shapes:
            vectors: (len(names), d).
        """
        self.check(vectors)
        rows = on_grid(vectors)
        first = self._place(names, rows)
        ends = first + np.arange(len(names))
        found = self._nearest(rows, np.maximum(ends - self.limit, self._start), ends, k)
        self._start = max(self._start, len(self._names) - self.limit)
        return found

    def nearest(self, vector: VectorArray, *, k: int) -> list[tuple[str, float]]:
        """Return the ``k`` tasks held that are nearest to ``vector``, (d,), nearest first, with their cosines."""
        self.check(vector[None])
        if not len(self):
            return []
        end = np.array([len(self._names)])
        return self._nearest(on_grid(vector[None]), np.array([self._start]), end, k)[0]

    def _place(self, names: Sequence[str], rows: VectorArray) -> int:
        """Put rows behind those held, and return the place of the first."""
        held, needed = len(self), len(self) + len(names)
        if len(self._names) + len(names) > len(self._rows):
            size = max(len(self._rows), 64)
            while size < 2 * needed:
                size *= 2
            fresh = np.zeros((size, rows.shape[1]), np.float32)
            fresh[:held] = self._rows[self._start : len(self._names)].reshape(held, rows.shape[1])
            self._rows, self._names, self._start = fresh, self._names[self._start :], 0
            self.dimension = rows.shape[1]
        first = len(self._names)
        self._rows[first : first + len(names)] = rows
        self._names += names
        return first

    def _nearest(
        self, rows: VectorArray, starts: IndexArray, ends: IndexArray, k: int
    ) -> list[list[tuple[str, float]]]:
        """Return for each of ``rows`` the ``k`` nearest of the places from its start to before its end."""
        low, high = int(starts.min()), int(ends.max())
        if high <= low or k < 1:
            return [[] for _ in rows]
        products = rows @ self._rows[low:high].T
        places = np.arange(low, high)
        products[(places < starts[:, None]) | (places >= ends[:, None])] = 0.0
        # one whole number for each pair, which says how near and, of those as near, how new
        ranks = products.astype(np.int64) * (high - low) + np.arange(high - low)
        k = min(k, high - low)
        best = np.argpartition(ranks, -k, axis=1)[:, -k:] if k < high - low else np.tile(np.arange(k), (len(rows), 1))
        order = np.argsort(-np.take_along_axis(ranks, best, axis=1), axis=1)
        best = np.take_along_axis(best, order, axis=1)
        cosines = np.minimum(np.take_along_axis(products, best, axis=1) / np.float32(GRID * GRID), 1.0)
        return [
            [(self._names[low + place], cosine) for place, cosine in zip(row, near, strict=True) if cosine > 0]
            for row, near in zip(best.tolist(), cosines.tolist(), strict=True)
        ]


def on_grid(vectors: VectorArray) -> VectorArray:
    """Scale rows to length 1 and round them to whole 2048ths; a row of zeros stays one.

    >>> on_grid(np.array([[3.0, 4.0]], dtype=np.float32)).tolist()
    [[1229.0, 1638.0]]
    """
    wide = vectors.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True)
    wide = np.divide(wide, largest, out=np.zeros_like(wide), where=largest > 0)  # so that no square overflows
    lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    units = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    grid: VectorArray = np.rint(units * GRID).astype(np.float32)
    return grid
