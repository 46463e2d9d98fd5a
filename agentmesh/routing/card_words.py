"""What cards and tasks have in common as text: pieces of words and senses, each weighed by how few cards have it."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Final, TypeAlias

import numpy as np

from agentmesh.records import AgentCard
from agentmesh.routing.ngrams import MOST_CHARACTERS, PIECE_LENGTHS
from agentmesh.routing.senses import senses_of
from agentmesh.types import FloatArray, IndexArray

Trait: TypeAlias = str | int
"""A piece of a word, or the number of a sense."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d[^\W_]*")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HALF: Final = 0.5
"""Added to counts of cards, so that a piece that all have weighs 0 and one that a card has alone stays finite."""


def words_in(text: str) -> list[str]:
    """Return the words of a text in lower case, names split as programmers join them; of a long text its start's.

    >>> words_in("lists_createOrAdd: it's for 401k plans")
    ['lists', 'create', 'or', 'add', "it's", 'for', '401k', 'plans']
    """
    return _WORD.findall(_CAMEL.sub(" ", text[:MOST_CHARACTERS]).lower())


def card_text(card: AgentCard) -> str:
    """Return what of a card is compared with a task: its id, its description and its skills; no example."""
    return " ".join((card.id, card.description, *card.skills))


@lru_cache(maxsize=20_000)
def _traits(word: str) -> tuple[Trait, ...]:
    """Return the pieces of a word, bounds included, and the numbers of its senses."""
    bounded = f"<{word}>"
    pieces = [bounded[start : start + length] for length in PIECE_LENGTHS for start in range(len(bounded) - length + 1)]
    return (*pieces, *senses_of(word))


def traits_of(words: Sequence[str]) -> list[Trait]:
    """Return the pieces (text) and senses (numbers) of words, each once, in the order of the words.

    >>> traits_of(["no"])
    ['<no', 'no>', '<no>', 15]
    """
    return list(dict.fromkeys(trait for word in words for trait in _traits(word)))


@dataclass(frozen=True, slots=True)
class CardWords:
    """An index of which traits weigh what in which cards. The weights of a card have Euclidean length 1.

    A trait weighs log((n + 0.5) / (f + 0.5)) where f of n cards have it, a sense a multiple of that.

    Shapes:
        weights: (t,) what each trait weighs; ``rows`` says where it stands.
        starts: (t + 1,) where the cards of each trait begin.
        agents, shares: (starts[-1],) the places of those cards, and what the trait weighs in them.
    """

    count: int
    rows: Mapping[Trait, int]
    weights: FloatArray
    starts: IndexArray
    agents: IndexArray
    shares: FloatArray

    @classmethod
    def of(cls, documents: Sequence[Sequence[str]], *, senses: float) -> "CardWords":
        """Index the words of cards; a sense weighs ``senses`` times what a piece in as many cards does."""
        bags = [traits_of(words) for words in documents]
        weighed = _weights(bags, senses)
        rows = {trait: row for row, trait in enumerate(weighed)}
        weights = np.array(list(weighed.values()), np.float64)
        held = [np.array([rows[trait] for trait in bag if trait in rows], np.int64) for bag in bags]
        lengths = np.array([np.linalg.norm(weights[traits]) for traits in held])
        flat = np.concatenate([np.zeros(0, np.int64), *held])
        agents = np.repeat(np.arange(len(held)), np.array([len(traits) for traits in held], np.int64))
        order = np.argsort(flat, kind="stable")
        return cls(
            count=len(bags),
            rows=rows,
            weights=weights,
            starts=np.searchsorted(flat[order], np.arange(len(rows) + 1)),
            agents=agents[order],
            shares=(weights[flat] / lengths[agents])[order],
        )

    def overlap(self, text: str) -> FloatArray:
        """Return the cosine of each card's weights with the task's, of which only traits of cards count: 0 to 1, (n,).

        >>> cards = CardWords.of([["play", "music"], ["order", "pizza"]], senses=4.0)
        >>> cards.overlap("two pizzas, please").round(2).tolist()
        [0.07, 0.45]
        """
        known = np.array([self.rows[trait] for trait in traits_of(words_in(text)) if trait in self.rows], np.int64)
        if not len(known):
            return np.zeros(self.count)
        weights = self.weights[known]
        starts = self.starts[known]
        lengths = self.starts[known + 1] - starts
        ends = np.cumsum(lengths)
        flat = np.arange(ends[-1]) + np.repeat(starts + lengths - ends, lengths)
        shared = np.repeat(weights / np.sqrt(weights @ weights), lengths) * self.shares[flat]
        return np.bincount(self.agents[flat], weights=shared, minlength=self.count).astype(np.float64, copy=False)


def _weights(bags: Sequence[Sequence[Trait]], senses: float) -> dict[Trait, float]:
    """Weigh traits by how few cards have them; without those that weigh nothing."""
    having = Counter(trait for bag in bags for trait in bag)
    weighed: dict[Trait, float] = {}
    for trait, cards in having.items():
        weight = log((len(bags) + _HALF) / (cards + _HALF)) * (senses if isinstance(trait, int) else 1.0)
        if weight > 0.0:
            weighed[trait] = weight
    return weighed
