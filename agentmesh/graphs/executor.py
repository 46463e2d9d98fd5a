"""Runs one task from end to end in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from weakref import WeakValueDictionary

from agentmesh.errors import AgentMeshError
from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    ApprovalGiven,
    CallFinished,
    DecisionMade,
    Event,
    RunFinished,
    RunStarted,
    StageFinished,
    fold,
    total_cost,
)
from agentmesh.graphs.admission import RunPaused
from agentmesh.graphs.builder import compile_workflow
from agentmesh.graphs.continuing import Past
from agentmesh.graphs.log import EventWriter, RunLog, named
from agentmesh.graphs.scope import RunScope, begin_scope, current_scope
from agentmesh.graphs.state import RunContext, RunState, Services
from agentmesh.graphs.under_way import UnderWay
from agentmesh.protocols import EventSink
from agentmesh.records import CallStatus, Limits, Run, RunStatus, Task
from agentmesh.types import AgentId, RunId


class LocalExecutor:
    """Takes a task through decide, dispatch and refine, and returns when its trace is committed."""

    def __init__(self, services: Services, writer: EventWriter) -> None:
        """Use the live parts of one mesh and its way to the store."""
        self._services = services
        self._writer = writer
        self._under_way = UnderWay()
        self._turns: WeakValueDictionary[RunId, asyncio.Lock] = WeakValueDictionary()

    def turn(self, run_id: RunId) -> asyncio.Lock:
        """Return what is held by whoever executes a run, or speaks to it, in this process: one at a time."""
        return self._turns.setdefault(run_id, asyncio.Lock())

    async def submit(self, task: Task, *, run_id: RunId, limits: Limits, listeners: Sequence[EventSink] = ()) -> Run:
        """Execute one run.

        Failing agents, an empty budget, abstention and :meth:`cancel` end in the ``Run`` that is returned. What the
        caller has to mend is recorded in the trace and raised. A run that waits for a person is returned as it stands.
        A run that is started by an agent of another one is part of that: it has what is left of its limits, and ends
        with it.

        Raises:
            BudgetError: it is the ninth run inside one another, or the call that started it was given up.
            RoutingError: nobody passes the gates, or the router returned no decision.
            LlmError: the embedder's endpoint failed.
            StoreError: the trace cannot be written.
            Exception: whatever a router or an embedder of the user's raised.
        """
        services = self._services
        async with _part_of_outer(listeners) as (outer, heard), self.turn(run_id):
            log = RunLog(run_id, writer=self._writer, clock=services.clock, listeners=heard)
            begun = services.clock.monotonic()
            context = _context(services, log, limits, begin_scope(run_id, limits, services.clock, outer))
            pool = await services.pools.current()
            await services.pools.keep(pool)  # a run that fails to decide names its registry too
            self._start(task, context, pool.registry_version)
            return await self._execute(task, context, begun)

    async def resume(self, past: Past, services: Services, *, listeners: Sequence[EventSink] = ()) -> Run:
        """Go on with a stored run from where its log ends. Who does has claimed it, and has its turn.

        Args:
            past: What the run has behind it.
            services: What it goes on with.
            listeners: Who is told of what happens from here on.

        Raises:
            RoutingError, LlmError, StoreError, Exception: as for :meth:`submit`.
        """
        started, clock = past.started, services.clock
        async with _part_of_outer(listeners) as (outer, heard):
            log = RunLog(started.run_id, writer=self._writer, clock=clock, listeners=heard, before=past.events)
            scope = begin_scope(started.run_id, started.limits, clock, outer, active_s=past.active_s)
            context = _context(services, log, started.limits, scope)
            return await self._execute(started.task, context, clock.monotonic() - past.active_s)

    def cancel(self, run_id: RunId) -> bool:
        """Cancel a run that is under way here, with all that it started; return whether there is such a run."""
        return self._under_way.call_off(run_id)

    async def aclose(self) -> None:
        """Cancel the runs that are still under way, and wait a little until their traces are told."""
        await self._under_way.aclose()

    async def _execute(self, task: Task, context: RunContext, begun: float) -> Run:
        scope = context.scope
        try:
            with self._under_way.counted(scope.run_id):
                return await self._cancellable(task, context, begun)
        finally:
            if scope.outer is not None:
                scope.outer.inner.add(_spent(context.log.events))

    async def _cancellable(self, task: Task, context: RunContext, begun: float) -> Run:
        """Take a run through its nodes; one that is cancelled is told so, whoever cancelled it."""
        log = context.log
        try:
            return await self._through(task, context, begun)
        except asyncio.CancelledError:
            if not isinstance(log.events[-1], RunFinished):
                log.post(RunFinished, **self._ending(log, begun, RunStatus.CANCELLED, error="cancelled"))
            if not self._under_way.was_called_off(log.run_id):
                raise
            await self._writer.write(())  # whoever gets a run back finds it in the store
            return fold(log.events)

    async def _through(self, task: Task, context: RunContext, begun: float) -> Run:
        log = context.log
        await self._services.turns.enter(context.entry, left_s=context.scope.left_s())
        try:
            state: RunState = await compile_workflow().ainvoke({"task": task}, context=context)  # type: ignore[assignment]
        except RunPaused:
            return fold(log.events)
        except Exception as error:  # the node boundary: recorded, and raised again
            text = str(error) if isinstance(error, AgentMeshError) else named(error)  # ours say all by themselves
            await log.commit(RunFinished, **self._ending(log, begun, RunStatus.FAILED, error=text))
            raise
        finally:
            context.entry.leave()
        status, answer, error_text = _conclusion(state, log.events)
        await log.commit(RunFinished, **self._ending(log, begun, status, answer=answer, error=error_text))
        return fold(log.events)

    def _start(self, task: Task, context: RunContext, registry_version: str) -> None:
        services = self._services
        context.log.post(
            RunStarted,
            task=task,
            limits=context.limits,
            registry_version=registry_version,
            embedder=services.embedder.version,
            router=services.router.name,
            mesh_seed=services.mesh_seed,
            explore=services.explore,
            fallback=services.fallback,
            team="" if services.team is None else services.team.fingerprint,
            parent=None if context.scope.outer is None else context.scope.outer.run_id,
        )

    def _ending(
        self, log: RunLog, begun: float, status: RunStatus, *, answer: str | None = None, error: str | None = None
    ) -> dict[str, Any]:
        """Return the fields of the event that ends a run."""
        elapsed_s = max(self._services.clock.monotonic() - begun, 0.0)
        return {
            "status": status,
            "answer": answer,
            "cost_usd": _spent(log.events),
            "elapsed_s": elapsed_s,
            "error": error,
        }


@asynccontextmanager
async def _part_of_outer(
    listeners: Sequence[EventSink],
) -> AsyncIterator[tuple[RunScope | None, Sequence[EventSink]]]:
    """Make a run part of the one that it is started in, if any: yield that one's scope, and who is told of events."""
    outer = current_scope()
    if outer is None:
        yield None, listeners
        return
    async with outer.held():
        yield outer, listeners if outer.inner.sign is None else (*listeners, _Sign(outer.inner.sign))


