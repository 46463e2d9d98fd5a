"""Pheromone trails: what agents were worth on each type of task, as sums that do not depend on their order."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agentmesh.types import AgentId, FloatArray

SOURCE: AgentId = ""
"""The virtual node before the first stage."""


class Edge(NamedTuple):
    """A step from the agent of the stage before, or from the source, to an agent of ``stage``."""

    stage: int
    previous: AgentId
    agent_id: AgentId


@dataclass(frozen=True, slots=True)
class TrailMap:
    """The trails as people read them: bounded, one row for each type of task, one column for each edge.

    Shapes:
        trail: (types, edges) between ``low`` and ``high``: the smoothed share of good evidence.
        evidence: (types, edges) how many outcomes, evaporated until ``at``, stand behind it.
        share: (types,) how much of the recent evidence each type has; it sums to 1 unless there is none.
    """

    types: tuple[str, ...]
    edges: tuple[Edge, ...]
    trail: FloatArray
    evidence: FloatArray
    share: FloatArray
    low: float
    high: float
    at: float

    def strongest(self, count: int) -> list[tuple[str, Edge, float, float]]:
        """Return the ``count`` strongest trails that have evidence: type, edge, trail and evidence."""
        flat = np.where(self.evidence > 0, self.trail, -np.inf).ravel()
        order = np.argsort(-flat, kind="stable")[:count]
        return [
            (
                self.types[place // len(self.edges)],
                self.edges[place % len(self.edges)],
                float(self.trail.flat[place]),
                float(self.evidence.flat[place]),
            )
            for place in order.tolist()
            if np.isfinite(flat[place])
        ]
