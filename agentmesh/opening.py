"""What a mesh is made with, and the live parts that exist while it is open, opened and closed together."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from agentmesh.agents.refiner import Refiner, VoteRefiner
from agentmesh.agents.registry import Registry
from agentmesh.errors import ConfigError
from agentmesh.events import fold
from agentmesh.graphs.asking import LiveAsker
from agentmesh.graphs.calling import LiveCaller
from agentmesh.graphs.conversation import TOPIC_WEIGHT
from agentmesh.graphs.edge import Edge, UnmarkedEmbedder
from agentmesh.graphs.executor import LocalExecutor
from agentmesh.graphs.health import Breakers
from agentmesh.graphs.limits import overlay, with_agents
from agentmesh.graphs.pool import LivePool
from agentmesh.graphs.recalled import recalled_pace
from agentmesh.graphs.state import Services
from agentmesh.graphs.team import TEAM, Team
from agentmesh.graphs.turns import Turns
from agentmesh.graphs.workflow.runner import WorkflowExecutor, workflow_in
from agentmesh.graphs.workflow.spec import Workflow
from agentmesh.judging.redaction import Secrets
from agentmesh.learning.learner import LogFollower
from agentmesh.learning.live import Learner
from agentmesh.learning.opening import open_learner
from agentmesh.learning.schedule import open_schedule
from agentmesh.learning.settings import Learning
from agentmesh.preferences import Preference
from agentmesh.protocols import ChatModel, Embedder, Executor, Judge, Verifier
from agentmesh.records import Limits, Run
from agentmesh.routing.pacing import SlidingPace
from agentmesh.routing.serving import ServingRouter
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.store.writer import TraceWriter
from agentmesh.types import AgentId, Clock, RunId


@dataclass(frozen=True, slots=True)
class Setup:
    """What a mesh was made with. It does not change, though registry and serving router hold what does."""

    embedder: Embedder
    registry: Registry
    serving: ServingRouter
    refiner: Refiner | None
    verifiers: tuple[Verifier, ...]
    judge: Judge | None
    preferences: tuple[Preference, ...]
    stickiness: float
    limits: Limits
    explore: float
    seed: int
    learning: Learning
    chat: ChatModel | None
    fallback: AgentId | None
    secrets: Secrets | None
    team: Team | None
    clock: Clock
    breakers: Breakers
    turns: Turns

    def __post_init__(self) -> None:
        """Check what no type can say.

        Raises:
            ConfigError: an argument of the mesh cannot be used as given.
            RegistrationError: the fallback agent is not registered.
        """
        if not 0 <= self.explore <= 1:
            raise ConfigError(f"explore is {self.explore!r}; give a probability from 0 to 1")
        if not 0 <= self.stickiness <= 10:
            raise ConfigError(f"stickiness is {self.stickiness!r}; give a number from 0 to 10")
        if self.fallback is not None:
            self.registry.get(self.fallback)

    def limits_of(self, limits: Limits | None) -> Limits:
        """Return the limits of a run that was given ``limits``."""
        most = None if self.team is None else self.team.most
        return with_agents(overlay(self.limits, limits), refined=self.refiner is not None, most=most)


@dataclass(slots=True)
class OpenMesh:
    """What exists only while a mesh is open."""

    store: TraceStore
    services: Services
    executor: LocalExecutor
    learner: Learner
    tasks: asyncio.TaskGroup
    stack: AsyncExitStack
    streaming: set[asyncio.Task[Any]] = field(default_factory=set)
    scoring: set[asyncio.Task[Any]] = field(default_factory=set)

    def executor_of(self, workflow: Workflow | None) -> Executor:
        """Return what runs a task: through the stages of ``workflow``, or by itself where there is none."""
        if workflow is None:
            return self.executor
        return WorkflowExecutor(workflow, self.executor, self.store)

    async def resume_workflow(self, run_id: RunId, workflow: Workflow | None, setup: Setup) -> Run:
        """Go on with a run of a workflow, and return it as its caller gets it."""
        events = await asyncio.to_thread(self.store.events, run_id)
        run = fold(events)
        edge = Edge(setup.secrets, run.task, run_id)
        if not run.status.has_ended:
            if workflow is None:
                workflow = await asyncio.to_thread(workflow_in, self.store, events)
            run = await WorkflowExecutor(workflow, self.executor, self.store).resume(events)
            self.score_later(run, setup)
        return edge.run(run)

    def score_later(self, run: Run, setup: Setup) -> None:
        """Have verifiers and judge score a run that has ended, after it was returned."""
        if setup.verifiers or setup.judge is not None:
            task = self.tasks.create_task(self.learner.score(run, setup.verifiers, setup.judge, seed=setup.seed))
            self.scoring.add(task)
            task.add_done_callback(self.scoring.discard)

    async def aclose(self, *, interrupted: bool) -> None:
        """Finish scoring unless ``interrupted``, cancel streams that nobody reads, close what was opened."""
        for task in self.streaming | (self.scoring if interrupted else set()):
            task.cancel()
        await self.stack.aclose()  # without the error: the task group would wrap what the caller raised


async def open_mesh(setup: Setup, store: TraceStore | str) -> OpenMesh:
    """Open the store if it is named by its URL, bring the router up to date, and start writing.

    Raises:
        StoreError: the store cannot be opened.
    """
    async with AsyncExitStack() as stack:
        opened = await _opened(setup, store, stack)
        opened.stack = stack.pop_all()
    return opened


async def _opened(setup: Setup, given: TraceStore | str, stack: AsyncExitStack) -> OpenMesh:
    store = given if isinstance(given, TraceStore) else await asyncio.to_thread(open_store, given)
    if store is not given:
        stack.callback(store.close)
    writer = TraceWriter(store)
    stack.push_async_callback(writer.aclose)
    setup.registry.recall(await asyncio.to_thread(store.latest_cards))
    if setup.serving.router.sequence == 0:
        setup.serving.root = setup.serving.router.parameters_hash
    follower = LogFollower(store, setup.serving, setup.embedder, root=setup.serving.root, clock=setup.clock)
    if setup.team is not None:
        await asyncio.to_thread(store.put_router, TEAM, setup.team.fingerprint, setup.team.model_dump_json())
    learner = await stack.enter_async_context(await open_learner(follower, setup.learning))
    await stack.enter_async_context(await open_schedule(follower, setup.learning))
    caller = LiveCaller(setup.registry, setup.clock)
    stack.push_async_callback(caller.aclose)
    services = await _services(setup, store, caller)
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    return OpenMesh(store, services, LocalExecutor(services, writer), learner, tasks, stack)


async def _services(setup: Setup, store: TraceStore, caller: LiveCaller) -> Services:
    pools = LivePool(setup.registry, setup.embedder, store, setup.preferences, setup.stickiness, setup.breakers)
    return Services(
        embedder=setup.embedder if setup.secrets is None else UnmarkedEmbedder(setup.embedder),
        serving=setup.serving,
        refiner=setup.refiner or VoteRefiner(None if setup.team is None else setup.team.key),
        caller=caller,
        clock=setup.clock,
        pools=pools,
        mesh_seed=setup.seed,
        explore=setup.explore,
        asker=None if setup.chat is None else LiveAsker(setup.chat, setup.clock),
        pace=SlidingPace() if setup.chat is None else await asyncio.to_thread(recalled_pace, store),
        fallback=setup.fallback,
        topic_weight=TOPIC_WEIGHT,
        team=setup.team,
        turns=setup.turns,
    )
