"""What one run may ask a chat model: no more than leaves time and money to those who are chosen."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from agentmesh.protocols import ChatRequest
from agentmesh.records import Limits
from agentmesh.routing.asking import Asker, Reply
from agentmesh.types import Clock

SHARE: Final = 2
"""A question may take one part in so many of the time a run has left and of its money: who is chosen has to act."""


class PricedAsker(Asker, Protocol):
    """An asker that can say beforehand what a request will cost."""

    @property
    def model(self) -> str:
        """Return the name of the model that is asked."""
        ...

    def estimate_usd(self, request: ChatRequest) -> Decimal | None:
        """Return what a request will cost at most, in US dollars; ``None`` when the price is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class RunAsker:
    """Asks for one run, within half of its limits. What does not fit is not asked, and the fault says why.

    ``deadline`` is on the clock's monotonic scale, ``None`` for no time limit.
    """

    asker: PricedAsker
    limits: Limits
    deadline: float | None
    clock: Clock

    async def ask(self, request: ChatRequest, *, timeout_s: float | None = None) -> Reply:
        """Return the reply, or why nothing was asked."""
        refusal = self._refusal(request)
        if refusal:
            return Reply(text="", model=self.asker.model, fault=refusal, cost_usd=Decimal(0))
        return await self.asker.ask(request, timeout_s=self._time_left_s(timeout_s))

    def _refusal(self, request: ChatRequest) -> str:
        limit = self.limits.cost_usd
        if limit is None:
            return ""
        estimate = self.asker.estimate_usd(request)
        if estimate is None:
            if self.limits.allow_unknown_price:
                return ""
            return f"the model {self.asker.model!r} has no price, so it may not fit the limit of {limit} USD"
        if estimate * SHARE <= limit:
            return ""
        return f"asking is estimated at {estimate:f} USD, more than half of the limit of {limit} USD"

    def _time_left_s(self, timeout_s: float | None) -> float | None:
        if self.deadline is None:
            return timeout_s
        left = max(self.deadline - self.clock.monotonic(), 0.0) / SHARE
        return left if timeout_s is None else min(timeout_s, left)
