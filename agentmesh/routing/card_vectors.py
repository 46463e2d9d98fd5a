"""Capability vectors without what the cards have in common: what all of them say tells nobody from another."""

from collections import Counter
from collections.abc import Sequence
from math import log
from typing import Final

import numpy as np

from agentmesh.routing.cosine import unit
from agentmesh.types import FloatArray, VectorArray

MOST_WORDS: Final = 256
"""How many words, those in most cards, are taken out: the equations stay small among ten thousand agents."""
RIDGE: Final = 1.0
"""How many cards without a word stand against it while its vector is estimated; 0.3 to 10 did as well on val."""
LEAST_CARDS: Final = 2


def telling_vectors(vectors: VectorArray, documents: Sequence[Sequence[str]]) -> VectorArray:
    """Return each card's vector without its common words, scaled to length 1, as far as the vectors tell.

    Rule: a ridge regression of the vectors on which words stand in which card gives each word a vector; of a word in f
    of n cards the share log f / log n is taken out of the vectors of those cards. A word in all cards goes wholly, one
    in a single card stays, as inverse document frequency would have it; no embedder is asked. A vector of zeros stays.

    Reference: Sparck Jones, A statistical interpretation of term specificity and its application in retrieval, 1972.

    Shapes:
        vectors: (n, d); documents: the words of n cards. Returns (n, d) float32.

    >>> cards = np.array([[0.8, 0.6], [0.8, -0.6]], dtype=np.float32)
    >>> telling_vectors(cards, [["handles", "bills"], ["handles", "songs"]]).round(2)
    array([[ 0.41,  0.91],
           [ 0.41, -0.91]], dtype=float32)
    """
    having = Counter(word for words in documents for word in set(words))
    common = sorted((word for word, cards in having.items() if cards >= LEAST_CARDS), key=lambda w: (-having[w], w))
    columns = {word: column for column, word in enumerate(common[:MOST_WORDS])}
    if not columns:
        return vectors
    stands = [sorted({columns[word] for word in words if word in columns}) for words in documents]
    shares = np.array([log(having[word]) / log(len(documents)) for word in columns])
    taken = shares[:, None] * _word_vectors(vectors.astype(np.float64), stands, len(columns))
    left = vectors.astype(np.float64)
    for row, places in enumerate(stands):
        if places and left[row].any():
            left[row] -= taken[places].sum(axis=0)  # row by row: a product of matrices would round equal cards apart
    return unit(left)


def _word_vectors(vectors: FloatArray, stands: Sequence[Sequence[int]], words: int) -> FloatArray:
    """Estimate what each word brings to the vectors of its cards, (words, d)."""
    present = np.zeros((len(vectors), words))
    for row, places in enumerate(stands):
        present[row, places] = 1.0
    solved = np.linalg.solve(present.T @ present + RIDGE * np.eye(words), present.T @ vectors)
    return np.asarray(solved, np.float64)
