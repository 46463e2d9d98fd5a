"""The user's own rules at work: whom they refuse and favour for a task. They stand above what is learned.

Reference: the domain and action preferences of Arch-Router, arXiv 2506.16655.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Final

import numpy as np

from agentmesh.packing import pack_floats
from agentmesh.patterns import found
from agentmesh.preferences import Preference
from agentmesh.records import AgentCard, Candidate, RouteDecision, Task
from agentmesh.routing.base import hash_parameters
from agentmesh.routing.decision import MOST_REFUSED
from agentmesh.routing.inputs import AgentPool
from agentmesh.types import AgentId, FloatArray, JsonValue

PIN, FORBID = "preference:pin", "preference:forbid"

PREFERENCES: Final = "preferences"
"""What a decision names in place of a router, when preferences left nobody and none was asked."""

TOLD: Final = 3
"""Faults of one kind that a rule is told of: one that names thousands of agents must not fill a trace."""

NOTHING_NEAR: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Applied:
    """A pool after the preferences: who is refused, what is added to whose utility, by which rules, and their faults.

    Shapes:
        bonus: (n,) zero where no rule prefers the agent.
    """

    pool: AgentPool
    bonus: FloatArray
    reasons: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """A rule that holds for the task, in words, and the registered agents that it names."""

    rule: Preference
    words: str
    named: frozenset[AgentId]


def holds(rule: Preference, task: Task, near: Mapping[str, float] = NOTHING_NEAR) -> bool:
    """Return whether ``task`` meets every condition of ``rule``.

    Args:
        rule: The rule.
        task: The task.
        near: The cosine of the task to each text of ``rule.like``; one that is missing is not near.
    """
    return (
        _among(rule.skill, task.required_skills)
        and _among(rule.flag, task.required_flags)
        and _among(rule.domain, task.type_hints)
        and (rule.previous is None or rule.previous == task.previous_agent)
        and (rule.pattern is None or found(rule.pattern, task.text))
        and (not rule.like or max(near.get(text, -1.0) for text in rule.like) >= rule.at_least)
    )


def _among(wanted: str | None, names: Collection[str]) -> bool:
    return wanted is None or _has(names, wanted)


def _has(names: Collection[str], wanted: str) -> bool:
    return wanted in names or wanted.casefold() in {name.casefold() for name in names}


def named_agents(rule: Preference, cards: Sequence[AgentCard], ids: Collection[AgentId]) -> frozenset[AgentId]:
    """Return the registered agents that ``rule`` names, by whatever of its names.

    >>> cards = [AgentCard(id="a", description="", group="law"), AgentCard(id="b", description="")]
    >>> sorted(named_agents(Preference(action="pin", agents=("b", "c"), groups=("law",)), cards, {"a", "b"}))
    ['a', 'b']
    """
    named = {agent_id for agent_id in rule.agents if agent_id in ids}
    if rule.groups or rule.having_skill is not None or rule.having_flag is not None:
        named.update(card.id for card in cards if _fits(rule, card))
    return frozenset(named)


def _fits(rule: Preference, card: AgentCard) -> bool:
    return (
        card.group in rule.groups
        or (rule.having_skill is not None and _has(card.skills, rule.having_skill))
        or (rule.having_flag is not None and _has(card.policy_flags, rule.having_flag))
    )


def unknown_names(rule: Preference, cards: Sequence[AgentCard], ids: Collection[AgentId]) -> Iterator[str]:
    """Yield what of a rule names nobody who is registered, in words."""
    yield from (f"{agent_id!r} is not registered" for agent_id in rule.agents if agent_id not in ids)
    groups = {card.group for card in cards} if rule.groups else set()
    yield from (f"no agent is in the group {group!r}" for group in rule.groups if group not in groups)
    if rule.having_skill is not None and not any(_has(card.skills, rule.having_skill) for card in cards):
        yield f"no agent has the skill {rule.having_skill!r}"
    if rule.having_flag is not None and not any(_has(card.policy_flags, rule.having_flag) for card in cards):
        yield f"no agent has the flag {rule.having_flag!r}"


def apply(
    preferences: Sequence[Preference], task: Task, pool: AgentPool, *, near: Mapping[str, float] = NOTHING_NEAR
) -> Applied:
    """Apply the rules that hold for ``task``, the mesh's and its own.

    Agents that an earlier gate refused keep that gate's name. A pin is never passed over: when none of the pinned
    agents is there and passes, nobody is left, and :func:`abstention` says so.

    Args:
        preferences: The rules of the mesh.
        task: The task, whose own rules stand beside them.
        pool: Who can act, after the hard gates.
        near: The cosine of the task to the texts of ``like``.
    """
    held = [_Held(rule, rule.describe(), _named(rule, pool)) for rule in preferences if holds(rule, task, near)]
    held += [
        _Held(rule, f"{rule.describe()} (the task's own)", _named(rule, pool))
        for rule in task.preferences
        if holds(rule, task, near)
    ]
    gated = pool.gated(_refused(held, pool)) if held else pool
    faults = tuple(fault for one in held for fault in _faults(one, gated))
    return Applied(gated, _bonus(held, pool), tuple(one.words for one in held), faults)


def _named(rule: Preference, pool: AgentPool) -> frozenset[AgentId]:
    return named_agents(rule, pool.cards, pool.index.keys())


def _refused(held: Sequence[_Held], pool: AgentPool) -> dict[AgentId, str]:
    refused = dict.fromkeys(_all_named("forbid", held), FORBID)
    if any(one.rule.action == "pin" for one in held):
        pinned = _all_named("pin", held)
        refused |= {agent_id: PIN for agent_id in pool.ids if agent_id not in pinned and agent_id not in refused}
    return {agent_id: gate for agent_id, gate in refused.items() if pool.mask[pool.index[agent_id]]}


def _all_named(action: str, held: Sequence[_Held]) -> set[AgentId]:
    return {agent_id for one in held if one.rule.action == action for agent_id in one.named}


def _bonus(held: Sequence[_Held], pool: AgentPool) -> FloatArray:
    bonus = np.zeros(len(pool))
    for one in held:
        if one.rule.action == "prefer":
            bonus[[pool.index[agent_id] for agent_id in one.named]] += one.rule.strength
    return bonus


def _faults(held: _Held, pool: AgentPool) -> Iterator[str]:
    """Yield why a rule could not be followed as it was given: names of nobody, or a pin on agents that are all out."""
    for what in islice(unknown_names(held.rule, pool.cards, pool.index.keys()), TOLD):
        yield f"{held.words}: {what}"
    out = [agent_id for agent_id in sorted(held.named) if not pool.mask[pool.index[agent_id]]]
    if held.rule.action == "pin" and len(out) == len(held.named):
        for agent_id in out[:TOLD]:
            gate = pool.refused.get(agent_id, "mask")
            why = "is forbidden by a rule" if gate == FORBID else f"is refused by the gate {gate!r}"
            yield f"{held.words}: {agent_id!r} {why}"


def abstention(applied: Applied, *, seed: int) -> RouteDecision | None:
    """Return the decision for nobody where preferences left nobody, ``None`` where it is up to the router.

    Where the hard gates alone refuse everybody it is the router that says so. It is made of what a trace records, so
    that a replay makes the same.
    """
    pool = applied.pool
    if pool.mask.any() or not {PIN, FORBID}.intersection(pool.refused.values()):
        return None
    rules: list[JsonValue] = list(applied.reasons)
    return RouteDecision(
        router=PREFERENCES,
        router_version=f"{hash_parameters(PREFERENCES, {'rules': rules})}@0",
        registry_version=pool.registry_version,
        seed=seed,
        selected=(),
        candidates=tuple(_refused_candidates(pool)) if len(pool) <= MOST_REFUSED else (),
        scores=pack_floats(np.full(len(pool), np.nan)),
        probabilities=pack_floats(np.zeros(len(pool))),
        abstained=True,
        reason=f"the preferences leave nobody: {'; '.join(_told(applied))}",
    )


def _told(applied: Applied) -> Iterator[str]:
    """Yield each rule that held, with its faults where it has some."""
    for words in dict.fromkeys(applied.reasons):
        faults = [fault for fault in applied.faults if fault.startswith(f"{words}: ")]
        yield from dict.fromkeys(faults or [words])


def _refused_candidates(pool: AgentPool) -> Iterator[Candidate]:
    for agent_id, version in zip(pool.ids, pool.versions.tolist(), strict=True):
        gate = pool.refused.get(agent_id, "mask")
        yield Candidate(agent_id=agent_id, score=None, probability=0.0, inclusion=0.0, agent_version=version, gate=gate)
