"""Why an agent is the right one, in a sentence drafted from its card and from what its answers were worth.

A drafted reason names no figure: a model that learns from it is shown cards alone, and would learn to make figures up.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from agentmesh.records import AgentCard, Experience
from agentmesh.routing.intent import naming
from agentmesh.types import AgentId

LEAST_TOLD: Final = 3
"""Scored answers before anything is said of them."""

MOSTLY: Final = 0.75
NOBODY: Final = "None of these agents is for such a task."

_SENTENCE = re.compile(r"(?<=[.!?\u3002])\s")
_LONGEST = 200  # characters of a card that a reason repeats

KindOf: TypeAlias = tuple[AgentId, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """How many answers of an agent to a kind of task were scored, and the sum of their qualities."""

    sums: Mapping[KindOf, tuple[int, float]] = field(default_factory=dict)

    def without(self, experiences: Iterable[Experience]) -> "Evidence":
        """Leave out some experiences: an outcome is no evidence for itself."""
        return Evidence({**self.sums, **_summed(experiences, self.sums, sign=-1)})

    def is_mostly_right(self, agent_id: AgentId, kind: str) -> bool:
        """Say whether enough answers to this kind of task are known, and most were right."""
        count, total = self.sums.get((agent_id, kind), (0, 0.0))
        return count >= LEAST_TOLD and total >= MOSTLY * count


def evidence_of(experiences: Iterable[Experience]) -> Evidence:
    """Sum up what answers were worth, by agent and first type hint."""
    return Evidence(_summed(experiences, {}, sign=1))


def _summed(
    experiences: Iterable[Experience], before: Mapping[KindOf, tuple[int, float]], *, sign: int
) -> dict[KindOf, tuple[int, float]]:
    sums: dict[KindOf, tuple[int, float]] = {}
    for one in experiences:
        key = (one.agent_id, next(iter(naming(one.type_hints)), ""))
        count, total = sums.get(key, before.get(key, (0, 0.0)))
        sums[key] = (count + sign, total + sign * one.quality)
    return sums


def reason_for(right: Sequence[AgentCard], *, kind: str = "", evidence: Evidence | None = None) -> str:
    """Say why these agents are the right ones.

    >>> adder = AgentCard(id="adder", description="Adds numbers. Knows no algebra.", skills=("math",))
    >>> reason_for([adder], kind="arithmetic")
    'The task is of the kind arithmetic. adder: Adds numbers. It has the skill math.'
    """
    if not right:
        return NOBODY
    known = evidence or Evidence()
    parts = [f"The task is of the kind {kind}."] if kind else []
    return " ".join([*parts, *(_of_agent(card, kind, known) for card in right)])


def _of_agent(card: AgentCard, kind: str, evidence: Evidence) -> str:
    said = _SENTENCE.split(card.description.strip(), maxsplit=1)[0][:_LONGEST].rstrip()
    parts = [f"{card.id}: {said}{'' if said.endswith(('.', '!', '?')) else '.'}" if said else f"{card.id} fits."]
    if card.skills:
        parts.append(f"It has the skill{'s' if len(card.skills) > 1 else ''} {', '.join(card.skills)}.")
    if evidence.is_mostly_right(card.id, kind):
        parts.append("It mostly does such tasks well.")
    return " ".join(parts)
