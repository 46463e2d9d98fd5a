"""The yardsticks: routers that do not read the task. A router that learns has to beat these."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, RouteContext, ScoringRouter, TaskFeatures
from agentmesh.routing.policy import EpsilonGreedy, Policy
from agentmesh.routing.prices import by_card, expected_cost
from agentmesh.routing.state import Arrays
from agentmesh.routing.table import ANY_VERSION, AgentTable
from agentmesh.types import FloatArray, JsonValue, MaskArray


class RandomRouter(ScoringRouter):
    """Draws agents uniformly, without replacement, whatever they cost.

    The chance of n agents that pass the gates to be drawn first is 1 / n each: 0.25 for four.
    """

    name: ClassVar[str] = "random"

    def __init__(self) -> None:
        """Take no arguments."""
        super().__init__()

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Rate all agents alike."""
        return by_card(np.zeros(len(pool)), features, pool)

    def _utilities(self, estimate: Estimate, mask: MaskArray, context: RouteContext) -> FloatArray:  # noqa: ARG002 - deaf to the objective
        return np.zeros(len(mask))

    def _policy_for(self, context: RouteContext) -> Policy:  # noqa: ARG002 - exploring cannot make it more random
        return EpsilonGreedy(1.0)


class RoundRobinRouter(ScoringRouter):
    """Takes the agents in turn, in the order of their ids.

    A router keeps no counter, so the turn is the decision's seed modulo the number of agents that pass the gates:
    with seeds 0, 1, 2 ... that is strict rotation, and with hashed seeds, as a mesh gives them, each agent's share is
    the same in the long run. Seed 7 among three agents starts at the second.
    """

    name: ClassVar[str] = "round_robin"

    def __init__(self) -> None:
        """Take no arguments."""
        super().__init__()

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Rate all agents alike."""
        return by_card(np.zeros(len(pool)), features, pool)

    def _utilities(self, estimate: Estimate, mask: MaskArray, context: RouteContext) -> FloatArray:  # noqa: ARG002 - deaf to the objective
        count = int(mask.sum())
        utilities = np.zeros(len(mask))
        utilities[mask] = -((np.arange(count) - context.seed % count) % count) / count
        return utilities


class CheapestRouter(ScoringRouter):
    """Takes the agent with the lowest expected cost; a price that is unknown comes after all that are known.

    Affinities are minus the cost in US dollars: -0.002 for an agent at 0.002 a call.
    """

    name: ClassVar[str] = "cheapest"

    def __init__(self, *, policy: str = "greedy") -> None:
        """Take a policy."""
        super().__init__(policy=policy)

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Rate agents by their price."""
        cost = expected_cost(features, pool)
        known = cost[np.isfinite(cost)]
        dearest = 1.0 + 2.0 * float(known.max(initial=0.0))
        return by_card(-np.where(np.isnan(cost), dearest, cost), features, pool)

    def _utilities(self, estimate: Estimate, mask: MaskArray, context: RouteContext) -> FloatArray:  # noqa: ARG002 - deaf to the objective
        return estimate.quality


COUNT, QUALITY, PRICED, COST = range(4)
WIDTH: Final = 4


class BestSingleRouter(ScoringRouter):
    """Sends every task to the agent with the best outcomes so far.

    Rule: the quality of an agent is (sum of observed qualities + strength * prior) / (observations + strength), each
    observation as much as its weight; its cost is the mean of its observed costs, from the card until one was observed.
    Two successes in two tries, with prior 0.5 and strength 2, give 0.75.

    Args:
        prior: the quality of an agent nothing is known of, 0 to 1.
        strength: how many observations the prior weighs as much as, 0 or more.
        policy: see :class:`ScoringRouter`.
    """

    name: ClassVar[str] = "best_single"
    calibrated: bool = True

    def __init__(self, *, prior: float = 0.5, strength: float = 2.0, policy: str = "greedy") -> None:
        """Check the ranges."""
        if not 0.0 <= prior <= 1.0:
            raise ConfigError(f"prior {prior!r} is out of range; expected 0 to 1")
        if not 0.0 <= strength < np.inf:
            raise ConfigError(f"strength {strength!r} is out of range; expected 0 or more")
        super().__init__(policy=policy, prior=prior, strength=strength)
        self._prior, self._strength = float(prior), float(strength)
        self._table = AgentTable()

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Rate agents by their past outcomes alone."""
        sums = self._table.aligned(pool, WIDTH)
        weight = sums[:, COUNT] + self._strength
        quality = np.full(len(pool), self._prior)
        np.divide(sums[:, QUALITY] + self._strength * self._prior, weight, out=quality, where=weight > 0)
        cost = expected_cost(features, pool)
        np.divide(sums[:, COST], sums[:, PRICED], out=cost, where=sums[:, PRICED] > 0)
        return Estimate(quality, cost=cost, latency=pool.latency_s, factors={"observations": sums[:, COUNT]})

    def _fit(self, outcomes: Outcomes) -> None:
        self._table = AgentTable()
        seen, priced = np.isfinite(outcomes.quality), np.isfinite(outcomes.cost)
        columns = (
            seen.sum(axis=0),
            np.where(seen, outcomes.quality, 0.0).sum(axis=0),
            priced.sum(axis=0),
            np.where(priced, outcomes.cost, 0.0).sum(axis=0),
        )
        for agent_id, row in zip(outcomes.agent_ids, np.stack(columns, axis=1).astype(np.float64), strict=True):
            self._table.add(agent_id, ANY_VERSION, row)

    def _learn(self, experience: Experience) -> None:
        cost, weight = experience.cost_usd, experience.weight
        row = np.array([weight, weight * experience.quality, cost is not None, cost or 0.0], dtype=np.float64)
        self._table.add(experience.agent_id, experience.agent_version, row)

    def _arrays(self) -> Arrays:
        return self._table.arrays()

    def _meta(self) -> Mapping[str, JsonValue]:
        return self._table.meta()

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        self._table = AgentTable.load(arrays, meta)
