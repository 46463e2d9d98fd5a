"""Who does the tasks of stages: the mesh, each as a run of its own, or a recording of such runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from agentmesh.agents.refiner import VoteRefiner
from agentmesh.errors import AgentMeshError, ReplayMissError, RunNotFoundError, StoreError
from agentmesh.graphs.executor import LocalExecutor, RunRequest
from agentmesh.graphs.limits import WITH_REFINER, overlay
from agentmesh.graphs.load import Load
from agentmesh.graphs.place import Place
from agentmesh.graphs.pool import PoolSource
from agentmesh.graphs.state import Services
from agentmesh.graphs.workflow.spec import Stage
from agentmesh.protocols import EventSink
from agentmesh.records import Limits, Run, Task
from agentmesh.routing.base import AgentPool
from agentmesh.routing.preference import Applied
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, RunId, VectorArray

STAGE_GATE = "stage"
"""The gate that refuses agents whom a stage does not name; routers with stages of their own call theirs so too."""


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """The task of a stage, or of one of its rounds or parts, and the name of the run that is to do it."""

    stage: Stage
    part: int
    task: Task
    run_id: RunId
    limits: Limits
    place: Place


class Children(Protocol):
    """Has the tasks of stages done."""

    async def run(self, request: ChildRequest) -> Run:
        """Return the run that did it, or that waits for a person.

        Raises:
            StoreError: the trace cannot be written.
            Exception: whatever kept the run from being started.
        """
        ...


@dataclass(frozen=True, slots=True)
class StagePool:
    """A pool in which those whom a stage does not name are refused."""

    pools: PoolSource
    agents: frozenset[AgentId]

    @property
    def load(self) -> Load:
        """Return what knows how busy the agents are."""
        return self.pools.load

    async def current(self) -> AgentPool:
        """Return the pool with every agent in it."""
        return await self.pools.current()

    async def for_task(self, task: Task, vector: VectorArray) -> Applied:
        """Return the pool after all gates and preferences, and the stage's own gate.

        Shapes:
            vector: (d,) what the task is routed by.
        """
        applied = await self.pools.for_task(task, vector)
        pool = applied.pool
        others = {name: STAGE_GATE for name in pool.ids if name not in self.agents and name not in pool.refused}
        return replace(applied, pool=pool.gated(others))

    async def keep(self, pool: AgentPool) -> None:
        """See that the pool is stored."""
        await self.pools.keep(pool)


@dataclass(frozen=True, slots=True)
class LiveChildren:
    """Routes the tasks of stages over the agents of a mesh. A run that fails is returned as it is stored."""

    executor: LocalExecutor
    store: TraceStore
    listeners: tuple[EventSink, ...] = ()

    async def run(self, request: ChildRequest) -> Run:
        """Execute the run of a stage."""
        executor = self.executor.using(services_for(request.stage, self.executor.services))
        wanted = RunRequest(request.run_id, request.limits, self.listeners, request.place)
        try:
            return await executor.execute(request.task, wanted)
        except StoreError:
            raise
        except Exception:  # whatever it was, its trace tells it; there is none where it failed before its first event
            with suppress(RunNotFoundError):
                return await asyncio.to_thread(self.store.run, request.run_id)
            raise


GoOn: TypeAlias = Callable[[ChildRequest, Run], Awaitable[Run]]
"""Goes on with the run of a stage that has not ended."""


@dataclass(frozen=True, slots=True)
class ResumedChildren:
    """Hands back the runs that a trace holds, has those that have not ended go on, and begins the others."""

    recorded: Mapping[RunId, Run]
    live: Children
    go_on: GoOn

    async def run(self, request: ChildRequest) -> Run:
        """Return the run of a stage, executing as little as possible."""
        run = self.recorded.get(request.run_id)
        if run is None:
            return await self.live.run(request)
        return run if run.status.has_ended else await self.go_on(request, run)


@dataclass(frozen=True, slots=True)
class RecordedChildren:
    """Hands back recorded runs, each for the task that it was recorded for. It calls nobody.

    ``failures`` says why runs failed before they had begun.
    """

    recorded: Mapping[RunId, Run]
    failures: Mapping[RunId, str]

    async def run(self, request: ChildRequest) -> Run:
        """Return a recorded run.

        Raises:
            AgentMeshError: it failed before it had begun.
            ReplayMissError: there is none of this id, or it is of another task.
        """
        if request.run_id in self.failures:
            raise AgentMeshError(self.failures[request.run_id])
        run = self.recorded.get(request.run_id)
        if run is None:
            raise ReplayMissError(f"no run {request.run_id!r} of stage {request.stage.name!r} is recorded")
        if run.task != request.task:
            raise ReplayMissError(
                f"stage {request.stage.name!r} asks another task than run {run.id!r} was recorded for"
            )
        return run


def services_for(stage: Stage, services: Services) -> Services:
    """Return the live parts of a mesh as a stage uses them: its own agents, team and refiner."""
    if stage.team is not None:
        services = replace(
            services,
            team=stage.team,
            refiner=VoteRefiner(stage.team.key),
            equality=stage.team.equality(services.embedder),
        )
    if stage.refiner is not None:
        services = replace(services, refiner=stage.refiner)
    if stage.agents is not None:
        services = replace(services, pools=StagePool(services.pools, frozenset(stage.agents)))
    return services


def limits_for(stage: Stage, whole: Limits) -> Limits:
    """Return the limits of a stage's run: those of the workflow that hold for each run, and its own.

    What the workflow may use in all is left out; the run inherits what remains of that.
    """
    shared = whole.model_copy(update={"cost_usd": None, "timeout_s": None, "max_calls": None, "max_tokens": None})
    if stage.team is not None:
        shared = shared.model_copy(update={"max_agents": stage.team.most})
    elif stage.refiner is not None:
        shared = shared.model_copy(update={"max_agents": WITH_REFINER})
    return overlay(shared, stage.limits)
