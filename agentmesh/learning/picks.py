"""Who was picked, and who stood second by how much: what a database's decisions say of the agents in it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import exp, log1p
from typing import Final, TypeAlias

from agentmesh.events import DecisionMade, Event, RunStarted, TaskPrepared
from agentmesh.records import RouteDecision
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId

NEWEST: Final = 1_000
"""Decisions that are read: at four milliseconds each, a few seconds."""

AgentPair: TypeAlias = tuple[AgentId, AgentId]
"""Two ids, the smaller first."""


@dataclass(slots=True)
class Chances:
    """How often one agent could have been picked, how often it was, and how often it would have been by chance.

    ``never`` is the chance that it is never picked when each pick is drawn evenly from those that could be.
    """

    eligible: int = 0
    picked: int = 0
    expected: float = 0.0
    _log_never: float = 0.0

    @property
    def never(self) -> float:
        """Return the chance of never being picked, 0 to 1."""
        return exp(self._log_never)

    def add(self, *, picks: int, among: int, picked: bool) -> None:
        """Count one decision in which ``picks`` of ``among`` agents were chosen and this one could have been."""
        share = min(picks / among, 1.0)
        self.eligible += 1
        self.picked += picked
        self.expected += share
        self._log_never += log1p(-share) if share < 1.0 else float("-inf")


@dataclass(slots=True)
class Picks:
    """What a number of decisions say. ``margins`` holds, for each pair that came first and second, the margins."""

    decisions: int = 0
    agents: dict[AgentId, Chances] = field(default_factory=dict)
    margins: dict[AgentPair, list[float]] = field(default_factory=dict)

    def add(self, decision: RouteDecision, eligible: Iterable[AgentId]) -> None:
        """Count one decision over the agents that no gate refused."""
        self.decisions += 1
        chosen, among = {one.agent_id for one in decision.selected}, sorted(eligible)
        for agent_id in among:
            chances = self.agents.setdefault(agent_id, Chances())
            chances.add(picks=len(chosen), among=len(among), picked=agent_id in chosen)
        scored = [(one.score, one.agent_id) for one in decision.candidates if one.score is not None]
        if len(scored) > 1:
            (first, one), (second, other) = sorted(scored, key=lambda found: (-found[0], found[1]))[:2]
            self.margins.setdefault(as_pair(one, other), []).append(first - second)


def as_pair(one: AgentId, other: AgentId) -> AgentPair:
    """Return two ids in order.

    >>> as_pair("b", "a")
    ('a', 'b')
    """
    return (one, other) if one <= other else (other, one)


def picks_of(store: TraceStore, *, newest: int = NEWEST) -> Picks:
    """Read the newest decisions of a database.

    A run that ended before a decision counts for nothing, nor does a fork: another run decided it, or a person.

    Raises:
        StoreError: the store cannot be read.
    """
    picks, registries = Picks(), dict[str, tuple[AgentId, ...]]()
    for summary in store.runs(limit=newest):
        events = store.events(summary.id)
        decided = next((event.decision for event in events if isinstance(event, DecisionMade)), None)
        if decided is None or _is_fork(events[0]):
            continue
        version = decided.registry_version
        if version not in registries:
            registries[version] = tuple(card.id for card in store.registry(version).cards)
        refused = _refused(events)
        picks.add(decided, [agent_id for agent_id in registries[version] if agent_id not in refused])
    return picks


def _is_fork(event: Event) -> bool:
    return isinstance(event, RunStarted) and event.forked is not None


def _refused(events: Iterable[Event]) -> Mapping[AgentId, str]:
    return next((event.refused for event in events if isinstance(event, TaskPrepared)), {})
