"""A bounded memory of what agents were worth on past tasks, shared by the routers that look back at them.

Outcomes fitted in one go are a dense table of tasks x agents; outcomes observed one by one are a ring of single
observations, because only called agents reveal theirs. Both answer the same question: summed over past tasks with
these weights, how much evidence is there for each agent, how good was it, and what did it cost?
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.packing import unpack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Outcomes
from agentmesh.routing.ledger import Ledger, Means
from agentmesh.routing.observations import Ring, Table
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, JsonValue, VectorArray


@dataclass(frozen=True, slots=True)
class Tally:
    """Weighted sums over past outcomes, one value for each agent of a pool.

    Shapes:
        weight, quality: (n,) the weight of the agent's observed outcomes, each as evidence, and weight x quality.
        cost_weight, cost: (n,) the weight of its known costs, and weight x US dollars.
    """

    weight: FloatArray
    quality: FloatArray
    cost_weight: FloatArray
    cost: FloatArray


class OutcomeMemory:
    """Remembers outcomes of past tasks up to a bound, the newest ones.

    At most ``max_tasks`` fitted tasks and as many observations made one by one are kept; beyond that the oldest is
    evicted. The lifetime sums of the ledger outlive eviction. An outcome of a newer version of an agent drops
    everything known of its older versions.

    An outcome counts as much as its weight as evidence, its cost whole, since that is a fact.

    Memory: about 4 bytes x ``max_tasks`` x (2 d + 4 agents) when both parts are full.
    """

    def __init__(self, max_tasks: int) -> None:
        """Start with nothing.

        Raises:
            ConfigError: ``max_tasks`` is below 1.
        """
        if max_tasks < 1:
            raise ConfigError(f"max_tasks is {max_tasks!r}; it must be at least 1")
        self.max_tasks = max_tasks
        self.ledger = Ledger()
        self._table = Table.empty()
        self._ring = Ring()
        self._foreseen: dict[bytes, VectorArray] = {}

    def __len__(self) -> int:
        """Return how many past tasks are looked at: fitted ones and single observations."""
        return len(self._table.vectors) + self._ring.size

    def fit(self, outcomes: Outcomes) -> None:
        """Forget everything and take ``outcomes``: all of them into the ledger, the last ``max_tasks`` to look at."""
        last = slice(-self.max_tasks, None)
        self._foreseen = {}
        self.ledger.fit(outcomes)
        self._table = Table.of(outcomes.vectors[last], outcomes.quality[last], outcomes.cost[last])
        self._ring = Ring()

    def learn(self, experience: Experience) -> None:
        """Add one observed outcome, unless it is of an older version of the agent than one already seen.

        Raises:
            ConfigError: its vector has another length than those in memory.
        """
        vector = unpack_vector(experience.vector)
        self._check(vector)
        self._foreseen = {}
        learned = self.ledger.learn(experience)
        if learned is None:
            return
        column, dropped = learned
        if dropped:
            self._table.forget(column)
            self._ring.forget(column)
        cost = np.nan if experience.cost_usd is None else float(experience.cost_usd)
        self._ring.append(vector, column, (experience.quality, cost, experience.weight), limit=self.max_tasks)

    def similarities(self, vector: VectorArray) -> VectorArray:
        """Return the inner products of ``vector`` with the past tasks, (len(self),) float32.

        Raises:
            ConfigError: ``vector`` has another length than those in memory.
        """
        self._check(vector)
        known = self._foreseen.get(vector.tobytes()) if self._foreseen else None
        return self._compared(vector) if known is None else known

    def foresee(self, vectors: VectorArray) -> None:
        """Compare tasks with the past ones at once, to be looked up until something is learned: a tenth of the time.

        One by one, each comparison reads the whole memory. The two ways may differ in the last bit.

        Shapes:
            vectors: (m, d) float32; in place of those foreseen before.
        """
        self._foreseen = {}
        if len(vectors) and len(self):
            self._check(vectors[0])
            found = np.ascontiguousarray(self._compared(vectors.T).T)
            self._foreseen = {vector.tobytes(): row for vector, row in zip(vectors, found, strict=True)}

    def _compared(self, vectors: VectorArray) -> VectorArray:
        """Return inner products with the past tasks. Shapes: (d,) or (d, m) to (len(self),) or (len(self), m)."""
        blocks = (self._table.vectors, self._ring.vectors[: self._ring.size])
        parts = [rows @ vectors for rows in blocks if len(rows)]
        return np.concatenate(parts) if parts else np.zeros((0, *vectors.shape[1:]), np.float32)

    def tally(self, weights: VectorArray, pool: AgentPool) -> Tally:
        """Sum outcomes for each agent of ``pool`` with one weight >= 0 for each past task.

        Shapes:
            weights: (len(self),) float32, in the order of :meth:`similarities`.
        """
        sums: FloatArray = np.zeros((4, len(self.ledger.ids)))
        fitted = len(self._table.vectors)
        if len(weights):
            self._table.add(weights[:fitted], sums)
            self._ring.add(weights[fitted:], sums)
        return Tally(*self.ledger.gather(sums, pool))

    def means(self, pool: AgentPool) -> Means:
        """Return the lifetime sums of each agent of ``pool``."""
        return self.ledger.means(pool)

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name; with :meth:`meta` they rebuild this memory bit for bit."""
        return {**self.ledger.arrays(), **self._table.arrays(), **self._ring.arrays()}

    def meta(self) -> dict[str, JsonValue]:
        """Return the part of the state that is no array."""
        return {**self.ledger.meta(), "start": self._ring.start}

    def load(self, arrays: Arrays, meta: Mapping[str, JsonValue]) -> None:
        """Become the memory that :meth:`arrays` and :meth:`meta` were taken from.

        Raises:
            ConfigError: a part is missing or the parts do not fit together.
        """
        start = meta.get("start")
        if not isinstance(start, int):
            raise ConfigError(f"the state's ring starts at {start!r}; it must be a row number")
        table, ring = Table.load(arrays), Ring.load(arrays, start)
        self.ledger.load(arrays, meta)
        self._table, self._ring, self._foreseen = table, ring, {}

    def _check(self, vector: VectorArray) -> None:
        rows = self._ring.vectors if self._ring.size else self._table.vectors
        if len(rows) and rows.shape[1] != len(vector):
            raise ConfigError(
                f"a task vector has length {len(vector)!r}, past tasks have {rows.shape[1]}; use the same embedder"
            )
