"""Which agents of a team will be taken for one another, and which are never picked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from pydantic import Field

from agentmesh.agents.resemblance import (
    card_cosines,
    corrected,
    expected_confusion,
    nearest_other,
    sharpness_of,
    strayed_examples,
)
from agentmesh.learning.picks import AgentPair, Chances, Picks, as_pair
from agentmesh.protocols import Embedder
from agentmesh.records import AgentCard, Record
from agentmesh.types import AgentId, FloatArray

MOST_PAIRS = 10


class OverlappingPair(Record):
    """Two agents that may be taken for one another.

    ``expected_confusion`` is the share of their tasks, 0 to 1, that is expected to lie nearer to the other's card, by
    the cosine of the cards and by the examples; ``None`` with an embedder it was not measured with. Of the ``examples``
    on both cards, ``strayed`` lie nearer to the other card when held out of their own. ``close_calls`` counts the
    decisions in which the two came first and second, and ``margin`` is the mean lead there, in the router's own unit.
    """

    agents: AgentPair
    cosine: float
    expected_confusion: float | None = None
    examples: int = 0
    strayed: float = 0.0
    close_calls: int = 0
    margin: float | None = None


class Neighbour(Record):
    """The agent whose card lies nearest to an agent's."""

    agent_id: AgentId
    nearest: AgentId
    cosine: float
    expected_confusion: float | None = None


class Unpicked(Record):
    """An agent that was not picked in any of the ``eligible`` decisions in which it could have been.

    ``expected`` is how often it would have been picked if each pick were drawn evenly, and ``chance`` how probable it
    is then that it never is: a small one says that it is not by chance. With ``eligible`` 0 it was not there yet, or
    was refused by a gate each time.
    """

    agent_id: AgentId
    eligible: int
    expected: float
    chance: float


class Overlap(Record):
    """What is to be said of a team's cards. ``pairs`` are the most confusable first; ``decisions`` were read."""

    embedder: str
    agents: int
    pairs: tuple[OverlappingPair, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    decisions: int = Field(default=0, ge=0)
    unpicked: tuple[Unpicked, ...] = ()


def overlap_of(
    cards: Sequence[AgentCard], embedder: Embedder, *, picks: Picks | None = None, most: int = MOST_PAIRS
) -> Overlap:
    """Compare the cards of a team with one another, and where decisions are known, with those.

    Pairs are ranked by expected confusion: it rises with the cosine of the two cards and with the examples that stray,
    and falls with examples that do not. Pairs that came first and second in decisions follow, if they are not among the
    first.

    Args:
        cards: The team.
        embedder: What the team's tasks are embedded with.
        picks: What decisions say of it.
        most: How many pairs to list by their cards, and how many more by decisions.
    """
    team = sorted(cards, key=lambda card: card.id)
    known, likeness = picks or Picks(), _likeness(team, embedder)
    ranked = _ranked(likeness)[:most]
    listed = ranked + _by_decisions(team, known, ranked)[:most]
    return Overlap(
        embedder=embedder.version,
        agents=len(team),
        pairs=tuple(_pair(team, pair, likeness, known) for pair in listed),
        neighbours=tuple(_neighbours(team, likeness)),
        decisions=known.decisions,
        unpicked=tuple(_unpicked(team, known)) if picks is not None else (),
    )


@dataclass(frozen=True, slots=True)
class _Likeness:
    """What is known of each pair of a team.

    Shapes:
        cosines, strayed, confusion: (n, n), symmetric; ``confusion`` is NaN where none can be foretold.
    """

    cosines: FloatArray
    strayed: FloatArray
    confusion: FloatArray


def _likeness(team: Sequence[AgentCard], embedder: Embedder) -> _Likeness:
    cosines, strayed = card_cosines(team, embedder), strayed_examples(team, embedder)
    strayed = strayed + strayed.T
    confusion = np.full(cosines.shape, np.nan)
    for a, b in combinations(range(len(team)), 2):
        foretold = _foretold(team[a], team[b], embedder, cosine=float(cosines[a, b]), strayed=float(strayed[a, b]))
        confusion[a, b] = confusion[b, a] = np.nan if foretold is None else foretold
    return _Likeness(cosines, strayed, confusion)


def _foretold(one: AgentCard, other: AgentCard, embedder: Embedder, *, cosine: float, strayed: float) -> float | None:
    sharpness = sharpness_of(embedder.version, has_examples=bool(one.examples and other.examples))
    if sharpness is None:
        return None
    examples = len(one.examples) + len(other.examples)
    return corrected(expected_confusion(cosine, sharpness), strayed=strayed, examples=examples)


def _ranked(likeness: _Likeness) -> list[tuple[int, int]]:
    """Return all pairs, the most confusable first; where nothing is foretold, by cosine."""
    rows, columns = np.triu_indices(len(likeness.cosines), 1)
    by = np.where(np.isnan(likeness.confusion), likeness.cosines, likeness.confusion)
    order = np.argsort(-by[rows, columns], kind="stable")
    return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))


