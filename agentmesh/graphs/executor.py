"""Runs one task from end to end in this process."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from agentmesh.errors import AgentMeshError
from agentmesh.events import AnswerRefined, RunFinished, RunStarted, fold, total_cost
from agentmesh.graphs.builder import compile_workflow
from agentmesh.graphs.log import EventWriter, RunLog
from agentmesh.graphs.state import RunContext, RunState, Services
from agentmesh.protocols import EventSink
from agentmesh.records import AgentCall, CallStatus, Limits, Run, RunStatus, Task
from agentmesh.types import RunId


class LocalExecutor:
    """Takes a task through decide, dispatch and refine, and returns when its trace is committed."""

    def __init__(self, services: Services, writer: EventWriter) -> None:
        """Use the live parts of one mesh and its way to the store."""
        self._services = services
        self._writer = writer

    async def submit(self, task: Task, *, run_id: RunId, limits: Limits, listeners: Sequence[EventSink] = ()) -> Run:
        """Execute one run.

        Failing agents, an empty budget and abstention end in the ``Run`` that is returned. What the caller has to
        mend is recorded in the trace and raised.

        Raises:
            RoutingError: nobody passes the gates, or the router returned no decision.
            LlmError: the embedder's endpoint failed.
            StoreError: the trace cannot be written.
        """
        services = self._services
        log = RunLog(run_id, writer=self._writer, clock=services.clock, listeners=listeners)
        begun = services.clock.monotonic()
        context = RunContext(
            services=services,
            log=log,
            limits=limits,
            max_agents=limits.max_agents or 1,
            deadline=None if limits.timeout_s is None else begun + limits.timeout_s,
        )
        self._start(task, context)
        try:
            state: RunState = await compile_workflow().ainvoke({"task": task}, context=context)  # type: ignore[assignment]
        except asyncio.CancelledError:
            log.post(RunFinished, status=RunStatus.CANCELLED, elapsed_s=self._elapsed(begun), error="cancelled")
            raise
        except AgentMeshError as error:
            await self._finish(log, begun, status=RunStatus.FAILED, error=str(error))
            raise
        await self._conclude(state, log, begun)
        return fold(log.events)

    def _start(self, task: Task, context: RunContext) -> None:
        services = self._services
        context.log.post(
            RunStarted,
            task=task,
            limits=context.limits,
            registry_version=services.pools.version,
            embedder=services.embedder.version,
            router=services.router.name,
            mesh_seed=services.mesh_seed,
            explore=services.explore,
        )

    async def _conclude(self, state: RunState, log: RunLog, begun: float) -> None:
        refined = next((event for event in reversed(log.events) if isinstance(event, AnswerRefined)), None)
        calls = state["calls"]
        cost = total_cost(calls)
        if state["decision"].abstained:
            await self._finish(log, begun, status=RunStatus.ABSTAINED, cost_usd=cost, error="no agent fits")
        elif refined is not None and refined.answer is not None:
            whole = None if cost is None or refined.cost_usd is None else cost + refined.cost_usd
            await self._finish(log, begun, status=RunStatus.COMPLETED, cost_usd=whole, answer=refined.answer)
        else:
            note = refined.note if refined is not None else ""
            status, error = _failure(calls, note)
            await self._finish(log, begun, status=status, cost_usd=cost, error=error)

    async def _finish(
        self,
        log: RunLog,
        begun: float,
        *,
        status: RunStatus,
        answer: str | None = None,
        cost_usd: Decimal | None = None,
        error: str | None = None,
    ) -> None:
        await log.commit(
            RunFinished,
            status=status,
            answer=answer,
            cost_usd=cost_usd,
            elapsed_s=self._elapsed(begun),
            error=error,
        )

    def _elapsed(self, begun: float) -> float:
        return max(self._services.clock.monotonic() - begun, 0.0)


def _failure(calls: Sequence[AgentCall], note: str) -> tuple[RunStatus, str]:
    """Say why nothing came of a run: its budget, or what each agent failed with."""
    if calls and all(call.status is CallStatus.REFUSED for call in calls):
        return RunStatus.OVER_BUDGET, "; ".join(dict.fromkeys(call.error or "" for call in calls))
    failed = [f"{call.agent_id}: {call.error}" for call in calls if call.error is not None]
    return RunStatus.FAILED, "; ".join(failed) or note or "no agent gave an answer"
