"""Runs one task from end to end in this process."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from agentmesh.errors import AgentMeshError
from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
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
from agentmesh.graphs.log import EventWriter, RunLog, named
from agentmesh.graphs.place import ALONE, Place
from agentmesh.graphs.state import RunContext, RunState, Services
from agentmesh.protocols import EventSink
from agentmesh.records import CallStatus, Limits, Run, RunStatus, Task
from agentmesh.types import RunId


class LocalExecutor:
    """Takes a task through decide, dispatch and refine, and returns when its trace is committed."""

    def __init__(self, services: Services, writer: EventWriter) -> None:
        """Use the live parts of one mesh and its way to the store."""
        self._services = services
        self._writer = writer

    async def submit(
        self,
        task: Task,
        *,
        run_id: RunId,
        limits: Limits,
        listeners: Sequence[EventSink] = (),
        place: Place = ALONE,
    ) -> Run:
        """Execute one run.

        Failing agents, an empty budget and abstention end in the ``Run`` that is returned. What the caller has to
        mend is recorded in the trace and raised.

        Raises:
            RoutingError: nobody passes the gates, or the router returned no decision.
            LlmError: the embedder's endpoint failed.
            StoreError: the trace cannot be written.
            Exception: whatever a router or an embedder of the user's raised.
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
            place=place,
        )
        pool = await services.pools.current()
        await services.pools.keep(pool)  # a run that fails to decide names its registry too
        self._start(task, context, pool.registry_version)
        try:
            state: RunState = await compile_workflow().ainvoke({"task": task}, context=context)  # type: ignore[assignment]
        except RunPaused:
            return fold(log.events)
        except asyncio.CancelledError:
            log.post(RunFinished, **self._ending(log, begun, RunStatus.CANCELLED, error="cancelled"))
            raise
        except Exception as error:  # the node boundary: recorded, and raised again
            text = str(error) if isinstance(error, AgentMeshError) else named(error)  # ours say all by themselves
            await log.commit(RunFinished, **self._ending(log, begun, RunStatus.FAILED, error=text))
            raise
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
            parent=context.place.parent,
            stage=context.place.stage,
            layer=context.place.layer,
            previous=context.place.previous,
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
    if calls and all(call.status is CallStatus.REFUSED for call in calls):
        return RunStatus.OVER_BUDGET, None, "; ".join(dict.fromkeys(call.error or "" for call in calls))
    failed = [f"{call.agent_id}: {call.error}" for call in calls if call.error is not None]
    note = refined.note if refined is not None else ""
    return RunStatus.FAILED, None, "; ".join(failed) or note or "no agent gave an answer"
