"""Which kinds of task there are in a table of outcomes, and a linear model that tells them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.routing.inputs import Outcomes
from agentmesh.routing.ledger import part
from agentmesh.routing.ngrams import SparseRows, hashed
from agentmesh.routing.regression import Design, Training, train
from agentmesh.routing.state import Arrays
from agentmesh.types import IndexArray, JsonValue, MaskArray, VectorArray

SCALE: Final = 4.0  # of the vector and of the n-grams, and the training: as in LinearRouter, where they were chosen
TRAINING: Final = (8, 0.06, 1e-5)  # passes, first step, penalty
DROP: Final = 0.3
MOSTLY: Final = 0.95
"""A table where so many tasks have at most one right agent, and all were observed, is one of labels."""
MOST_BYTES: Final = 16 * 2**20  # with thousands of kinds the buckets are halved until the weights fit
FEWEST_BUCKETS: Final = 256


def are_labels(outcomes: Outcomes) -> bool:
    """Return whether the table names the right agent of each task, so that a task without one is out of scope.

    In any other table a task on which every agent failed is a hard one, not one that nobody is there for.
    """
    quality = outcomes.quality
    if not len(quality) or not np.isin(quality, (0.0, 1.0)).all():
        return False
    return float((quality.sum(axis=1) <= 1.0).mean()) >= MOSTLY


def in_scope(outcomes: Outcomes, *, labels: bool) -> MaskArray:
    """Return which tasks somebody is there for, (m,): with labels those with a right agent, else all."""
    if not labels:
        return np.ones(len(outcomes), np.bool_)
    return np.asarray(outcomes.quality.max(axis=1, initial=0.0) > 0.0, dtype=np.bool_)


def kinds_of(outcomes: Outcomes, *, labels: bool) -> IndexArray:
    """Return the kind of each task from 0 up: its right agent, else its group, else one kind for all.

    Shapes:
        returns (m,); every kind from 0 to the highest occurs.
    """
    if labels:
        named: Sequence[int] | Sequence[str] = outcomes.quality.argmax(axis=1).tolist()
    else:
        named = outcomes.groups if all(outcomes.groups) else [""] * len(outcomes)
    return np.unique(np.asarray(named), return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, slots=True)
class KindModel:
    """Tells kinds apart by a task's vector and hashed n-grams: z = W x, trained as a softmax.

    Shapes:
        weights: (d + buckets + 1, kinds) float32, rounded to what float16 holds, in which they are stored.
    """

    weights: VectorArray
    buckets: int

    @classmethod
    def trained(
        cls, vectors: VectorArray, texts: Sequence[str], kind: IndexArray, *, buckets: int, seed: int
    ) -> "KindModel":
        """Fit the weights.

        Shapes:
            vectors: (m, d). kind: (m,) from 0 up.
        """
        kinds = int(kind.max(initial=0)) + 1
        while buckets > FEWEST_BUCKETS and 2 * (vectors.shape[1] + buckets + 1) * kinds > MOST_BYTES:
            buckets //= 2
        design = Design(vectors, SparseRows.of(texts, buckets), buckets, SCALE, SCALE)
        weights = train(design, np.eye(kinds)[kind], Training(*TRAINING, seed, exclusive=True, drop=DROP))
        return cls(rounded(weights), buckets)

    @property
    def kinds(self) -> int:
        """Return the number of kinds."""
        return int(self.weights.shape[1])

    def logits(self, vector: VectorArray, text: str) -> VectorArray:
        """Return z, (kinds,)."""
        dimension = len(vector)
        row = hashed(text, self.buckets)
        z: VectorArray = vector @ self.weights[:dimension]
        z += row.values @ self.weights.take(row.places + dimension, axis=0)
        z *= np.float32(SCALE)
        z += self.weights[-1]
        return z

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name."""
        return {"kind_weights": self.weights.astype(np.float16)}

    def meta(self) -> dict[str, JsonValue]:
        """Return the part of the state that is no array."""
        return {"buckets": self.buckets}

    @classmethod
    def load(cls, arrays: Arrays, meta: Mapping[str, JsonValue]) -> "KindModel":
        """Undo :meth:`arrays` and :meth:`meta`.

        Raises:
            ConfigError: a part is missing or the parts do not fit together.
        """
        weights, buckets = part(arrays, "kind_weights"), meta.get("buckets")
        if not isinstance(buckets, int) or weights.ndim != 2 or len(weights) <= buckets:
            raise ConfigError(f"weights {weights.shape!r} do not fit {buckets!r} buckets; take a state of arrays()")
        return cls(weights.astype(np.float32), buckets)


def rounded(values: VectorArray) -> VectorArray:
    """Return ``values`` as float16 holds them: half the memory in a state, and what is lost moves no choice."""
    return values.astype(np.float16).astype(np.float32)
