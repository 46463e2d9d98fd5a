"""Calls the chosen agents in parallel, within limits, so that one failure loses nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Protocol

import numpy as np

from agentmesh.agents.base import ask
from agentmesh.agents.registry import Registry
from agentmesh.errors import AgentOutputError, LlmError, ReplayMissError
from agentmesh.events import CallFinished, CallStarted, WaveStarted
from agentmesh.graphs.equality import Equality, KeyEquality
from agentmesh.graphs.limits import Budget, actual_usd
from agentmesh.graphs.load import Load
from agentmesh.graphs.log import RunLog, named
from agentmesh.graphs.team import Team, answers_of, next_wave
from agentmesh.records import AgentCall, AgentCard, Answer, CallStatus, Limits, RouteDecision, Task
from agentmesh.types import AgentId, Clock

FIRST_BACKOFF_S = 0.2
"""The wait before the second attempt; it doubles with each further one, plus up to as much again at random."""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """One attempt at one agent. ``timeout_s`` is what this attempt may take, ``None`` for as long as it likes."""

    card: AgentCard
    task: Task
    attempt: int
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


@dataclass(frozen=True, slots=True)
class Calling:
    """What the calls of one wave have in common: the run's budget, the seed of its waits, and the wave's number."""

    budget: Budget
    seed: int
    wave: int = 1


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Everything that the calls of one run share. ``deadline`` is on the clock's monotonic scale.

    Without a ``team`` all that were selected are called at once.
    """

    task: Task
    cards: Mapping[AgentId, AgentCard]
    limits: Limits
    caller: Caller
    log: RunLog
    clock: Clock
    load: Load
    deadline: float | None
    team: Team | None = None
    equality: Equality = field(default_factory=KeyEquality)

    async def run(self, decision: RouteDecision) -> tuple[AgentCall, ...]:
        """Call the selected agents and return all attempts, wave by wave, in order of selection."""
        reasoning = decision.reasoning
        spent = None if reasoning is None else reasoning.cost_usd
        budget = Budget(self.limits, spent=spent or Decimal(0))
        calling = Calling(budget, decision.seed)
        if self.team is None:
            return await self._wave([chosen.agent_id for chosen in decision.selected], calling)
        calls: tuple[AgentCall, ...] = ()
        while decision.selected:
            grouped = await self.equality.grouped(self.task, answers_of(calls))
            planned = next_wave(self.team, decision, calls, grouped.numbers)
            self.log.post(
                WaveStarted,
                wave=calling.wave,
                agents=planned.agents,
                reason=planned.reason,
                agreement=planned.agreement,
                groups=grouped.groups,
                note=grouped.note,
            )
            if not planned.agents:
                break
            calls += await self._wave(planned.agents, calling)
            calling = replace(calling, wave=calling.wave + 1)
        return calls

    async def _wave(self, agents: Sequence[AgentId], calling: Calling) -> tuple[AgentCall, ...]:
        """Call some agents at once."""
        reserved = [calling.budget.reserve(self.cards[agent_id], self.task) for agent_id in agents]
        if len(reserved) == 1:  # a task of its own would only cost time
            return tuple(await self._attempts(agents[0], reserved[0], calling))
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(self._attempts(agent_id, first, calling))
                for agent_id, first in zip(agents, reserved, strict=True)
            ]
        return tuple(call for task in running for call in task.result())

    async def _attempts(
        self, agent_id: AgentId, reserved: tuple[Decimal, str | None], calling: Calling
    ) -> list[AgentCall]:
        budget = calling.budget
        card, calls = self.cards[agent_id], []
        for attempt in range(1, self.limits.retries + 2):
            estimate, refusal = reserved if attempt == 1 else budget.reserve(card, self.task)
            if refusal is not None:
                calls.append(await self._refuse(card, attempt, calling.wave, refusal))
                break
            calls.append(await self._attempt(card, attempt, calling.wave))
            budget.settle(estimate, calls[-1])
            if calls[-1].status is CallStatus.OK or not calls[-1].retryable or attempt > self.limits.retries:
                break
            if not await self.caller.wait(card, attempt, _backoff_s(attempt, calling.seed), self.deadline):
                break
        return calls

    async def _attempt(self, card: AgentCard, attempt: int, wave: int) -> AgentCall:
        self.log.post(CallStarted, agent_id=card.id, attempt=attempt, wave=wave)
        with self.load.counted(card.id):
            call = await self.caller.call(CallRequest(card, self.task, attempt, self._time_left_s()), self.log)
        if call.wave != wave:
            call = call.model_copy(update={"wave": wave})
        await self.log.commit(CallFinished, call=call)
        return call

    async def _refuse(self, card: AgentCard, attempt: int, wave: int, reason: str) -> AgentCall:
        call = AgentCall(
            agent_id=card.id,
            agent_version=card.version,
            attempt=attempt,
            wave=wave,
            status=CallStatus.REFUSED,
            cost_usd=Decimal(0),
            error=reason,
        )
        await self.log.commit(CallFinished, call=call)
        return call

    def _time_left_s(self) -> float | None:
        allowed = [self.limits.call_timeout_s] if self.limits.call_timeout_s is not None else []
        if self.deadline is not None:
            allowed.append(max(self.deadline - self.clock.monotonic(), 0.0))
        return min(allowed, default=None)


def _backoff_s(attempt: int, seed: int) -> float:
    wait: float = FIRST_BACKOFF_S * 2 ** (attempt - 1)
    return wait * (1 + np.random.default_rng([seed, attempt]).random())
