"""A stored run that goes on otherwise, as a new run: its log up to an event is taken over, and the rest is done live.

What was taken over was paid for by the run that it comes from. A fork's cost, and its limits of money, tokens, calls
and time, count only what the fork itself uses.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from agentmesh.agents.registry import Registry
from agentmesh.capture import why_not_whole
from agentmesh.errors import ConfigError
from agentmesh.events import Event, RunResumed, RunStarted, StageStarted
from agentmesh.graphs.changes import Changes
from agentmesh.graphs.continuing import Past, continued
from agentmesh.graphs.cutting import check_place
from agentmesh.graphs.edge import Edge
from agentmesh.graphs.executor import LocalExecutor, RunRequest
from agentmesh.graphs.intake import as_task, new_run_id
from agentmesh.graphs.place import Fork, Place
from agentmesh.graphs.scope import current_scope
from agentmesh.graphs.state import Services
from agentmesh.graphs.workflow.children import services_for
from agentmesh.graphs.workflow.runner import workflow_in
from agentmesh.judging.redaction import Secrets
from agentmesh.records import Run
from agentmesh.store.base import TraceStore
from agentmesh.types import RunId

Ended = Callable[[Run, Edge], Run]
"""Takes note of how a run stands, and returns it as its caller gets it."""


@dataclass(frozen=True, slots=True)
class Forker:
    """Forks the stored runs of one mesh.

    Args:
        executor: What executes runs.
        store: Where runs are kept.
        registry: The mesh's agents.
        secrets: What is hidden in texts, ``None`` for nothing.
        settle: What takes note of how a run stands.
    """

    executor: LocalExecutor
    store: TraceStore
    registry: Registry
    secrets: Secrets | None
    settle: Ended

    async def fork(self, run_id: RunId, at: int, changes: Changes, *, new_id: RunId | None = None) -> Run:
        """Run on from event ``at`` of a stored run, as a new run that begins with the events before it.

        Raises:
            RunNotFoundError: no such run is stored.
            ConfigError: it cannot be forked there, or what is to be changed does not fit.
            RoutingError, LlmError, StoreError: as for any run.
        """
        past = Past.of(await asyncio.to_thread(self.store.events, run_id))
        self._check_kind(past)
        lost = why_not_whole(past.started.capture, (event.model_dump_json() for event in past.events))
        if lost:
            raise ConfigError(f"run {run_id!r} cannot be forked: {lost}")
        check_place(past.events, at)
        changes.check_agents(self.registry)
        name = new_run_id(self.executor.services.clock.now()) if new_id is None else new_id
        edge = Edge(self.secrets, as_task(changes.task_of(past.started.task, at)), name)
        changes = changes.hidden(edge)
        is_prepared = past.prepared is not None and past.prepared.seq < at
        go = self._go_on if is_prepared else self._begin
        return self.settle(await go(past, at, changes, edge, name), edge)

    async def _begin(self, past: Past, at: int, changes: Changes, edge: Edge, name: RunId) -> Run:
        """Begin anew with the parts of the mesh as it is: nothing stands yet but the task."""
        started, taken = past.started, changes.prefix(past, min(at, 1))
        services = await self._of_stage(past, changes.services(self.executor.services))
        fork = Fork(started.run_id, len(taken), changes.named)
        place = Place(layer=started.layer, previous=started.previous, fork=fork)
        request = RunRequest(name, changes.limits_of(started.limits), place=place)
        return await self.executor.using(services).execute(edge.task, request)

    async def _go_on(self, past: Past, at: int, changes: Changes, edge: Edge, name: RunId) -> Run:  # noqa: ARG002 - as _begin
        """Go on with the parts of then as far as the log goes, and with those of the mesh from there."""
        taken = changes.prefix(past, at)
        outer = current_scope()
        now = self.executor.services.clock.now()
        parent = None if outer is None else outer.run_id
        started = changes.started(past.started, Fork(past.started.run_id, len(taken), changes.named), parent=parent)
        live = await self._of_stage(past, changes.services(self.executor.services))
        fork = Past.of(tuple(_stamped(event, name, now, live.owner) for event in (started, *taken[1:])))
        services = await continued(fork, live, self.store, self.registry)
        executor = self.executor.using(services)
        async with executor.turn(name):
            await asyncio.to_thread(self.store.append, fork.events)
            executor.tell(fork.events)
            return await executor.resume(fork)

    async def _of_stage(self, past: Past, live: Services) -> Services:
        """Return the live parts as the stage uses them that the run did, if it did one of a stored workflow."""
        started = past.started
        if not started.stage or started.parent is None:
            return live
        events = await asyncio.to_thread(self.store.events, started.parent)
        known = await asyncio.to_thread(workflow_in, self.store, events)
        return services_for(next(stage for stage in known.stages if stage.name == started.stage), live)

    def _check_kind(self, past: Past) -> None:
        started = past.started
        if started.workflow:
            stages = [event.child for event in past.events if isinstance(event, StageStarted)]
            named = ", ".join(map(repr, stages)) or "none has begun"
            raise ConfigError(f"run {started.run_id!r} is of a workflow; fork the run of one of its stages: {named}")


def _stamped(event: Event, run_id: RunId, now: float, owner: str) -> Event:
    """Return an event as one of the fork, which is whoever's goes on with it."""
    whose = {"owner": owner} if isinstance(event, RunStarted | RunResumed) else {}
    return event.model_copy(update={"run_id": run_id, "at": now, **whose})
