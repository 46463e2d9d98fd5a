"""What a mesh is made with, and the live parts that exist while it is open, opened and closed together."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from agentmesh.agents.refiner import Refiner, VoteRefiner
from agentmesh.agents.registry import Registry
from agentmesh.approvals import Approval
from agentmesh.capture import Capture
from agentmesh.errors import ConfigError
from agentmesh.graphs import engine
from agentmesh.graphs.approval import Approvals
from agentmesh.graphs.asking import LiveAsker
from agentmesh.graphs.calling import Caller, LiveCaller
from agentmesh.graphs.checking import Checks
from agentmesh.graphs.context import ContextSlices
from agentmesh.graphs.conversation import TOPIC_WEIGHT
from agentmesh.graphs.edge import UnmarkedEmbedder
from agentmesh.graphs.equality import KeyEquality
from agentmesh.graphs.executor import LocalExecutor
from agentmesh.graphs.forking import Forker
from agentmesh.graphs.health import Breakers
from agentmesh.graphs.limits import overlay, with_agents
from agentmesh.graphs.pool import LivePool
from agentmesh.graphs.recalled import recalled_pace
from agentmesh.graphs.resuming import Resumer
from agentmesh.graphs.state import Services
from agentmesh.graphs.team import TEAM, Team
from agentmesh.graphs.turns import Turns
from agentmesh.graphs.workflow.runner import WorkflowExecutor
from agentmesh.graphs.workflow.spec import Workflow
from agentmesh.judging.redaction import Secrets
from agentmesh.learning.learner import LogFollower
from agentmesh.learning.live import Learner
from agentmesh.learning.opening import open_learner
from agentmesh.learning.schedule import open_schedule
from agentmesh.learning.settings import Learning
from agentmesh.preferences import Preference
from agentmesh.protocols import ChatModel, Embedder, EventSink, Judge, Verifier
from agentmesh.records import Limits, Run
from agentmesh.routing.pacing import SlidingPace
from agentmesh.routing.serving import ServingRouter
from agentmesh.store import open_store
from agentmesh.store.at_work import AtWork
from agentmesh.store.base import TraceStore
from agentmesh.store.capturing import CapturingStore
from agentmesh.store.writer import TraceWriter
from agentmesh.types import AgentId, Clock


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
    checks: Checks
    approvals: tuple[Approval, ...]
    listeners: tuple[EventSink, ...]
    capture: Capture

    def __post_init__(self) -> None:
        """Check what no type can say.

        Raises:
            ConfigError: an argument of the mesh cannot be used as given.
            RegistrationError: the fallback agent, or one that a rule of approval names, is not registered.
        """
        if not 0 <= self.explore <= 1:
            raise ConfigError(f"explore is {self.explore!r}; give a probability from 0 to 1")
        if not 0 <= self.stickiness <= 10:
            raise ConfigError(f"stickiness is {self.stickiness!r}; give a number from 0 to 10")
        named = [agent_id for rule in self.approvals for agent_id in sorted(rule.agents)]
        for agent_id in named if self.fallback is None else [self.fallback, *named]:
            self.registry.get(agent_id)

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
    at_work: AtWork
    resumer: Resumer
    forker: Forker
    learner: Learner
    tasks: asyncio.TaskGroup
    stack: AsyncExitStack
    streaming: set[asyncio.Task[Any]] = field(default_factory=set)
    scoring: set[asyncio.Task[Any]] = field(default_factory=set)

    def executor_of(self, workflow: Workflow | None) -> LocalExecutor | WorkflowExecutor:
        """Return what runs a task: through the stages of ``workflow``, or by itself where there is none."""
        if workflow is None:
            return self.executor
        return WorkflowExecutor(workflow, self.executor, self.store)

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
    at_work = await stack.enter_async_context(AtWork(store, setup.clock))
    if setup.capture.policy:
        store = CapturingStore(store, setup.capture)
    writer = TraceWriter(store)
    stack.push_async_callback(writer.aclose)
    setup.registry.recall(await asyncio.to_thread(store.latest_cards))
    if setup.serving.router.sequence == 0:
        setup.serving.root = setup.serving.router.parameters_hash
    follower = LogFollower(store, setup.serving, setup.embedder, root=setup.serving.root, clock=setup.clock)
    if setup.team is not None:
        await asyncio.to_thread(store.put_router, TEAM, setup.team.fingerprint, setup.team.model_dump_json())
    learner = await stack.enter_async_context(await open_learner(follower, setup.learning))
    learner.listeners = setup.listeners
    await stack.enter_async_context(await open_schedule(follower, setup.learning))
    caller = LiveCaller(setup.registry, setup.clock)
    stack.push_async_callback(caller.aclose)
    services = replace(await _services(setup, store, caller), owner=at_work.owner)
    await engine.ready()
    executor = LocalExecutor(services, writer, listeners=setup.listeners)
    stack.push_async_callback(executor.aclose)
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    resumer = Resumer(
        executor,
        services,
        store,
        at_work=at_work,
        registry=setup.registry,
        secrets=setup.secrets,
        tasks=tasks,
        ended=lambda run: opened.score_later(run, setup),
    )
    stack.callback(resumer.close)
    forker = Forker(executor, store, setup.registry, setup.secrets, resumer.settle)
    opened = OpenMesh(store, services, executor, at_work, resumer, forker, learner, tasks, stack)
    return opened


async def _services(setup: Setup, store: TraceStore, caller: Caller) -> Services:
    pools = LivePool(
        setup.registry, setup.embedder, store, setup.preferences, setup.stickiness, breakers=setup.breakers
    )
    rules = (Approvals(setup.approvals, setup.clock),) if setup.approvals else ()
    embedder = setup.embedder if setup.secrets is None else UnmarkedEmbedder(setup.embedder)
    return Services(
        embedder=embedder,
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
        admissions=(ContextSlices(embedder), *setup.checks.admissions, *rules),
        checker=setup.checks.checker,
        turns=setup.turns,
        equality=KeyEquality() if setup.team is None else setup.team.equality(embedder),
    )


def in_loop() -> bool:
    """Return whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
