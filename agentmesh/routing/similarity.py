"""Routers that compare the task with what agents say of themselves, or with the tasks they did well."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.packing import unpack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, ScoringRouter, TaskFeatures
from agentmesh.routing.cosine import cosines as cosines
from agentmesh.routing.cosine import unit as unit
from agentmesh.routing.prices import by_card
from agentmesh.routing.state import Arrays
from agentmesh.routing.table import ANY_VERSION, AgentTable
from agentmesh.types import AgentId, FloatArray, JsonValue, VectorArray

WON = 0.5
"""The least quality that counts as a task won."""


class CosineRouter(ScoringRouter):
    """Rates an agent by the cosine of the task's vector and its capability vector.

    Needs no outcome, and learns from none. Affinities lie within -1 to 1: 1.0 for a task that reads like the card.

    Reference: the similarity factor of Federation of Agents, arXiv 2509.20175.
    """

    name: ClassVar[str] = "cosine"

    def __init__(self, *, policy: str = "greedy") -> None:
        """Take a policy."""
        super().__init__(policy=policy)

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Rate agents by similarity."""
        return by_card(cosines(pool.vectors, features.vector), features, pool)


class PilotRouter(ScoringRouter):
    """Rates an agent by the cosine of the task's vector and the agent's pilot: the centre of the tasks it won.

    Rule: pilot = unit(strength * capability vector + sum of the unit vectors of the tasks won), so an agent that won
    nothing yet is rated by its card. In a table a task is won by every agent whose quality is at least 0.5 and the best
    or tied on that task; one at a time, by quality at least 0.5, as the others' outcomes are not known. Each agent has
    its own sum: to add or remove an agent changes no other's pilot. A new version of an agent starts from its card.

    Reference: the pilot embeddings of RouterRetriever, arXiv 2409.02685.

    Args:
        strength: how many tasks won the card weighs as much as, above 0.
        policy: see :class:`ScoringRouter`.

    >>> unit(np.array([[3.0, 4.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """

    name: ClassVar[str] = "pilot"
    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {"strength": (0.1, 1.0, 10.0)}

    def __init__(self, *, strength: float = 1.0, policy: str = "greedy") -> None:
        """Check the range."""
        if not 0.0 < strength < np.inf:
            raise ConfigError(f"strength {strength!r} is out of range; expected a number above 0")
        super().__init__(policy=policy, strength=strength)
        self._strength = strength
        self._table = AgentTable()
        self._pilots: tuple[VectorArray, FloatArray] | None = None
        self._pilots_of: AgentPool | None = None

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Rate agents by similarity to their pilots."""
        pilots, won = self._for(pool)
        similarity = cosines(pilots, features.vector)
        return by_card(similarity, features, pool, similarity=similarity, won=won)

    def _for(self, pool: AgentPool) -> tuple[VectorArray, FloatArray]:
        """Return the pilots (n, d) and how many tasks each agent won (n,); kept until a pool or an outcome is new."""
        known = self._pilots_of
        same = known is not None and known.vectors is pool.vectors and known.versions is pool.versions
        if self._pilots is None or not same:
            sums = self._table.aligned(pool, pool.vectors.shape[1] + 1)
            self._pilots = unit(self._strength * pool.vectors + sums[:, 1:]), sums[:, 0]
            self._pilots_of = pool
        return self._pilots

    def _fit(self, outcomes: Outcomes) -> None:
        self._table, self._pilots = AgentTable(), None
        quality = np.where(np.isnan(outcomes.quality), -1.0, outcomes.quality)
        won = (quality >= WON) & (quality >= quality.max(axis=1, initial=-1.0, keepdims=True))
        sums = won.T.astype(np.float64) @ outcomes.vectors.astype(np.float64)
        for place, agent_id in enumerate(outcomes.agent_ids):
            self._add(agent_id, ANY_VERSION, sums[place], int(won[:, place].sum()))

    def _learn(self, experience: Experience) -> None:
        if experience.quality >= WON:
            self._add(experience.agent_id, experience.agent_version, unpack_vector(experience.vector), 1)
            self._pilots = None

    def _add(self, agent_id: AgentId, version: int, total: FloatArray | VectorArray, count: int) -> None:
        self._table.add(agent_id, version, np.append(float(count), total))

    def _arrays(self) -> Arrays:
        return self._table.arrays()

    def _meta(self) -> Mapping[str, JsonValue]:
        return self._table.meta()

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        self._table, self._pilots = AgentTable.load(arrays, meta), None
