"""Words, pairs of words and pieces of words as hashed features: cheap, sparse, and the same in every process."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from agentmesh.types import IndexArray, VectorArray

MOST_CHARACTERS = 4_000
"""Only the start of a long text is read: a decision may not take longer because a task is a book."""
PIECE_LENGTHS = (3, 4, 5)
PIECE_WEIGHT = 0.3
"""What a piece of a word weighs beside a word: there are about eight pieces a word, and they repeat it."""

_WORDS = re.compile(r"\w+")
_SIGN_BIT = 1 << 31


@dataclass(frozen=True, slots=True)
class SparseRow:
    """One text as signed, hashed features of Euclidean length 1, or of none at all.

    Shapes:
        places: (s,) int64 within 0 to buckets - 1, repeats allowed. values: (s,) float32.
    """

    places: IndexArray
    values: VectorArray


def hashed(text: str, buckets: int) -> SparseRow:
    """Hash the words, pairs of words and pieces of words of ``text`` into ``buckets`` places.

    Rule: the lower bits of crc32 name the place and its top bit the sign, so that collisions cancel on average
    (Weinberger et al., Feature hashing for large scale multitask learning, arXiv 0902.2206). ``buckets`` is a power of
    two.

    >>> row = hashed("book a table", 4096)
    >>> len(row.places), round(float(np.linalg.norm(row.values)), 3)
    (27, 1.0)
    """
    words = _WORDS.findall(text[:MOST_CHARACTERS].lower())
    if not words:
        return SparseRow(np.zeros(0, np.int64), np.zeros(0, np.float32))
    hashes = [_word(word) for word in words]
    pairs = [_crc(f"b{first} {second}") for first, second in pairwise(words)]
    codes = np.concatenate([*(codes for codes, _ in hashes), np.array(pairs, np.int64)])
    weights = np.concatenate([*(weights for _, weights in hashes), np.ones(len(pairs), np.float32)])
    values: VectorArray = np.where(codes & _SIGN_BIT, weights, -weights).astype(np.float32)
    values /= np.float32(np.linalg.norm(values))
    return SparseRow(codes & (buckets - 1), values)


@lru_cache(maxsize=20_000)
def _word(word: str) -> tuple[IndexArray, VectorArray]:
    """Return the hashes and weights of a word and its pieces; words come again, so they are remembered."""
    bounded = f"<{word}>"
    pieces = [
        _crc(f"c{bounded[start : start + length]}")
        for length in PIECE_LENGTHS
        for start in range(len(bounded) - length + 1)
    ]
    weights = np.full(1 + len(pieces), PIECE_WEIGHT, np.float32)
    weights[0] = 1.0
    return np.array([_crc(f"w{word}"), *pieces], np.int64), weights


def _crc(gram: str) -> int:
    return zlib.crc32(gram.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Many texts, one after another in flat arrays.

    Shapes:
        starts: (m + 1,) where each text begins. places, values: (starts[-1],).
    """

    starts: IndexArray
    places: IndexArray
    values: VectorArray

    @classmethod
    def of(cls, texts: Sequence[str], buckets: int) -> "SparseRows":
        """Hash ``texts``."""
        rows = [hashed(text, buckets) for text in texts]
        starts = np.cumsum([0, *(len(row.places) for row in rows)])
        empty = hashed("", buckets)
        places = np.concatenate([empty.places, *(row.places for row in rows)])
        return cls(starts, places, np.concatenate([empty.values, *(row.values for row in rows)]))

    def dense(self, chosen: IndexArray) -> tuple[IndexArray, VectorArray]:
        """Return the places that occur in the texts ``chosen``, rising, and what each text has there.

        Shapes:
            chosen: (b,). Returns (u,) and (b, u) float32.
        """
        lengths = self.starts[chosen + 1] - self.starts[chosen]
        ends = np.cumsum(lengths)
        rows = np.repeat(np.arange(len(chosen)), lengths)
        flat = np.arange(len(rows)) + np.repeat(self.starts[chosen] + lengths - ends, lengths)
        occurring, columns = _distinct(self.places[flat])
        texts = np.zeros((len(chosen), len(occurring)), np.float32)
        np.add.at(texts, (rows, columns), self.values[flat])
        return occurring, texts


def _distinct(places: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Return the distinct places and where each one stands among them: np.unique without sorting."""
    occurs = np.zeros(int(places.max(initial=-1)) + 1, np.bool_)
    occurs[places] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[places]
