"""Trains the weights of a linear model on a table of outcomes: mini-batches, AdaGrad, nothing but numpy."""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from agentmesh.routing.ngrams import SparseRows
from agentmesh.types import FloatArray, IndexArray, Rng, VectorArray

LARGEST_BATCH: Final = 128
SMALLEST_BATCH: Final = 8
STEPS_A_PASS: Final = 64  # small tables get small batches, so that a pass still is some dozens of steps
LAST_RATE: Final = 0.1  # of the first: steps shrink in a straight line to a tenth
TINY: Final = 1e-6

GROUP_VECTOR_SCALE: Final = 8.0
"""From 4 to 16 the accuracy of groups on val of llmrouter9 and mmlu_pro differs by under 2 points."""
GROUP_TRAINING: Final = (15, 0.1, 1e-4)  # passes, first step, penalty, for telling groups of tasks apart

Logits = TypeVar("Logits", VectorArray, FloatArray)


@dataclass(frozen=True, slots=True)
class Design:
    """What a model sees of m tasks: the scaled vector, the scaled hashed n-grams, and a constant 1.

    Shapes:
        vectors: (m, d) float32.
    """

    vectors: VectorArray
    grams: SparseRows
    buckets: int
    vector_scale: float
    gram_scale: float

    @property
    def width(self) -> int:
        """Return the number of features: d + buckets + 1."""
        return int(self.vectors.shape[1]) + self.buckets + 1

    def batch(self, chosen: IndexArray) -> tuple[IndexArray, VectorArray]:
        """Return the features that some tasks have, as places in the width, and their values; all others are 0.

        Shapes:
            chosen: (b,). Returns (w,) rising and (b, w) float32, with w from d + 1 to ``width``.
        """
        dimension = self.vectors.shape[1]
        occurring, grams = self.grams.dense(chosen)
        values = np.empty((len(chosen), dimension + len(occurring) + 1), np.float32)
        np.multiply(self.vectors[chosen], np.float32(self.vector_scale), out=values[:, :dimension])
        np.multiply(grams, np.float32(self.gram_scale), out=values[:, dimension:-1])
        values[:, -1] = 1.0
        return np.concatenate([np.arange(dimension), occurring + dimension, [self.width - 1]]), values


def softmax(logits: VectorArray) -> VectorArray:
    """Return exp(logits) divided by its sum, along the last axis."""
    raised: VectorArray = np.exp(logits - logits.max(axis=-1, keepdims=True))
    raised /= raised.sum(axis=-1, keepdims=True)
    return raised


def sigmoid(logits: Logits) -> Logits:
    """Return 1 / (1 + exp(-logits)), without overflow.

    >>> sigmoid(np.array([0.0, -1000.0, 1000.0])).tolist()
    [0.5, 0.0, 1.0]
    """
    half: Logits = np.tanh(0.5 * logits)
    half += 1.0
    half *= 0.5
    return half


@dataclass(frozen=True, slots=True)
class Training:
    """How to train: passes over the data, the first step length, the penalty on squared weights, the seed of the order.

    ``exclusive``: exactly one target a task is right (softmax); otherwise each is right or wrong for itself (sigmoid).
    ``drop``: the share of a task's features, 0 to below 1, that is left out each time it is seen, so that no weight
    relies on another one (Srivastava et al., Dropout, 2014); those left weigh more in its place.
    """

    epochs: int
    rate: float
    l2: float
    seed: int
    exclusive: bool
    drop: float = 0.0

    def thinned(self, features: VectorArray, rng: Rng) -> VectorArray:
        """Leave features out; the constant, which is the last, stays."""
        if self.drop == 0.0:
            return features
        kept = rng.random(features.shape, dtype=np.float32) >= np.float32(self.drop)
        kept[:, -1] = True
        thin: VectorArray = features * kept
        thin[:, :-1] /= np.float32(1.0 - self.drop)
        return thin


def train(design: Design, targets: FloatArray, how: Training) -> VectorArray:
    """Return weights that minimise the cross-entropy of ``targets`` plus the penalty.

    A step moves only the weights of features that its tasks have, so its time does not depend on the number of buckets.

    Reference: Duchi, Hazan and Singer, Adaptive subgradient methods, 2011, for the step lengths.

    Shapes:
        targets: (m, n) 0 to 1, NaN where unknown. Returns (design.width, n) float32.
    """
    known = ~np.isnan(targets)
    wanted = np.where(known, targets, 0.0).astype(np.float32)
    rng = np.random.default_rng(how.seed)
    weights = np.zeros((design.width, targets.shape[1]), np.float32)
    squares = np.zeros_like(weights)
    tasks = len(targets)
    batch = min(max(tasks // STEPS_A_PASS, SMALLEST_BATCH), LARGEST_BATCH)
    steps = how.epochs * -(-tasks // batch)
    step = 0
    for _ in range(how.epochs):
        order = rng.permutation(tasks)
        for start in range(0, tasks, batch):
            chosen = order[start : start + batch]
            places, features = design.batch(chosen)
            features, moved = how.thinned(features, rng), weights[places]
            logits = features @ moved
            error = (softmax(logits) if how.exclusive else sigmoid(logits)) - wanted[chosen]
            error *= known[chosen]
            gradient = features.T @ error / np.float32(len(chosen)) + np.float32(how.l2) * moved
            squares[places] += gradient * gradient
            rate = how.rate * (1.0 - (1.0 - LAST_RATE) * step / steps)
            weights[places] = moved - np.float32(rate) * gradient / (np.sqrt(squares[places]) + np.float32(TINY))
            step += 1
    return weights


def group_weights(vectors: VectorArray, member: IndexArray, groups: int, *, seed: int) -> VectorArray:
    """Return the weights of a softmax regression that tells groups of tasks apart by their vectors.

    Shapes:
        vectors: (m, d); member: (m,) the group of each task, below ``groups``. Returns (d + 1, groups) float32, of
        which the last row is the constant.
    """
    design = Design(vectors, SparseRows.of([""] * len(vectors), 0), 0, GROUP_VECTOR_SCALE, 0.0)
    weights = train(design, np.eye(groups)[member], Training(*GROUP_TRAINING, seed, exclusive=True))
    weights[:-1] *= np.float32(GROUP_VECTOR_SCALE)
    return weights


def with_unknown(weights: VectorArray, groups: int) -> VectorArray:
    """Return group weights with as many more groups, which no task is taken for: their constant is minus infinity.

    Shapes:
        weights: (d + 1, g), or no row at all. Returns one with g + ``groups`` columns.
    """
    columns = np.zeros((len(weights), groups), np.float32)
    columns[-1:] = -np.inf
    return np.hstack([weights, columns])
