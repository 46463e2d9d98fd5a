"""What an outcome is expected to be, from the outcomes of other runs: the model that doubly robust estimates lean on.

Rule: the runs are dealt into five parts. What agent a would have brought in a run of one part is predicted from the
other parts alone, as the mean of the outcomes y of a there, each weighing exp((cos - 1) / temperature) by the likeness
of the two tasks, and the agent's own mean over those parts counting as ``strength`` tasks that are exactly alike. An
agent that was never observed gets the mean of all.

The model may be as wrong as it likes: an estimate that leans on it stays right as long as the logged chances are. A
good one only makes its interval narrower. It predicts no run from itself, so that chance in an outcome is not taken
for knowledge.

Reference: Nadaraya, On estimating regression, 1964; cross-fitting as in Chernozhukov et al., Double/debiased machine
learning, The Econometrics Journal, 2018.
"""

from typing import Final

import numpy as np

from agentmesh.routing.cosine import unit
from agentmesh.types import FloatArray, IndexArray, VectorArray

PARTS: Final = 5
TEMPERATURE: Final = 0.1
STRENGTH: Final = 1.0
_CELLS: Final = 4_000_000  # 16 MB of likenesses in memory at once


def cross_fitted(vectors: VectorArray, outcomes: FloatArray, *, seed: int = 0, parts: int = PARTS) -> FloatArray:
    """Predict each agent's outcome in each run from the other runs; 0 where nothing at all was observed.

    Args:
        vectors: The tasks.
        outcomes: What was observed.
        seed: Deals the runs into parts.
        parts: How many, 2 or more; with fewer runs than that each is a part.

    Shapes:
        vectors: (m, d). outcomes: (m, n), NaN where nothing was observed. Returns (m, n).

    >>> alike = np.ones((4, 2), np.float32)
    >>> seen = np.array([[1.0, np.nan], [1.0, np.nan], [np.nan, 0.0], [np.nan, 0.0]])
    >>> cross_fitted(alike, seen, parts=4).round(2).tolist()
    [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
    """
    part_of = np.random.default_rng(seed).permutation(len(vectors)) % max(min(parts, len(vectors)), 2)
    tasks, expected = unit(vectors.astype(np.float64)), np.zeros(outcomes.shape)
    for part in range(int(part_of.max(initial=0)) + 1):
        mine, others = np.flatnonzero(part_of == part), np.flatnonzero(part_of != part)
        if len(others):
            expected[mine] = _predicted(tasks, outcomes[others], mine, others)
    return expected


def _predicted(tasks: VectorArray, outcomes: FloatArray, mine: IndexArray, others: IndexArray) -> FloatArray:
    seen = np.isfinite(outcomes)
    known = np.where(seen, outcomes, 0.0)
    counts, totals = seen.sum(axis=0), known.sum(axis=0)
    overall = float(totals.sum() / max(counts.sum(), 1))
    means = np.where(counts > 0, totals / np.maximum(counts, 1), overall)
    step = max(1, _CELLS // max(len(others), 1))
    expected = np.empty((len(mine), outcomes.shape[1]))
    columns = np.concatenate([known, seen], axis=1).astype(np.float32)
    for start in range(0, len(mine), step):
        rows = mine[start : start + step]
        weights = np.exp((tasks[rows] @ tasks[others].T - 1.0) / np.float32(TEMPERATURE))
        worth, weight = np.split((weights @ columns).astype(np.float64), 2, axis=1)
        expected[start : start + step] = (worth + STRENGTH * means) / (weight + STRENGTH)
    return expected
