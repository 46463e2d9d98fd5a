"""How busy agents are: the calls under way in this process, as shares of what each agent takes at once."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, Protocol

import numpy as np

from agentmesh.routing.base import AgentPool
from agentmesh.types import AgentId, FloatArray

USUAL_CONCURRENCY: Final = 8
"""What an agent is taken to answer at once when its card declares no ``max_concurrency``: the order of what endpoints
of language models allow. It sets the scale of a load and limits nothing."""


class Load(Protocol):
    """Knows how busy agents are: by counting calls, or from a recording."""

    def counted(self, agent_id: AgentId) -> AbstractContextManager[None]:
        """Count a call of the agent for as long as the context is open."""
        ...

    def shares(self, pool: AgentPool) -> FloatArray | None:
        """Return the load of each agent, 0 when idle and above 1 when calls wait; ``None`` when no call is under way.

        Shapes:
            returns (n_agents,), in the pool's order.
        """
        ...


class CallsUnderWay:
    """Counts the calls that the runs of one mesh have under way, those that wait for their turn among them.

    >>> load = CallsUnderWay()
    >>> with load.counted("clerk"):
    ...     dict(load.calls)
    {'clerk': 1}
    >>> dict(load.calls)
    {}
    """

    def __init__(self) -> None:
        """Begin with nothing under way."""
        self.calls: Counter[AgentId] = Counter()

    @contextmanager
    def counted(self, agent_id: AgentId) -> Iterator[None]:
        """Count a call of the agent until it ends, whatever way."""
        self.calls[agent_id] += 1
        try:
            yield
        finally:
            self.calls[agent_id] -= 1
            if not self.calls[agent_id]:
                del self.calls[agent_id]  # so that an empty counter means that all is idle

    def shares(self, pool: AgentPool) -> FloatArray | None:
        """Return the calls under way of each agent over its ``max_concurrency``."""
        if not self.calls:
            return None
        return _by_place(pool, {agent_id: count / _at_once(pool, agent_id) for agent_id, count in self.calls.items()})


class RecordedLoad:
    """The load that a decision was made under, as its trace tells it. Calls out of a recording make nobody busy."""

    def __init__(self, shares: Mapping[AgentId, float]) -> None:
        """Keep the shares of the agents that were busy."""
        self._shares = shares

    def counted(self, agent_id: AgentId) -> AbstractContextManager[None]:  # noqa: ARG002 - the seam's signature
        """Count nothing."""
        return nullcontext()

    def shares(self, pool: AgentPool) -> FloatArray | None:
        """Return the recorded load of each agent."""
        return _by_place(pool, self._shares) if self._shares else None


def _at_once(pool: AgentPool, agent_id: AgentId) -> int:
    place = pool.index.get(agent_id)
    return USUAL_CONCURRENCY if place is None else pool.cards[place].max_concurrency or USUAL_CONCURRENCY


def _by_place(pool: AgentPool, shares: Mapping[AgentId, float]) -> FloatArray | None:
    """Return the shares in the pool's order; ``None`` when all who are busy have left the pool."""
    load = np.zeros(len(pool))
    for agent_id, share in shares.items():
        if agent_id in pool.index:
            load[pool.index[agent_id]] = share
    return load if load.any() else None
