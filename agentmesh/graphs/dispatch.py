"""Calls the chosen agents in parallel, wave by wave, within limits, so that one failure loses nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from agentmesh.events import CallFinished, CallStarted, WaveStarted
from agentmesh.graphs.admission import Admission, Pause, ProposedCall, Refusal, RunPaused, admit
from agentmesh.graphs.calling import Caller, CallRequest
from agentmesh.graphs.limits import Budget, estimate_usd
from agentmesh.graphs.load import Load
from agentmesh.graphs.log import RunLog
from agentmesh.graphs.scope import RunScope
from agentmesh.graphs.team import Team
from agentmesh.graphs.turns import Turns
from agentmesh.graphs.waves import SoFar, following
from agentmesh.money import Reserved
from agentmesh.records import AgentCall, AgentCard, CallStatus, Limits, RouteDecision, Task
from agentmesh.types import AgentId, Clock

FIRST_BACKOFF_S = 0.2
"""The wait before the second attempt; it doubles with each further one, plus up to as much again at random."""


@dataclass(frozen=True, slots=True)
class Calling:
    """What the calls of one wave have in common: the run's budget, the seed of its waits, and the wave's number."""

    budget: Budget
    seed: int
    wave: int


@dataclass(slots=True)
class Attempts:
    """What came of one agent in one wave. ``paused`` says that it waits for a person."""

    calls: list[AgentCall]
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Everything that the calls of one run share. ``deadline`` is on the clock's monotonic scale.

    Without a ``team`` all that were selected are called at once. ``stand_ins`` are those who may be called where nobody
    helped, the best first; ``admissions`` are the steps before each call. ``scope`` holds the run's budget, and
    ``turns`` says when a call may begin.
    """

    task: Task
    cards: Mapping[AgentId, AgentCard]
    limits: Limits
    caller: Caller
    log: RunLog
    clock: Clock
    load: Load
    deadline: float | None
    scope: RunScope
    turns: Turns
    team: Team | None = None
    stand_ins: tuple[AgentId, ...] = ()
    admissions: tuple[Admission, ...] = ()

    async def run(self, decision: RouteDecision) -> tuple[AgentCall, ...]:
        """Call the selected agents and return all attempts, wave by wave, in order of selection.

        Raises:
            RunPaused: a call waits for a person.
        """
        reasoning = decision.reasoning
        budget = self.scope.budget
        budget.charge(None if reasoning is None else reasoning.cost_usd)
        calls: tuple[AgentCall, ...] = ()
        number = 1
        while True:
            wave = following(SoFar(decision, self.limits, self.team, self.stand_ins, calls))
            if wave.reason:
                told = {"agents": wave.agents, "reason": wave.reason, "agreement": wave.agreement}
                self.log.post(WaveStarted, wave=number, **told)
            if not wave.agents:
                return calls
            calls += await self._wave(wave.agents, Calling(budget, decision.seed, number))
            number += 1

    async def _wave(self, agents: Sequence[AgentId], calling: Calling) -> tuple[AgentCall, ...]:
        """Call some agents at once."""
        reserved = [calling.budget.reserve(self.cards[agent_id], self.task) for agent_id in agents]
        if len(reserved) == 1:  # a task of its own would only cost time
            done = [await self._attempts(agents[0], reserved[0], calling)]
        else:
            async with asyncio.TaskGroup() as group:
                running = [
                    group.create_task(self._attempts(agent_id, first, calling))
                    for agent_id, first in zip(agents, reserved, strict=True)
                ]
            done = [task.result() for task in running]
        if any(attempts.paused for attempts in done):
            raise RunPaused
        return tuple(call for attempts in done for call in attempts.calls)

    async def _attempts(self, agent_id: AgentId, reserved: Reserved, calling: Calling) -> Attempts:
        budget = calling.budget
        card, done = self.cards[agent_id], Attempts([])
        for attempt in range(1, self.limits.retries + 2):
            held = reserved if attempt == 1 else budget.reserve(card, self.task)
            admitted = Refusal(held.refusal) if held.refusal is not None else await self._admit(card, attempt, calling)
            if isinstance(admitted, Pause):
                budget.release(held)
                done.paused = True
                break
            if isinstance(admitted, Refusal):
                done.calls.append(await self._refuse(card, attempt, calling.wave, admitted.reason))
                budget.settle(held, done.calls[-1])
                break
            call = await self._attempt(card, admitted, attempt, calling.wave)
            done.calls.append(call)
            budget.settle(held, call)
            if call.status is CallStatus.OK or not call.retryable or attempt > self.limits.retries:
                break
            if not await self.caller.wait(card, attempt, _backoff_s(attempt, calling.seed), self.deadline):
                break
        return done

    async def _admit(self, card: AgentCard, attempt: int, calling: Calling) -> Task | Refusal | Pause:
        if not self.admissions:
            return self.task
        proposed = ProposedCall(
            card=card,
            task=self.task,
            attempt=attempt,
            wave=calling.wave,
            limits=self.limits,
            estimate_usd=estimate_usd(card, self.task),
            committed_usd=calling.budget.committed_usd,
        )
        return await admit(self.admissions, proposed, self.log)

    async def _attempt(self, card: AgentCard, task: Task, attempt: int, wave: int) -> AgentCall:
        """Wait for a turn and make the call."""
        with self.load.counted(card.id):
            turn = await self.turns.take(card, left_s=self.scope.left_s())
            if isinstance(turn, Refusal):
                return await self._refuse(card, attempt, wave, turn.reason)
            call = None
            try:
                self.log.post(CallStarted, agent_id=card.id, attempt=attempt, wave=wave)
                times = (self._time_left_s(), self.limits.idle_timeout_s)
                call = await self.caller.call(
                    CallRequest(card, task, attempt, wave, *times, scope=self.scope, turn=turn), self.log
                )
            finally:
                turn.end(call, hurried=self.scope.left_s() == 0)
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
