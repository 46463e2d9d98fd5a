"""Which words passages share with a question, and where a walk over what they name leads from those that do.

References: Robertson and Zaragoza, The probabilistic relevance framework: BM25 and beyond, 2009 (the idf); Haveliwala,
Topic-sensitive PageRank, 2002 (the walk that starts again).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from agentmesh.knowledge.entities import RuleExtractor
from agentmesh.knowledge.words import COMMON_WORDS
from agentmesh.types import FloatArray, IndexArray, MaskArray

MOST_SHARE: Final = 0.25
"""A word in more than a quarter of all passages leads from none of them to another."""
PLAIN: Final = 0.1
"""How strongly a word leads that is no name and no number. 0 is a little better on val of ``benchmarks/context.py``,
and would lead nowhere in a text without capitals."""
RARITY: Final = 2.0
"""A word leads by (1 / (passages it stands in - 1)) to this power; chosen on the same val."""
STEPS: Final = 8
LEAST: Final = 1e-12
WITHIN: Final = 0.2
SAME_ITEM: Final = "\0"  # begins the term that the passages of one item share; no word has it

_WORD: Final = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,2}|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
"""Words, and pairs of characters where words are written without spaces between them."""
_EXTRACTOR: Final = RuleExtractor()
_NAMING: Final = frozenset(("name", "quoted", "code", "date"))


def terms_of(text: str) -> dict[str, float]:
    """Return the words of a text that say something, and what it names, with how strongly each leads elsewhere.

    >>> sorted(terms_of("a line for Ida Holm").items())
    [('holm', 1.0), ('ida', 1.0), ('ida holm', 1.0), ('line', 0.1)]
    """
    words = set(_WORD.findall(text.casefold())) - COMMON_WORDS
    terms = {word: 1.0 if any(map(str.isdigit, word)) else PLAIN for word in words}
    for entity in _EXTRACTOR.extract(text):
        key = entity.key.casefold()
        if entity.kind in _NAMING and (" " in key or key in terms):
            terms[key] = 1.0
        if entity.kind == "name":
            terms |= dict.fromkeys(words.intersection(_WORD.findall(key)), 1.0)
    return terms


class Overlap:
    """The terms of n passages, and which passages share them.

    >>> overlap = Overlap(["Ann Ode wrote T-17.", "T-17 is for Ida Holm.", "Ida Holm has line 3.", "Hello!"])
    >>> overlap.shares(terms_of("Who helps Ann Ode?")).round(2).tolist()
    [1.0, 0.0, 0.0, 0.0]
    >>> overlap.walk(np.array([1.0, 0.0, 0.0, 0.0]), overlap.roads(known=()), restart=0.5).round(2).tolist()
    [1.0, 0.59, 0.18, 0.0]
    """

    def __init__(self, texts: Sequence[str], keys: Sequence[str] = ()) -> None:
        """Read the passages; ``keys`` name the item of each, whose other passages it leads to as well."""
        terms = [terms_of(text) for text in texts]
        named = {key: frozenset(terms_of(key)) for key in frozenset(keys)}
        for found, key in zip(terms, keys, strict=bool(keys)):
            found |= {word: found.get(word, 0.0) for word in named[key]} | {SAME_ITEM + key: WITHIN}
        self._columns: dict[str, int] = {}
        pairs = [
            (row, self._columns.setdefault(term, len(self._columns)), leads)
            for row, found in enumerate(terms)
            for term, leads in sorted(found.items())
        ]
        self._n, m = len(texts), len(self._columns)
        self._rows: IndexArray = np.array([row for row, _, _ in pairs], dtype=np.int64)
        self._cols: IndexArray = np.array([column for _, column, _ in pairs], dtype=np.int64)
        self._leads: FloatArray = np.array([leads for _, _, leads in pairs], dtype=np.float64)
        holders = np.bincount(self._cols, minlength=m)
        self._worth: FloatArray = np.log(1 + (self._n - holders + 0.5) / (holders + 0.5))
        self._ends = np.bincount(self._cols[self._leads > 0], minlength=m)

    def shares(self, terms: Iterable[str]) -> FloatArray:
        """Return how much of what the terms are worth, by their idf, each passage holds, 0 to 1.

        Terms that stand nowhere do not count.

        Shapes:
            returns (n,) float64.
        """
        is_asked = self._marked(terms)
        worth = np.where(is_asked, self._worth, 0.0)
        return self._by_row(worth[self._cols]) / (worth.sum() or 1.0)

    def roads(self, *, known: Iterable[str]) -> FloatArray:
        """Return how strongly each pair of a passage and a term leads, (pairs,); ``known`` terms do not."""
        leads_on = (self._ends > 1) & (self._ends <= max(MOST_SHARE * self._n, 2)) & ~self._marked(known)
        rarity = np.where(leads_on, np.maximum(self._ends - 1, 1) ** (-RARITY / 2), 0.0)
        roads: FloatArray = self._leads * rarity[self._cols]
        return roads

    def walk(self, start: FloatArray, roads: FloatArray, *, restart: float) -> FloatArray:
        """Return how often a walk comes by each passage, 1 for where it comes most.

        It goes from a passage over a term to another passage that has it, the rarer and the more a name it is the more
        likely, and starts again with probability ``restart``.

        Shapes:
            start: (n,) weights of where it starts, 0 and up; roads: those of :meth:`roads`; returns (n,).
        """
        own = self._by_row(roads**2)
        leaving = self._by_row(roads * self._by_column(roads)[self._cols]) - own
        begun: FloatArray = start / (start.sum() or 1.0)
        at = begun
        for _ in range(STEPS):
            share = np.divide(at, leaving, out=np.zeros(self._n), where=leaving > LEAST)
            arriving = self._by_row(roads * self._by_column(roads * share[self._rows])[self._cols]) - own * share
            at = restart * begun + (1 - restart) * np.maximum(arriving, 0.0)
        return at / (at.max(initial=0.0) or 1.0)

    def strengths(self, place: int, roads: FloatArray) -> FloatArray:
        """Return how strongly each passage leads to one, (n,)."""
        here = np.where(self._rows == place, roads, 0.0)
        found = self._by_row(roads * self._by_column(here)[self._cols])
        found[place] = 0.0
        return found

    def _marked(self, terms: Iterable[str]) -> MaskArray:
        marked: MaskArray = np.zeros(len(self._columns), dtype=np.bool_)
        marked[[self._columns[term] for term in terms if term in self._columns]] = True
        return marked

    def _by_row(self, values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(self._rows, weights=values, minlength=self._n), dtype=np.float64)

    def _by_column(self, values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(self._cols, weights=values, minlength=len(self._columns)), dtype=np.float64)
