"""Which skills the tasks of a table ask for: its groups, or clusters where it has none; and how to recognise them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from agentmesh.routing.base import Outcomes
from agentmesh.routing.clusters import cluster_centres
from agentmesh.routing.regression import group_weights
from agentmesh.types import IndexArray, VectorArray

CLUSTER_SHARPNESS: Final = 20.0  # of the softmax over cosines, as in the category router
NEVER: Final = -20.0
"""The constant of a skill that no task was seen of: it is on a card, and tasks name it by hints."""


def with_skills(outcomes: Outcomes, clusters: int, *, seed: int) -> Outcomes:
    """Return the table as it is where two groups are named, else with clusters of its tasks for groups."""
    if len(set(outcomes.groups) - {""}) > 1 or not len(outcomes):
        return outcomes
    centres = cluster_centres(outcomes.vectors, clusters, seed=seed)
    nearest = np.argmax(outcomes.vectors @ centres.T, axis=1).tolist()
    return replace(outcomes, groups=tuple(f"cluster {place:03}" for place in nearest))


def recogniser(vectors: VectorArray, skill: IndexArray, names: Sequence[str], *, seed: int) -> VectorArray:
    """Return weights whose softmax says which skill a task asks for, (d + 1, s).

    Shapes:
        vectors: (m, d); skill: (m,) the place in ``names`` of each task's skill, -1 where it has none.
    """
    weights = np.zeros((vectors.shape[1] + 1, max(len(names), 1)), np.float32)
    known = np.flatnonzero(skill >= 0)
    seen, member = np.unique(skill[known], return_inverse=True)
    weights[-1], weights[-1, seen] = NEVER, 0.0
    if len(seen) < 2:
        return weights
    if all(names[place].startswith("cluster ") for place in seen.tolist()):
        means = np.stack([vectors[skill == place].mean(axis=0) for place in seen])
        lengths = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
        weights[:-1, seen], weights[-1, seen] = CLUSTER_SHARPNESS * (means / lengths).T, 0.0
    else:
        weights[:, seen] = group_weights(vectors[known], member, len(seen), seed=seed)
    return weights
