"""What each agent has shown over all its life: counts and sums that any learned router keeps beside its own state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Outcomes
from agentmesh.routing.state import Arrays
from agentmesh.types import AgentId, FloatArray, IndexArray, JsonValue


@dataclass(frozen=True, slots=True)
class Means:
    """Counts and sums over all outcomes of each agent of a pool, zeros for an agent of which nothing is known.

    Shapes:
        count, quality: (n,) number of outcomes, each as much as its weight, and their weighted sum of qualities.
        cost_count, cost: (n,) number of known costs, and their sum in US dollars.
        latency_count, latency: (n,) number of known latencies, and their sum in seconds.
    """

    count: FloatArray
    quality: FloatArray
    cost_count: FloatArray
    cost: FloatArray
    latency_count: FloatArray
    latency: FloatArray


class Ledger:
    """Counts outcomes by agent and gives every agent a column that stays its own.

    When an outcome of a newer version of an agent arrives, the sums of older versions are dropped; outcomes of a
    version older than one already seen are refused. Fitted outcomes count as the version in their pool, or as 1.
    """

    def __init__(self) -> None:
        """Start with no agent."""
        self._clear()

    def _clear(self) -> None:
        self.ids: list[AgentId] = []
        self._index: dict[AgentId, int] = {}
        self._versions = np.zeros(0, np.int64)
        self._sums = np.zeros((6, 0))
        self._found: tuple[tuple[AgentId, ...], int, IndexArray] | None = None

    @property
    def counts(self) -> FloatArray:
        """Return the number of outcomes of each agent, (len(self.ids),)."""
        counts: FloatArray = self._sums[0]
        return counts

    @property
    def qualities(self) -> FloatArray:
        """Return the weighted sum of the qualities of each agent, (len(self.ids),)."""
        qualities: FloatArray = self._sums[1]
        return qualities

    def fit(self, outcomes: Outcomes) -> None:
        """Forget everything and count ``outcomes``."""
        self._clear()
        for agent_id, version in zip(outcomes.agent_ids, outcomes.versions.tolist(), strict=True):
            self._column(agent_id, version)
        for place, values in ((0, outcomes.quality), (2, outcomes.cost)):
            known = ~np.isnan(values)
            self._sums[place], self._sums[place + 1] = known.sum(axis=0), np.where(known, values, 0.0).sum(axis=0)

    def learn(self, experience: Experience) -> tuple[int, bool] | None:
        """Count one outcome: its quality by its weight as evidence, its cost and latency whole, since they are facts.

        Returns:
            The agent's column and whether its older versions were just dropped; ``None`` when the outcome is itself of
            an older version and was refused.
        """
        place = self._index.get(experience.agent_id)
        if place is not None and experience.agent_version < self._versions[place]:
            return None
        column, dropped = self._column(experience.agent_id, experience.agent_version)
        cost, weight = None if experience.cost_usd is None else float(experience.cost_usd), experience.weight
        self._sums[:2, column] += (weight, weight * experience.quality)
        for row, value in ((2, cost), (4, experience.latency_s)):
            if value is not None:
                self._sums[row : row + 2, column] += (1.0, value)
        return column, dropped

    def means(self, pool: AgentPool) -> Means:
        """Return the counts and sums of each agent of ``pool``."""
        return Means(*self.gather(self._sums, pool))

    def gather(self, values: FloatArray, pool: AgentPool, *, unknown: float = 0.0) -> FloatArray:
        """Reorder ``values`` from this ledger's columns to the agents of ``pool``.

        Shapes:
            values: (r, len(self.ids)); returns (r, n), ``unknown`` where nothing is known of the agent's version.
        """
        columns, count = self.columns(pool), len(self.ids)
        if count == 0:
            return np.full((len(values), len(pool)), unknown)
        known = columns < count
        gathered: FloatArray = np.take(values, columns if known.all() else np.minimum(columns, count - 1), axis=1)
        gathered[:, ~known] = unknown
        return gathered

    def columns(self, pool: AgentPool) -> IndexArray:
        """Return each agent's column, (n,); ``len(self.ids)`` where nothing is known of its present version."""
        unknown = len(self.ids)
        found = self._found
        if found is None or found[0] is not pool.ids or found[1] != unknown:
            places = np.fromiter((self._index.get(i, unknown) for i in pool.ids), np.int64, len(pool.ids))
            self._found = found = (pool.ids, unknown, places)
        if unknown == 0:
            return found[2]
        stale = np.take(self._versions, np.minimum(found[2], unknown - 1)) < pool.versions
        return np.where(stale, unknown, found[2])

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name."""
        return {"versions": self._versions, "sums": self._sums}

    def meta(self) -> dict[str, JsonValue]:
        """Return the part of the state that is no array."""
        return {"agents": list(self.ids)}

    def load(self, arrays: Arrays, meta: Mapping[str, JsonValue]) -> None:
        """Become the ledger that :meth:`arrays` and :meth:`meta` were taken from.

        Raises:
            ConfigError: a part is missing or the parts do not fit together.
        """
        agents = meta.get("agents")
        versions, sums = part(arrays, "versions"), part(arrays, "sums")
        if not isinstance(agents, list) or sums.shape != (6, len(agents)) or versions.shape != (len(agents),):
            raise ConfigError(
                f"the state names agents {agents!r}, its sums are {sums.shape!r}; take one that snapshot() wrote"
            )
        self.ids = [str(agent_id) for agent_id in agents]
        self._index = {agent_id: place for place, agent_id in enumerate(self.ids)}
        self._versions, self._sums, self._found = versions.copy(), sums.copy(), None

    def _column(self, agent_id: AgentId, version: int) -> tuple[int, bool]:
        column = self._index.get(agent_id)
        if column is None:
            column = self._index[agent_id] = len(self.ids)
            self.ids.append(agent_id)
            self._versions = np.append(self._versions, version)
            self._sums = np.pad(self._sums, ((0, 0), (0, 1)))
            return column, False
        if version <= self._versions[column]:
            return column, False
        self._versions[column] = version
        self._sums[:, column] = 0.0
        return column, True


def part(arrays: Arrays, name: str) -> NDArray[Any]:
    """Return the array called ``name`` of a router's state.

    Raises:
        ConfigError: there is none.
    """
    if name not in arrays:
        raise ConfigError(
            f"the router state lacks {name!r}, it holds {sorted(arrays)!r}; take one that snapshot() wrote"
        )
    return arrays[name]
