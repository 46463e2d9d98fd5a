"""Runs of one mesh that go on: because a person has spoken, because nobody has in time, or because somebody asks."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from agentmesh.agents.registry import Registry
from agentmesh.errors import ConfigError
from agentmesh.events import RunStarted, fold
from agentmesh.graphs.continuing import Past, claimed, continued
from agentmesh.graphs.edge import Edge
from agentmesh.graphs.executor import LocalExecutor
from agentmesh.graphs.intake import as_task
from agentmesh.graphs.ownership import end_lost_call, held, holder_of, is_of_a_call
from agentmesh.graphs.replies import Said, is_ready, record_expired, record_of_stages, record_reply, root_of
from agentmesh.graphs.state import Services
from agentmesh.graphs.workflow.children import ChildRequest, services_for
from agentmesh.graphs.workflow.runner import WorkflowExecutor, workflow_in
from agentmesh.graphs.workflow.spec import Workflow
from agentmesh.judging.redaction import Secrets
from agentmesh.records import Run, RunStatus, Task
from agentmesh.store.at_work import AtWork
from agentmesh.store.base import TraceStore
from agentmesh.types import RunId

logger = logging.getLogger(__name__)


class Resumer:
    """Knows the runs of a mesh that wait, and goes on with stored ones.

    Args:
        executor: What executes runs.
        services: The live parts of the mesh.
        store: Where its runs are kept.
        at_work: Its lease, and who else is at work.
        registry: Its agents.
        secrets: What is hidden in tasks, ``None`` for nothing.
        tasks: The group that a run becomes a task of which goes on by itself.
        ended: What is told of each run that has ended, as it stands inside the edge.
    """

    def __init__(
        self,
        executor: LocalExecutor,
        services: Services,
        store: TraceStore,
        *,
        at_work: AtWork,
        registry: Registry,
        secrets: Secrets | None,
        tasks: asyncio.TaskGroup,
        ended: Callable[[Run], None],
    ) -> None:
        self._executor, self._services, self._store = executor, services, store
        self._at_work, self._registry, self._secrets = at_work, registry, secrets
        self._tasks, self._ended = tasks, ended
        self._edges: dict[RunId, Edge] = {}  # of runs that wait, so that what is hidden in them can be restored
        self._workflows: dict[RunId, Workflow] = {}  # of those; what of one is a callable is in no store
        self._timers: dict[tuple[RunId, float], asyncio.TimerHandle] = {}

    def settle(self, run: Run, edge: Edge, workflow: Workflow | None = None) -> Run:
        """Take note of how a run stands that was just executed, and return it as its caller gets it."""
        if run.status is RunStatus.WAITING:
            self._edges[run.id] = edge
            if workflow is not None:
                self._workflows[run.id] = workflow
            for due in sorted({request.expires_at for request in run.waiting_for if request.expires_at is not None}):
                self._set_timer(run.id, due)
        else:
            self._edges.pop(run.id, None)
            self._workflows.pop(run.id, None)
            self._ended(run)
        return edge.run(run)

    async def answer(self, run_id: RunId, said: Said) -> Run:
        """Write down what a person said to a waiting run, and go on with it when it waits for nobody else.

        Raises:
            RunNotFoundError: no such run is stored.
            ConfigError: the run does not wait for this, or an edit cannot be used.
            StoreError: the trace cannot be read or written.
        """
        started = await self._started(run_id)
        root = root_of(started)
        edge = self._edge(started if root == run_id else await self._started(root))
        text = None if said.text is None else edge.hidden(said.text)
        said = replace(said, text=text, note=edge.hidden(said.note))
        reason = f"{said.verdict} by {said.by or 'a person'}"
        if started.workflow or root != run_id:
            await asyncio.to_thread(record_of_stages, self._store, run_id, said, now=self._services.clock.now())
            run = await self._resume_stages(root, edge, reason=reason, answered=True)
            return run if root == run_id else edge.run(await asyncio.to_thread(self._store.run, run_id))
        async with self._executor.turn(run_id):
            if await asyncio.to_thread(record_reply, self._store, run_id, said, now=self._services.clock.now()):
                return await self._go_on(run_id, edge, reason)
            return await self._as_stored(run_id, edge)

    async def resume(self, run_id: RunId, task: str | Task | None = None, workflow: Workflow | None = None) -> Run:
        """Go on with a stored run; one that has ended, or waits for a person, is returned as it is.

        Args:
            run_id: The run.
            task: Its task as it was given, so that what was hidden in it can be restored.
            workflow: What the run is of, where the store does not hold all of it.

        Raises:
            RunNotFoundError: no such run is stored.
            ConfigError: the task or the workflow is another one, or the mesh cannot go on with the run.
            StoreError: somebody else is at work on the run, or the trace cannot be read or written.
        """
        return await self._resume(run_id, task, workflow)

    def close(self) -> None:
        """Let runs that wait rest."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _resume(
        self, run_id: RunId, task: str | Task | None, workflow: Workflow | None = None, *, at_least: float = 0.0
    ) -> Run:
        """Go on with a run; it is ``at_least`` so late, whatever the clock says: the loop waits by another one."""
        started = await self._started(run_id)
        edge = self._edge(started, task)
        if started.workflow:
            return await self._resume_stages(run_id, edge, workflow, at_least=at_least)
        if workflow is not None:
            raise ConfigError(f"run {run_id!r} is of no workflow; resume it without one")
        if root_of(started) != run_id:
            return await self._resume_whole(run_id, root_of(started), edge)
        async with self._executor.turn(run_id):
            now = max(self._services.clock.now(), at_least)
            events = await asyncio.to_thread(self._store.events, run_id)
            holder = await holder_of(events, self._at_work)
            if holder is not None:
                raise held(events, holder, now=now)
            if is_of_a_call(events) and not fold(events).status.has_ended:
                await asyncio.to_thread(end_lost_call, self._store, events, now=now)
            if await asyncio.to_thread(record_expired, self._store, run_id, now=now):
                return await self._go_on(run_id, edge, "asked to")
            return await self._as_stored(run_id, edge)

    async def _resume_whole(self, run_id: RunId, root: RunId, edge: Edge) -> Run:
        """Go on with the workflow that a run is a stage of, and return the stage's run; one that has ended stays so."""
        if not (await asyncio.to_thread(self._store.run, run_id)).status.has_ended:
            await self._resume(root, None)
        return await self._as_stored(run_id, edge)

    async def _started(self, run_id: RunId) -> RunStarted:
        """Return how a run began; one that is under way here is waited for, since its events may not be stored yet."""
        async with self._executor.turn(run_id):
            return Past.of(await asyncio.to_thread(self._store.events, run_id)).started

    async def _resume_stages(
        self,
        run_id: RunId,
        edge: Edge,
        workflow: Workflow | None = None,
        *,
        reason: str = "asked to",
        at_least: float = 0.0,
        answered: bool = False,
    ) -> Run:
        """Go on with a run of a workflow, and with those of its stages that wait for nobody any more.

        One that was ``answered`` while another process is at work on it is left to that.
        """
        store = self._store
        async with self._executor.turn(run_id):
            events = await asyncio.to_thread(store.events, run_id)
            past, now = Past.of(events), max(self._services.clock.now(), at_least)
            if not await asyncio.to_thread(is_ready, store, events, now):
                return await self._as_stored(run_id, edge)
            holder = await holder_of(events, self._at_work)
            if holder is not None and not answered:
                raise held(events, holder, now=now)
            if holder is not None:
                return await self._as_stored(run_id, edge)
            given = workflow or self._workflows.get(run_id)
            known = await asyncio.to_thread(workflow_in, store, events) if given is None else given
            executor = WorkflowExecutor(known, self._executor, store)
            executor.check(past)
            past = await asyncio.to_thread(claimed, store, past, now=now, reason=reason, owner=self._at_work.owner)
            return self.settle(await executor.resume(past, partial(self._go_on_stage, at_least)), edge, known)

    async def _go_on_stage(self, at_least: float, request: ChildRequest, run: Run) -> Run:
        """Go on with the run of a stage; one that still waits is returned as it stands."""
        store, now = self._store, max(self._services.clock.now(), at_least)
        async with self._executor.turn(run.id):
            if not await asyncio.to_thread(record_expired, store, run.id, now=now):
                return await asyncio.to_thread(store.run, run.id)
            return await self._executed(run.id, services_for(request.stage, self._services), "its workflow goes on")

    async def _go_on(self, run_id: RunId, edge: Edge, reason: str) -> Run:
        return self.settle(await self._executed(run_id, self._services, reason), edge)

    async def _executed(self, run_id: RunId, live: Services, reason: str) -> Run:
        store, now = self._store, self._services.clock.now()
        past = Past.of(await asyncio.to_thread(store.events, run_id))
        services = await continued(past, live, store, self._registry)
        past = await asyncio.to_thread(claimed, store, past, now=now, reason=reason, owner=self._at_work.owner)
        return await self._executor.using(services).resume(past)

    async def _as_stored(self, run_id: RunId, edge: Edge) -> Run:
        run = await asyncio.to_thread(self._store.run, run_id)
        if run.status.has_ended:
            self._edges.pop(run_id, None)
        return edge.run(run)

    def _edge(self, started: RunStarted, given: str | Task | None = None) -> Edge:
        """Return the edge of a stored run: the one that is known here, or one that is made of the task anew."""
        run_id = started.run_id
        if given is None:
            return self._edges.get(run_id) or Edge(self._secrets, started.task, run_id)
        edge = Edge(self._secrets, as_task(given), run_id)
        if edge.task != started.task:
            raise ConfigError(f"the task given is not that of run {run_id!r}; give it as it was given then, or none")
        return edge

    def _set_timer(self, run_id: RunId, due: float) -> None:
        left = max(due - self._services.clock.now(), 0.0)
        timer = asyncio.get_running_loop().call_later(left, self._time_is_up, run_id, due)
        self._timers[run_id, due] = timer

    def _time_is_up(self, run_id: RunId, due: float) -> None:
        del self._timers[run_id, due]
        self._tasks.create_task(self._take_up(run_id, due))

    async def _take_up(self, run_id: RunId, due: float) -> None:
        """Go on with a run that nobody has approved in time."""
        try:
            await self._resume(run_id, None, at_least=due)
        except Exception as error:  # nobody awaits this task: raised, it would end the mesh's other ones with it
            logger.error("run %r cannot go on by itself", run_id, exc_info=self._store.traced(error))
