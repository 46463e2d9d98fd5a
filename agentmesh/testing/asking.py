"""Doubles around reasoning: models that say what they are told, a router that rates as it is told, cards as a pool."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias

import numpy as np

from agentmesh.errors import LlmError
from agentmesh.protocols import ChatRequest, OptionRequest, OptionWeights
from agentmesh.records import AgentCard
from agentmesh.routing.asking import Reply
from agentmesh.routing.base import AgentPool, Estimate, ScoringRouter, TaskFeatures
from agentmesh.testing.samples import plain_pool
from agentmesh.types import AgentId

Weights: TypeAlias = OptionWeights | Mapping[AgentId, float]


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


class ScriptedOptions:
    """Weighs options as a list tells it to, used up one by one, or as a function of the request.

    Probabilities by id leave what they lack of 1 to nobody, and cost nothing; ``OptionWeights`` are handed out as they
    are; an exception is raised. When the list is used up, further requests fail with an ``LlmError`` that says so.
    ``requests`` keeps all it was asked, ``closed`` says whether it was closed.

    >>> import asyncio
    >>> from agentmesh.protocols import Option
    >>> model = ScriptedOptions([{"solver": 0.75}])
    >>> request = OptionRequest(task="2 + 2?", options=(Option(id="solver", description="Solves."),))
    >>> asyncio.run(model.weigh(request)).none
    0.25
    """

    def __init__(
        self,
        weights: Sequence[Weights | Exception] | Callable[[OptionRequest], Weights],
        *,
        name: str = "scripted",
    ) -> None:
        self.requests: list[OptionRequest] = []
        self.closed = False
        self._weights = weights
        self._name = name

    @property
    def name(self) -> str:
        """Return the name it was given."""
        return self._name

    async def weigh(self, request: OptionRequest) -> OptionWeights:
        """Return the next weights.

        Raises:
            LlmError: the weights are used up.
            Exception: the next ones are one.
        """
        place = len(self.requests)
        self.requests.append(request)
        if callable(self._weights):
            found: Weights | Exception = self._weights(request)
        elif place < len(self._weights):
            found = self._weights[place]
        else:
            found = LlmError(f"{self._name}: the script is used up; it holds {len(self._weights)} weights")
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, OptionWeights) else _shared(found)

    async def aclose(self) -> None:
        """Note that it was closed; there is no connection."""
        self.closed = True


def _shared(probabilities: Mapping[AgentId, float]) -> OptionWeights:
    none = max(1.0 - math.fsum(probabilities.values()), 0.0)
    return OptionWeights(probabilities=probabilities, none=none, cost_usd=Decimal(0))


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
