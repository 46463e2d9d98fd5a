"""Groups of tasks that nobody named: spherical k-means over their vectors."""

import numpy as np

from agentmesh.types import FloatArray, VectorArray

_MOST_ROUNDS = 50  # it stops as soon as no task changes its cluster, usually after 10 to 30


def cluster_centres(vectors: VectorArray, clusters: int, *, seed: int) -> VectorArray:
    """Return the unit centres of up to ``clusters`` groups of similar tasks.

    Rule: k-means++ seeding, then each task goes to the centre with the highest cosine and each centre to the mean of
    its tasks, until nothing moves. A centre that loses all its tasks stays where it is.

    Reference: Arthur and Vassilvitskii, k-means++, 2007; Dhillon and Modha, Concept decompositions, 2001.

    Shapes:
        vectors: (m, d) of length 1, m >= 1. Returns (min(clusters, m), d) float32.

    >>> east, north = np.eye(2, dtype=np.float32)
    >>> cluster_centres(np.stack([east, east, north]), 2, seed=0).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    rng = np.random.default_rng(seed)
    centres = _spread(vectors, min(clusters, len(vectors)), rng)
    before = np.full(len(vectors), -1)
    for _ in range(_MOST_ROUNDS):
        nearest = np.argmax(vectors @ centres.T, axis=1)
        if np.array_equal(nearest, before):
            break
        before = nearest
        for place in np.unique(nearest):
            mean = vectors[nearest == place].mean(axis=0)
            length = float(np.linalg.norm(mean))
            if length > 0:  # tasks without any known token have no direction
                centres[place] = mean / length
    return centres


def _spread(vectors: VectorArray, clusters: int, rng: np.random.Generator) -> VectorArray:
    """Draw tasks as first centres, each the likelier the farther it lies from those drawn before."""
    centres = [vectors[int(rng.integers(len(vectors)))]]
    distance: FloatArray = np.full(len(vectors), np.inf)
    while len(centres) < clusters:
        distance = np.minimum(distance, np.maximum(1.0 - vectors @ centres[-1], 0.0).astype(np.float64))
        total = float(distance.sum())
        chance = distance / total if total > 0 else None
        centres.append(vectors[int(rng.choice(len(vectors), p=chance))])
    return np.stack(centres).astype(np.float32)
