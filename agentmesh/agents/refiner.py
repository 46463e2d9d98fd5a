"""How several answers become one: the contract of a refiner, and the weighted vote."""

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import fsum
from typing import TypeAlias

from pydantic import Field

from agentmesh.agents.points import shared_points
from agentmesh.records import Conflict, Dropped, Position, Record, Task, Usd
from agentmesh.types import AgentId

Equivalence: TypeAlias = Callable[[str], Hashable]
"""Maps an answer to a key; answers of one key count as the same answer."""


class WeightedAnswer(Record):
    """One agent's answer and the weight of its vote.

    ``group`` is the same number where answers were found to be the same; ``None`` leaves that to the refiner.
    """

    agent_id: AgentId
    text: str
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    group: int | None = None


class Refined(Record):
    """The one answer, whose it is, and what stood against it. ``answer`` is ``None`` when nothing helps.

    ``agreed`` are points that answers share which differ otherwise, ``dropped`` the answers that the final one leaves
    out. ``cost_usd`` is what the refining itself cost, ``None`` if unknown.
    """

    answer: str | None
    answered_by: tuple[AgentId, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    agreed: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    note: str = ""
    cost_usd: Usd | None = Decimal(0)


class Refiner(ABC):
    """Merges the answers of a run.

    The result does not depend on the order of the answers. Every answer that the final one leaves out is a position
    in a conflict, unless it is blank, and stands among those dropped with the reason.
    """

    name: str

    def estimate_usd(self, task: Task, answers: Sequence[WeightedAnswer]) -> Decimal | None:  # noqa: ARG002 - for those that cost
        """Return what refining these answers will cost at most, in US dollars; ``None`` when the price is unknown.

        A refiner that does not fit what the run has left is not asked; then the vote stands.
        """
        return Decimal(0)

    @abstractmethod
    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:
        """Return one answer for ``task``, or ``None`` as the answer when none of ``answers`` helps."""


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """Answers that count as the same. ``text`` is that of the heaviest of them; ``agents`` are sorted."""

    text: str
    agents: tuple[AgentId, ...]
    weight: float


class VoteRefiner(Refiner):
    """Takes the answer with the most weight behind it.

    Rule: answers of one key form a group, the weights in a group add up, the heaviest group wins; a tie goes to the
    group that holds the smallest agent id. Blank answers have no vote. Where there are several groups, the points that
    they share all the same are told.

    Reference: weighted answer aggregation as in AgentRouter, 2025 (arXiv 2510.05445).

    Args:
        equivalence: What maps an answer to its key; :func:`text_key` when left out.
    """

    name = "vote"

    def __init__(self, equivalence: Equivalence | None = None) -> None:
        self._equivalence = text_key if equivalence is None else equivalence

    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:  # noqa: ARG002 - a vote reads only the answers
        """Return the answer of the heaviest group."""
        return vote(answers, group_answers(answers, self._equivalence))


def group_answers(answers: Sequence[WeightedAnswer], equivalence: Equivalence) -> tuple[AnswerGroup, ...]:
    """Group equal answers, heaviest group first, ties by smallest agent id; blank answers are left out.

    Answers that have the number of a group are equal where the number is.

    >>> answers = [
    ...     WeightedAnswer(agent_id="a", text="12", weight=0.4),
    ...     WeightedAnswer(agent_id="b", text="Twelve.", weight=0.3),
    ...     WeightedAnswer(agent_id="c", text="twelve", weight=0.2),
    ... ]
    >>> [(group.text, group.agents, group.weight) for group in group_answers(answers, text_key)]
    [('Twelve.', ('b', 'c'), 0.5), ('12', ('a',), 0.4)]
    """
    by_key: dict[Hashable, list[WeightedAnswer]] = {}
    for answer in answers:
        if answer.text.strip():
            key = equivalence(answer.text) if answer.group is None else ("group", answer.group)
            by_key.setdefault(key, []).append(answer)
    groups = [_group(members) for members in by_key.values()]
    return tuple(sorted(groups, key=lambda group: (-group.weight, group.agents, group.text)))


def _group(members: Sequence[WeightedAnswer]) -> AnswerGroup:
    first = min(members, key=_rank)
    # fsum is exact, so that the order in which answers arrive cannot tip a tie
    weight = fsum(member.weight for member in members)
    return AnswerGroup(first.text, tuple(sorted({member.agent_id for member in members})), weight)


def _rank(answer: WeightedAnswer) -> tuple[float, AgentId, str]:
    return (-answer.weight, answer.agent_id, answer.text)


def vote(answers: Sequence[WeightedAnswer], groups: Sequence[AnswerGroup]) -> Refined:
    """Return the first of ``groups`` as the answer and all of them as a conflict if there are several."""
    if not groups:
        return Refined(answer=None, dropped=dropped_from(answers, {}), note="no agent gave an answer")
    won = groups[0]
    why = {agent_id: _outvoted(groups, group) for group in groups[1:] for agent_id in group.agents}
    return Refined(
        answer=won.text,
        answered_by=won.agents,
        conflicts=conflicts_between(groups),
        agreed=points_between(answers, groups),
        dropped=dropped_from(answers, why),
    )


def points_between(answers: Sequence[WeightedAnswer], groups: Sequence[AnswerGroup]) -> tuple[str, ...]:
    """Return the points that answers of several groups share, none where there is one group or none."""
    if len(groups) < 2:
        return ()
    ordered = sorted(answers, key=_rank)
    return shared_points([[one.text for one in ordered if one.agent_id in group.agents] for group in groups], text_key)


def dropped_from(answers: Sequence[WeightedAnswer], why: Mapping[AgentId, str]) -> tuple[Dropped, ...]:
    """Return the answers of the agents that ``why`` names, and the blank ones, by agent."""
    reasons = {one.agent_id: why.get(one.agent_id, "") if one.text.strip() else "blank" for one in answers}
    ordered = sorted(answers, key=lambda answer: answer.agent_id)
    return tuple(
        Dropped(agent_id=one.agent_id, text=one.text, why=reasons[one.agent_id])
        for one in ordered
        if reasons[one.agent_id]
    )


def _outvoted(groups: Sequence[AnswerGroup], group: AnswerGroup) -> str:
    if group.weight == groups[0].weight:
        return f"a tie at {group.weight:.3g}, which went to the smallest agent id"
    return f"outvoted: {group.weight:.3g} of {fsum(one.weight for one in groups):.3g}"


def conflicts_between(groups: Sequence[AnswerGroup], explanation: str = "") -> tuple[Conflict, ...]:
    """Return the conflict that ``groups`` are in, heaviest first; none when all agree.

    Without an ``explanation`` the weights are given as the reason.
    """
    if len(groups) < 2:
        return ()
    positions = tuple(Position(text=group.text, agents=group.agents, weight=group.weight) for group in groups)
    return (Conflict(positions=positions, explanation=explanation or _reason(groups)),)


def _reason(groups: Sequence[AnswerGroup]) -> str:
    first, second = groups[0], groups[1]
    if first.weight == second.weight:
        return f"a tie at {first.weight:.3g}; kept the answer of the smallest agent id, {first.agents[0]!r}"
    total = fsum(group.weight for group in groups)
    share = f"{first.weight:.3g} of {total:.3g}"
    return f"kept the heaviest of {len(groups)} answers: {share}, the next has {second.weight:.3g}"


def text_key(text: str) -> str:
    """Return a text as the default vote compares it: no regard to case, width, spacing and final punctuation.

    >>> text_key("  The  ANSWER is 42. ")
    'the answer is 42'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", folded).strip().rstrip(".,;:!?\u3002 ") or folded.strip()
