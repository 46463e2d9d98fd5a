"""Trains the weights of a linear model on a table of outcomes: mini-batches, AdaGrad, nothing but numpy."""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from agentmesh.routing.ngrams import SparseRows
from agentmesh.types import FloatArray, IndexArray, VectorArray

LARGEST_BATCH: Final = 128
SMALLEST_BATCH: Final = 8
STEPS_A_PASS: Final = 64  # small tables get small batches, so that a pass still is some dozens of steps
LAST_RATE: Final = 0.1  # of the first: steps shrink in a straight line to a tenth
TINY: Final = 1e-6

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

    def dense(self, chosen: IndexArray) -> VectorArray:
        """Return the features of some tasks, (len(chosen), width) float32."""
        dimension = self.vectors.shape[1]
        rows = np.zeros((len(chosen), self.width), np.float32)
        self.grams.scatter(chosen, rows[:, dimension:-1])
        rows *= np.float32(self.gram_scale)
        rows[:, :dimension] = self.vectors[chosen] * np.float32(self.vector_scale)
        rows[:, -1] = 1.0
        return rows


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
    """

    epochs: int
    rate: float
    l2: float
    seed: int
    exclusive: bool


def train(design: Design, targets: FloatArray, how: Training) -> VectorArray:
    """Return weights that minimise the cross-entropy of ``targets`` plus the penalty.

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
            features = design.dense(chosen)
            logits = features @ weights
            error = (softmax(logits) if how.exclusive else sigmoid(logits)) - wanted[chosen]
            error *= known[chosen]
            rate = how.rate * (1.0 - (1.0 - LAST_RATE) * step / steps)
            _step(weights, squares, features.T @ error / np.float32(len(chosen)) + np.float32(how.l2) * weights, rate)
            step += 1
    return weights


def _step(weights: VectorArray, squares: VectorArray, gradient: VectorArray, rate: float) -> None:
    squares += gradient * gradient
    weights -= np.float32(rate) * gradient / (np.sqrt(squares) + np.float32(TINY))
