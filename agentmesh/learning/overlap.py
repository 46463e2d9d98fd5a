"""Which agents of a team will be taken for one another, and which are never picked."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from agentmesh.agents.resemblance import (
    card_cosines,
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

    ``expected_confusion`` is the share of their tasks, 0 to 0.5, that is expected to lie nearer to the other's card;
    ``None`` with an embedder it was not measured with. Of the ``examples`` on both cards, ``strayed`` lie nearer to the
    other card when held out of their own. ``close_calls`` counts the decisions in which the two came first and second,
    and ``margin`` is the mean lead there, in the router's own unit.
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

    Pairs are ranked by expected confusion, which rises with the cosine of the two cards, and falls with examples on
    both. A pair that came first and second in decisions is listed behind them if it is not among them.

    Args:
        cards: The team.
        embedder: What the team's tasks are embedded with.
        picks: What decisions say of it.
        most: How many pairs to list by their cards, and how many more by decisions.
    """
    team = sorted(cards, key=lambda card: card.id)
    known = picks or Picks()
    cosines, strayed = card_cosines(team, embedder), strayed_examples(team, embedder)
    sharpness = _sharpness(team, embedder)
    ranked = _ranked(cosines, sharpness)[:most]
    listed = ranked + _by_decisions(team, known, ranked)[:most]
    return Overlap(
        embedder=embedder.version,
        agents=len(team),
        pairs=tuple(_pair(team, (a, b), (cosines, strayed, sharpness), known) for a, b in listed),
        neighbours=tuple(_neighbours(team, cosines, sharpness)),
        decisions=known.decisions,
        unpicked=tuple(_unpicked(team, known)) if picks is not None else (),
    )


def _sharpness(team: Sequence[AgentCard], embedder: Embedder) -> FloatArray:
    """Return the sharpness for each pair, (n, n), NaN where it was not measured."""
    with_examples = sharpness_of(embedder.version, has_examples=True)
    without = sharpness_of(embedder.version, has_examples=False)
    has = np.array([bool(card.examples) for card in team], dtype=np.bool_)
    both = has[:, None] & has[None, :]
    return np.where(both, np.nan if with_examples is None else with_examples, np.nan if without is None else without)


def _ranked(cosines: FloatArray, sharpness: FloatArray) -> list[tuple[int, int]]:
    """Return all pairs, the most confusable first; where no sharpness is known, by cosine."""
    apart = np.where(np.isnan(sharpness), 1.0, sharpness) * np.sqrt((1.0 - cosines) / 2)
    rows, columns = np.triu_indices(len(cosines), 1)
    order = np.argsort(apart[rows, columns], kind="stable")
    return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))


def _by_decisions(team: Sequence[AgentCard], picks: Picks, ranked: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return further pairs that came first and second, those with the smallest mean margin first."""
    place = {card.id: row for row, card in enumerate(team)}
    known = [pair for pair in picks.margins if pair[0] in place and pair[1] in place]
    known.sort(key=lambda pair: (float(np.mean(picks.margins[pair])), pair))
    found = [(place[one], place[other]) for one, other in known]
    return [pair for pair in found if pair not in set(ranked)]


def _pair(
    team: Sequence[AgentCard],
    pair: tuple[int, int],
    measures: tuple[FloatArray, FloatArray, FloatArray],
    picks: Picks,
) -> OverlappingPair:
    (a, b), (cosines, strayed, sharpness) = pair, measures
    agents = as_pair(team[a].id, team[b].id)
    margins = picks.margins.get(agents, [])
    return OverlappingPair(
        agents=agents,
        cosine=float(cosines[a, b]),
        expected_confusion=_confusion(float(cosines[a, b]), float(sharpness[a, b])),
        examples=len(team[a].examples) + len(team[b].examples),
        strayed=float(strayed[a, b] + strayed[b, a]),
        close_calls=len(margins),
        margin=float(np.mean(margins)) if margins else None,
    )


def _confusion(cosine: float, sharpness: float) -> float | None:
    return None if np.isnan(sharpness) else expected_confusion(cosine, sharpness)


def neighbour_of(card: AgentCard, others: Sequence[AgentCard], embedder: Embedder) -> Neighbour | None:
    """Return the agent whose card lies nearest to ``card``; ``None`` where there is no other."""
    found = nearest_other(card, others, embedder)
    if found is None:
        return None
    both = bool(card.examples) and any(other.examples for other in others if other.id == found.agent_id)
    sharpness = sharpness_of(embedder.version, has_examples=both)
    confusion = None if sharpness is None else expected_confusion(found.cosine, sharpness)
    return Neighbour(agent_id=card.id, nearest=found.agent_id, cosine=found.cosine, expected_confusion=confusion)


def _neighbours(team: Sequence[AgentCard], cosines: FloatArray, sharpness: FloatArray) -> list[Neighbour]:
    if len(team) < 2:
        return []
    nearest = np.argmax(np.where(np.eye(len(team), dtype=np.bool_), -np.inf, cosines), axis=1).tolist()
    return [
        Neighbour(
            agent_id=card.id,
            nearest=team[near].id,
            cosine=float(cosines[row, near]),
            expected_confusion=_confusion(float(cosines[row, near]), float(sharpness[row, near])),
        )
        for row, (card, near) in enumerate(zip(team, nearest, strict=True))
    ]


def _unpicked(team: Sequence[AgentCard], picks: Picks) -> list[Unpicked]:
    """Return who was never picked, those first of whom it is the least by chance."""
    found = [
        Unpicked(agent_id=card.id, eligible=seen.eligible, expected=seen.expected, chance=seen.never)
        for card in team
        if not (seen := picks.agents.get(card.id, Chances())).picked
    ]
    return sorted(found, key=lambda one: (one.chance, one.agent_id))
