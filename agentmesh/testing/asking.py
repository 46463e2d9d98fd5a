"""Doubles around reasoning: a model that says what it is told, a router that rates as it is told, cards as a pool."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from agentmesh.protocols import ChatRequest
from agentmesh.records import AgentCard
from agentmesh.routing.asking import Reply
from agentmesh.routing.base import AgentPool, Estimate, ScoringRouter, TaskFeatures
from agentmesh.testing.routers import plain_pool
from agentmesh.types import AgentId


class ScriptedAsker:
    """Answers a router's questions from a list, used up one by one, or from a function; ``requests`` keeps them.

    A text costs nothing; a ``Reply`` is handed out as it is. When the list is used up, a reply is a fault that says so.

    >>> import asyncio
    >>> asker = ScriptedAsker(["yes"])
    >>> asyncio.run(asker.ask(ChatRequest(messages=()))).text
    'yes'
    """

    def __init__(self, replies: Sequence[str | Reply] | Callable[[ChatRequest], str | Reply]) -> None:
        """Take the script."""
        self.requests: list[ChatRequest] = []
        self.timeouts_s: list[float | None] = []
        self._replies = replies

    async def ask(self, request: ChatRequest, *, timeout_s: float | None = None) -> Reply:
        """Return the next reply."""
        place = len(self.requests)
        self.requests.append(request)
        self.timeouts_s.append(timeout_s)
        if callable(self._replies):
            reply = self._replies(request)
        elif place < len(self._replies):
            reply = self._replies[place]
        else:
            reply = Reply("", model="scripted", fault="the script is used up")
        return Reply(reply, model="scripted", cost_usd=Decimal(0)) if isinstance(reply, str) else reply


class RatedRouter(ScoringRouter):
    """Expects of each agent the quality that it is given, of others 0."""

    name = "rated"
    calibrated = True

    def __init__(self, *, quality: Mapping[AgentId, float], policy: str = "greedy") -> None:
        super().__init__(policy=policy, quality=dict(quality))
        self._quality = dict(quality)

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:  # noqa: ARG002 - the same for every task
        """Return the qualities."""
        unknown = np.full(len(pool), np.nan)
        quality = np.array([self._quality.get(agent_id, 0.0) for agent_id in pool.ids])
        return Estimate(quality, cost=unknown, latency=unknown)


def carded_pool(*cards: AgentCard) -> AgentPool:
    """Return a pool of agents with these cards, all of them passing the gates.

    >>> carded_pool(AgentCard(id="solver", description="Solves.")).ids
    ('solver',)
    """
    return replace(plain_pool(*(card.id for card in cards)), cards=cards)
