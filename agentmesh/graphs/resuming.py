"""Runs of one mesh that go on: because a person has spoken, because nobody has in time, or because somebody asks."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from agentmesh.agents.registry import Registry
from agentmesh.errors import ConfigError
from agentmesh.events import fold
from agentmesh.graphs.continuing import Past, claimed, continued
from agentmesh.graphs.edge import Edge
from agentmesh.graphs.executor import LocalExecutor
from agentmesh.graphs.intake import as_task
from agentmesh.graphs.replies import Said, record_expired, record_reply
from agentmesh.graphs.state import Services
from agentmesh.judging.redaction import Secrets
from agentmesh.records import Run, RunStatus, Task
from agentmesh.store.base import TraceStore
from agentmesh.types import RunId

logger = logging.getLogger(__name__)


class Resumer:
    """Knows the runs of a mesh that wait, and goes on with stored ones.

    Args:
        executor: What executes runs.
        services: The live parts of the mesh.
        store: Where its runs are kept.
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
        registry: Registry,
        secrets: Secrets | None,
        tasks: asyncio.TaskGroup,
        ended: Callable[[Run], None],
    ) -> None:
        self._executor, self._services, self._store = executor, services, store
        self._registry, self._secrets = registry, secrets
        self._tasks, self._ended = tasks, ended
        self._edges: dict[RunId, Edge] = {}  # of runs that wait, so that what is hidden in them can be restored
        self._timers: dict[tuple[RunId, float], asyncio.TimerHandle] = {}

    def settle(self, run: Run, edge: Edge) -> Run:
        """Take note of how a run stands that was just executed, and return it as its caller gets it."""
        if run.status is RunStatus.WAITING:
            self._edges[run.id] = edge
            for due in sorted({request.expires_at for request in run.waiting_for if request.expires_at is not None}):
                self._set_timer(run.id, due)
        else:
            self._edges.pop(run.id, None)
            self._ended(run)
        return edge.run(run)

    async def answer(self, run_id: RunId, said: Said) -> Run:
        """Write down what a person said to a waiting run, and go on with it when it waits for nobody else.

        Raises:
            RunNotFoundError: no such run is stored.
            ConfigError: the run does not wait for this, or an edit cannot be used.
            StoreError: the trace cannot be read or written.
        """
        async with self._executor.turn(run_id):
            edge = await self._edge(run_id)
            text = None if said.text is None else edge.hidden(said.text)
            said = replace(said, text=text, note=edge.hidden(said.note))
            if await asyncio.to_thread(record_reply, self._store, run_id, said, now=self._services.clock.now()):
                return await self._go_on(run_id, edge, f"{said.verdict} by {said.by or 'a person'}")
            return await self._as_stored(run_id, edge)

    async def resume(self, run_id: RunId, task: str | Task | None = None) -> Run:
        """Go on with a stored run; one that has ended, or waits for a person, is returned as it is.

        Args:
            run_id: The run.
            task: Its task as it was given, so that what was hidden in it can be restored.

        Raises:
            RunNotFoundError: no such run is stored.
            ConfigError: the task is another one, or the mesh cannot go on with the run.
            StoreError: somebody else goes on with the run, or the trace cannot be read or written.
        """
        return await self._resume(run_id, task)

    def close(self) -> None:
        """Let runs that wait rest."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _resume(self, run_id: RunId, task: str | Task | None, *, at_least: float = 0.0) -> Run:
        """Go on with a run; it is ``at_least`` so late, whatever the clock says: the loop waits by another one."""
        async with self._executor.turn(run_id):
            edge, now = await self._edge(run_id, task), max(self._services.clock.now(), at_least)
            if await asyncio.to_thread(record_expired, self._store, run_id, now=now):
                return await self._go_on(run_id, edge, "asked to")
            return await self._as_stored(run_id, edge)

    async def _go_on(self, run_id: RunId, edge: Edge, reason: str) -> Run:
        store, clock = self._store, self._services.clock
        past = Past.of(await asyncio.to_thread(store.events, run_id))
        services = await continued(past, self._services, store, self._registry)
        past = await asyncio.to_thread(claimed, store, past, now=clock.now(), reason=reason)
        return self.settle(await self._executor.resume(past, services), edge)

    async def _as_stored(self, run_id: RunId, edge: Edge) -> Run:
        run = await asyncio.to_thread(self._store.run, run_id)
        if run.status.has_ended:
            self._edges.pop(run_id, None)
        return edge.run(run)

    async def _edge(self, run_id: RunId, given: str | Task | None = None) -> Edge:
        """Return the edge of a stored run: the one that is known here, or one that is made of the task anew."""
        if given is None and run_id in self._edges:
            return self._edges[run_id]
        stored = fold(await asyncio.to_thread(self._store.events, run_id)).task
        if given is None:
            return Edge(self._secrets, stored, run_id)
        edge = Edge(self._secrets, as_task(given), run_id)
        if edge.task != stored:
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
        except Exception:  # the worker boundary: raised, it would end all other runs of the mesh
            logger.exception("run %r cannot go on by itself", run_id)
