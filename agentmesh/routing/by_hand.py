"""A decision that a person has made in the router's place, as a fork may be told whom to ask."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from agentmesh.errors import NoCandidateError
from agentmesh.packing import pack_floats
from agentmesh.records import Candidate, RouteDecision, Selection
from agentmesh.routing.inputs import AgentPool
from agentmesh.types import AgentId

BY_HAND: Final = "by_hand"
"""What a decision names in place of a router, when a person has named the agents. It was no draw, and has no chance."""


def decided_by_hand(pool: AgentPool, agents: Sequence[AgentId], *, seed: int) -> RouteDecision:
    """Return the decision for exactly these agents, with equal votes.

    No router has scored anybody, so scores are NaN. The first that was named comes first for certain, and all of them
    are in the set: that was no draw, which is why nobody may take a propensity from it.

    Args:
        pool: Who can act, after gates and preferences.
        agents: Who was named, each once.
        seed: The run's, as any decision has one.

    Raises:
        NoCandidateError: one of them is not registered, or a gate refuses it.
    """
    for agent_id in agents:
        _check(pool, agent_id)
    chances = np.zeros(len(pool))
    chances[pool.index[agents[0]]] = 1.0
    return RouteDecision(
        router=BY_HAND,
        router_version=f"{BY_HAND}@0",
        registry_version=pool.registry_version,
        seed=seed,
        selected=tuple(Selection(agent_id=agent_id, weight=1 / len(agents)) for agent_id in agents),
        candidates=tuple(
            Candidate(
                agent_id=agent_id,
                score=None,
                probability=float(chances[pool.index[agent_id]]),
                inclusion=1.0,
                agent_version=int(pool.versions[pool.index[agent_id]]),
            )
            for agent_id in agents
        ),
        scores=pack_floats(np.full(len(pool), np.nan)),
        probabilities=pack_floats(chances),
        policy=BY_HAND,
        reason="a person named the agents, and no router was asked",
    )


def _check(pool: AgentPool, agent_id: AgentId) -> None:
    place = pool.index.get(agent_id)
    if place is None:
        known = ", ".join(map(repr, pool.ids))
        raise NoCandidateError(f"agent {agent_id!r} was named by hand and is not registered; registered are {known}")
    if not pool.mask[place]:
        gate = pool.refused.get(agent_id, "mask")
        raise NoCandidateError(f"agent {agent_id!r} was named by hand, and the gate {gate!r} refuses it")
