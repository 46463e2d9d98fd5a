"""The two textbook bandits: LinUCB on task vectors, and Thompson sampling over clusters of tasks."""

from collections.abc import Mapping, Sequence
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
from agentmesh.routing.intent import naming
from agentmesh.routing.ledger import Ledger, part
from agentmesh.routing.policy import Policy
from agentmesh.routing.posterior import PosteriorSampling
from agentmesh.routing.prices import expected_cost
from agentmesh.routing.priors import CARD_GAIN, OWN_STRENGTH, cold_quality, own_cost, own_latency
from agentmesh.routing.ridge import RidgeRegressions, main_directions
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, IndexArray, JsonValue, VectorArray

MOST_EVIDENCE: Final = 2000.0  # outcomes of an agent in a cluster beyond these sharpen its distribution no more


class LinUcbRouter(ScoringRouter):
    """Regresses each agent's quality on the task vector and adds the width of its confidence interval.

    Rule: x = (1, P v) for the task vector v. Each agent has A = ridge I + sum_i w_i x_i x_i' and b = sum_i w_i q_i x_i
    over its outcomes i of weight w_i, and

        quality   = (b + ridge theta_0)' A^-1 x     # theta_0: linear in x, gives the guess from card and price
        curiosity = alpha sqrt(x' A^-1 x)           # added in the choice alone

    Each outcome updates A^-1 by the Sherman-Morrison formula. An agent never tried gets the guess that all our routers
    start from (``priors.cold_quality``), and evidence moves it from there. Costs and latencies are the agents' means.

    P keeps the ``dimensions`` main directions (PCA) of the first ``warm_up`` different tasks, or of the fitted table;
    before that there are intercepts alone, and afterwards the first outcomes are learned again. Vectors no longer than
    ``dimensions`` are taken as they are. A full A for vectors of 384 numbers would be 35 times as large and as slow; on
    streams of llmrouter9's train 64 main directions did as well as all 384 numbers, and 64 random ones were a point
    worse. Memory: 8 bytes x (``dimensions`` + 1)^2 x agents tried, 5 MB for 150 of them.

    Reference: Li et al., A contextual-bandit approach to personalized news article recommendation, arXiv 1003.0146,
    the disjoint model.

    Args:
        curiosity: alpha, the width of the confidence interval, 0 (never explore) to about 2.
        ridge: How many outcomes along one direction the guess weighs, above 0.
        dimensions: How many numbers a task vector is projected to, 1 and up.
        warm_up: How many different tasks to see before that, 1 and up.
        policy: As in :class:`~agentmesh.routing.base.ScoringRouter`.

    >>> east, north = np.eye(2, dtype=np.float32)
    >>> unknown, vectors = np.full(2, np.nan), np.stack([east, north])
    >>> quality, cost = np.eye(2), np.full((2, 2), np.nan)
    >>> router = LinUcbRouter(ridge=1.0)
    >>> router.fit(Outcomes(("a", "b"), vectors, ("x", "y"), ("", ""), quality, cost))
    >>> versions, mask = np.ones(2, np.int64), np.ones(2, np.bool_)
    >>> pool = AgentPool(("a", "b"), 0 * vectors, unknown, unknown, unknown, unknown, versions, mask, "r1")
    >>> router.score(TaskFeatures(north, "like y"), pool).round(3).tolist()
    [0.25, 0.75]
    """

    name: ClassVar[str] = "linucb"
    calibrated: bool = True
    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {"ridge": (1.0, 10.0, 100.0)}

    def __init__(
        self,
        *,
        curiosity: float = 0.1,
        ridge: float = 10.0,
        dimensions: int = 64,
        warm_up: int = 128,
        policy: str = "greedy",
    ) -> None:
        super().__init__(curiosity=curiosity, ridge=ridge, dimensions=dimensions, warm_up=warm_up, policy=policy)
        _check_from_zero("curiosity", curiosity)
        if not 0.0 < ridge < np.inf:
            raise ConfigError(f"ridge is {ridge!r}; it must be a finite number above 0")
        _check_whole("dimensions", dimensions, least=1)
        _check_whole("warm_up", warm_up, least=1)
        self._curiosity, self._ridge, self._dimensions, self._warm_up = curiosity, ridge, dimensions, warm_up
        self._ledger, self._first = Ledger(), WarmUp(warm_up)
        self._projection = np.zeros((0, 0), np.float32)  # (d, k - 1), without columns during the warm-up
        self._regressions = RidgeRegressions(1, ridge)
        self._leanings: tuple[VectorArray, FloatArray] | None = None

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Return the regressions' values at this task, and how unsure they are there."""
        priced = expected_cost(features, pool)
        means, cold = self._ledger.means(pool), cold_quality(features, pool, priced)
        quality, variance = cold, np.full(len(pool), 1.0 / self._ridge)
        if len(self._projection):
            x, leaning = self._design(features.vector), self._leaning(pool)
            guess = np.column_stack([cold - leaning @ x[1:], leaning])  # its value at x is the guess itself
            quality, variance = self._regressions.predict(x, guess, self._ledger.columns(pool))
        curiosity = self._curiosity * np.sqrt(variance)
        return Estimate(
            quality=np.clip(quality, 0.0, 1.0),
            cost=own_cost(means, priced),
            latency=own_latency(means, pool.latency_s),
            factors={"curiosity": curiosity, "guess": cold, "outcomes": means.count},
            curiosity=curiosity,
        )

    def _design(self, vector: VectorArray) -> FloatArray:
        known = len(self._projection)
        if len(vector) != known:
            raise ConfigError(f"a task vector has length {len(vector)!r}, past ones had {known}; use the same embedder")
        x = np.ones(self._projection.shape[1] + 1)
        x[1:] = vector @ self._projection
        return x

    def _leaning(self, pool: AgentPool) -> FloatArray:
        """Return what the guess says of the directions of tasks, (n, k - 1): how the cards differ from their mean."""
        kept = self._leanings
        if kept is None or kept[0] is not pool.vectors:
            own = (pool.vectors - pool.vectors.mean(axis=0)) @ self._projection
            self._leanings = kept = (pool.vectors, CARD_GAIN * own.astype(np.float64))
        return kept[1]

    def _project(self, projection: VectorArray) -> None:
        """Take another projection and forget every regression."""
        self._projection, self._leanings = projection, None
        self._regressions = RidgeRegressions(projection.shape[1] + 1, self._ridge)

    def _fit(self, outcomes: Outcomes) -> None:
        vectors = outcomes.vectors
        short = vectors.shape[1] <= self._dimensions
        self._ledger.fit(outcomes)
        self._first = WarmUp(self._warm_up)
        self._project(_identity(vectors.shape[1]) if short else main_directions(vectors, self._dimensions))
        rows = np.ones((len(outcomes), self._regressions.width))
        rows[:, 1:] = vectors @ self._projection
        self._regressions.fit(rows, outcomes.quality)

    def _learn(self, experience: Experience) -> None:
        vector = unpack_vector(experience.vector)
        if not len(self._projection):
            identity = _identity(len(vector))
            self._project(identity if len(vector) <= self._dimensions else identity[:, :0])
        x = self._design(vector)
        learned = self._ledger.learn(experience)
        if learned is None:
            return
        column, dropped = learned
        if dropped:
            self._regressions.forget(column)
            self._first.drop(column)
        self._regressions.update(column, x, experience.quality, experience.weight)
        if self._projection.shape[1] == 0:
            self._first.add(vector, Seen.of(experience, column))
            if self._first.full:
                self._find_directions()

    def _find_directions(self) -> None:
        """Find the main directions of the first tasks and learn their outcomes again."""
        vectors = self._first.vectors
        self._project(main_directions(vectors, self._dimensions))
        self._regressions.reserve(len(self._ledger.ids))
        for place, seen in self._first.rows:
            self._regressions.update(seen.column, self._design(vectors[place]), seen.quality, seen.weight)
        self._first = WarmUp(self._warm_up)

    def _arrays(self) -> Arrays:
        own: Arrays = {**self._regressions.arrays(), "projection": self._projection}
        return {**self._ledger.arrays(), **self._first.arrays(), **own}

    def _meta(self) -> Mapping[str, JsonValue]:
        return self._ledger.meta()

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        projection, first = part(arrays, "projection"), WarmUp.load(self._warm_up, arrays)
        regressions = RidgeRegressions.load(projection.shape[1] + 1, self._ridge, arrays)
        self._ledger.load(arrays, meta)
        self._projection, self._first, self._regressions = projection.copy(), first, regressions
        self._leanings = None


