"""How familiar a task is: two signals against past tasks, added up, and ranked among held back ones."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.routing.inputs import Outcomes
from agentmesh.routing.kinds import KindModel, rounded
from agentmesh.routing.ledger import part
from agentmesh.routing.regression import softmax
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, IndexArray, JsonValue, VectorArray

TINY: Final = 1e-6
KIND_STRENGTH: Final = 2.0
"""How many held back tasks the mean over all kinds is worth beside those of a kind itself; 1 to 5 did nearly alike."""


@dataclass(frozen=True, slots=True)
class Familiarity:
    """What in-domain tasks look like: their kinds, some past ones in the order of these, and scores of held back ones.

    Shapes:
        tasks: (t, d) float32, rounded to what float16 holds. starts: (kinds + 1,) where the tasks of each kind begin.
        scale: (2, 2) mean and standard deviation of both signals over the held back tasks. centre: (kinds,) the usual
        score of tasks of each kind. usual: (n,) how far the held back tasks lie above it, rising.
    """

    model: KindModel
    tasks: VectorArray
    starts: IndexArray
    nearness: float
    scale: FloatArray
    centre: FloatArray
    usual: FloatArray

    @classmethod
    def learned(
        cls, known: Outcomes, kind: IndexArray, model: KindModel, *, most: int, nearness: float
    ) -> "Familiarity":
        """Keep up to ``most`` of the tasks of ``known``; it is of use once it is :meth:`calibrated`.

        Shapes:
            kind: (m,) the kind of each task of ``known``.
        """
        kept = evenly(kind, most)
        starts = np.searchsorted(kind[kept], np.arange(model.kinds + 1))
        tasks = rounded(known.vectors[kept])
        return cls(model, tasks, starts, nearness, np.zeros((2, 2)), np.zeros(model.kinds), np.zeros(0))

    def calibrated(self, held_back: Outcomes) -> "Familiarity":
        """Return the same, with scales, centres and usual scores of these in-domain tasks.

        The score of each is taken against the centre of the *others* of its kind, as that of a new task is.
        """
        pairs = zip(held_back.vectors, held_back.texts, strict=True)
        kinds, rows = zip(*(self.signals(vector, text) for vector, text in pairs), strict=True)
        shares, signals = np.stack(kinds), np.stack(rows)
        scale = np.stack([signals.mean(axis=0), signals.std(axis=0) + TINY])
        scores = replace(self, scale=scale).sums(signals)
        masses, sums = shares.sum(axis=0) + KIND_STRENGTH, scores @ shares  # the mean of all scores is 0
        others = (sums - shares * scores[:, None]) / (masses - shares)
        usual = np.sort(scores - (shares * others).sum(axis=1))
        return replace(self, scale=scale, centre=sums / masses, usual=usual)

    def signals(self, vector: VectorArray, text: str) -> tuple[FloatArray, FloatArray]:
        """Return how likely each kind is, (kinds,), and the lead and the nearness of a task, (2,).

        Raises:
            ConfigError: the vector has another length than those of past tasks.
        """
        if len(vector) != self.tasks.shape[1]:
            length = self.tasks.shape[1]
            raise ConfigError(
                f"a task vector has length {len(vector)!r}, past ones had {length!r}; use the same embedder"
            )
        logits = self.model.logits(vector, text)
        kind = int(logits.argmax())
        near = self.tasks[self.starts[kind] : self.starts[kind + 1]] @ vector
        signals = np.array([logits[kind] - logits.mean(), near.max(initial=-1.0)], np.float64)
        return softmax(logits).astype(np.float64), signals

    def sums(self, signals: FloatArray) -> FloatArray:
        """Add up standardised signals, (m,) of (m, 2)."""
        weights = np.array([1.0, self.nearness]) if self.model.kinds > 1 else np.array([0.0, 1.0])
        total: FloatArray = ((signals - self.scale[0]) / self.scale[1]) @ weights
        return total

    def share(self, vector: VectorArray, text: str) -> float:
        """Return the share of held back tasks that are at most as familiar as this one, itself counted in."""
        shares, signals = self.signals(vector, text)
        score = self.sums(signals[None])[0] - shares @ self.centre
        return float((1 + np.searchsorted(self.usual, score, side="right")) / (1 + len(self.usual)))

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name."""
        own: Arrays = {
            "tasks": self.tasks.astype(np.float16),
            "starts": self.starts,
            "scale": self.scale,
            "centre": self.centre,
            "usual": self.usual,
        }
        return {**self.model.arrays(), **own}

    def meta(self) -> dict[str, JsonValue]:
        """Return the part of the state that is no array."""
        return {"nearness": self.nearness, **self.model.meta()}

    @classmethod
    def load(cls, arrays: Arrays, meta: Mapping[str, JsonValue]) -> "Familiarity":
        """Undo :meth:`arrays` and :meth:`meta`.

        Raises:
            ConfigError: a part is missing or the parts do not fit together.
        """
        model, nearness = KindModel.load(arrays, meta), meta.get("nearness")
        names = ("tasks", "starts", "scale", "centre", "usual")
        tasks, starts, scale, centre, usual = (part(arrays, name) for name in names)
        shapes = (tasks.ndim, starts.shape, scale.shape, centre.shape, usual.ndim)
        if shapes != (2, (model.kinds + 1,), (2, 2), (model.kinds,), 1) or not isinstance(nearness, float):
            raise ConfigError(f"tasks {tasks.shape!r} do not fit {model.kinds!r} kinds; take a state of arrays()")
        parts = (starts.copy(), nearness, scale.copy(), centre.copy(), usual.copy())
        return cls(model, tasks.astype(np.float32), *parts)


def evenly(kind: IndexArray, most: int) -> IndexArray:
    """Return the places of up to ``most`` tasks, by kind: the last of each, as many of one as of another.

    >>> evenly(np.array([0, 1, 0, 0, 1, 0]), 4).tolist()
    [3, 5, 1, 4]
    """
    order = np.argsort(kind, kind="stable")
    counts = np.bincount(kind)
    age = np.repeat(np.cumsum(counts), counts) - np.arange(len(kind))  # 1 for the last task of a kind
    share = max(1, most // max(1, len(counts)))
    return order[age <= share][:most]
