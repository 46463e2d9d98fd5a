"""Runs one task from end to end in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from agentmesh.errors import AgentMeshError
from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    ApprovalGiven,
    BaseEvent,
    CallFinished,
    DecisionMade,
    Event,
    RunFinished,
    RunStarted,
    StageFinished,
    fold,
    total_cost,
)
from agentmesh.graphs import engine
from agentmesh.graphs.admission import RunPaused
from agentmesh.graphs.continuing import Past
from agentmesh.graphs.log import EventWriter, RunLog, named
from agentmesh.graphs.place import ALONE, Place
from agentmesh.graphs.scope import RunScope, begin_scope, current_scope
from agentmesh.graphs.state import RunContext, RunState, Services
from agentmesh.graphs.under_way import UnderWay
from agentmesh.protocols import EventSink
from agentmesh.records import CallStatus, Limits, Run, RunStatus, Task
from agentmesh.types import AgentId, RunId

Conclusion: TypeAlias = tuple[RunStatus, str | None, str | None]
"""How a run ended: its status, its answer, and why there is none."""

Way: TypeAlias = Callable[[Task, RunContext], Awaitable[Conclusion]]
"""Takes a run from its task to its end; raises ``RunPaused`` where it has to wait for a person."""


async def through_agents(task: Task, context: RunContext) -> Conclusion:
    """Take a run through decide, dispatch and refine."""
    await context.services.turns.enter(context.entry, left_s=context.scope.left_s())
    try:
        graph = engine.compile_workflow()
        state: RunState = await graph.ainvoke({"task": task}, context=context)  # type: ignore[assignment]
    finally:
        context.entry.leave()
    return _conclusion(state, context.log.events)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run that is to be executed: its name, its limits, who hears of it, where it stands and what it goes through.

    ``past`` is what a run that goes on has behind it. Who goes on with it has claimed it, and has its turn.
    """

    run_id: RunId
    limits: Limits
    listeners: tuple[EventSink, ...] = ()
    place: Place = ALONE
    way: Way = through_agents
    past: Past | None = None


