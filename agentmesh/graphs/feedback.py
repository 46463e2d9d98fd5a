"""Finds what is like the best passages, where the task itself is too short to be like what answers it.

Reference: Rocchio, Relevance feedback in information retrieval, 1971; here the best are taken to be relevant unseen,
and each speaks for itself, since the mean of several is like none of them.
"""

from typing import Final

import numpy as np

from agentmesh.types import FloatArray, IndexArray, VectorArray

MOST_LEADING: Final = 32
"""Passages that may speak for others: no more, so that a long context costs time in proportion to its length."""


def likeness_to_best(vectors: VectorArray, owner: IndexArray, strengths: FloatArray) -> FloatArray:
    """Return how like the best passages of other items each passage is, 1 for the one that is most.

    It is the highest cosine to one of them, times its strength. What all vectors have in common is taken off before:
    without that, passages of one make are alike whatever they say.

    >>> vectors = np.array([[1, 0, 1], [0.9, 0.1, 1], [0, 1, 1]], dtype=np.float32)
    >>> likeness_to_best(vectors, np.array([0, 1, 2]), np.array([1.0, 0.0, 0.0])).round(2).tolist()
    [0.0, 1.0, 0.0]

    Shapes:
        vectors: (n, d); owner: (n,), the item of each; strengths: (n,), 0 and up; returns (n,).
    """
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    centred = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)
    best = np.argsort(-strengths, kind="stable")[:MOST_LEADING]
    cosines = np.where(owner[:, None] == owner[best], 0.0, np.maximum(centred @ centred[best].T, 0.0))
    found: FloatArray = (cosines * strengths[best]).max(axis=1, initial=0.0)
    return found / (found.max(initial=0.0) or 1.0)
