"""Runs a workflow from end to end: its own trace, the limits of the whole, and the runs of its stages inside it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from agentmesh.events import AnswerRefined, RunFinished, RunStarted, StageFinished, fold
from agentmesh.graphs.log import EventWriter, RunLog
from agentmesh.graphs.state import Services
from agentmesh.graphs.team import TEAM
from agentmesh.graphs.workflow.children import LiveChildren
from agentmesh.graphs.workflow.graph import compiled, most_steps
from agentmesh.graphs.workflow.spec import WORKFLOW, Workflow
from agentmesh.graphs.workflow.stage_task import StageEnd, told
from agentmesh.graphs.workflow.walk import Walk, WalkState
from agentmesh.protocols import EventSink
from agentmesh.records import Limits, Run, RunStatus, Task
from agentmesh.store.base import TraceStore
from agentmesh.types import RunId


@dataclass(frozen=True, slots=True)
class WorkflowExecutor:
    """Takes a task through the stages of a workflow, each a run of its own, and returns when all is committed."""

    workflow: Workflow
    services: Services
    writer: EventWriter
    store: TraceStore

    async def submit(self, task: Task, *, run_id: RunId, limits: Limits, listeners: Sequence[EventSink] = ()) -> Run:
        """Execute one run of the workflow.

        Stages that fail, an empty budget and abstention end in the ``Run`` that is returned.

        Raises:
            StoreError: the trace cannot be written.
        """
        await asyncio.to_thread(self._keep)
        log = RunLog(run_id, writer=self.writer, clock=self.services.clock, listeners=listeners)
        pool = await self.services.pools.current()
        await self.services.pools.keep(pool)
        self._start(task, limits, log, pool.registry_version)
        children = LiveChildren(self.services, self.writer, self.store, listeners)
        return await concluded(Walk(self.workflow, task, limits, log, children), self.services)

    def _keep(self) -> None:
        """Store the workflow and its teams, so that a trace may name them."""
        self.store.put_router(WORKFLOW, self.workflow.fingerprint, self.workflow.as_json())
        for team in (stage.team for stage in self.workflow.stages if stage.team is not None):
            self.store.put_router(TEAM, team.fingerprint, team.model_dump_json())

    def _start(self, task: Task, limits: Limits, log: RunLog, registry_version: str) -> None:
        services = self.services
        log.post(
            RunStarted,
            task=task,
            limits=limits,
            registry_version=registry_version,
            embedder=services.embedder.version,
            router=services.router.name,
            mesh_seed=services.mesh_seed,
            explore=services.explore,
            fallback=services.fallback,
            team="" if services.team is None else services.team.fingerprint,
            workflow=self.workflow.fingerprint,
        )


async def concluded(walk: Walk, services: Services) -> Run:
    """Walk to the end and record how the whole ended; a walk that waits for a person is not over."""
    log, begun = walk.log, services.clock.monotonic()

    def ending(status: RunStatus, *, answer: str | None = None, error: str | None = None) -> dict[str, Any]:
        elapsed_s = max(services.clock.monotonic() - begun, 0.0)
        return {"status": status, "answer": answer, "cost_usd": _spent(log), "elapsed_s": elapsed_s, "error": error}

    try:
        past = await walked(walk)
    except asyncio.CancelledError:
        await walk.called_off()
        log.post(RunFinished, **ending(RunStatus.CANCELLED, error="cancelled"))
        raise
    except Exception as error:  # the node boundary: recorded, and raised again
        await walk.called_off()
        await log.commit(RunFinished, **ending(RunStatus.FAILED, error=told(error)))
        raise
    ends = {end.stage: end for end in past}
    if not any(end.waits for end in ends.values()):
        status, output, error_text = conclusion(walk, ends)
        if output is not None:
            _post_answer(log, output)
        answer = None if output is None else output.answer
        await log.commit(RunFinished, **ending(status, answer=answer, error=error_text))
    return fold(log.events)


async def walked(walk: Walk) -> tuple[StageEnd, ...]:
    """Run the graph and return how all stages ended, in order."""
    state: WalkState = {"past": (), "parts": (), "items": {}}
    graph, bound = compiled(walk.workflow), most_steps(walk.workflow)
    done: WalkState = await graph.ainvoke(state, {"recursion_limit": bound}, context=walk)  # type: ignore[assignment]
    return done["past"]


def conclusion(walk: Walk, ends: Mapping[str, StageEnd]) -> tuple[RunStatus, StageEnd | None, str | None]:
    """Return how a workflow ended: its status, the stage whose answer is its own, and why there is none."""
    stopper, output = walk.stopper(ends), ends[walk.workflow.output]
    if stopper is not None and stopper.status is not None:
        return stopper.status, None, f"stage {stopper.stage!r}: {stopper.reason or stopper.status}"
    if output.given:
        return RunStatus.COMPLETED, output, None
    bad = next((end for end in ends.values() if end.failed), None)
    status = RunStatus.ABSTAINED if bad is None or bad.status is None else bad.status
    return status, None, f"stage {output.stage!r} gave no answer: {output.reason or output.status}"


def _post_answer(log: RunLog, output: StageEnd) -> None:
    agents = dict.fromkeys(one.agent_id for one in output.given if one.agent_id is not None)
    rests_on = dict.fromkeys(run_id for run_ids in output.rests_on.values() for run_id in run_ids)
    log.post(AnswerRefined, refiner=WORKFLOW, answer=output.answer, answered_by=tuple(agents), rests_on=tuple(rests_on))


def _spent(log: RunLog) -> Decimal | None:
    """Add up what the stages cost; ``None`` as soon as one is unknown."""
    total: Decimal | None = Decimal(0)
    for event in log.events:
        if isinstance(event, StageFinished):
            total = None if total is None or event.cost_usd is None else total + event.cost_usd
    return total
