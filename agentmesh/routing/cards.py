"""Routes by cards alone: what a new mesh can do before any outcome."""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.knowledge.splitting import words_in
from agentmesh.routing.base import AgentPool, Estimate, ScoringRouter, TaskFeatures
from agentmesh.routing.card_vectors import telling_vectors
from agentmesh.routing.card_words import CardWords, card_text
from agentmesh.routing.cosine import cosines
from agentmesh.routing.decision import canonical_order
from agentmesh.routing.prices import by_card
from agentmesh.types import FloatArray, VectorArray

BESIDE_EXAMPLES: Final = 0.5
"""How much of its share a name keeps where the card has examples: as much as the description does in the vector."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What the cards of one pool tell. ``words`` is ``None`` where there are none.

    Shapes:
        vectors: (n, d) float32 unit rows. naming: (n,) the share of each agent's name.
    """

    vectors: VectorArray
    naming: FloatArray
    words: CardWords | None


class CardsRouter(ScoringRouter):
    """Rates an agent by how its card fits the task, in meaning and in words. Needs no outcome, and learns from none.

    Rule: affinity = (1 - naming) * cosine(task, card) + naming * cosine(task, name) + overlap * shared, where

    - the card's vector is taken without the words that cards have in common: see
      :func:`~agentmesh.routing.card_vectors.telling_vectors`;
    - the name's vector is that of the id's words alone, so that a name tells what a template around it hides;
    - shared, 0 to 1, is the cosine of what task and card are made of as text: pieces of 3 to 5 letters of their words,
      of names such as ``lists_createOrAdd`` too, and senses, so that "wipe" finds an agent called ``remove``. Each
      counts once and weighs the more, the fewer cards have it, as in the probabilistic relevance framework; words of
      the task that no card has do not count.

    Of a card the id, the description, the skills and the examples are read; words count as common by the first three,
    since examples are what tells agents apart. A pool without cards is rated by plain cosine, a name without a vector
    has no share. The defaults were chosen on val of clinc150 and hwu64 without examples, the same for both sets and two
    embedders, and the groups of :mod:`agentmesh.routing.senses` were written with an eye on what went wrong there.

    Reference: Robertson and Zaragoza, The probabilistic relevance framework: BM25 and beyond, 2009.

    Args:
        naming: the share of the name's vector beside the card's, 0 to 1, half of that where the card has examples; 0
            is right where ids are numbers or say nothing.
        overlap: what a card that shares everything with the task gains beside a cosine of 1, 0 (cosine alone) and up.
        senses: what a shared sense weighs beside a shared piece of a word that as many cards have, 0 (none) and up.
        policy: see :class:`~agentmesh.routing.base.ScoringRouter`.

    >>> from agentmesh.records import AgentCard
    >>> from agentmesh.testing.samples import plain_pool
    >>> from dataclasses import replace
    >>> said = "Handles requests about lists."
    >>> cards = tuple(AgentCard(id=name, description=said) for name in ("lists_query", "lists_remove"))
    >>> pool = replace(plain_pool("lists_query", "lists_remove"), cards=cards)
    >>> task = TaskFeatures(vector=np.zeros(2, np.float32), text="wipe my groceries list")
    >>> CardsRouter().score(task, pool).round(3).tolist()
    [0.0, 0.183]
    """

    name: ClassVar[str] = "cards"

    def __init__(
        self, *, naming: float = 0.5, overlap: float = 0.25, senses: float = 4.0, policy: str = "greedy"
    ) -> None:
        """Check the ranges."""
        if not 0.0 <= naming <= 1.0:
            raise ConfigError(f"naming {naming!r} is out of range; expected a number from 0 to 1")
        for argument, value in (("overlap", overlap), ("senses", senses)):
            if not 0.0 <= value < np.inf:
                raise ConfigError(f"{argument} {value!r} is out of range; expected a number from 0 up")
        super().__init__(policy=policy, naming=naming, overlap=overlap, senses=senses)
        self._naming = naming
        self._overlap = overlap
        self._senses = senses
        self._told: tuple[AgentPool, _Told] | None = None

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Rate agents by what their cards say."""
        told = self._for(pool)
        similarity = cosines(told.vectors, features.vector)
        if told.words is None:
            return by_card(similarity, features, pool, similarity=similarity)
        factors = {"similarity": similarity, "shared": told.words.overlap(features.text)}
        meaning = similarity
        if pool.name_vectors is not None:
            factors["name"] = cosines(pool.name_vectors, features.vector)
            meaning = (1.0 - told.naming) * similarity + told.naming * factors["name"]
        return by_card(meaning + self._overlap * factors["shared"], features, pool, **factors)

    def _for(self, pool: AgentPool) -> _Told:
        """Return what the cards of a pool tell; kept until a pool is new. A pool gated otherwise is not."""
        told = self._told
        if told is None or not _same_cards(told[0], pool):
            told = self._told = pool, self._read(pool)
        return told[1]

    def _read(self, pool: AgentPool) -> _Told:
        if not pool.cards:
            return _Told(pool.vectors, np.zeros(len(pool)), None)
        order = canonical_order(pool.ids)
        places = np.arange(len(pool)) if order is None else order
        # read by the order of ids, so that sums are rounded alike however the pool stands
        cards = [pool.cards[place] for place in places.tolist()]
        documents = [words_in(card_text(card)) for card in cards]
        shown = [words_in(" ".join(card.examples)) for card in cards]
        words = CardWords.of([[*said, *more] for said, more in zip(documents, shown, strict=True)], senses=self._senses)
        vectors = np.empty_like(pool.vectors)
        vectors[places] = telling_vectors(pool.vectors[places], documents)
        return _Told(vectors, self._shares(pool), replace(words, agents=places[words.agents]))

    def _shares(self, pool: AgentPool) -> FloatArray:
        """Return the share of each agent's name, 0 where it has no vector."""
        if pool.name_vectors is None:
            return np.zeros(len(pool))
        beside = np.array([BESIDE_EXAMPLES if card.examples else 1.0 for card in pool.cards])
        shares: FloatArray = self._naming * beside * pool.name_vectors.any(axis=1)
        return shares


def _same_cards(known: AgentPool, pool: AgentPool) -> bool:
    same_vectors = known.vectors is pool.vectors and known.name_vectors is pool.name_vectors
    return same_vectors and known.cards is pool.cards
