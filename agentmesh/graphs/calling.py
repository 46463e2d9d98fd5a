"""One attempt at one agent: what is asked for, who makes it happen, and how it ends."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from agentmesh.agents.base import ask
from agentmesh.agents.registry import Registry
from agentmesh.errors import AgentOutputError, LlmError, ReplayMissError
from agentmesh.graphs.limits import actual_usd
from agentmesh.graphs.log import RunLog, named
from agentmesh.records import AgentCall, AgentCard, Answer, CallStatus, Task
from agentmesh.types import AgentId, Clock


@dataclass(frozen=True, slots=True)
class CallRequest:
    """One attempt at one agent. ``timeout_s`` is what this attempt may take, ``None`` for as long as it likes."""

    card: AgentCard
    task: Task
    attempt: int
    wave: int
    timeout_s: float | None


class Caller(Protocol):
    """Makes a call happen: for real, or out of a recording. A failed call is a value, not an exception."""

    async def call(self, request: CallRequest, log: RunLog) -> AgentCall:
        """Return the call as it ended."""
        ...

    async def wait(self, card: AgentCard, attempt: int, seconds: float, deadline: float | None) -> bool:
        """Wait after a failed attempt, and say whether there is time for another one."""
        ...


@dataclass(slots=True)
class LiveCaller:
    """Calls registered agents, each within its ``max_concurrency``."""

    registry: Registry
    clock: Clock
    _gates: dict[AgentId, asyncio.Semaphore] = field(default_factory=dict)  # bounds calls in flight for each agent

    async def call(self, request: CallRequest, log: RunLog) -> AgentCall:
        """Run the agent; every failure of it ends up in the call that is returned."""
        card = request.card
        begun = self.clock.monotonic()
        answer: Answer | None = None
        status, error, retryable = CallStatus.OK, None, False
        scope = asyncio.timeout(request.timeout_s)
        try:
            async with scope:
                answer = await self._answer(request, log)
        except Exception as failure:  # noqa: BLE001 - the node boundary: whatever an agent raises is recorded in its call
            if scope.expired():
                status, retryable = CallStatus.TIMED_OUT, True
                error = f"no answer within {request.timeout_s:g} s"
            else:
                status, error, retryable = CallStatus.FAILED, named(failure), _is_retryable(failure)
        return AgentCall(
            agent_id=card.id,
            agent_version=card.version,
            attempt=request.attempt,
            wave=request.wave,
            status=status,
            answer=answer,
            cost_usd=actual_usd(card, answer),
            latency_s=max(self.clock.monotonic() - begun, 0.0),
            error=error,
            retryable=retryable,
        )

    async def wait(self, card: AgentCard, attempt: int, seconds: float, deadline: float | None) -> bool:  # noqa: ARG002 - the seam's signature
        """Sleep, unless the deadline would pass meanwhile."""
        if deadline is not None and self.clock.monotonic() + seconds >= deadline:
            return False
        await asyncio.sleep(seconds)
        return True

    async def _answer(self, request: CallRequest, log: RunLog) -> Answer:
        agent = self.registry.get(request.card.id)
        on_text = partial(log.chunk, request.card.id) if log.is_watched else None
        async with self._gate(request.card):
            return await ask(agent, request.task, on_text=on_text)

    def _gate(self, card: AgentCard) -> AbstractAsyncContextManager[object]:
        if card.max_concurrency is None:
            return nullcontext()
        return self._gates.setdefault(card.id, asyncio.Semaphore(card.max_concurrency))


def _is_retryable(failure: Exception) -> bool:
    if isinstance(failure, LlmError):
        return failure.retryable
    return not isinstance(failure, AgentOutputError | ReplayMissError)
