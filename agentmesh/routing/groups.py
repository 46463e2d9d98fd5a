"""What each agent was worth in each group of tasks, and the first tasks, kept until groups can be found among them."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Outcomes
from agentmesh.routing.ledger import Ledger
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, IndexArray, VectorArray

ROWS_A_TASK: Final = 256  # a warm-up of few tasks with very many outcomes ends too, and keeps memory bounded


class Seen(NamedTuple):
    """One outcome of the agent in ``column`` of a ledger; ``cost`` is NaN where unknown."""

    column: int
    quality: float
    cost: float
    weight: float

    @classmethod
    def of(cls, experience: Experience, column: int) -> "Seen":
        """Return what counts of an experience."""
        cost = np.nan if experience.cost_usd is None else float(experience.cost_usd)
        return cls(column, experience.quality, cost, experience.weight)


class GroupSums:
    """Counts outcomes by group and agent: quality by its weight as evidence, known costs whole.

    Shapes:
        values: (4, groups, columns): weight of outcomes, weighted sum of qualities, known costs, their sum in US
        dollars.
    """

    def __init__(self, groups: int = 1, columns: int = 0) -> None:
        """Start with zeros."""
        self.values = np.zeros((4, groups, columns))

    @classmethod
    def of(cls, member: IndexArray, groups: int, outcomes: Outcomes) -> "GroupSums":
        """Count a table whose task i is in group ``member[i]``."""
        sums = cls(groups, len(outcomes.agent_ids))
        for row, values in ((0, outcomes.quality), (2, outcomes.cost)):
            known = ~np.isnan(values)
            np.add.at(sums.values[row], member, known)
            np.add.at(sums.values[row + 1], member, np.where(known, values, 0.0))
        return sums

    @classmethod
    def loaded(cls, values: FloatArray) -> "GroupSums":
        """Return sums with a copy of these values."""
        sums = cls()
        sums.values = values.copy()
        return sums

    def widen(self, groups: int) -> None:
        """Make room for ``groups`` of them, the new ones without outcomes."""
        fresh = groups - self.values.shape[1]
        if fresh:
            self.values = np.pad(self.values, ((0, 0), (0, fresh), (0, 0)))

    def replaced(self, first: int, groups: int) -> "GroupSums":
        """Return sums with ``groups`` empty groups in place of the first ones."""
        empty = np.zeros((4, groups, self.values.shape[2]))
        return GroupSums.loaded(np.concatenate([empty, self.values[:, first:]], axis=1))

    def drop(self, column: int) -> None:
        """Forget the outcomes of an agent."""
        self.values[:, :, column : column + 1] = 0.0

    def add(self, share: FloatArray, seen: Seen) -> None:
        """Share one outcome out over the groups; ``share`` is (groups,) and sums to 1."""
        if seen.column >= self.values.shape[2]:
            grown = seen.column + 1 - self.values.shape[2]
            self.values = np.pad(self.values, ((0, 0), (0, 0), (0, grown)))
        evidence = seen.weight * share
        self.values[0, :, seen.column] += evidence
        self.values[1, :, seen.column] += evidence * seen.quality
        if not np.isnan(seen.cost):
            self.values[2, :, seen.column] += share
            self.values[3, :, seen.column] += share * seen.cost

    def gather(self, groups: IndexArray, ledger: Ledger, pool: AgentPool) -> FloatArray:
        """Return the sums of some groups for the agents of ``pool``, (4, len(groups), n)."""
        flat = self.values[:, groups].reshape(4 * len(groups), -1)
        return ledger.gather(flat, pool).reshape(4, len(groups), len(pool))


class WarmUp:
    """Keeps the outcomes of the first tasks, until there are so many different tasks that groups show among them."""

    def __init__(self, tasks: int) -> None:
        """Start empty; ``tasks`` different ones make it full."""
        self._most = tasks
        self._vectors: list[VectorArray] = []
        self._places: dict[bytes, int] = {}
        self._rows: list[tuple[int, Seen]] = []

    @property
    def full(self) -> bool:
        """Return whether it is time to look for groups."""
        return len(self._vectors) >= self._most or len(self._rows) >= ROWS_A_TASK * self._most

    @property
    def vectors(self) -> VectorArray:
        """Return the vectors of the different tasks, (t, d)."""
        return np.stack(self._vectors)

    @property
    def rows(self) -> list[tuple[int, Seen]]:
        """Return the outcomes in the order of their arrival, each with the place of its task in ``vectors``."""
        return self._rows

    def check(self, vector: VectorArray) -> None:
        """Refuse a vector of another length than those before.

        Raises:
            ConfigError: it has another length.
        """
        if self._vectors and len(vector) != len(self._vectors[0]):
            length = len(self._vectors[0])
            raise ConfigError(
                f"a task vector has length {len(vector)!r}, past ones had {length}; use the same embedder"
            )

    def add(self, vector: VectorArray, seen: Seen) -> None:
        """Keep one outcome."""
        place = self._places.setdefault(vector.tobytes(), len(self._vectors))
        if place == len(self._vectors):
            self._vectors.append(vector)
        self._rows.append((place, seen))

    def drop(self, column: int) -> None:
        """Forget the outcomes of an agent; their tasks stay."""
        self._rows = [row for row in self._rows if row[1].column != column]

    def arrays(self) -> Arrays:
        """Return what is kept, by name; nothing when nothing is."""
        if not self._vectors:
            return {}
        rows = np.array([(place, *seen) for place, seen in self._rows], np.float64).reshape(-1, 5)
        return {"first_vectors": self.vectors, "first_rows": rows}

    @classmethod
    def load(cls, tasks: int, arrays: Mapping[str, np.ndarray]) -> "WarmUp":
        """Undo :meth:`arrays`."""
        kept = cls(tasks)
        if "first_vectors" not in arrays:
            return kept
        vectors, rows = arrays["first_vectors"], arrays["first_rows"]
        if rows.ndim != 2 or rows.shape[1] != 5 or (len(rows) and rows[:, 0].max() >= len(vectors)):
            raise ConfigError(f"first outcomes of {rows.shape!r} do not fit tasks of {vectors.shape!r}")
        kept._vectors = list(vectors.copy())
        kept._places = {vector.tobytes(): place for place, vector in enumerate(kept._vectors)}
        kept._rows = [
            (int(place), Seen(int(column), quality, cost, weight))
            for place, column, quality, cost, weight in rows.tolist()
        ]
        return kept
