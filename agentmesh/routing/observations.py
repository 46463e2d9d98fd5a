"""The two stores behind the outcome memory: a dense table fitted in one go, and a ring of single observations."""

from dataclasses import dataclass, field

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.routing.ledger import part
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, IndexArray, VectorArray

_FIRST_ROWS = 64
"""Rows reserved at first; the ring doubles from here, so that appending is O(1) amortised."""


@dataclass(slots=True)
class Column:
    """One measure of a table, split into values (unknown ones are 0) and, where some are unknown, what is known.

    ``nothing`` says that no value at all is known, as costs are where agents have no price.

    Shapes:
        values: (m, n) float32. known: (m, n) float32 of 0 and 1, ``None`` when all is known.
    """

    values: VectorArray
    known: VectorArray | None
    nothing: bool = False

    @classmethod
    def of(cls, raw: FloatArray | VectorArray) -> "Column":
        """Split ``raw``, (m, n) with NaN for unknown."""
        known = ~np.isnan(raw)
        values = np.where(known, raw, 0.0).astype(np.float32)
        return cls(values, None if known.all() else known.astype(np.float32), nothing=not known.any())

    def raw(self) -> VectorArray:
        """Undo :meth:`of`."""
        if self.known is None:
            return self.values
        return np.where(self.known > 0, self.values, np.float32(np.nan))

    def forget(self, place: int) -> None:
        """Make every value of the agent at ``place`` unknown."""
        if self.known is None:
            self.known = np.ones_like(self.values)
        self.known[:, place] = 0.0
        self.values[:, place] = 0.0

    def sums(self, weights: VectorArray) -> tuple[FloatArray | float, FloatArray]:
        """Return the weight of what is known and the weighted sum of values, for each agent."""
        if self.nothing:
            return 0.0, np.zeros(self.values.shape[1])
        weight = float(weights.sum()) if self.known is None else (weights @ self.known).astype(np.float64)
        return weight, (weights @ self.values).astype(np.float64)


@dataclass(slots=True)
class Table:
    """Outcomes of tasks x agents. ``vectors`` is (m, d) float32."""

    vectors: VectorArray
    quality: Column
    cost: Column

    @classmethod
    def of(cls, vectors: VectorArray, quality: FloatArray, cost: FloatArray) -> "Table":
        """Copy outcomes with NaN for unknown into single precision."""
        return cls(np.array(vectors, np.float32), Column.of(quality), Column.of(cost))

    @classmethod
    def empty(cls) -> "Table":
        """Return a table of no task."""
        return cls.of(np.zeros((0, 0), np.float32), np.zeros((0, 0)), np.zeros((0, 0)))

    @classmethod
    def load(cls, arrays: Arrays) -> "Table":
        """Undo :meth:`arrays`."""
        vectors, quality, cost = (part(arrays, f"table_{name}") for name in ("vectors", "quality", "cost"))
        if quality.shape != cost.shape or len(vectors) != len(quality):
            raise ConfigError(
                f"fitted outcomes of shapes {quality.shape!r} and {cost.shape!r} do not fit {len(vectors)} tasks"
            )
        return cls.of(vectors, quality, cost)

    def arrays(self) -> Arrays:
        """Return the state by name."""
        return {"table_vectors": self.vectors, "table_quality": self.quality.raw(), "table_cost": self.cost.raw()}

    def forget(self, place: int) -> None:
        """Drop the outcomes of the agent at ``place``; one that was never in the table has none."""
        if place < self.quality.values.shape[1]:
            self.quality.forget(place)
            self.cost.forget(place)

    def add(self, weights: VectorArray, sums: FloatArray) -> None:
        """Add weighted sums to ``sums``, (4, at least n): quality's weight and sum, cost's weight and sum."""
        agents = self.quality.values.shape[1]
        for place, measure in ((0, self.quality), (2, self.cost)):
            weight, total = measure.sums(weights)
            sums[place, :agents] += weight
            sums[place + 1, :agents] += total


@dataclass(slots=True)
class Ring:
    """Single observations, the newest overwriting the oldest once the limit is reached.

    Shapes:
        vectors: (capacity, d) float32; agents (capacity,) int64.
        values: (capacity, 3) quality, cost in US dollars (NaN unknown), and how much the quality is as evidence.
        The first ``size`` rows are in use; ``start`` is the oldest of them.
    """

    vectors: VectorArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    agents: IndexArray = field(default_factory=lambda: np.zeros(0, np.int64))
    values: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    size: int = 0
    start: int = 0

    @classmethod
    def load(cls, arrays: Arrays, start: int) -> "Ring":
        """Undo :meth:`arrays`."""
        vectors, agents, values = (part(arrays, f"ring_{name}").copy() for name in ("vectors", "agents", "values"))
        if values.shape == (len(vectors), 2):
            values = np.column_stack([values, np.ones(len(vectors))])
        if values.shape != (len(vectors), 3) or len(agents) != len(vectors):
            raise ConfigError(
                f"{len(vectors)} observed tasks do not fit {len(agents)} agents and values {values.shape!r}"
            )
        return cls(vectors, agents, values, size=len(vectors), start=start)

    def arrays(self) -> Arrays:
        """Return the rows in use by name; where each is whole evidence, two columns say it all."""
        used = slice(0, self.size)
        values = self.values[used]
        return {
            "ring_vectors": self.vectors[used],
            "ring_agents": self.agents[used],
            "ring_values": values[:, :2] if (values[:, 2] == 1.0).all() else values,
        }

    def append(self, vector: VectorArray, agent: int, values: tuple[float, float, float], *, limit: int) -> None:
        """Add one observation; beyond ``limit`` of them it takes the place of the oldest."""
        if self.size < limit:
            place = self.size
            self._reserve(place + 1, len(vector), limit)
            self.size += 1
        else:
            place = self.start
            self.start = (place + 1) % limit
        self.vectors[place], self.agents[place], self.values[place] = vector, agent, values

    def forget(self, agent: int) -> None:
        """Drop the observations of ``agent`` and put the rest in order of time."""
        order = (np.arange(self.size) + self.start) % max(1, self.size)
        keep = order[self.agents[order] != agent]
        self.vectors, self.agents, self.values = self.vectors[keep], self.agents[keep], self.values[keep]
        self.size, self.start = len(keep), 0

    def add(self, weights: VectorArray, sums: FloatArray) -> None:
        """Add weighted sums to ``sums``, (4, n): quality's weight and sum, cost's weight and sum."""
        agents, agent_count = self.agents[: self.size], sums.shape[1]
        quality, cost, evidence = self.values[: self.size].T
        for place, values, counted in ((0, quality, weights * evidence), (2, cost, weights)):
            known = ~np.isnan(values)
            weight = np.where(known, counted, 0.0)
            sums[place] += np.bincount(agents, weight, agent_count)
            sums[place + 1] += np.bincount(agents, weight * np.where(known, values, 0.0), agent_count)

    def _reserve(self, rows: int, dimension: int, limit: int) -> None:
        capacity = len(self.vectors)
        if rows <= capacity:
            return
        extra = min(max(_FIRST_ROWS, 2 * capacity), limit) - capacity
        self.vectors = np.vstack([self.vectors.reshape(-1, dimension), np.zeros((extra, dimension), np.float32)])
        self.agents = np.concatenate([self.agents, np.zeros(extra, np.int64)])
        self.values = np.vstack([self.values, np.full((extra, 3), np.nan)])
