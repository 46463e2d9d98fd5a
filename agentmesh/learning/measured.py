"""What agents were measured to be worth, with how sure that is, beside what their cards claim."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agentmesh.agents.capability import granted
from agentmesh.intervals import wilson
from agentmesh.learning.tables import newest_versions, task_key
from agentmesh.records import AgentCard, Experience, Record
from agentmesh.routing.intent import naming
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId


class Measured(Record):
    """What came of an agent's answers to one kind of task, or with ``kind`` "" to all tasks.

    ``n`` is how many tasks were scored, and ``evidence`` what their scores weigh: less than ``n`` where a judge scored.
    ``low`` and ``high`` bound the mean quality with 95 % confidence, by Wilson's interval on the evidence.
    ``quality`` is ``None`` where nothing was scored, a cost or latency where none is known. ``failures`` are calls that
    gave no answer; they are known of a probe alone, where each counts as a task of quality 0.
    """

    kind: str = ""
    n: int = 0
    evidence: float = 0.0
    quality: float | None = None
    low: float = 0.0
    high: float = 1.0
    cost_usd: float | None = None
    latency_s: float | None = None
    failures: int | None = None


class Skill(Record):
    """An agent as measured: on all tasks, and on each kind of task, beside the skills that its card claims.

    ``unproven`` are the claimed skills that no scored task was of.
    """

    agent_id: AgentId
    agent_version: int = 1
    claims: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    overall: Measured
    kinds: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of one task: its kinds, and quality (``None`` where nobody could score it), cost and latency."""

    kinds: tuple[str, ...]
    quality: float | None
    weight: float = 1.0
    cost_usd: float | None = None
    latency_s: float | None = None
    failed: bool = False


def skill_of(card: AgentCard, observations: Sequence[Observation], *, counts_failures: bool = False) -> Skill:
    """Sum up what was observed of an agent, over all and by kind; kinds in the order of their names.

    Args:
        card: The agent, whose skills are what it claims.
        observations: One for each task.
        counts_failures: Whether failed calls are known.
    """
    names = sorted({kind for one in observations for kind in one.kinds})
    kinds = tuple(
        _measured([one for one in observations if name in one.kinds], name, counts_failures=counts_failures)
        for name in names
    )
    proven = granted([kind.kind for kind in kinds if kind.n])
    return Skill(
        agent_id=card.id,
        agent_version=card.version,
        claims=card.skills,
        unproven=tuple(claim for claim in card.skills if claim.casefold() not in proven),
        overall=_measured(observations, "", counts_failures=counts_failures),
        kinds=kinds,
    )


def _measured(observations: Sequence[Observation], kind: str, *, counts_failures: bool) -> Measured:
    scored = [(one.quality, one.weight) for one in observations if one.quality is not None]
    evidence = sum(weight for _, weight in scored)
    earned = sum(quality * weight for quality, weight in scored)
    low, high = wilson(earned, evidence)
    return Measured(
        kind=kind,
        n=len(scored),
        evidence=evidence,
        quality=earned / evidence if scored else None,
        low=low,
        high=high,
        cost_usd=_mean(one.cost_usd for one in observations),
        latency_s=_mean(one.latency_s for one in observations),
        failures=sum(one.failed for one in observations) if counts_failures else None,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def measured_skills(store: TraceStore, cards: Sequence[AgentCard] | None = None) -> tuple[Skill, ...]:
    """Return what the scores in a database say of each agent, sorted by id, and nothing is called.

    Only the newest version of an agent that an outcome is known of counts. Scores of several sources on one task
    become one, their mean by weight, with the weight of the heaviest. An agent is scored on the tasks that a router
    chose it for: two agents were not measured on the same tasks.

    Args:
        store: Where the scores are.
        cards: The agents, by default those that the store knows; one that has no score is among them.

    Raises:
        StoreError: the store cannot be read.
    """
    known = {card.id: card for card in (store.latest_cards() if cards is None else cards)}
    experiences = store.experiences()
    observed = _observed(experiences)
    for agent_id, version in newest_versions(experiences).items():
        known.setdefault(agent_id, AgentCard(id=agent_id, description="", version=version))
    return tuple(skill_of(known[agent_id], observed.get(agent_id, ())) for agent_id in sorted(known))


def _observed(experiences: Sequence[Experience]) -> Mapping[AgentId, list[Observation]]:
    newest = newest_versions(experiences)
    scores: dict[tuple[AgentId, object], list[Experience]] = {}
    for one in experiences:
        if one.agent_version == newest[one.agent_id]:
            scores.setdefault((one.agent_id, task_key(one)), []).append(one)
    observed: dict[AgentId, list[Observation]] = {}
    for (agent_id, _), group in scores.items():
        observed.setdefault(agent_id, []).append(_observation(group))
    return observed


def _observation(scores: Sequence[Experience]) -> Observation:
    last = scores[-1]
    return Observation(
        kinds=tuple(naming(last.type_hints)),
        quality=mean_quality(scores),
        weight=max(one.weight for one in scores),
        cost_usd=None if last.cost_usd is None else float(last.cost_usd),
        latency_s=last.latency_s,
    )


def mean_quality(scores: Sequence[Experience]) -> float:
    """Return the mean by weight of the scores of one answer."""
    return sum(one.quality * one.weight for one in scores) / sum(one.weight for one in scores)
