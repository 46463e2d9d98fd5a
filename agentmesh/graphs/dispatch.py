"""Calls the chosen agents in parallel, wave by wave, within limits, so that one failure loses nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from agentmesh.events import AnswerChecked, ApprovalAsked, CallFinished, CallStarted, DecisionMade, WaveStarted
from agentmesh.graphs.admission import Admission, Pause, ProposedCall, Refusal, RunPaused, admit
from agentmesh.graphs.again import asked_again, replanned
from agentmesh.graphs.calling import Caller, CallRequest
from agentmesh.graphs.checking import AnswerChecker, post, rejections
from agentmesh.graphs.equality import Equality, Grouped, KeyEquality
from agentmesh.graphs.limits import Budget, estimate_usd, seconds_left
from agentmesh.graphs.load import Load
from agentmesh.graphs.log import RunLog
from agentmesh.graphs.scope import RunScope
from agentmesh.graphs.team import Team, Wave
from agentmesh.graphs.turns import Turns
from agentmesh.graphs.waves import SoFar, following, last_answers, standing
from agentmesh.money import Reserved
from agentmesh.records import AgentCall, AgentCard, CallStatus, Limits, RouteDecision, Task
from agentmesh.types import AgentId, Clock

FIRST_BACKOFF_S = 0.2
"""The wait before the second attempt; it doubles with each further one, plus up to as much again at random."""


@dataclass(frozen=True, slots=True)
class Calling:
    """What the calls of one wave have in common: the run's budget, the seed of its waits, and the wave's number.

    ``tasks`` is the task as each agent of the wave gets it.
    """

    budget: Budget
    seed: int
    wave: int
    tasks: Mapping[AgentId, Task]


@dataclass(slots=True)
class Attempts:
    """What came of one agent in one wave. ``paused`` is what a person has to say before it is called."""

    calls: list[AgentCall]
    paused: Pause | None = None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Everything that the calls of one run share. ``deadline`` is on the clock's monotonic scale.

    Without a ``team`` all that were selected are called at once. ``stand_ins`` are those who may be called where nobody
    helped, the best first; ``admissions`` are the steps before each call, and ``checker`` has a word on each answer.
    ``scope`` holds the run's budget, ``turns`` says when a call may begin, and ``equality`` which answers of a team are
    the same.
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
    equality: Equality = field(default_factory=KeyEquality)
    checker: AnswerChecker | None = None

    async def run(self, decision: RouteDecision) -> tuple[AgentCall, ...]:
        """Call the selected agents and return all attempts, wave by wave, in order of selection.

        Raises:
            RunPaused: a call waits for a person.
        """
        budget = self.scope.budget
        for made in self.log.own(DecisionMade):
            budget.charge(None if made.decision.reasoning is None else made.decision.reasoning.cost_usd)
        for ended in self.log.own(CallFinished):  # of a run that goes on
            budget.count_in(self.cards[ended.call.agent_id], self.task, ended.call)
        for checked in self.log.own(AnswerChecked):
            budget.charge(checked.cost_usd)
        calls: tuple[AgentCall, ...] = ()
        number = 1
        while True:
            so_far = await self._so_far(decision, calls)
            wave = following(so_far)
            if wave.reason:
                told = {"agents": wave.agents, "reason": wave.reason, "agreement": wave.agreement}
                self.log.post(WaveStarted, wave=number, groups=so_far.equal.groups, note=so_far.equal.note, **told)
            if not wave.agents:
                return calls
            tasks = self._tasks(wave, so_far)
            calls += await self._wave(wave.agents, Calling(budget, decision.seed, number, tasks))
            number += 1

    async def _so_far(self, decision: RouteDecision, calls: tuple[AgentCall, ...]) -> SoFar:
        rejected = rejections(self.log.events)
        equal = Grouped()
        if self.team is not None:
            equal = await self.equality.grouped(self.task, last_answers(standing(calls, rejected)))
        return SoFar(decision, self.limits, self.team, self.stand_ins, calls, rejected=rejected, equal=equal)

    def _tasks(self, wave: Wave, so_far: SoFar) -> Mapping[AgentId, Task]:
        """Return the task as each agent of a wave gets it."""
        if wave.kind == "round":
            return asked_again(self.task, last_answers(standing(so_far.calls, so_far.rejected)))
        task = replanned(self.task, so_far.rejected.values()) if wave.kind == "stand_in" else self.task
        return dict.fromkeys(wave.agents, task)

    async def _wave(self, agents: Sequence[AgentId], calling: Calling) -> tuple[AgentCall, ...]:
        """Call some agents at once."""
        reserved = [self._reserved(agent_id, calling) for agent_id in agents]
        if len(reserved) == 1:  # a task of its own would only cost time
            done = [await self._attempts(agents[0], reserved[0], calling)]
        else:
            async with asyncio.TaskGroup() as group:
                running = [
                    group.create_task(self._attempts(agent_id, first, calling))
                    for agent_id, first in zip(agents, reserved, strict=True)
                ]
            done = [task.result() for task in running]
        asked = [{"request": attempts.paused.request} for attempts in done if attempts.paused is not None]
        if asked:
            await self.log.commit_all(ApprovalAsked, asked)
            raise RunPaused
        return tuple(call for attempts in done for call in attempts.calls)

    def _reserved(self, agent_id: AgentId, calling: Calling) -> Reserved:
        """Set aside what a first attempt may cost; one that was made before the run went on has been paid for."""
        if self.log.calls_before(agent_id, wave=calling.wave):
            return Reserved()
        return calling.budget.reserve(self.cards[agent_id], calling.tasks[agent_id])

    async def _attempts(self, agent_id: AgentId, reserved: Reserved, calling: Calling) -> Attempts:
        budget, task = calling.budget, calling.tasks[agent_id]
        card, done = self.cards[agent_id], Attempts(self.log.calls_before(agent_id, wave=calling.wave))
        if done.calls:
            await self._check(done.calls[-1], budget)
            if not await self._again(card, done.calls[-1], calling):
                return done
        for attempt in range(len(done.calls) + 1, self.limits.retries + 2):
            held = reserved if attempt == 1 else budget.reserve(card, task)
            admitted = Refusal(held.refusal) if held.refusal is not None else await self._admit(card, attempt, calling)
            if isinstance(admitted, Pause):
                budget.release(held)
                done.paused = admitted
                break
            if isinstance(admitted, Refusal):
                done.calls.append(await self._refuse(card, attempt, calling.wave, admitted.reason))
                budget.settle(held, done.calls[-1])
                break
            call = await self._attempt(card, admitted, attempt, calling.wave)
            done.calls.append(call)
            budget.settle(held, call)
            await self._check(call, budget)
            if not await self._again(card, call, calling):
                break
        return done

    async def _again(self, card: AgentCard, call: AgentCall, calling: Calling) -> bool:
        """Wait after an attempt, and say whether there is to be another."""
        if call.status is CallStatus.OK or not call.retryable or call.attempt > self.limits.retries:
            return False
        return await self.caller.wait(card, call.attempt, _backoff_s(call.attempt, calling.seed), self.deadline)

    async def _admit(self, card: AgentCard, attempt: int, calling: Calling) -> Task | Refusal | Pause:
        task = calling.tasks[card.id]
        if not self.admissions:
            return task
        proposed = ProposedCall(
            card=card,
            task=task,
            attempt=attempt,
            wave=calling.wave,
            limits=self.limits,
            estimate_usd=estimate_usd(card, task, context_tokens=self.limits.context_tokens),
            committed_usd=calling.budget.committed_usd,
            budget=calling.budget,
            timeout_s=self._time_left_s(),
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

    async def _check(self, call: AgentCall, budget: Budget) -> None:
        """Have an answer checked, against the task as it was first asked."""
        if self.checker is None or call.status is not CallStatus.OK:
            return
        done = self.log.checks_before(call.agent_id, wave=call.wave)
        if not all(event.passed for event in done):
            return
        passed = frozenset(event.check for event in done)
        found = await self.checker.check(self.task, call, budget=budget, timeout_s=self._time_left_s(), passed=passed)
        for checked in found:
            post(self.log, checked, agent_id=call.agent_id, wave=call.wave)

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
        return seconds_left(self.limits, self.deadline, self.clock.monotonic())


def _backoff_s(attempt: int, seed: int) -> float:
    wait: float = FIRST_BACKOFF_S * 2 ** (attempt - 1)
    return wait * (1 + np.random.default_rng([seed, attempt]).random())
