"""The user's own rules as values: whom a rule names, when it holds, and the rule in words."""

from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from agentmesh.frozen import Record
from agentmesh.patterns import compiled
from agentmesh.types import AgentId

LIKENESS: Final = 0.55
"""A cosine. With five examples a rule and the static embedder it gave the highest F1 on val of clinc150 and hwu64: of
the tasks that were taken six in ten were meant, and of those that were meant six to seven in ten were taken."""

MOST_EXAMPLES: Final = 50
SHOWN_EXAMPLE: Final = 40
"""Characters of an example text in the words for a rule."""


class Preference(Record):
    """One rule. It holds for the tasks that meet every condition given; without a condition, for all.

    ``pin`` leaves only the named agents (of all pins that hold), ``forbid`` refuses them, ``prefer`` adds ``strength``
    to their utility, whose quality part spans 0 to 1. What is forbidden stays so, pinned or not.

    An agent is named by its id in ``agents``, by the group of its card in ``groups``, or by a skill or a policy flag
    that its card has; any of these will do, and at least one must be given.

    Conditions: ``pattern`` is a regular expression that occurs in the first 500 characters of the text, ignoring
    case; ``domain`` is among the task's type hints; ``skill`` and ``flag`` are among those the task requires;
    ``previous`` is the agent that gave the last answer of the conversation; ``like`` holds texts, and the task is as
    near as the cosine ``at_least`` to one of them. Domains, skills and flags are compared without regard to case.

    Reference: domains and actions in the manner of Arch-Router, arXiv 2506.16655.

    >>> Preference(action="prefer", agents=("maths",), pattern="integral").describe()
    "prefer 'maths' where pattern='integral'"
    >>> Preference(action="pin", having_flag="eu", domain="health").describe()
    "pin who has the flag 'eu' where domain='health'"
    """

    action: Literal["pin", "prefer", "forbid"]
    agents: tuple[AgentId, ...] = ()
    groups: tuple[str, ...] = ()
    having_skill: str | None = None
    having_flag: str | None = None
    pattern: str | None = None
    domain: str | None = None
    skill: str | None = None
    flag: str | None = None
    previous: AgentId | None = None
    like: tuple[str, ...] = Field(default=(), max_length=MOST_EXAMPLES)
    at_least: float = Field(default=LIKENESS, gt=0, le=1)
    strength: float = Field(default=0.1, gt=0, le=10)

    @field_validator("pattern")
    @classmethod
    def _check(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            compiled(pattern)
        return pattern

    @field_validator("like")
    @classmethod
    def _say_something(cls, like: tuple[str, ...]) -> tuple[str, ...]:
        for text in like:
            if not text.strip():
                raise ValueError(f"like holds the text {text!r}; expected texts that say something")
        return like

    @model_validator(mode="after")
    def _name_somebody(self) -> "Preference":
        if not (self.agents or self.groups or self.having_skill is not None or self.having_flag is not None):
            raise ValueError(f"{self.action!r} names nobody; expected agents, groups, having_skill or having_flag")
        return self

    @property
    def conditions(self) -> tuple[tuple[str, object], ...]:
        """Return the conditions that are given, by name."""
        given: tuple[tuple[str, object], ...] = (
            ("pattern", self.pattern),
            ("domain", self.domain),
            ("skill", self.skill),
            ("flag", self.flag),
            ("previous", self.previous),
            ("like", self.like or None),
        )
        return tuple((name, value) for name, value in given if value is not None)

    def describe(self) -> str:
        """Say the rule in a line."""
        return f"{self.action} {self.names()}" + (f" where {where}" if (where := self._where()) else "")

    def names(self) -> str:
        """Say whom the rule names."""
        parts = [", ".join(map(repr, self.agents))] if self.agents else []
        parts += [f"the group {group!r}" for group in self.groups]
        parts += [f"who has the skill {self.having_skill!r}"] if self.having_skill is not None else []
        parts += [f"who has the flag {self.having_flag!r}"] if self.having_flag is not None else []
        return " or ".join(parts)

    def _where(self) -> str:
        said = [f"{name}={value!r}" for name, value in self.conditions if name != "like"]
        if self.like:
            more = f" or {len(self.like) - 1} more" if len(self.like) > 1 else ""
            said.append(f"the task is like {_beginning(self.like[0])!r}{more} (cosine {self.at_least:g} at least)")
        return " and ".join(said)


def _beginning(text: str) -> str:
    return text if len(text) <= SHOWN_EXAMPLE else f"{text[: SHOWN_EXAMPLE - 1]}…"
