"""Routers that look back: an agent is worth on this task what it was worth on past tasks like it."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, ScoringRouter, TaskFeatures
from agentmesh.routing.outcomes import OutcomeMemory, Tally
from agentmesh.routing.prices import expected_cost
from agentmesh.routing.priors import cold_quality, curiosity_of, own_cost, own_latency, own_quality
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, JsonValue, VectorArray


class NeighbourRouter(ScoringRouter):
    """Weighs past tasks by their likeness to this one and shrinks each agent's weighted outcomes to a prior.

    With weights w_i of the past outcomes i (the likeness of the task, times the outcome's weight as evidence) and an
    agent's own mean m, smoothed to a guess from its card and price
    (``priors.py``), m is first moved by how much easier tasks like this one were, for all agents, than their means::

        shift = sum_i w_i (q_i - m of i's agent) / (sum_i w_i + prior_strength)
        q     = (sum_i w_i q_i + prior_strength (m + shift)) / (sum_i w_i + prior_strength)    # i: the agent's own

    So an agent that was never seen near the task gets the prior, and one that was never seen the guess. Costs go the
    same way, from observed costs to the agent's mean cost to its price. In the choice
    ``curiosity * sqrt(log(all outcomes + e) / (its own + 1))`` is added, so that an agent which was hardly tried is
    tried, and one given up after bad luck tried again; it is no part of the expected quality.

    Only called agents reveal their outcomes, agents come and go, a new version of an agent starts afresh: all this only
    decides which i count. ``max_tasks`` bounds memory as :class:`~agentmesh.routing.outcomes.OutcomeMemory` says.
    """

    calibrated: bool = True

    def __init__(
        self, *, prior_strength: float, curiosity: float, max_tasks: int, policy: str, **own: JsonValue
    ) -> None:
        """Take what all routers of this kind have, and ``own``, the parameters of the subclass."""
        super().__init__(policy=policy, prior_strength=prior_strength, curiosity=curiosity, max_tasks=max_tasks, **own)
        for name, value in (("prior_strength", prior_strength), ("curiosity", curiosity)):
            if not 0.0 <= value < np.inf:
                raise ConfigError(f"{name} is {value!r}; it must be a finite number from 0 up")
        self._prior_strength, self._curiosity = prior_strength, curiosity
        self._memory = OutcomeMemory(max_tasks)

    @abstractmethod
    def _weights(self, similarities: VectorArray) -> VectorArray:
        """Return a weight of 0 to 1 for each past task.

        Shapes:
            similarities: (m,) cosines with the past tasks, m >= 1. Returns (m,) float32.
        """

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Estimate each agent's quality and cost from the past tasks like this one."""
        memory = self._memory
        priced = expected_cost(features, pool)
        means = memory.means(pool)
        own = own_quality(means, cold_quality(features, pool, priced))
        similarities = memory.similarities(features.vector)
        weights = self._weights(similarities) if len(similarities) else similarities
        tally = memory.tally(weights, pool)
        curiosity = curiosity_of(means, self._curiosity)
        return Estimate(
            quality=self._quality(tally, own),
            cost=_shrunk(tally.cost, tally.cost_weight, own_cost(means, priced), self._prior_strength),
            latency=own_latency(means, pool.latency_s),
            factors={"curiosity": curiosity, "own_mean": own, "evidence": tally.weight},
            curiosity=curiosity,
        )

    def foresee(self, vectors: VectorArray) -> None:
        """Compare tasks with all past ones at once."""
        self._memory.foresee(vectors)

    def _quality(self, tally: Tally, own: FloatArray) -> FloatArray:
        surprise = float(tally.quality.sum() - tally.weight @ own)
        weight = float(tally.weight.sum()) + self._prior_strength
        shift = surprise / weight if weight > 0 else 0.0
        return _shrunk(tally.quality, tally.weight, np.clip(own + shift, 0.0, 1.0), self._prior_strength)

    def _fit(self, outcomes: Outcomes) -> None:
        self._memory.fit(outcomes)

    def _learn(self, experience: Experience) -> None:
        self._memory.learn(experience)

    def _arrays(self) -> Arrays:
        return self._memory.arrays()

    def _meta(self) -> Mapping[str, JsonValue]:
        return self._memory.meta()

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        self._memory.load(arrays, meta)


def _shrunk(total: FloatArray, weight: FloatArray, prior: FloatArray, strength: float) -> FloatArray:
    """Return the weighted mean, the prior counting as ``strength``; the prior alone where nothing was weighed."""
    seen = weight > 0
    counted = np.where(np.isnan(prior), 0.0, strength)  # an unknown prior has no say
    mean = (total + counted * np.where(counted > 0, prior, 0.0)) / np.where(seen, weight + counted, 1.0)
    return np.where(seen, mean, prior)


class KnnRouter(NeighbourRouter):
    """Takes the mean outcome of the ``k`` most similar past tasks.

    Rule: the k past tasks with the highest cosine weigh 1 each (``weighting="uniform"``) or max(cosine, 0)
    (``"cosine"``), all others 0; the rest is :class:`NeighbourRouter`.

    Reference: Cover and Hart, Nearest neighbor pattern classification, 1967; as a router of language models in
    LLMRouterBench (arXiv 2601.07206), where most learned routers tie with it.

    Args:
        k: How many past tasks to look at, 1 and up. Large values (80 to 320 of some thousand tasks) do best where
            outcomes are noisy, small ones where each agent has its own few tasks.
        weighting: ``"uniform"`` or ``"cosine"``.
        prior_strength: How many neighbours the prior is worth, 0 and up.
        curiosity: How much the rarely tried are preferred, 0 (never explore) to about 0.3.
        max_tasks: How many past tasks to keep, 1 and up.
        policy: As in :class:`~agentmesh.routing.base.ScoringRouter`.

    >>> east, north = np.eye(2, dtype=np.float32)
    >>> unknown, vectors = np.full(2, np.nan), np.stack([east, north])
    >>> quality, cost = np.array([[1.0, 0.0], [0.5, 1.0]]), np.full((2, 2), np.nan)
    >>> router = KnnRouter(k=1, prior_strength=0.0, curiosity=0.0)
    >>> router.fit(Outcomes(("a", "b"), vectors, ("x", "y"), ("", ""), quality, cost))
    >>> versions, mask = np.ones(2, np.int64), np.ones(2, np.bool_)
    >>> pool = AgentPool(("a", "b"), vectors, unknown, unknown, unknown, unknown, versions, mask, "r1")
    >>> router.score(TaskFeatures(north, "near y"), pool).tolist()
    [0.5, 1.0]
    """

    name: ClassVar[str] = "knn"
    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {"k": (10, 40, 160, 320)}

    def __init__(
        self,
        *,
        k: int = 40,
        weighting: str = "uniform",
        prior_strength: float = 1.0,
        curiosity: float = 0.1,
        max_tasks: int = 20_000,
        policy: str = "greedy",
    ) -> None:
        super().__init__(
            prior_strength=prior_strength,
            curiosity=curiosity,
            max_tasks=max_tasks,
            policy=policy,
            k=k,
            weighting=weighting,
        )
        if k < 1:
            raise ConfigError(f"k is {k!r}; it must be at least 1")
        if weighting not in ("uniform", "cosine"):
            raise ConfigError(f"weighting is {weighting!r}; it must be 'uniform' or 'cosine'")
        self._k, self._by_cosine = k, weighting == "cosine"

    def _weights(self, similarities: VectorArray) -> VectorArray:
        weights = np.zeros(len(similarities), np.float32)
        nearest: Any = slice(None)
        if self._k < len(similarities):
            nearest = np.argpartition(similarities, -self._k)[-self._k :]
        weights[nearest] = np.maximum(similarities[nearest], 0.0) if self._by_cosine else 1.0
        return weights


class KernelRouter(NeighbourRouter):
    """Takes the mean outcome of all past tasks, each weighing exp(cosine / temperature).

    Rule: task i weighs w_i = exp((cos_i - max_j cos_j) / temperature), so the most similar one weighs 1 and, without
    the prior, quality is the softmax(cosine / temperature)-weighted mean; the rest is :class:`NeighbourRouter`. It
    needs no training, learns from the first outcome on, and is the one router in the default cascade.

    Reference: Nadaraya, On estimating regression, 1964; Watson, Smooth regression analysis, 1964. The added curiosity
    is the upper confidence bound UCB1 of Auer et al., Finite-time analysis of the multiarmed bandit problem, 2002.

    Args:
        temperature: How fast likeness fades, above 0: 0.02 (the nearest few) to 0.5 (nearly all alike).
        prior_strength: How many tasks as near as the nearest one the prior is worth, 0 and up. 8 to 32 do alike where
            outcomes come one by one and are right or wrong; less jumps at single answers.
        curiosity: How much the rarely tried are preferred, 0 (never explore) to about 0.3.
        max_tasks: How many past tasks to keep, 1 and up.
        policy: As in :class:`~agentmesh.routing.base.ScoringRouter`.

    >>> east, north = np.eye(2, dtype=np.float32)
    >>> unknown, vectors = np.full(2, np.nan), np.stack([east, north])
    >>> quality, cost = np.array([[1.0, 0.0], [0.5, 1.0]]), np.full((2, 2), np.nan)
    >>> router = KernelRouter(temperature=0.5, prior_strength=0.0, curiosity=0.0)
    >>> router.fit(Outcomes(("a", "b"), vectors, ("x", "y"), ("", ""), quality, cost))
    >>> versions, mask = np.ones(2, np.int64), np.ones(2, np.bool_)
    >>> pool = AgentPool(("a", "b"), vectors, unknown, unknown, unknown, unknown, versions, mask, "r1")
    >>> router.score(TaskFeatures(north, "near y"), pool).round(3).tolist()  # weights exp(-2) and 1
    [0.56, 0.881]
    """

    name: ClassVar[str] = "kernel"
    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {"temperature": (0.025, 0.05, 0.1, 0.2)}

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        prior_strength: float = 16.0,
        curiosity: float = 0.1,
        max_tasks: int = 20_000,
        policy: str = "greedy",
    ) -> None:
        super().__init__(
            prior_strength=prior_strength,
            curiosity=curiosity,
            max_tasks=max_tasks,
            policy=policy,
            temperature=temperature,
        )
        if not 0.0 < temperature < np.inf:
            raise ConfigError(f"temperature is {temperature!r}; it must be a finite number above 0")
        self._temperature = temperature

    def _weights(self, similarities: VectorArray) -> VectorArray:
        weights: VectorArray = np.exp((similarities - similarities.max()) / np.float32(self._temperature))
        return weights
