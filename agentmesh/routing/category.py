"""Routes by the kind of task: text to group, and the group's mean outcomes."""

from collections.abc import Mapping, Sequence
from itertools import count, islice
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.packing import unpack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, ScoringRouter, TaskFeatures
from agentmesh.routing.clusters import cluster_centres
from agentmesh.routing.groups import GroupSums, Seen, WarmUp
from agentmesh.routing.intent import naming
from agentmesh.routing.ledger import Ledger, Means, part
from agentmesh.routing.prices import expected_cost
from agentmesh.routing.priors import cold_quality, curiosity_of, own_cost, own_latency, own_quality
from agentmesh.routing.regression import group_weights, softmax, with_unknown
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, JsonValue, VectorArray

CLUSTER_SHARPNESS: Final = 20.0  # of the softmax over cosines, where groups are clusters: temperature 0.05
SMOOTHING: Final = 8.0  # outcomes that an agent's mean over all groups weighs beside those in the group


class CategoryRouter(ScoringRouter):
    """Recognises the group of a task and takes what each agent was worth in that group.

    Rule: w = softmax(W x) over groups, from a softmax regression on task vectors whose groups are known, or, where no
    two groups are named, over the cosines with the centres of ``clusters`` k-means clusters. In each group g an agent
    has the mean of its outcomes there, smoothed to its mean over all groups m, and so has its cost:

        q_g = (sum of qualities in g + 8 m) / (outcomes in g + 8)
        q   = sum_g w_g q_g            # "soft"; "hard" takes the likeliest group alone

    One outcome is shared out over the groups by w. Success rates of groups with their counts are signals of low
    variance: this is the strongest simple rule where groups matter.

    A task that comes with type hints is wholly of the groups of those names, which learning makes where they are new;
    groups made so are never recognised, since nothing was trained for them.

    A router never fitted has one group for all tasks without hints until it has seen ``warm_up`` different ones; then
    it makes clusters of them, and books again there what came of them.

    Reference: Chain-of-Experts' success rates by group, arXiv 2412.01868; category-aware routing, arXiv 2510.26835.

    Args:
        mixture: ``"soft"`` or ``"hard"``.
        clusters: How many groups to make where none are named, 1 and up; 8 to 64 are sensible.
        warm_up: How many different tasks to see before clusters are made, 1 and up.
        curiosity: How much the rarely tried are preferred, 0 (never explore) to about 0.3.
        seed: Starts the clusters and orders the tasks while fitting.
        policy: As in :class:`~agentmesh.routing.base.ScoringRouter`.

    >>> east, north = np.eye(2, dtype=np.float32)
    >>> unknown, vectors = np.full(2, np.nan), np.stack([east, north])
    >>> quality, cost = np.eye(2), np.full((2, 2), np.nan)
    >>> router = CategoryRouter(mixture="hard", clusters=2, curiosity=0.0)
    >>> router.fit(Outcomes(("a", "b"), vectors, ("x", "y"), ("", ""), quality, cost))
    >>> versions, mask = np.ones(2, np.int64), np.ones(2, np.bool_)
    >>> pool = AgentPool(("a", "b"), 0 * vectors, unknown, unknown, unknown, unknown, versions, mask, "r1")
    >>> router.score(TaskFeatures(north, "like y"), pool).round(3).tolist()  # own means are 0.5: 4/9 and 5/9
    [0.444, 0.556]
    """

    name: ClassVar[str] = "category"
    calibrated: bool = True
    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {"mixture": ("soft", "hard")}

    def __init__(
        self,
        *,
        mixture: str = "soft",
        clusters: int = 16,
        warm_up: int = 128,
        curiosity: float = 0.1,
        seed: int = 0,
        policy: str = "greedy",
    ) -> None:
        super().__init__(
            mixture=mixture, clusters=clusters, warm_up=warm_up, curiosity=curiosity, seed=seed, policy=policy
        )
        if mixture not in ("soft", "hard"):
            raise ConfigError(f"mixture is {mixture!r}; it must be 'soft' or 'hard'")
        for name, value in (("clusters", clusters), ("warm_up", warm_up)):
            if value < 1:
                raise ConfigError(f"{name} is {value!r}; it must be at least 1")
        if not 0.0 <= curiosity < np.inf:
            raise ConfigError(f"curiosity is {curiosity!r}; it must be a finite number from 0 up")
        if seed < 0:
            raise ConfigError(f"seed is {seed!r}; it must be 0 or more")
        self._hard, self._clusters, self._warm_up = mixture == "hard", clusters, warm_up
        self._curiosity, self._seed = curiosity, seed
        self._ledger = Ledger()
        self._groups: tuple[str, ...] = ("",)
        self._recogniser = np.zeros((0, 1), np.float32)  # (d + 1, groups); no row: one group, recognised blindly
        self._sums, self._first = GroupSums(), WarmUp(warm_up)

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Mix the groups' means by how likely the task belongs to each."""
        priced = expected_cost(features, pool)
        means = self._ledger.means(pool)
        share = self._share(features.vector, features.type_hints)
        kept = np.flatnonzero(share)
        seen, quality, paid, cost = self._sums.gather(kept, self._ledger, pool)
        own, dues = own_quality(means, cold_quality(features, pool, priced)), own_cost(means, priced)
        curiosity = curiosity_of(means, self._curiosity)
        return Estimate(
            quality=share[kept] @ ((quality + SMOOTHING * own) / (seen + SMOOTHING)),
            cost=share[kept] @ ((cost + SMOOTHING * dues) / (paid + SMOOTHING)),
            latency=own_latency(means, pool.latency_s),
            factors=self._factors(means, own, curiosity),
            curiosity=curiosity,
            intent=self._intent(share),
        )

    def _intent(self, share: FloatArray) -> Mapping[str, float]:
        if len(self._groups) == 1:
            return {}
        return {group: taken for group, taken in zip(self._groups, share.tolist(), strict=True) if group}

    @staticmethod
    def _factors(means: Means, own: FloatArray, curiosity: FloatArray) -> Mapping[str, FloatArray]:
        return {"curiosity": curiosity, "own_mean": own, "outcomes": means.count}

    def membership(self, vector: VectorArray) -> dict[str, float]:
        """Return how likely a task belongs to each group; clusters are named ``cluster 0``, ``cluster 1`` and so on.

        Raises:
            ConfigError: the vector has another length than those this router was fitted on.
        """
        return dict(zip(self._groups, self._membership(vector).tolist(), strict=True))

    def _share(self, vector: VectorArray, hints: Sequence[str]) -> FloatArray:
        """Return how much a task is of each group, (groups,), by its hints where one is known, else by its vector."""
        self._check(vector)
        told = [self._groups.index(hint) for hint in naming(hints) if hint in self._groups]
        if not told:
            return self._membership(vector)
        share = np.zeros(len(self._groups))
        share[told] = 1.0 / len(told)
        return share

    def _check(self, vector: VectorArray) -> None:
        if len(self._recogniser) not in (0, len(vector) + 1):
            fitted = len(self._recogniser) - 1
            raise ConfigError(
                f"a task vector has length {len(vector)!r}, past ones had {fitted}; use the same embedder"
            )

    def _membership(self, vector: VectorArray) -> FloatArray:
        if len(self._recogniser) == 0:
            share = np.zeros(len(self._groups))
            share[0] = 1.0
            return share
        self._check(vector)
        logits = vector @ self._recogniser[:-1] + self._recogniser[-1]
        if not self._hard:
            return softmax(logits).astype(np.float64)
        share = np.zeros(len(logits))
        share[np.argmax(logits)] = 1.0
        return share

    def _fit(self, outcomes: Outcomes) -> None:
        self._groups, self._recogniser = self._recognise(outcomes)
        places = {group: place for place, group in enumerate(self._groups)}
        logits = outcomes.vectors @ self._recogniser[:-1] + self._recogniser[-1]
        guessed = np.argmax(logits, axis=1).tolist()
        member = np.array([places.get(group, guess) for group, guess in zip(outcomes.groups, guessed, strict=True)])
        self._ledger.fit(outcomes)
        self._sums = GroupSums.of(member, len(self._groups), outcomes)
        self._first = WarmUp(self._warm_up)

    def _recognise(self, outcomes: Outcomes) -> tuple[tuple[str, ...], VectorArray]:
        """Return the groups and the weights that recognise them, (d + 1, groups)."""
        names = sorted(set(outcomes.groups) - {""})
        if len(names) < 2:
            return self._by_clusters(outcomes.vectors)
        known = np.array([place for place, group in enumerate(outcomes.groups) if group])
        member = np.array([names.index(outcomes.groups[place]) for place in known])
        return tuple(names), group_weights(outcomes.vectors[known], member, len(names), seed=self._seed)

    def _by_clusters(self, vectors: VectorArray, taken: Sequence[str] = ()) -> tuple[tuple[str, ...], VectorArray]:
        """Return as :meth:`_recognise` does, with clusters of the tasks for groups, under names that are not taken."""
        centres = cluster_centres(vectors, self._clusters, seed=self._seed)
        blank = np.zeros((1, len(centres)), np.float32)
        free = (name for name in map("cluster {}".format, count()) if name not in taken)
        found = tuple(islice(free, len(centres)))
        weights = np.vstack([np.float32(CLUSTER_SHARPNESS) * centres.T, blank])
        return found, np.ascontiguousarray(weights)  # as a restored one is laid out, or products differ in the last bit

    def _learn(self, experience: Experience) -> None:
        vector = unpack_vector(experience.vector)
        self._first.check(vector)
        self._check(vector)
        learned = self._ledger.learn(experience)
        if learned is None:
            return
        column, dropped = learned
        if dropped:
            self._sums.drop(column)
            self._first.drop(column)
        seen, hints = Seen.of(experience, column), naming(experience.type_hints)
        self._admit(hints)
        self._sums.add(self._share(vector, hints), seen)
        if len(self._recogniser) == 0 and not hints:
            self._first.add(vector, seen)
            if self._first.full:
                self._find_groups()

    def _admit(self, hints: Sequence[str]) -> None:
        """Make a group of each hint that is not known. It is known by its hint alone: its logit is minus infinity."""
        fresh = tuple(hint for hint in hints if hint not in self._groups)
        if fresh:
            self._groups += fresh
            self._recogniser = with_unknown(self._recogniser, len(fresh))
            self._sums.widen(len(self._groups))

    def _find_groups(self) -> None:
        """Make clusters of the first tasks and book their outcomes there; groups that hints made stay."""
        vectors, hinted = self._first.vectors, self._groups[1:]
        found, recogniser = self._by_clusters(vectors, hinted)
        self._groups, self._recogniser = found + hinted, with_unknown(recogniser, len(hinted))
        self._sums = self._sums.replaced(1, len(found))
        shares = [self._membership(vector) for vector in vectors]
        for place, seen in self._first.rows:
            self._sums.add(shares[place], seen)
        self._first = WarmUp(self._warm_up)

    def _arrays(self) -> Arrays:
        learned: Arrays = {"recogniser": self._recogniser, "group_sums": self._sums.values}
        return {**self._ledger.arrays(), **self._first.arrays(), **learned}

    def _meta(self) -> Mapping[str, JsonValue]:
        return {**self._ledger.meta(), "groups": list(self._groups)}

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        recogniser, sums, groups = part(arrays, "recogniser"), part(arrays, "group_sums"), meta.get("groups")
        if not isinstance(groups, list) or recogniser.shape[1] != len(groups) or sums.shape[:2] != (4, len(groups)):
            raise ConfigError(f"{groups!r} do not fit a recogniser of {recogniser.shape!r} and sums of {sums.shape!r}")
        first = WarmUp.load(self._warm_up, arrays)
        self._ledger.load(arrays, meta)
        self._groups, self._recogniser = tuple(str(name) for name in groups), recogniser.copy()
        self._sums, self._first = GroupSums.loaded(sums), first