def _identity(length: int) -> VectorArray:
    return np.eye(length, dtype=np.float32)


class ThompsonRouter(ScoringRouter):
    """Draws each agent with the chance that it is the best one for tasks of this cluster.

    Rule: a task belongs to the cluster whose centre it is nearest to. There an agent's quality has the distribution

        Beta(1 + s m + sum_i w_i q_i,  1 + s (1 - m) + sum_i w_i (1 - q_i))

    over its outcomes i of weight w_i in the cluster: a graded outcome is q of a success and 1 - q of a failure. The
    prior mean m is the agent's mean over all other clusters, smoothed to the guess from card and price
    (``priors.py``), and s is as many outcomes as stand behind it, at most ``strength``; so an agent never tried has a
    wide distribution. What the objective takes off for cost and latency, and what preferences add, shifts the
    distribution of the agent's utility.

    Thompson sampling draws one quality from each distribution and takes the best. The chance of that is computed
    (:mod:`agentmesh.routing.posterior`), and the agent is drawn from the chances, so that the propensities in the trace
    are the true ones. Of a set, the places after the first go to those left in proportion to the same chances.

    Clusters are found by k-means on the first ``warm_up`` different tasks, or on the fitted table; before that, all
    tasks are one. A type hint names a cluster of its own, which learning makes where it is new: a task is of the first
    one it names, whatever it is near to. Beyond 2,000 outcomes of an agent in a cluster its distribution gets no
    narrower.

    Reference: Thompson, On the likelihood that one unknown probability exceeds another, 1933; Chapelle and Li, An
    empirical evaluation of Thompson sampling, 2011; graded outcomes as in Agrawal and Goyal, arXiv 1111.1797, whose
    coin toss is replaced by its expectation.

    Args:
        clusters: How many groups to make, 1 and up; on streams of llmrouter9's and mmlu_pro's train 8 did best.
        warm_up: How many different tasks to see before that, 1 and up.
        strength: How many outcomes in a cluster the agent's mean over the others weighs at most, 0 and up.
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
    calibrated: bool = True
    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {"clusters": (1, 4, 8, 16)}

    def __init__(self, *, clusters: int = 8, warm_up: int = 128, strength: float = 32.0, seed: int = 0) -> None:
        super().__init__(clusters=clusters, warm_up=warm_up, strength=strength, seed=seed)
        _check_whole("clusters", clusters, least=1)
        _check_whole("warm_up", warm_up, least=1)
        _check_from_zero("strength", strength)
        _check_whole("seed", seed, least=0)
        self._clusters, self._warm_up, self._strength, self._seed = clusters, warm_up, strength, seed
        self._ledger, self._sums, self._first = Ledger(), GroupSums(), WarmUp(warm_up)
        self._centres = np.zeros((0, 0), np.float32)  # (clusters, d); no row: one cluster for all
        self._hinted: list[str] = []  # clusters without a centre, behind the others in the sums

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Return the means of the agents' distributions in the cluster of this task."""
        priced = expected_cost(features, pool)
        means, cold = self._ledger.means(pool), cold_quality(features, pool, priced)
        cluster = self._cluster(features.vector, features.type_hints)
        count, quality = self._sums.gather(np.array([cluster]), self._ledger, pool)[:2, 0]
        elsewhere = OWN_STRENGTH + np.maximum(means.count - count, 0.0)
        prior = (OWN_STRENGTH * cold + np.maximum(means.quality - quality, 0.0)) / elsewhere
        strength = np.minimum(self._strength, elsewhere)
        kept = np.minimum(1.0, MOST_EVIDENCE / np.maximum(count, 1.0))
        evidence = 2.0 + strength + kept * count
        return Estimate(
            quality=(1.0 + strength * np.minimum(prior, 1.0) + kept * quality) / evidence,
            cost=own_cost(means, priced),
            latency=own_latency(means, pool.latency_s),
            factors={"evidence": evidence, "prior": prior, "outcomes": means.count},
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

    def _cluster(self, vector: VectorArray, hints: Sequence[str]) -> int:
        """Return the cluster of a task: that of its first known hint, else the nearest one."""
        nearest = int(self._nearest(vector[None])[0])
        told = (self._found + self._hinted.index(hint) for hint in naming(hints) if hint in self._hinted)
        return next(told, nearest)

    @property
    def _found(self) -> int:
        return max(1, len(self._centres))

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
        self._first, self._hinted = WarmUp(self._warm_up), []

    def _learn(self, experience: Experience) -> None:
        vector = unpack_vector(experience.vector)
        self._first.check(vector)
        self._nearest(vector[None])  # refuses one of another length before anything is counted
        learned = self._ledger.learn(experience)
        if learned is None:
            return
        column, dropped = learned
        if dropped:
            self._sums.drop(column)
            self._first.drop(column)
        seen, hints = Seen.of(experience, column), naming(experience.type_hints)
        self._hinted += [hint for hint in hints if hint not in self._hinted]
        self._sums.widen(self._found + len(self._hinted))
        self._sums.add(self._share(self._cluster(vector, hints)), seen)
        if len(self._centres) == 0 and not hints:
            self._first.add(vector, seen)
            if self._first.full:
                self._find_clusters()

    def _share(self, cluster: int) -> FloatArray:
        share = np.zeros(self._sums.values.shape[1])
        share[cluster] = 1.0
        return share

    def _find_clusters(self) -> None:
        """Make clusters of the first tasks and book their outcomes there; those that hints name stay."""
        vectors = self._first.vectors
        self._centres = cluster_centres(vectors, self._clusters, seed=self._seed)
        self._sums = self._sums.replaced(1, len(self._centres))
        clusters = self._nearest(vectors).tolist()
        for place, seen in self._first.rows:
            self._sums.add(self._share(clusters[place]), seen)
        self._first = WarmUp(self._warm_up)

    def _arrays(self) -> Arrays:
        sums = self._sums.values
        return {**self._ledger.arrays(), **self._first.arrays(), "centres": self._centres, "cluster_sums": sums}

    def _meta(self) -> Mapping[str, JsonValue]:
        return {**self._ledger.meta(), "hinted": list(self._hinted)} if self._hinted else self._ledger.meta()

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        centres, values, hinted = part(arrays, "centres"), part(arrays, "cluster_sums"), meta.get("hinted", [])
        groups = max(1, len(centres)) + len(hinted) if isinstance(hinted, list) else -1
        if not isinstance(hinted, list) or values.ndim != 3 or values.shape[:2] != (4, groups):
            raise ConfigError(f"sums of {values.shape!r} do not fit centres of {centres.shape!r} and hints {hinted!r}")
        first = WarmUp.load(self._warm_up, arrays)
        self._ledger.load(arrays, meta)
        self._centres, self._sums, self._first = centres.copy(), GroupSums.loaded(values), first
        self._hinted = [str(hint) for hint in hinted]


def _check_from_zero(name: str, value: float) -> None:
    if not 0.0 <= value < np.inf:
        raise ConfigError(f"{name} is {value!r}; it must be a finite number from 0 up")


def _check_whole(name: str, value: int, *, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name} is {value!r}; it must be at least {least}")
