"""How much two cards are alike to a router that compares texts, and how often it takes one agent for the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Final

import numpy as np

from agentmesh.agents.capability import capability_texts, capability_vectors
from agentmesh.protocols import Embedder
from agentmesh.records import AgentCard
from agentmesh.types import AgentId, FloatArray

SHARPNESS: Final[Mapping[str, tuple[float, float]]] = {
    "static": (3.85, 3.55),
    "onnx": (4.15, 3.55),
    "hashing": (2.65, 1.95),
}
"""How sharply an embedder tells agents apart, by the first word of its version: cards with examples, and without any.

Fitted by ``benchmarks/overlap.py`` on the val tasks of clinc150 and hwu64, the two weighing alike.
"""

RULE_WEIGHT: Final = 40.0
"""How many held-out examples the rule weighs as much as: chosen by ``benchmarks/overlap.py`` among 10, 20, 40, 80."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The agent whose card lies nearest, and the cosine of the two capability vectors."""

    agent_id: AgentId
    cosine: float


def expected_confusion(cosine: float, sharpness: float) -> float:
    """Return the expected share of the tasks of two agents that lie nearer to the other one, 0 to 0.5.

    Rule: Phi(-sharpness * sqrt((1 - cosine) / 2)), Phi the normal distribution. The lead of the right agent over the
    other has a mean in proportion to 1 - cosine, and varies in proportion to the distance of the two vectors, which is
    sqrt(2 * (1 - cosine)). So equal cards are a coin toss, and the only number to fit is the sharpness.

    Args:
        cosine: Of the two capability vectors, -1 to 1.
        sharpness: Above 0; see ``SHARPNESS``.

    >>> [round(expected_confusion(cosine, 3.85), 3) for cosine in (0.2, 0.8, 1.0)]
    [0.007, 0.112, 0.5]
    """
    return 0.5 * erfc(sharpness * sqrt(max(0.0, 1.0 - cosine) / 2) / sqrt(2))


def corrected(rule: float, *, strayed: float, examples: int) -> float:
    """Return the expected confusion of a pair once its examples have been seen.

    Rule: (40 * rule + strayed) / (40 + examples), the mean of a beta distribution that begins at the rule and has
    counted each held-out example. On the val tasks of clinc150 / hwu64 it lowers the log loss of the rule, static from
    .0519 / .0982 to .0515 / .0887, onnx .0314 / .0696 to .0313 / .0607, hashing .2121 / .2932 to .2092 / .2879.

    Args:
        rule: What :func:`expected_confusion` says.
        strayed: How many examples of the two cards lie nearer to the other, as :func:`strayed_examples` counts them.
        examples: How many examples the two cards have.

    >>> round(corrected(0.08, strayed=4, examples=4), 3)
    0.164
    """
    return (RULE_WEIGHT * rule + strayed) / (RULE_WEIGHT + examples)


def sharpness_of(embedder: str, *, has_examples: bool) -> float | None:
    """Return the sharpness measured for an embedder's version, ``None`` where it was not measured.

    >>> sharpness_of("static-7e980aab3021", has_examples=True), sharpness_of("remote-large", has_examples=True)
    (3.85, None)
    """
    measured = SHARPNESS.get(embedder.partition("-")[0])
    return None if measured is None else measured[not has_examples]


def card_cosines(cards: Sequence[AgentCard], embedder: Embedder) -> FloatArray:
    """Return the cosines of the cards' capability vectors, (n, n)."""
    vectors = capability_vectors([capability_texts(card) for card in cards], embedder).astype(np.float64)
    return np.clip(vectors @ vectors.T, -1.0, 1.0)


def nearest_other(card: AgentCard, others: Sequence[AgentCard], embedder: Embedder) -> Nearest | None:
    """Return which of ``others`` lies nearest to ``card``, the first of several; ``None`` where there are none.

    A card of the same id is the agent itself and does not count.
    """
    rivals = [other for other in others if other.id != card.id]
    if not rivals:
        return None
    cosines = card_cosines([card, *rivals], embedder)[0, 1:]
    place = int(np.argmax(cosines))
    return Nearest(rivals[place].id, float(cosines[place]))


def strayed_examples(cards: Sequence[AgentCard], embedder: Embedder) -> FloatArray:
    """Count, for each pair of agents, the examples of the one that lie nearer to the other, each held out of its card.

    An example is compared with its own agent's vector made without it, so that it cannot vouch for itself. Where both
    lie equally near, nothing tells them apart, and half of it has strayed.

    Shapes:
        returns (n, n): row a, column b counts examples of a that lie nearer to b; the diagonal is 0.
    """
    counts = np.zeros((len(cards), len(cards)))
    owners = [row for row, card in enumerate(cards) for _ in card.examples]
    if not owners:
        return counts
    vectors = capability_vectors([capability_texts(card) for card in cards], embedder).astype(np.float64)
    texts = embedder.embed([example for card in cards for example in card.examples]).astype(np.float64)
    own = np.vecdot(texts, _without_each(cards, embedder))
    ahead = texts @ vectors.T - own[:, None]
    # float32 rounds to about 1e-7: what is nearer than that is equally near
    np.add.at(counts, owners, np.where(np.abs(ahead) < 1e-6, 0.5, ahead > 0))
    np.fill_diagonal(counts, 0.0)
    return counts


def _without_each(cards: Sequence[AgentCard], embedder: Embedder) -> FloatArray:
    """Return, for each example of each card in turn, the card's vector made without it, (m, d)."""
    left = [
        card.model_copy(update={"examples": _without(card.examples, place)})
        for card in cards
        for place in range(len(card.examples))
    ]
    return capability_vectors([capability_texts(card) for card in left], embedder).astype(np.float64)


def _without(examples: Sequence[str], place: int) -> tuple[str, ...]:
    return (*examples[:place], *examples[place + 1 :])