def _by_decisions(team: Sequence[AgentCard], picks: Picks, ranked: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return further pairs that came first and second, those with the smallest mean margin first."""
    place = {card.id: row for row, card in enumerate(team)}
    known = [pair for pair in picks.margins if pair[0] in place and pair[1] in place]
    known.sort(key=lambda pair: (float(np.mean(picks.margins[pair])), pair))
    found = [(place[one], place[other]) for one, other in known]
    return [pair for pair in found if pair not in set(ranked)]


def _pair(team: Sequence[AgentCard], pair: tuple[int, int], likeness: _Likeness, picks: Picks) -> OverlappingPair:
    one, other = (team[place] for place in pair)
    margins = picks.margins.get(as_pair(one.id, other.id), [])
    return OverlappingPair(
        agents=as_pair(one.id, other.id),
        cosine=float(likeness.cosines[pair]),
        expected_confusion=_known(likeness.confusion[pair]),
        examples=len(one.examples) + len(other.examples),
        strayed=float(likeness.strayed[pair]),
        close_calls=len(margins),
        margin=float(np.mean(margins)) if margins else None,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def neighbour_of(card: AgentCard, others: Sequence[AgentCard], embedder: Embedder) -> Neighbour | None:
    """Return the agent whose card lies nearest to ``card``; ``None`` where there is no other."""
    found = nearest_other(card, others, embedder)
    if found is None:
        return None
    near = next(other for other in others if other.id == found.agent_id)
    likeness = _likeness([card, near], embedder)
    return Neighbour(
        agent_id=card.id,
        nearest=near.id,
        cosine=found.cosine,
        expected_confusion=_known(likeness.confusion[0, 1]),
    )


def _neighbours(team: Sequence[AgentCard], likeness: _Likeness) -> list[Neighbour]:
    if len(team) < 2:
        return []
    others = np.where(np.eye(len(team), dtype=np.bool_), -np.inf, likeness.cosines)
    return [
        Neighbour(
            agent_id=card.id,
            nearest=team[near].id,
            cosine=float(likeness.cosines[row, near]),
            expected_confusion=_known(likeness.confusion[row, near]),
        )
        for row, (card, near) in enumerate(zip(team, np.argmax(others, axis=1).tolist(), strict=True))
    ]


def _unpicked(team: Sequence[AgentCard], picks: Picks) -> list[Unpicked]:
    """Return who was never picked, those first of whom it is the least by chance."""
    found = [
        Unpicked(agent_id=card.id, eligible=seen.eligible, expected=seen.expected, chance=seen.never)
        for card in team
        if not (seen := picks.agents.get(card.id, Chances())).picked
    ]
    return sorted(found, key=lambda one: (one.chance, one.agent_id))
