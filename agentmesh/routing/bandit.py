"""The two textbook bandits: LinUCB on task vectors, and Thompson sampling over clusters of tasks."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.packing import unpack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, RouteContext, ScoringRouter, TaskFeatures
from agentmesh.routing.clusters import cluster_centres
from agentmesh.routing.decision import Rated, canonical_order
from agentmesh.routing.groups import GroupSums, Seen, WarmUp
from agentmesh.routing.ledger import Ledger, part
from agentmesh.routing.policy import Policy
from agentmesh.routing.posterior import PosteriorSampling
from agentmesh.routing.prices import expected_cost
from agentmesh.routing.priors import CARD_GAIN, cold_quality, own_cost, own_latency
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, IndexArray, JsonValue, VectorArray

VECTOR_SCALE: Final = 2.0
MOST_EVIDENCE: Final = 2000.0  # outcomes of an agent in a cluster beyond these sharpen its distribution no more


class LinUcbRouter(ScoringRouter):
    """Regresses each agent's quality on the task vector and adds the width of its confidence interval.

    Rule: x = (1, 2 P v) for the task vector v, where P projects it to ``dimensions``. Each agent has A = ridge I +
    sum_i w_i x_i x_i', b = sum_i w_i q_i x_i over its outcomes i of weight w_i, and

        quality   = (b + ridge theta_0)' A^-1 x     # theta_0: linear in x, gives the guess from card and price
        curiosity = alpha sqrt(x' A^-1 x)           # added in the choice alone

    Each outcome updates A^-1 by the Sherman-Morrison formula. An agent never tried gets the guess that all our routers
    start from (``priors.cold_quality``), and evidence moves it from there. Costs and latencies are the agents' means.

    P is a Gaussian matrix from ``seed`` with entries of variance 1 / ``dimensions`` (the identity when vectors are no
    longer than that), which keeps inner products in the mean: a full A for vectors of 384 numbers is 36 times as large
    and slow. Memory: 8 bytes x (``dimensions`` + 1)^2 x agents tried, 5 MB for 150 of them.

    Reference: Li et al., A contextual-bandit approach to personalized news article recommendation, arXiv 1003.0146
    (the disjoint model); projection as in Dasgupta and Gupta, An elementary proof of a theorem of Johnson and
    Lindenstrauss, 2003.

    Args:
        curiosity: alpha, the width of the confidence interval, 0 (never explore) to about 2.
        ridge: How many outcomes along one direction the guess weighs, above 0.
        dimensions: How many numbers a task vector is projected to, 1 and up.
        seed: Makes the projection.
        policy: As in :class:`~agentmesh.routing.base.ScoringRouter`.

    >>> east, north = np.eye(2, dtype=np.float32)
    >>> unknown, vectors = np.full(2, np.nan), np.stack([east, north])
    >>> quality, cost = np.eye(2), np.full((2, 2), np.nan)
    >>> router = LinUcbRouter(ridge=1.0)
    >>> router.fit(Outcomes(("a", "b"), vectors, ("x", "y"), ("", ""), quality, cost))
    >>> versions, mask = np.ones(2, np.int64), np.ones(2, np.bool_)
    >>> pool = AgentPool(("a", "b"), 0 * vectors, unknown, unknown, unknown, unknown, versions, mask, "r1")
    >>> router.score(TaskFeatures(north, "like y"), pool).round(3).tolist()
    [0.1, 0.9]
    """

    name: ClassVar[str] = "linucb"
    calibrated: ClassVar[bool] = True
    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {"ridge": (1.0, 10.0, 100.0)}

    def __init__(
        self,
        *,
        curiosity: float = 0.1,
        ridge: float = 10.0,
        dimensions: int = 64,
        seed: int = 0,
        policy: str = "greedy",
    ) -> None:
        super().__init__(curiosity=curiosity, ridge=ridge, dimensions=dimensions, seed=seed, policy=policy)
        _check_from_zero("curiosity", curiosity)
        if not 0.0 < ridge < np.inf:
            raise ConfigError(f"ridge is {ridge!r}; it must be a finite number above 0")
        _check_whole("dimensions", dimensions, least=1)
        _check_whole("seed", seed, least=0)
        self._curiosity, self._ridge, self._dimensions, self._seed = curiosity, ridge, dimensions, seed
        self._ledger = Ledger()
        self._projection = np.zeros((0, 0), np.float32)  # (d, k - 1), made when the first vector is seen
        self._inverses = np.zeros((0, 1, 1))  # (capacity, k, k): A^-1 of the ledger's agents
        self._targets = np.zeros((0, 1))  # (capacity, k): b
        self._leanings: tuple[VectorArray, FloatArray] | None = None

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Return the regressions' values at this task, and how unsure they are there."""
        priced = expected_cost(features, pool)
        means, cold = self._ledger.means(pool), cold_quality(features, pool, priced)
        quality, variance = cold, np.full(len(pool), 1.0 / self._ridge)
        if len(self._projection):
            x = self._design(features.vector)
            columns, agents = self._ledger.columns(pool), len(self._ledger.ids)
            along = np.vstack([self._inverses[:agents] @ x, x / self._ridge])[columns]
            targets = np.vstack([self._targets[:agents], np.zeros(len(x))])[columns]
            leaning = self._leaning(pool)
            guess = np.column_stack([cold - leaning @ x[1:], leaning])  # its value at x is the guess itself
            quality = np.clip(np.einsum("ak,ak->a", along, targets + self._ridge * guess), 0.0, 1.0)
            variance = along @ x
        curiosity = self._curiosity * np.sqrt(variance)
        return Estimate(
            quality=quality,
            cost=own_cost(means, priced),
            latency=own_latency(means, pool.latency_s),
            factors={"curiosity": curiosity, "guess": cold, "outcomes": means.count},
            curiosity=curiosity,
        )

    def _design(self, vector: VectorArray) -> FloatArray:
        if len(vector) != len(self._projection):
            known = len(self._projection)
            raise ConfigError(f"a task vector has length {len(vector)!r}, past ones had {known}; use the same embedder")
        x = np.ones(self._projection.shape[1] + 1)
        x[1:] = VECTOR_SCALE * (vector @ self._projection)
        return x

    def _leaning(self, pool: AgentPool) -> FloatArray:
        """Return what the guess says of the directions of tasks, (n, k - 1): how the cards differ from their mean."""
        kept = self._leanings
        if kept is None or kept[0] is not pool.vectors:
            own = (pool.vectors - pool.vectors.mean(axis=0)) @ self._projection
            self._leanings = kept = (pool.vectors, (CARD_GAIN / VECTOR_SCALE) * own.astype(np.float64))
        return kept[1]

    def _project(self, length: int) -> None:
        """Make the projection for vectors of ``length`` and forget every regression."""
        width = min(self._dimensions, length)
        if width == length:
            self._projection = np.eye(length, dtype=np.float32)
        else:
            drawn = np.random.default_rng(self._seed).normal(size=(length, width))
            self._projection = (drawn / np.sqrt(width)).astype(np.float32)
        self._inverses, self._targets = np.zeros((0, width + 1, width + 1)), np.zeros((0, width + 1))
        self._leanings = None

    def _fit(self, outcomes: Outcomes) -> None:
        self._ledger.fit(outcomes)
        self._project(outcomes.vectors.shape[1])
        self._reserve(len(outcomes.agent_ids))
        rows = np.ones((len(outcomes), self._projection.shape[1] + 1))
        rows[:, 1:] = VECTOR_SCALE * (outcomes.vectors @ self._projection)
        inverses: dict[bytes, FloatArray] = {}  # agents observed on the same tasks share theirs
        for column in range(len(outcomes.agent_ids)):
            known = ~np.isnan(outcomes.quality[:, column])
            seen = rows[known]
            if known.tobytes() not in inverses:
                moments = self._ridge * np.eye(rows.shape[1]) + seen.T @ seen
                inverses[known.tobytes()] = np.linalg.inv(moments).astype(np.float64)
            self._inverses[column] = inverses[known.tobytes()]
            self._targets[column] = outcomes.quality[known, column] @ seen

    def _learn(self, experience: Experience) -> None:
        vector = unpack_vector(experience.vector)
        if not len(self._projection):
            self._project(len(vector))
        x = self._design(vector)
        learned = self._ledger.learn(experience)
        if learned is None:
            return
        column, dropped = learned
        self._reserve(column + 1)
        if dropped:
            self._inverses[column], self._targets[column] = np.eye(len(x)) / self._ridge, 0.0
        inverse, weight = self._inverses[column], experience.weight
        along = inverse @ x
        inverse -= np.outer(along, along * (weight / (1.0 + weight * float(x @ along))))
        self._targets[column] += (weight * experience.quality) * x

    def _reserve(self, agents: int) -> None:
        capacity, width = len(self._inverses), self._targets.shape[1]
        if agents > capacity:
            more = max(agents, 2 * capacity) - capacity
            fresh: FloatArray = np.tile(np.eye(width) / self._ridge, (more, 1, 1))
            self._inverses = np.concatenate([self._inverses, fresh])
            self._targets = np.concatenate([self._targets, np.zeros((more, width))])

    def _arrays(self) -> Arrays:
        used = slice(0, len(self._ledger.ids))
        return {
            **self._ledger.arrays(),
            "inverses": self._inverses[used],
            "targets": self._targets[used],
            "projection": self._projection,
        }

    def _meta(self) -> Mapping[str, JsonValue]:
        return self._ledger.meta()

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        projection, inverses, targets = (part(arrays, name) for name in ("projection", "inverses", "targets"))
        width, agents = projection.shape[1] + 1, len(part(arrays, "versions"))
        if inverses.shape != (agents, width, width) or targets.shape != (agents, width):
            raise ConfigError(f"regressions of {inverses.shape!r} and {targets.shape!r} do not fit {agents} agents")
        self._ledger.load(arrays, meta)
        self._projection, self._inverses, self._targets = projection.copy(), inverses.copy(), targets.copy()
        self._leanings = None


class ThompsonRouter(ScoringRouter):
    """Draws each agent with the chance that it is the best one for tasks of this cluster.

    Rule: a task belongs to the cluster whose centre it is nearest to. There an agent's quality has the distribution

        Beta(1 + s m + sum_i w_i q_i,  1 + s (1 - m) + sum_i w_i (1 - q_i))

    over its outcomes i of weight w_i in the cluster, m being the guess from card and price and s its ``strength``: a
    graded outcome is q of a success and 1 - q of a failure. What the objective takes off for cost and latency, and what
    preferences add, shifts the distribution of the agent's utility. Thompson sampling draws one quality from each
    distribution and takes the best; the chance of that is computed (:mod:`agentmesh.routing.posterior`), and the agent
    is drawn from the chances, so that the propensities in the trace are the true ones. Of a set, the places after the
    first go to those left in proportion to the same chances.

    Clusters are found by k-means on the first ``warm_up`` different tasks, or on the fitted table; before that, all
    tasks are one. Beyond 2,000 outcomes of an agent in a cluster its distribution gets no narrower.

    Reference: Thompson, On the likelihood that one unknown probability exceeds another, 1933; Chapelle and Li, An
    empirical evaluation of Thompson sampling, 2011; graded outcomes as in Agrawal and Goyal, arXiv 1111.1797, whose
    coin toss is replaced by its expectation.

    Args:
        clusters: How many groups to make, 1 and up; 8 to 64 are sensible.
        warm_up: How many different tasks to see before that, 1 and up.
        strength: How many outcomes the guess weighs, 0 and up.
        seed: Starts the clusters.

    >>> east, north = np.eye(2, dtype=np.float32)
    >>> unknown, vectors = np.full(2, np.nan), np.stack([east, north])
    >>> quality, cost = np.eye(2), np.full((2, 2), np.nan)
    >>> router = ThompsonRouter(clusters=2, strength=0.0)
    >>> router.fit(Outcomes(("a", "b"), vectors, ("x", "y"), ("", ""), quality, cost))
    >>> versions, mask = np.ones(2, np.int64), np.ones(2, np.bool_)
    >>> pool = AgentPool(("a", "b"), 0 * vectors, unknown, unknown, unknown, unknown, versions, mask, "r1")
    >>> router.decide(TaskFeatures(north, "like y"), pool, RouteContext(seed=1)).probability_array().round(3).tolist()
    [0.167, 0.833]
    """

    name: ClassVar[str] = "thompson"
    calibrated: ClassVar[bool] = True
    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {"clusters": (1, 8, 16, 32)}

    def __init__(self, *, clusters: int = 16, warm_up: int = 128, strength: float = 2.0, seed: int = 0) -> None:
        super().__init__(clusters=clusters, warm_up=warm_up, strength=strength, seed=seed)
        _check_whole("clusters", clusters, least=1)
        _check_whole("warm_up", warm_up, least=1)
        _check_from_zero("strength", strength)
        _check_whole("seed", seed, least=0)
        self._clusters, self._warm_up, self._strength, self._seed = clusters, warm_up, strength, seed
        self._ledger, self._sums, self._first = Ledger(), GroupSums(), WarmUp(warm_up)
        self._centres = np.zeros((0, 0), np.float32)  # (clusters, d); no row: one cluster for all

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Return the means of the agents' distributions in the cluster of this task."""
        priced = expected_cost(features, pool)
        means, cold = self._ledger.means(pool), cold_quality(features, pool, priced)
        cluster = self._nearest(features.vector[None])
        count, quality = self._sums.gather(cluster, self._ledger, pool)[:2, 0]
        kept = np.minimum(1.0, MOST_EVIDENCE / np.maximum(count, 1.0))
        evidence = 2.0 + self._strength + kept * count
        return Estimate(
            quality=(1.0 + self._strength * cold + kept * quality) / evidence,
            cost=own_cost(means, priced),
            latency=own_latency(means, pool.latency_s),
            factors={"evidence": evidence, "guess": cold, "outcomes": means.count},
        )

    def _policy_for(self, context: RouteContext) -> PosteriorSampling:
        nothing = np.zeros(0)
        return PosteriorSampling(nothing, nothing, context.objective.quality, context.explore)

    def _rated(self, estimate: Estimate, pool: AgentPool, context: RouteContext, policy: Policy) -> Rated:  # noqa: ARG002 - it knew no distributions
        """Show the policy the distributions, in the order in which it is shown the utilities."""
        order = canonical_order(pool.ids)
        places: IndexArray | slice = slice(None) if order is None else order
        mean, evidence = estimate.quality[places], estimate.factors["evidence"][places]
        shown = PosteriorSampling(mean, evidence, context.objective.quality, context.explore)
        return super()._rated(estimate, pool, context, shown)

    def _nearest(self, vectors: VectorArray) -> IndexArray:
        """Return the cluster of each task, (m,) from (m, d)."""
        if len(self._centres) == 0:
            return np.zeros(len(vectors), np.int64)
        if self._centres.shape[1] != vectors.shape[1]:
            length, known = vectors.shape[1], self._centres.shape[1]
            raise ConfigError(f"a task vector has length {length!r}, past ones had {known}; use the same embedder")
        return np.asarray(np.argmax(vectors @ self._centres.T, axis=1), np.int64)

    def _fit(self, outcomes: Outcomes) -> None:
        self._ledger.fit(outcomes)
        self._centres = cluster_centres(outcomes.vectors, self._clusters, seed=self._seed)
        self._sums = GroupSums.of(self._nearest(outcomes.vectors), len(self._centres), outcomes)
        self._first = WarmUp(self._warm_up)

    def _learn(self, experience: Experience) -> None:
        vector = unpack_vector(experience.vector)
        self._first.check(vector)
        cluster = int(self._nearest(vector[None])[0])
        learned = self._ledger.learn(experience)
        if learned is None:
            return
        column, dropped = learned
        if dropped:
            self._sums.drop(column)
            self._first.drop(column)
        seen = Seen.of(experience, column)
        self._sums.add(self._share(cluster), seen)
        if len(self._centres) == 0:
            self._first.add(vector, seen)
            if self._first.full:
                self._find_clusters()

    def _share(self, cluster: int) -> FloatArray:
        share = np.zeros(max(1, len(self._centres)))
        share[cluster] = 1.0
        return share

    def _find_clusters(self) -> None:
        """Make clusters of the first tasks and book their outcomes there."""
        vectors = self._first.vectors
        self._centres = cluster_centres(vectors, self._clusters, seed=self._seed)
        self._sums = GroupSums(len(self._centres), len(self._ledger.ids))
        clusters = self._nearest(vectors).tolist()
        for place, seen in self._first.rows:
            self._sums.add(self._share(clusters[place]), seen)
        self._first = WarmUp(self._warm_up)

    def _arrays(self) -> Arrays:
        sums = self._sums.values
        return {**self._ledger.arrays(), **self._first.arrays(), "centres": self._centres, "cluster_sums": sums}

    def _meta(self) -> Mapping[str, JsonValue]:
        return self._ledger.meta()

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        centres, values = part(arrays, "centres"), part(arrays, "cluster_sums")
        if values.ndim != 3 or values.shape[:2] != (4, max(1, len(centres))):
            raise ConfigError(f"sums of {values.shape!r} do not fit centres of {centres.shape!r}")
        first = WarmUp.load(self._warm_up, arrays)
        self._ledger.load(arrays, meta)
        self._centres, self._sums, self._first = centres.copy(), GroupSums.loaded(values), first


def _check_from_zero(name: str, value: float) -> None:
    if not 0.0 <= value < np.inf:
        raise ConfigError(f"{name} is {value!r}; it must be a finite number from 0 up")


def _check_whole(name: str, value: int, *, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name} is {value!r}; it must be at least {least}")
