"""What cards and tasks have in common as text: pieces of words and senses, each weighed by how few cards have it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np

from agentmesh.knowledge.splitting import words_in
from agentmesh.records import AgentCard
from agentmesh.routing.ngrams import MOST_CHARACTERS, PIECE_LENGTHS
from agentmesh.routing.senses import senses_of
from agentmesh.types import FloatArray, IndexArray

Trait: TypeAlias = str | int
"""A piece of a word, or the number of a sense."""

_HALF: Final = 0.5
"""Added to counts of cards, so that a piece that all have weighs 0 and one that a card has alone stays finite."""


def card_text(card: AgentCard) -> str:
    """Return what a card says of its agent: its id, its description and its skills; no example."""
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
        numbers: dict[Trait, int] = {}
        held = _numbered(documents, numbers)
        flat = np.concatenate([np.zeros(0, np.int64), *held])
        weights = _weights(np.bincount(flat, minlength=len(numbers)), list(numbers), cards=len(held), senses=senses)
        agents = np.repeat(np.arange(len(held)), np.array([len(traits) for traits in held], np.int64))
        lengths = np.array([np.linalg.norm(weights[traits]) for traits in held])
        kept = np.flatnonzero(weights[flat])
        kept = kept[np.argsort(flat[kept], kind="stable")]
        traits, agents = flat[kept], agents[kept]
        return cls(
            count=len(held),
            rows={trait: row for trait, row in numbers.items() if weights[row] > 0.0},
            weights=weights,
            starts=np.searchsorted(traits, np.arange(len(numbers) + 1)),
            agents=agents,
            shares=weights[traits] / lengths[agents],
        )

    def overlap(self, text: str) -> FloatArray:
        """Return the cosine of each card's weights with the task's, of which only traits of cards count: 0 to 1, (n,).

        Of a long text the start is read.

        >>> cards = CardWords.of([["play", "music"], ["order", "pizza"]], senses=4.0)
        >>> cards.overlap("two pizzas, please").round(2).tolist()
        [0.07, 0.45]
        """
        known = np.array(
            [self.rows[trait] for trait in traits_of(words_in(text[:MOST_CHARACTERS])) if trait in self.rows], np.int64
        )
        if not len(known):
            return np.zeros(self.count)
        weights = self.weights[known]
        starts = self.starts[known]
        lengths = self.starts[known + 1] - starts
        ends = np.cumsum(lengths)
        flat = np.arange(ends[-1]) + np.repeat(starts + lengths - ends, lengths)
        shared = np.repeat(weights / np.sqrt(weights @ weights), lengths) * self.shares[flat]
        return np.bincount(self.agents[flat], weights=shared, minlength=self.count).astype(np.float64, copy=False)


def _numbered(documents: Sequence[Sequence[str]], numbers: dict[Trait, int]) -> list[IndexArray]:
    """Return the numbers of each document's traits, rising, each once; new traits are numbered as they come."""
    of_word: dict[str, list[int]] = {}
    for word in dict.fromkeys(word for words in documents for word in words):
        of_word[word] = [numbers.setdefault(trait, len(numbers)) for trait in _traits(word)]
    return [
        np.array(sorted({number for word in set(words) for number in of_word[word]}), np.int64) for words in documents
    ]


def _weights(having: IndexArray, traits: Sequence[Trait], *, cards: int, senses: float) -> FloatArray:
    """Weigh traits by how few cards have them; what all have weighs nothing."""
    rarity = np.log((cards + _HALF) / (having + _HALF))
    weights: FloatArray = rarity * np.array([senses if isinstance(trait, int) else 1.0 for trait in traits])
    return weights
