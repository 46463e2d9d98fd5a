"""The user's own rules: pin, prefer or forbid agents for some tasks. They stand above what is learned.

Reference: the domain and action preferences of Arch-Router, arXiv 2506.16655.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from agentmesh.records import Record, Task
from agentmesh.routing.inputs import AgentPool
from agentmesh.routing.patterns import compiled, found
from agentmesh.types import AgentId, FloatArray

PIN, FORBID = "preference:pin", "preference:forbid"


class Preference(Record):
    """One rule. It holds for the tasks that meet every condition given; without a condition, for all.

    ``pin`` leaves only the named agents (of all pins that hold), ``forbid`` refuses them, ``prefer`` adds ``strength``
    to their utility, whose quality part spans 0 to 1. What is forbidden stays so, pinned or not.

    Conditions: ``pattern`` is a regular expression that occurs in the first 500 characters of the text, ignoring
    case; ``skill`` and ``flag`` are among those the task requires; ``type_hint`` is among its hints.

    >>> Preference(action="prefer", agents=("maths",), pattern="integral").describe()
    "prefer 'maths' where pattern='integral'"
    """

    action: Literal["pin", "prefer", "forbid"]
    agents: tuple[AgentId, ...] = Field(min_length=1)
    pattern: str | None = None
    skill: str | None = None
    flag: str | None = None
    type_hint: str | None = None
    strength: float = Field(default=0.1, gt=0, le=10)

    @field_validator("pattern")
    @classmethod
    def _check(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            compiled(pattern)
        return pattern

    def holds(self, task: Task) -> bool:
        """Return whether ``task`` meets every condition."""
        return (
            (self.skill is None or self.skill in task.required_skills)
            and (self.flag is None or self.flag in task.required_flags)
            and (self.type_hint is None or self.type_hint in task.type_hints)
            and (self.pattern is None or found(self.pattern, task.text))
        )

    def describe(self) -> str:
        """Say the rule in a line."""
        names = ", ".join(repr(agent_id) for agent_id in self.agents)
        given = (("pattern", self.pattern), ("skill", self.skill), ("flag", self.flag), ("type_hint", self.type_hint))
        conditions = " and ".join(f"{name}={value!r}" for name, value in given if value is not None)
        return f"{self.action} {names}" + (f" where {conditions}" if conditions else "")


@dataclass(frozen=True, slots=True)
class Applied:
    """A pool after the preferences: who is refused, what is added to whose utility, and by which rules.

    Shapes:
        bonus: (n,) zero where no rule prefers the agent.
    """

    pool: AgentPool
    bonus: FloatArray
    reasons: tuple[str, ...]


def apply(preferences: Sequence[Preference], task: Task, pool: AgentPool) -> Applied:
    """Apply the rules that hold for ``task``. Agents that an earlier gate refused keep that gate's name.

    When every pinned agent is refused or unknown, nobody is left, and the router says so.
    """
    holding = [preference for preference in preferences if preference.holds(task)]
    refused = dict.fromkeys(_named("forbid", holding), FORBID)
    pinned = _named("pin", holding)
    if pinned:
        refused |= {agent_id: PIN for agent_id in pool.ids if agent_id not in pinned and agent_id not in refused}
    passing = {agent_id for agent_id, place in pool.index.items() if pool.mask[place]}
    fresh = {agent_id: gate for agent_id, gate in refused.items() if agent_id in passing}
    reasons = tuple(preference.describe() for preference in holding)
    return Applied(pool.gated(fresh), _bonus(holding, pool), reasons)


def _bonus(preferences: Sequence[Preference], pool: AgentPool) -> FloatArray:
    bonus = np.zeros(len(pool))
    for preference in preferences:
        if preference.action == "prefer":
            places = [pool.index[agent_id] for agent_id in set(preference.agents) if agent_id in pool.index]
            bonus[places] += preference.strength
    return bonus


def _named(action: str, preferences: Sequence[Preference]) -> set[AgentId]:
    return {agent_id for preference in preferences if preference.action == action for agent_id in preference.agents}
