"""Embeds text by hashing words and pieces of words: no weights, no file, the same vector on every machine."""

import re
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from agentmesh.embed.texts import checked_texts, readable, unit_rows
from agentmesh.errors import ConfigError
from agentmesh.types import VectorArray

WORD = re.compile(r"\w+")
SHORTEST_GRAM, LONGEST_GRAM = 3, 5
SIGN_BIT = 1 << 31  # the index is taken from the bits below it


class HashingEmbedder:
    """Counts hashed words and character n-grams: the fallback that needs nothing.

    The rule: case-fold the text and take its words; each word gives itself and every run of 3 to 5 characters of the
    word with a space on both sides. A feature's CRC-32 chooses its column (the low 31 bits modulo ``dimension``) and
    its sign (the top bit). A word is as long as all its n-grams together. The sum is divided by its length; a text
    without a word gives zeros. It knows spelling, not meaning: use it where the static table is not wanted.

    Reference: Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.

    Args:
        dimension: the number of columns, from 1; below about 256 unrelated words often share one.

    >>> embedder = HashingEmbedder(dimension=512)
    >>> a, b, c = embedder.embed(["reset my password", "password resetting", "weather in Paris"])
    >>> round(float(a @ b), 2), round(float(a @ c), 2)
    (0.51, 0.06)
    """

    def __init__(self, dimension: int = 512) -> None:
        if dimension < 1:
            raise ConfigError(f"dimension must be 1 or more, got {dimension!r}")
        self._dimension = dimension

    @property
    def version(self) -> str:
        """Return the scheme's name, its number and the dimension."""
        return f"hashing-1-{self._dimension}"

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""
        return self._dimension

    @property
    def is_quick(self) -> bool:
        """Return that it is: a short text takes well under a millisecond."""
        return True

    def embed(self, texts: Sequence[str]) -> VectorArray:
        """Embed texts, in order.

        Shapes:
            returns (len(texts), dimension) float32.

        Raises:
            ConfigError: ``texts`` is no sequence of ``str``.
        """
        found = checked_texts(texts)
        sums = np.zeros((len(found), self._dimension), dtype=np.float32)
        for row, text in enumerate(found):
            self._add(sums[row], text)
        return unit_rows(sums)

    def _add(self, row: VectorArray, text: str) -> None:
        features = list(text_features(text))
        if not features:
            return
        hashes = np.array([zlib.crc32(feature.encode()) for feature, _ in features], dtype=np.int64)
        signs = np.where(hashes & SIGN_BIT, -1.0, 1.0)
        weights = signs * [weight for _, weight in features]
        row += np.bincount((hashes & (SIGN_BIT - 1)) % self._dimension, weights, minlength=self._dimension)


def text_features(text: str) -> Iterator[tuple[str, float]]:
    """Yield the words and n-grams of a text with their weights.

    >>> list(text_features("Oh!"))
    [('oh', 1.0), (' oh', 0.577...), ('oh ', 0.577...), (' oh ', 0.577...)]
    """
    for word in WORD.findall(readable(text).casefold()):
        yield word, 1.0
        padded = f" {word} "
        grams = [
            padded[start : start + length]
            for length in range(SHORTEST_GRAM, LONGEST_GRAM + 1)
            for start in range(len(padded) - length + 1)
        ]
        for gram in grams:
            yield gram, len(grams) ** -0.5