class LocalExecutor:
    """Takes a task through decide, dispatch and refine, and returns when its trace is committed."""

    def __init__(self, services: Services, writer: EventWriter, *, listeners: Sequence[EventSink] = ()) -> None:
        """Use the live parts of one mesh and its way to the store; ``listeners`` are told of all runs."""
        self._services = services
        self._writer = writer
        self._listeners = tuple(listeners)
        self._under_way = UnderWay()
        self._turns: WeakValueDictionary[RunId, asyncio.Lock] = WeakValueDictionary()

    def turn(self, run_id: RunId) -> asyncio.Lock:
        """Return what is held by whoever executes a run, or speaks to it, in this process: one at a time."""
        return self._turns.setdefault(run_id, asyncio.Lock())

    @property
    def services(self) -> Services:
        """Return the live parts."""
        return self._services

    def using(self, services: Services) -> "LocalExecutor":
        """Return an executor with other live parts that knows of the same runs as this one."""
        other = copy(self)
        other._services = services
        return other

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
        return await self.execute(task, RunRequest(run_id, limits, tuple(listeners)))

    async def resume(self, past: Past) -> Run:
        """Go on with a stored run from where its log ends. Who does has claimed it, and has its turn.

        Raises:
            RoutingError, LlmError, StoreError, Exception: as for :meth:`submit`.
        """
        started = past.started
        return await self.execute(
            started.task, RunRequest(started.run_id, started.limits, place=Place.of(started), past=past)
        )

    async def execute(self, task: Task, request: RunRequest) -> Run:
        """Execute one run, wherever it stands and whatever it goes through, or go on with it.

        Raises:
            Exception: as for :meth:`submit`.
        """
        past = request.past
        async with _part_of_outer(request.listeners) as (outer, heard):
            context = self._context(request, outer, heard)
            if past is not None:
                for listener in self._listeners:
                    for event in past.unheard:
                        listener(event)
                return await self._execute(task, context, request.way, active_s=past.active_s)
            async with self.turn(request.run_id):
                await self._start(task, context)
                return await self._execute(task, context, request.way)

    def tell(self, events: Sequence[Event]) -> None:
        """Tell those who are told of all runs of events that are stored already, as a fork's are that it took over."""
        for event in events:
            for listener in self._listeners:
                listener(event)

    def cancel(self, run_id: RunId) -> bool:
        """Cancel a run that is under way here, with all that it started; return whether there is such a run."""
        return self._under_way.call_off(run_id)

    async def aclose(self) -> None:
        """Cancel the runs that are still under way, and wait a little until their traces are told."""
        await self._under_way.aclose()

    def _context(self, request: RunRequest, outer: RunScope | None, heard: Sequence[EventSink]) -> RunContext:
        services, past, run_id = self._services, request.past, request.run_id
        before, active_s = ((), 0.0) if past is None else (past.events, past.active_s)
        told = (*self._listeners, *heard)
        log = RunLog(run_id, writer=self._writer, clock=services.clock, listeners=told, before=before)
        scope = begin_scope(run_id, request.limits, services.clock, outer, active_s=active_s)
        return RunContext(
            services=services,
            log=log,
            limits=request.limits,
            max_agents=request.limits.max_agents or 1,
            deadline=scope.deadline,
            scope=scope,
            place=request.place,
        )

    async def _execute(self, task: Task, context: RunContext, way: Way, *, active_s: float = 0.0) -> Run:
        scope, begun = context.scope, context.services.clock.monotonic() - active_s
        try:
            with self._under_way.counted(scope.run_id):
                return await self._cancellable(task, context, begun, way)
        finally:
            if scope.outer is not None:
                scope.outer.inner.add(_spent(context.log.own(BaseEvent)))

    async def _cancellable(self, task: Task, context: RunContext, begun: float, way: Way) -> Run:
        """Take a run its way; one that is cancelled is told so, whoever cancelled it."""
        log = context.log
        try:
            return await self._through(task, context, begun, way)
        except asyncio.CancelledError:
            if not isinstance(log.events[-1], RunFinished):
                log.post(RunFinished, **self._ending(log, begun, RunStatus.CANCELLED, error="cancelled"))
            if not self._under_way.was_called_off(log.run_id):
                raise
            await self._writer.write(())  # whoever gets a run back finds it in the store
            return fold(log.events)

    async def _through(self, task: Task, context: RunContext, begun: float, way: Way) -> Run:
        log = context.log
        try:
            status, answer, error_text = await way(task, context)
        except RunPaused:
            return fold(log.events)
        except Exception as error:  # the node boundary: recorded, and raised again
            text = str(error) if isinstance(error, AgentMeshError) else named(error)  # ours say all by themselves
            await log.commit(RunFinished, **self._ending(log, begun, RunStatus.FAILED, error=text))
            raise
        await log.commit(RunFinished, **self._ending(log, begun, status, answer=answer, error=error_text))
        return fold(log.events)

    async def _start(self, task: Task, context: RunContext) -> None:
        services, log, place = self._services, context.log, context.place
        pool = await services.pools.current()
        await services.pools.keep(pool)  # a run that fails to decide names its registry too
        log.post(
            RunStarted,
            task=task,
            limits=context.limits,
            registry_version=pool.registry_version,
            embedder=services.embedder.version,
            router=services.router.name,
            mesh_seed=services.mesh_seed,
            explore=services.explore,
            fallback=services.fallback,
            team="" if services.team is None else services.team.fingerprint,
            parent=place.parent if context.scope.outer is None else context.scope.outer.run_id,
            stage=place.stage,
            layer=place.layer,
            previous=place.previous,
            workflow=place.workflow,
            owner=services.owner,
            **_forked(place),
        )

    def _ending(
        self, log: RunLog, begun: float, status: RunStatus, *, answer: str | None = None, error: str | None = None
    ) -> dict[str, Any]:
        """Return the fields of the event that ends a run."""
        elapsed_s = max(self._services.clock.monotonic() - begun, 0.0)
        return {
            "status": status,
            "answer": answer,
            "cost_usd": _spent(log.own(BaseEvent)),
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


def _forked(place: Place) -> dict[str, Any]:
    """Return the fields of the event that begins a run which say where it was forked."""
    fork = place.fork
    return {} if fork is None else {"forked": fork.run_id, "forked_at": fork.at, "changed": fork.changed}


class _Sign:
    """Takes each event of a run as a sign of life of the call that started it."""

    def __init__(self, sign: Callable[[], None]) -> None:
        self._sign = sign

    def __call__(self, event: Event) -> None:  # noqa: ARG002 - that it came is enough
        self._sign()


def _spent(events: Sequence[BaseEvent]) -> Decimal | None:
    """Add up what reasoning, calls, checks, stages and refining cost; ``None`` as soon as one is unknown."""
    total = total_cost([event.call for event in events if isinstance(event, CallFinished)])
    beside = [event.cost_usd for event in events if isinstance(event, AnswerRefined | AnswerChecked | StageFinished)]
    reasonings = [event.decision.reasoning for event in events if isinstance(event, DecisionMade)]
    beside += [reasoning.cost_usd for reasoning in reasonings if reasoning is not None]
    for cost_usd in beside:
        total = None if total is None or cost_usd is None else total + cost_usd
    return total


def _conclusion(state: RunState, events: Sequence[Event]) -> Conclusion:
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
