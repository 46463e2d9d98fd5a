"""Agents put to tasks with known right answers: what they are worth before a router has to find out."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from agentmesh.agents.base import Agent, ask
from agentmesh.agents.pricing import call_cost_usd
from agentmesh.learning.faults import told
from agentmesh.learning.measured import Observation, Skill, skill_of
from agentmesh.learning.probe_tasks import GoldVerifier, ProbeTask
from agentmesh.learning.scoring import Score, verdict
from agentmesh.money import Reserved
from agentmesh.protocols import Verifier
from agentmesh.records import AgentCall, AgentCard, Answer, CallStatus, Record, Task, Usd
from agentmesh.types import Clock, SystemClock

CALL_TIMEOUT_S = 300.0
"""As long as a mesh waits for one answer unless it is told otherwise."""

AT_ONCE = 4
MOST_PROBLEMS = 5


class Purse(Protocol):
    """What may be spent: :class:`agentmesh.graphs.limits.Budget` is one. A call reserves first and settles after."""

    def reserve(self, card: AgentCard, task: Task) -> Reserved:
        """Set aside the estimate of one call; return it and, where it does not fit, why not."""
        ...

    def settle(self, reserved: Reserved, call: AgentCall) -> None:
        """Replace the estimate by what the call cost."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """An agent with the card that the registry has of it."""

    agent: Agent
    card: AgentCard


class ProbeReport(Record):
    """What a probe found. ``cost_usd`` is ``None`` as soon as the cost of one call is unknown.

    ``refused`` calls did not fit the limits and were not made. ``unscored`` answers are those that nobody could score.
    ``problems`` names some of what went wrong, and at the end why the first of the refused calls was.
    """

    tasks: int
    skills: tuple[Skill, ...]
    calls: int
    refused: int
    unscored: int
    cost_usd: Usd | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One call of a probe and what its answer was worth, ``None`` where nobody could say."""

    task: ProbeTask
    call: AgentCall
    quality: float | None
    problems: tuple[str, ...] = ()


class Prober:
    """Asks agents and scores what they say.

    Verifiers are asked in order, then the right answer of the task decides. A call that fails or comes too late is a
    task of quality 0: who asked got nothing. Nothing is stored and no router learns from it.

    Args:
        tasks: What is asked, with right answers.
        verifiers: Those of the mesh.
        purse: What may be spent in all; without one there is no limit.
        call_timeout_s: How long to wait for one answer.
        at_once: How many calls are under way at a time; an agent's ``max_concurrency`` holds besides.
        clock: What measures latency; the machine's by default.
    """

    def __init__(
        self,
        tasks: Sequence[ProbeTask],
        verifiers: Sequence[Verifier] = (),
        *,
        purse: Purse | None = None,
        call_timeout_s: float = CALL_TIMEOUT_S,
        at_once: int = AT_ONCE,
        clock: Clock | None = None,
    ) -> None:
        self._tasks, self._verifiers = tuple(tasks), (*verifiers, GoldVerifier(tasks))
        self._purse, self._call_timeout_s = purse, call_timeout_s
        self._at_once, self._clock = at_once, clock or SystemClock()

    async def probe(self, team: Sequence[Member]) -> ProbeReport:
        """Put every agent of ``team`` to every task, task by task, so that a limit that is reached meets all alike."""
        slots = asyncio.Semaphore(self._at_once)  # bounds the calls under way
        own = {member.card.id: _gate(member.card) for member in team}

        async def one(member: Member, task: ProbeTask) -> Finding:
            async with own[member.card.id], slots:
                return await self._finding(member, task)

        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one(member, task)) for task in self._tasks for member in team]
        return self._report(team, [task.result() for task in running])

    async def _finding(self, member: Member, task: ProbeTask) -> Finding:
        reserved = Reserved() if self._purse is None else self._purse.reserve(member.card, task.task)
        if reserved.refusal is not None:
            return Finding(task, _call(member.card, CallStatus.REFUSED, error=reserved.refusal), None)
        call = await self._call(member, task.task)
        if self._purse is not None:
            self._purse.settle(reserved, call)
        if call.answer is None:
            return Finding(task, call, 0.0, (f"agent {call.agent_id!r} on task {task.task.id!r}: {call.error}",))
        found = await asyncio.to_thread(self._verdict, call.agent_id, task.task, call.answer.text)
        return Finding(task, call, *found)

    async def _call(self, member: Member, task: Task) -> AgentCall:
        """Ask the agent; every failure of it ends up in the call that is returned."""
        begun, answer, status, error = self._clock.monotonic(), None, CallStatus.OK, None
        try:
            async with asyncio.timeout(self._call_timeout_s) as scope:
                answer = await ask(member.agent, task)
        except Exception as failure:  # noqa: BLE001 - the boundary to the user's agent: recorded in its call
            if scope.expired():
                status, error = CallStatus.TIMED_OUT, f"no answer within {self._call_timeout_s:g} s"
            else:
                status, error = CallStatus.FAILED, told(failure)
        latency_s = max(self._clock.monotonic() - begun, 0.0)
        return _call(member.card, status, answer=answer, latency_s=latency_s, error=error)

    def _verdict(self, agent_id: str, task: Task, text: str) -> tuple[float | None, tuple[str, ...]]:
        quality, problems = None, []
        for found in verdict(task, agent_id, text, self._verifiers):
            if isinstance(found, Score):
                quality = found.value
            else:
                problems.append(f"{found.source!r} could not score agent {agent_id!r}: {told(found.error)}")
        return quality, tuple(problems)

    def _report(self, team: Sequence[Member], findings: Sequence[Finding]) -> ProbeReport:
        made = [one for one in findings if one.call.status is not CallStatus.REFUSED]
        refusals = [one.call.error or "" for one in findings if one.call.status is CallStatus.REFUSED]
        costs = [one.call.cost_usd for one in made]
        known = [cost for cost in costs if cost is not None]
        return ProbeReport(
            tasks=len(self._tasks),
            skills=tuple(
                skill_of(
                    member.card,
                    [_observation(one) for one in made if one.call.agent_id == member.card.id],
                    counts_failures=True,
                )
                for member in sorted(team, key=lambda member: member.card.id)
            ),
            calls=len(made),
            refused=len(refusals),
            unscored=sum(one.quality is None for one in made),
            cost_usd=sum(known, Decimal(0)) if len(known) == len(costs) else None,
            problems=(*_problems(made), *refusals[:1]),
        )


def _gate(card: AgentCard) -> AbstractAsyncContextManager[object]:
    return nullcontext() if card.max_concurrency is None else asyncio.Semaphore(card.max_concurrency)


def _call(
    card: AgentCard,
    status: CallStatus,
    *,
    answer: Answer | None = None,
    latency_s: float = 0.0,
    error: str | None = None,
) -> AgentCall:
    # as for a run: a call without an answer may have been charged, and is unknown where tokens are
    cost = Decimal(0) if status is CallStatus.REFUSED else call_cost_usd(card, answer or Answer(text=""))
    return AgentCall(
        agent_id=card.id,
        agent_version=card.version,
        status=status,
        answer=answer,
        cost_usd=cost,
        latency_s=latency_s,
        error=error,
    )


def _problems(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problem for one in findings for problem in one.problems))[:MOST_PROBLEMS]


def _observation(finding: Finding) -> Observation:
    call = finding.call
    return Observation(
        kinds=finding.task.kinds,
        quality=finding.quality,
        cost_usd=None if call.cost_usd is None else float(call.cost_usd),
        latency_s=call.latency_s,
        failed=call.status is not CallStatus.OK,
    )
