"""Runs a workflow from end to end: its own trace, the limits of the whole, and the runs of its stages inside it."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from agentmesh.errors import ConfigError, RunNotFoundError
from agentmesh.events import AnswerRefined, Event, RunStarted, StageFinished, StageStarted
from agentmesh.graphs import engine
from agentmesh.graphs.admission import RunPaused
from agentmesh.graphs.continuing import Past
from agentmesh.graphs.executor import Conclusion, LocalExecutor, RunRequest
from agentmesh.graphs.place import ALONE, Place
from agentmesh.graphs.scope import entered
from agentmesh.graphs.state import RunContext
from agentmesh.graphs.team import TEAM
from agentmesh.graphs.workflow.children import Children, GoOn, LiveChildren, ResumedChildren
from agentmesh.graphs.workflow.spec import WORKFLOW, Workflow, workflow_of
from agentmesh.graphs.workflow.stage_task import StageEnd
from agentmesh.graphs.workflow.walk import Walk, WalkState
from agentmesh.protocols import EventSink
from agentmesh.records import Limits, Run, RunStatus, Task
from agentmesh.store.base import TraceStore
from agentmesh.types import RunId


@dataclass(frozen=True, slots=True)
class WorkflowExecutor:
    """Takes a task through the stages of a workflow, each a run of its own, and returns when all is committed."""

    workflow: Workflow
    executor: LocalExecutor
    store: TraceStore

    async def submit(self, task: Task, *, run_id: RunId, limits: Limits, listeners: Sequence[EventSink] = ()) -> Run:
        """Execute one run of the workflow.

        Stages that fail, an empty budget and abstention end in the ``Run`` that is returned.

        Raises:
            StoreError: the trace cannot be written.
        """
        await asyncio.to_thread(keep_workflow, self.workflow, self.store)
        heard = tuple(listeners)
        way = StagesWay(self.workflow, LiveChildren(self.executor, self.store, heard))
        place = replace(ALONE, workflow=self.workflow.fingerprint)
        return await self.executor.execute(task, RunRequest(run_id, limits, heard, place, way))

    def check(self, past: Past) -> None:
        """See that a run is one of this workflow.

        Raises:
            ConfigError: it is a run of another workflow, or of none.
        """
        started = past.started
        if started.workflow != self.workflow.fingerprint:
            raise ConfigError(f"run {started.run_id!r} is not one of the workflow {self.workflow.fingerprint!r}")

    async def resume(self, past: Past, go_on: GoOn) -> Run:
        """Go on with a run of the workflow from where its trace ends: stages that have ended are not done again.

        Args:
            past: What it has behind it. Who goes on with it has claimed it, and has its turn.
            go_on: Goes on with the run of a stage that has not ended.

        Raises:
            StoreError: the trace cannot be written.
        """
        started, begun = past.started, [event.child for event in past.events if isinstance(event, StageStarted)]
        runs = await asyncio.to_thread(_stored, self.store, begun)
        way = StagesWay(self.workflow, ResumedChildren(runs, LiveChildren(self.executor, self.store), go_on))
        request = RunRequest(started.run_id, started.limits, place=Place.of(started), way=way, past=past)
        return await self.executor.execute(started.task, request)

    def cancel(self, run_id: RunId) -> bool:
        """Cancel a run that is under way here, its stages too; return whether there is such a run."""
        return self.executor.cancel(run_id)


def keep_workflow(workflow: Workflow, store: TraceStore) -> None:
    """Store a workflow and its teams, so that a trace may name them."""
    store.put_router(WORKFLOW, workflow.fingerprint, workflow.as_json())
    for team in (stage.team for stage in workflow.stages if stage.team is not None):
        store.put_router(TEAM, team.fingerprint, team.model_dump_json())


def workflow_in(store: TraceStore, events: Sequence[Event]) -> Workflow:
    """Return the workflow that a stored run is of.

    Raises:
        ConfigError: the run is of none, or its workflow is not stored whole.
    """
    started = events[0]
    named = started.workflow if isinstance(started, RunStarted) else ""
    stored = store.router_parameters(WORKFLOW, named) if named else None
    if stored is None:
        raise ConfigError(f"run {started.run_id!r} is of no workflow that is stored (it names {named!r})")
    return workflow_of(stored)


def _stored(store: TraceStore, run_ids: Sequence[RunId]) -> dict[RunId, Run]:
    """Return those of the runs that are stored: one that failed before it had begun is not."""
    found: dict[RunId, Run] = {}
    for run_id in run_ids:
        with suppress(RunNotFoundError):
            found[run_id] = store.run(run_id)
    return found


@dataclass(frozen=True, slots=True)
class StagesWay:
    """Takes a run through the stages of a workflow."""

    workflow: Workflow
    children: Children

    async def __call__(self, task: Task, context: RunContext) -> Conclusion:
        """Walk to the end, and say how the whole ended.

        Raises:
            RunPaused: a stage waits for a person.
            StoreError: the trace cannot be written.
        """
        log, scope = context.log, context.scope
        for event in log.events:  # of a run that goes on; the runs of stages that have not ended count themselves in
            scope.budget.charge(event.cost_usd if isinstance(event, StageFinished) else None)
        walk = Walk(self.workflow, task, context.limits, log, self.children, scope.left_s)
        try:
            with entered(scope):
                return await concluded(walk)
        except BaseException:
            await walk.called_off()
            raise


async def concluded(walk: Walk) -> Conclusion:
    """Walk to the end, record what the answer was made of, and say how the whole ended.

    Raises:
        RunPaused: a stage waits for a person.
        StoreError: the trace cannot be written.
    """
    state: WalkState = {"past": (), "parts": (), "items": {}}
    graph, bound = engine.compiled(walk.workflow), engine.most_steps(walk.workflow)
    done: WalkState = await graph.ainvoke(state, {"recursion_limit": bound}, context=walk)  # type: ignore[assignment]
    ends = {end.stage: end for end in done["past"]}
    if any(end.waits for end in ends.values()):
        await walk.rest()
        raise RunPaused
    stopper, output = walk.stopper(ends), ends[walk.workflow.output]
    if stopper is not None and stopper.status is not None:
        return stopper.status, None, f"stage {stopper.stage!r}: {stopper.reason or stopper.status}"
    if not output.given:
        return _without_answer(ends, output)
    _post_answer(walk, output)
    return RunStatus.COMPLETED, output.answer, None


def _without_answer(ends: Mapping[str, StageEnd], output: StageEnd) -> Conclusion:
    """Return how a workflow ended in which nothing went wrong that may not, and whose output has no answer."""
    bad = next((end for end in ends.values() if end.failed), None)
    status = RunStatus.ABSTAINED if bad is None or bad.status is None else bad.status
    return status, None, f"stage {output.stage!r} gave no answer: {output.reason or output.status}"


def _post_answer(walk: Walk, output: StageEnd) -> None:
    log, names = walk.log, walk.workflow.order.names
    agents = dict.fromkeys(one.agent_id for one in output.given if one.agent_id is not None)
    rests_on = [run_id for name in names for run_id in output.rests_on.get(name, ())]
    log.post(AnswerRefined, refiner=WORKFLOW, answer=output.answer, answered_by=tuple(agents), rests_on=tuple(rests_on))
