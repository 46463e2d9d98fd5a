"""What changed between two versions of a router's trails."""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from agentmesh.records import Record
from agentmesh.routing.trails import Edge, TrailMap
from agentmesh.types import AgentId

NOTICEABLE: Final = 0.001
"""What moves a trail less is evaporation, which moves all of them."""


@runtime_checkable
class HasTrails(Protocol):
    """A router that can show what it learned as trails."""

    def trails(self) -> TrailMap:
        """Return the trails as they are now."""
        ...


def trails_of(router: object) -> TrailMap | None:
    """Return the trails of a router, ``None`` where it keeps none."""
    return router.trails() if isinstance(router, HasTrails) else None


class TrailChange(Record):
    """A trail before and after; ``None`` where its type or its agent was not there yet, or is no longer."""

    type: str
    stage: int
    previous: AgentId
    agent_id: AgentId
    trail_before: float | None
    trail_after: float | None
    evidence_before: float
    evidence_after: float

    @property
    def size(self) -> float:
        """Return how far the trail moved, -1 to 1; one that came or went counts by its evidence alone, as 0."""
        if self.trail_before is None or self.trail_after is None:
            return 0.0
        return self.trail_after - self.trail_before


class TrailChanges(Record):
    """What changed: the trails that moved most, and the types and agents that came and went."""

    trails: tuple[TrailChange, ...]
    new_types: tuple[str, ...] = ()
    retired_types: tuple[str, ...] = ()
    new_agents: tuple[AgentId, ...] = ()
    gone_agents: tuple[AgentId, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """The trail and the evidence of each type and edge of a map."""

    trail: dict[tuple[str, Edge], float]
    evidence: dict[tuple[str, Edge], float]

    @classmethod
    def of(cls, trails: TrailMap) -> "_Known":
        pairs = [(name, edge) for name in trails.types for edge in trails.edges]
        return cls(
            dict(zip(pairs, trails.trail.ravel().tolist(), strict=True)),
            dict(zip(pairs, trails.evidence.ravel().tolist(), strict=True)),
        )


def changes(old: TrailMap, new: TrailMap, *, most: int = 10) -> TrailChanges:
    """Compare two maps of one router.

    The trails that moved are listed by how far, ``most`` of them at most; then those with evidence on one side only,
    by how much. A trail without evidence on either side, or that hardly moved,
    is no news.

    >>> import numpy as np
    >>> edges = (Edge(0, "", "ada"), Edge(0, "", "bob"))
    >>> def at(trail):
    ...     row = np.array([trail])
    ...     return TrailMap(("sums",), edges, row, np.ones((1, 2)), np.ones(1), low=0.05, high=0.95, at=0.0)
    >>> moved = changes(at([0.5, 0.5]), at([0.5, 0.875])).trails
    >>> [(change.agent_id, change.trail_before, change.trail_after) for change in moved]
    [('bob', 0.5, 0.875)]
    """
    before, after = _Known.of(old), _Known.of(new)
    found = [_change(pair, before, after) for pair in {**before.trail, **after.trail}]
    moved = [change for change in found if _is_news(change)]
    moved.sort(key=lambda change: (-abs(change.size), -abs(change.evidence_after - change.evidence_before)))
    old_agents, new_agents = _agents(old), _agents(new)
    return TrailChanges(
        trails=tuple(moved[:most]),
        new_types=tuple(name for name in new.types if name not in old.types),
        retired_types=tuple(name for name in old.types if name not in new.types),
        new_agents=tuple(agent_id for agent_id in new_agents if agent_id not in old_agents),
        gone_agents=tuple(agent_id for agent_id in old_agents if agent_id not in new_agents),
    )


def _change(pair: tuple[str, Edge], before: _Known, after: _Known) -> TrailChange:
    name, edge = pair
    return TrailChange(
        type=name,
        stage=edge.stage,
        previous=edge.previous,
        agent_id=edge.agent_id,
        trail_before=before.trail.get(pair),
        trail_after=after.trail.get(pair),
        evidence_before=before.evidence.get(pair, 0.0),
        evidence_after=after.evidence.get(pair, 0.0),
    )


def _is_news(change: TrailChange) -> bool:
    if change.trail_before is None or change.trail_after is None:
        return change.evidence_before > 0 or change.evidence_after > 0
    return abs(change.size) >= NOTICEABLE and max(change.evidence_before, change.evidence_after) > 0


def _agents(trails: TrailMap) -> tuple[AgentId, ...]:
    """Return the agents that an outcome is known of, in the order of the map."""
    known = trails.evidence.sum(axis=0) > 0
    return tuple(dict.fromkeys(edge.agent_id for edge, seen in zip(trails.edges, known.tolist(), strict=True) if seen))
