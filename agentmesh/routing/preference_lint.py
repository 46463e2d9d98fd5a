"""Finds faults of preferences before a task meets them: names of nobody, rules that contradict, rules without effect.

Two rules are compared where they can hold together. Conditions of one kind with different values, such as two patterns,
count as apart: that two regular expressions can meet cannot be decided in general. An example task that meets both
rules shows that they do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal, TypeAlias

from agentmesh.frozen import Record
from agentmesh.preferences import Preference
from agentmesh.records import AgentCard, Task
from agentmesh.routing.preference import holds, named_agents, unknown_names
from agentmesh.types import AgentId

Severity: TypeAlias = Literal["error", "warning"]

SHOWN: Final = 3
"""Agents that a finding names."""


class Finding(Record):
    """A fault of one rule, or of several together. ``rules`` are their places, from 0.

    An ``error`` leaves a task without any agent, or a rule without any; a ``warning`` is probably not what was meant.
    """

    severity: Severity
    rules: tuple[int, ...]
    message: str


@dataclass(frozen=True, slots=True)
class _Placed:
    """A rule with its place, the registered agents that it names, and the examples that meet it."""

    place: int
    rule: Preference
    named: frozenset[AgentId]
    met: frozenset[int]


def lint(
    preferences: Sequence[Preference], cards: Sequence[AgentCard], *, examples: Sequence[Task] = ()
) -> tuple[Finding, ...]:
    """Return what is wrong with ``preferences``, errors first.

    Args:
        preferences: The rules, in the order that findings count them in.
        cards: The cards of those who are registered.
        examples: Tasks as they come in; rules that both hold for one of them are compared too.

    >>> rules = [Preference(action="pin", agents=("a",)), Preference(action="forbid", agents=("a",))]
    >>> [finding.message for finding in lint(rules, [AgentCard(id="a", description="Adds.")])][0]
    "all that is pinned is forbidden, so nobody is left: pin 'a' | forbid 'a'"
    """
    ids = {card.id for card in cards}
    placed = [
        _Placed(
            place,
            rule,
            named_agents(rule, cards, ids),
            frozenset(number for number, task in enumerate(examples) if holds(rule, task)),
        )
        for place, rule in enumerate(preferences)
    ]
    found = [finding for one in placed for finding in _alone(one, cards, ids)]
    found += _all_forbidden(placed, ids)
    for one, other in combinations(placed, 2):
        found += _together(one, other)
    return tuple(sorted(found, key=lambda finding: (finding.severity != "error", finding.rules)))


def _alone(one: _Placed, cards: Sequence[AgentCard], ids: set[AgentId]) -> Iterator[Finding]:
    severity: Severity = "error" if one.rule.action == "pin" and not one.named else "warning"
    for what in unknown_names(one.rule, cards, ids):
        yield Finding(severity=severity, rules=(one.place,), message=f"{what}: {one.rule.describe()}")
    if ids and one.named == ids:
        severity, what = _EVERYBODY[one.rule.action]
        yield Finding(severity=severity, rules=(one.place,), message=f"{what}: {one.rule.describe()}")


_EVERYBODY: Final[Mapping[str, tuple[Severity, str]]] = {
    "forbid": ("error", "everybody is forbidden"),
    "pin": ("warning", "everybody is pinned, which changes nothing"),
    "prefer": ("warning", "everybody is preferred, which changes nothing"),
}


def _all_forbidden(placed: Sequence[_Placed], ids: set[AgentId]) -> Iterator[Finding]:
    """Yield that the rules which always forbid leave nobody together, where none of them does alone."""
    always = [one for one in placed if one.rule.action == "forbid" and not one.rule.conditions]
    union = frozenset[AgentId]().union(*(one.named for one in always))
    if ids and union == ids and all(one.named != ids for one in always):
        words = " | ".join(one.rule.describe() for one in always)
        places = tuple(one.place for one in always)
        yield Finding(severity="error", rules=places, message=f"together they forbid everybody: {words}")


def _together(one: _Placed, other: _Placed) -> Iterator[Finding]:
    """Yield what is wrong with two rules; of several things the first, since the others follow from it."""
    if not _can_meet(one, other):
        return
    for judge in (_twice, _contradicting, _pinned_apart, _preferred_in_vain, _useless):
        message = judge(one, other) or judge(other, one)
        if message is not None:
            yield message
            return


def _can_meet(one: _Placed, other: _Placed) -> bool:
    """Return whether a task can meet both rules: no condition of one kind parts them, or an example meets both."""
    theirs = dict(other.rule.conditions)
    apart = any(name in theirs and theirs[name] != value for name, value in one.rule.conditions)
    return not apart or bool(one.met & other.met)


def _implied(one: _Placed, other: _Placed) -> bool:
    """Return whether ``other`` holds whenever ``one`` does."""
    mine = dict(one.rule.conditions)
    kept = all(name in mine and mine[name] == value for name, value in other.rule.conditions)
    return kept and (not other.rule.like or other.rule.at_least <= one.rule.at_least)


def _twice(one: _Placed, other: _Placed) -> Finding | None:
    kept = ("action", "agents", "groups", "having_skill", "having_flag")
    alike = all(getattr(one.rule, name) == getattr(other.rule, name) for name in kept)
    if alike and _implied(one, other) and _implied(other, one):
        return _finding("warning", "the same rule stands twice", one, other)
    return None


def _contradicting(one: _Placed, other: _Placed) -> Finding | None:
    if (one.rule.action, other.rule.action) != ("pin", "forbid") or not one.named & other.named:
        return None
    if one.named <= other.named:
        return _finding("error", "all that is pinned is forbidden, so nobody is left", one, other)
    return _finding("warning", f"{_listed(one.named & other.named)} pinned and forbidden; forbidden wins", one, other)


def _pinned_apart(one: _Placed, other: _Placed) -> Finding | None:
    if (one.rule.action, other.rule.action) != ("pin", "pin") or one.named & other.named:
        return None
    if not (one.named and other.named):
        return None
    return _finding("warning", "two pins on different agents; whoever is pinned by either may be chosen", one, other)


def _preferred_in_vain(one: _Placed, other: _Placed) -> Finding | None:
    if one.rule.action != "prefer" or other.rule.action == "prefer" or not _implied(one, other):
        return None
    forbids = other.rule.action == "forbid"
    out = one.named & other.named if forbids else one.named - other.named
    if not out or (not forbids and not other.named):
        return None
    how = "forbidden" if forbids else "pinned away"
    return _finding("warning", f"{_listed(out)} preferred but {how}", one, other)


def _useless(one: _Placed, other: _Placed) -> Finding | None:
    if one.rule.action != other.rule.action or one.rule.action == "prefer":
        return None
    if one.named and one.named <= other.named and _implied(one, other):
        return _finding("warning", "the first changes nothing beside the second", one, other)
    return None


def _listed(agents: frozenset[AgentId]) -> str:
    shown = ", ".join(map(repr, sorted(agents)[:SHOWN]))
    more = f" and {len(agents) - SHOWN} more" if len(agents) > SHOWN else ""
    return f"{shown}{more} {'is' if len(agents) == 1 else 'are'}"


def _finding(severity: Severity, what: str, one: _Placed, other: _Placed) -> Finding:
    words = f"{one.rule.describe()} | {other.rule.describe()}"
    return Finding(severity=severity, rules=(one.place, other.place), message=f"{what}: {words}")
