"""Linear regression from a task's vector and n-grams to what each agent is worth on it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.packing import unpack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, ScoringRouter, TaskFeatures
from agentmesh.routing.ledger import Ledger, part
from agentmesh.routing.ngrams import SparseRows, hashed
from agentmesh.routing.prices import expected_cost
from agentmesh.routing.priors import blended, cold_quality, curiosity_of, own_cost, own_latency
from agentmesh.routing.regression import Design, Training, sigmoid, softmax, train
from agentmesh.routing.state import Arrays
from agentmesh.types import IndexArray, JsonValue, VectorArray

VECTOR_SCALE: Final = 4.0  # this and the next: chosen on val of clinc150 and hwu64, where 3 to 6 did nearly alike
GRAM_SCALE: Final = 4.0
EPOCHS: Final = 8  # as the step: chosen on the same val sets; 15 did no better
STEP: Final = 0.06
DROP: Final = 0.3  # chosen with the buckets and PIECE_WEIGHT on val of hwu64 and by cross-validation inside its train
MOST_BYTES: Final = 64 * 2**20  # with thousands of agents the buckets are halved until the weights fit
CACHED: Final = 2**17  # how many weights are copied at a time: half a megabyte, which stays in a core's own cache
FEWEST_BUCKETS: Final = 256
SETTLED: Final = 100.0  # outcomes of an agent after which its online steps shrink


class LinearRouter(ScoringRouter):
    """Predicts each agent's quality from the task by regularised logistic regression, fitted in one go or online.

    Rule: x is the task's vector, its hashed words, pairs of words and pieces of words, and a constant; z = W x. When
    every fitted task has at most one right agent and all were observed (labels), quality is softmax(z) with one more
    outcome, "nobody". Otherwise each agent is a regression of its own, quality is sigmoid(z), targets may be
    anything from 0 to 1 and unknown ones are left out. Whenever a task is seen while fitting, a random third of its
    features is left out. Agents with few outcomes are shrunk to a guess from card and price, which weighs
    ``priors.OWN_STRENGTH`` outcomes. Costs and latencies are the agents' means.

    One outcome (q of agent a) moves the weights one step down the gradient of its cross-entropy, scaled so that z
    moves by at most ``learning_rate`` times the outcome's weight, less once the agent has some hundred outcomes.

    Memory: 4 bytes x (d + ``buckets`` + 1) x agents, 10 MB for 150 of them, 64 MB at most after fitting: with more
    agents than that the buckets are halved.

    Reference: one-vs-rest and multinomial regression as in Joulin et al., Bag of tricks for efficient text
    classification, arXiv 1607.01759; hashing as in arXiv 0902.2206.

    Args:
        l2: Penalty on squared weights in :meth:`fit`, 0 and up: 1e-5 to 1e-4 for labels, about 3e-2 for noisy outcomes.
        buckets: Places for hashed n-grams, a power of two from 256 up.
        learning_rate: How far one outcome moves its own logit, 0 (frozen) to about 2.
        curiosity: What an agent never tried gains in quality, 0 (never explore) to about 1.
        seed: Orders the tasks while fitting.
        policy: As in :class:`~agentmesh.routing.base.ScoringRouter`.

    >>> east, north = np.eye(2, dtype=np.float32)
    >>> unknown, vectors = np.full(2, np.nan), np.stack([east, north])
    >>> quality, cost = np.eye(2), np.full((2, 2), np.nan)
    >>> router = LinearRouter(curiosity=0.0)
    >>> router.fit(Outcomes(("a", "b"), vectors, ("red", "blue"), ("", ""), quality, cost))
    >>> versions, mask = np.ones(2, np.int64), np.ones(2, np.bool_)
    >>> pool = AgentPool(("a", "b"), vectors, unknown, unknown, unknown, unknown, versions, mask, "r1")
    >>> score = router.score(TaskFeatures(north, "blue"), pool)
    >>> bool(score[1] > score[0])
    True
    """

    name: ClassVar[str] = "linear"
    calibrated: bool = True
    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {"l2": (1e-5, 1e-4, 3e-2)}

    def __init__(
        self,
        *,
        l2: float = 1e-5,
        buckets: int = 16384,
        learning_rate: float = 0.5,
        curiosity: float = 0.1,
        seed: int = 0,
        policy: str = "greedy",
    ) -> None:
        super().__init__(
            l2=l2, buckets=buckets, learning_rate=learning_rate, curiosity=curiosity, seed=seed, policy=policy
        )
        for name, value in (("l2", l2), ("learning_rate", learning_rate), ("curiosity", curiosity)):
            if not 0.0 <= value < np.inf:
                raise ConfigError(f"{name} is {value!r}; it must be a finite number from 0 up")
        if buckets < FEWEST_BUCKETS or buckets & (buckets - 1):
            raise ConfigError(f"buckets is {buckets!r}; it must be a power of two from {FEWEST_BUCKETS} up")
        if seed < 0:
            raise ConfigError(f"seed is {seed!r}; it must be 0 or more")
        self._l2, self._most_buckets, self._rate = l2, buckets, learning_rate
        self._curiosity, self._seed = curiosity, seed
        self._ledger = Ledger()
        self._buckets = buckets
        self._exclusive = False
        self._weights = np.zeros((0, 0), np.float32)  # (width, capacity): one column an agent, as in the ledger
        self._nobody = np.zeros(0, np.float32)  # (width,), of use when exclusive

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Predict each agent's quality; cost and latency are its means."""
        priced = expected_cost(features, pool)
        means = self._ledger.means(pool)
        known = self._predict(features.vector, features.text)
        predicted = np.append(known, np.float32(0.0))[self._ledger.columns(pool)].astype(np.float64)
        curiosity = curiosity_of(means, self._curiosity)
        return Estimate(
            quality=blended(predicted, means, cold_quality(features, pool, priced)),
            cost=own_cost(means, priced),
            latency=own_latency(means, pool.latency_s),
            factors={"curiosity": curiosity, "predicted": predicted},
            curiosity=curiosity,
        )

    def _predict(self, vector: VectorArray, text: str) -> VectorArray:
        """Return the quality of each agent of the ledger, (agents,)."""
        agents = len(self._ledger.ids)
        if not agents:
            return np.zeros(0, np.float32)
        places, values = self._features(vector, text)
        dimension = len(vector)
        logits: VectorArray = values[:dimension] @ self._weights[:dimension, :agents]
        rows = max(1, CACHED // agents)
        for start in range(0, len(places), rows):
            taken = self._weights.take(places[start : start + rows], axis=0)[:, :agents]
            logits += values[dimension + start : dimension + start + rows] @ taken
        if not self._exclusive:
            return sigmoid(logits)
        nobody = values[:dimension] @ self._nobody[:dimension] + values[dimension:] @ self._nobody[places]
        return softmax(np.append(logits, nobody))[:-1]

    def _features(self, vector: VectorArray, text: str) -> tuple[IndexArray, VectorArray]:
        """Return the places of what stands after the vector, (s,), and the values of both, (d + s,)."""
        dimension = self._dimension(vector)
        row = hashed(text, self._buckets)
        values = np.empty(dimension + len(row.places) + 1, np.float32)
        values[:dimension] = vector * np.float32(VECTOR_SCALE)
        values[dimension:-1] = row.values * np.float32(GRAM_SCALE)
        values[-1] = 1.0
        return np.append(row.places + dimension, len(self._weights) - 1), values

    def _dimension(self, vector: VectorArray) -> int:
        fitted = len(self._weights) - self._buckets - 1
        if fitted != len(vector):
            raise ConfigError(
                f"a task vector has length {len(vector)!r}, past ones had {fitted}; use the same embedder"
            )
        return fitted

    def _fit(self, outcomes: Outcomes) -> None:
        dimension, agents = outcomes.vectors.shape[1], len(outcomes.agent_ids)
        self._buckets = _fitting(self._most_buckets, dimension, agents)
        grams = SparseRows.of(outcomes.texts, self._buckets)
        design = Design(outcomes.vectors, grams, self._buckets, VECTOR_SCALE, GRAM_SCALE)
        right = outcomes.quality
        self._exclusive = bool((right.sum(axis=1) <= 1.0).all())  # a sum with NaN in it is not
        if self._exclusive:
            right = np.hstack([right, 1.0 - right.sum(axis=1, keepdims=True)])
        how = Training(EPOCHS, STEP, self._l2, self._seed, self._exclusive, DROP)
        weights = train(design, right, how)
        self._weights = weights[:, :agents].copy()
        self._nobody = weights[:, agents].copy() if self._exclusive else np.zeros(design.width, np.float32)
        self._ledger.fit(outcomes)

    def _learn(self, experience: Experience) -> None:
        vector = unpack_vector(experience.vector)
        if len(self._weights) == 0:
            self._weights = np.zeros((len(vector) + self._buckets + 1, 0), np.float32)
            self._nobody = np.zeros(len(self._weights), np.float32)
        dimension = self._dimension(vector)
        learned = self._ledger.learn(experience)
        if learned is None:
            return
        column, dropped = learned
        self._widen(len(self._ledger.ids))
        if dropped:
            self._weights[:, column] = 0.0
        predicted = self._predict(vector, experience.text)
        after, values = self._features(vector, experience.text)
        places, spots = np.unique(np.append(np.arange(dimension), after), return_inverse=True)
        features = np.zeros(len(places), np.float32)
        np.add.at(features, spots, values)
        error = experience.weight * (float(predicted[column]) - experience.quality)
        self._descend(places, features, predicted, column, error)

    def _descend(
        self, places: IndexArray, features: VectorArray, predicted: VectorArray, column: int, error: float
    ) -> None:
        seen = float(self._ledger.counts[column])
        step = self._rate / np.sqrt(1.0 + seen / SETTLED) / float(features @ features)
        self._weights[places, column] -= np.float32(step * error) * features
        if self._exclusive:  # what one outcome gains, the others lose, in proportion to what they had
            share = error / max(1.0 - float(predicted[column]), 1e-6)
            others = np.append(predicted, 1.0 - predicted.sum())
            others[column] = 0.0
            moves = (step * share * others).astype(np.float32)
            self._weights[places, : len(predicted)] += np.outer(features, moves[:-1])
            self._nobody[places] += moves[-1] * features

    def _widen(self, agents: int) -> None:
        capacity = self._weights.shape[1]
        if agents > capacity:
            self._weights = np.pad(self._weights, ((0, 0), (0, max(agents, 2 * capacity) - capacity)))

    def _arrays(self) -> Arrays:
        weights = self._weights[:, : len(self._ledger.ids)]
        return {**self._ledger.arrays(), "weights": weights, "nobody": self._nobody}

    def _meta(self) -> Mapping[str, JsonValue]:
        return {**self._ledger.meta(), "exclusive": self._exclusive, "buckets": self._buckets}

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        weights, nobody = part(arrays, "weights"), part(arrays, "nobody")
        buckets, exclusive = meta.get("buckets"), meta.get("exclusive")
        if not isinstance(buckets, int) or not isinstance(exclusive, bool) or nobody.shape != weights.shape[:1]:
            raise ConfigError(f"weights {weights.shape!r} do not fit {buckets!r} buckets; take a state of snapshot()")
        self._ledger.load(arrays, meta)
        self._weights, self._nobody = weights.copy(), nobody.copy()
        self._buckets, self._exclusive = buckets, exclusive


def _fitting(buckets: int, dimension: int, agents: int) -> int:
    """Halve ``buckets`` until the weights fit in memory."""
    while buckets > FEWEST_BUCKETS and 4 * (dimension + buckets + 1) * (agents + 1) > MOST_BYTES:
        buckets //= 2
    return buckets