class _Sign:
    """Takes each event of a run as a sign of life of the call that started it."""

    def __init__(self, sign: Callable[[], None]) -> None:
        self._sign = sign

    def __call__(self, event: Event) -> None:  # noqa: ARG002 - that it came is enough
        self._sign()


def _context(services: Services, log: RunLog, limits: Limits, scope: RunScope) -> RunContext:
    return RunContext(
        services=services,
        log=log,
        limits=limits,
        max_agents=limits.max_agents or 1,
        deadline=scope.deadline,
        scope=scope,
    )


def _spent(events: Sequence[Event]) -> Decimal | None:
    """Add up what reasoning, calls, checks, stages and refining cost; ``None`` as soon as one is unknown."""
    total = total_cost([event.call for event in events if isinstance(event, CallFinished)])
    beside = [event.cost_usd for event in events if isinstance(event, AnswerRefined | AnswerChecked | StageFinished)]
    reasonings = [event.decision.reasoning for event in events if isinstance(event, DecisionMade)]
    beside += [reasoning.cost_usd for reasoning in reasonings if reasoning is not None]
    for cost_usd in beside:
        total = None if total is None or cost_usd is None else total + cost_usd
    return total


def _conclusion(state: RunState, events: Sequence[Event]) -> tuple[RunStatus, str | None, str | None]:
    """Return how a run that went through all nodes ended: its status, its answer, and why there is none."""
    if state["decision"].abstained:
        return RunStatus.ABSTAINED, None, state["decision"].reason or "no agent fits"
    refined = next((event for event in reversed(events) if isinstance(event, AnswerRefined)), None)
    if refined is not None and refined.answer is not None:
        return RunStatus.COMPLETED, refined.answer, None
    calls = state["calls"]
    spoken = _spoken_against(events)
    by_limits = [call for call in calls if (call.agent_id, call.wave) not in spoken]
    if by_limits and all(call.status is CallStatus.REFUSED for call in calls):
        return RunStatus.OVER_BUDGET, None, "; ".join(dict.fromkeys(call.error or "" for call in calls))
    failed = [f"{call.agent_id}: {call.error}" for call in calls if call.error is not None]
    note = refined.note if refined is not None else ""
    return RunStatus.FAILED, None, "; ".join(filter(None, [note, *failed])) or "no agent gave an answer"


def _spoken_against(events: Sequence[Event]) -> set[tuple[AgentId, int]]:
    """Return the agent and wave of the calls that a check, or a person, kept from being made."""
    checks = [event for event in events if isinstance(event, AnswerChecked) and event.before and not event.passed]
    replies = [event.reply for event in events if isinstance(event, ApprovalGiven) and event.reply.verdict == "reject"]
    return {(one.agent_id, one.wave) for one in checks} | {(one.agent_id, one.wave) for one in replies}
