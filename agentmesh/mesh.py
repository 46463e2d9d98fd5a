"""The mesh: agents, a router and a store, opened and closed together. It owns lifetimes and nothing else."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from agentmesh.addresses import without_password
from agentmesh.agents.base import Agent
from agentmesh.agents.refiner import Refiner
from agentmesh.agents.registry import Registry
from agentmesh.approvals import Approval
from agentmesh.capture import Capture
from agentmesh.embed.named import embedder_named
from agentmesh.errors import ConfigError
from agentmesh.events import Event
from agentmesh.graphs.checking import Check, Checks
from agentmesh.graphs.conversation import STICKINESS
from agentmesh.graphs.edge import Edge
from agentmesh.graphs.health import Breakers, Health
from agentmesh.graphs.intake import as_task, named_run
from agentmesh.graphs.limits import DEFAULT_LIMITS, overlay
from agentmesh.graphs.nodes import consider
from agentmesh.graphs.streaming import streamed
from agentmesh.graphs.team import Team
from agentmesh.graphs.turns import Turns
from agentmesh.graphs.workflow.spec import Workflow
from agentmesh.judging.redaction import Secrets
from agentmesh.learning.settings import Learning
from agentmesh.opening import OpenMesh, Setup, in_loop, open_mesh
from agentmesh.preferences import Preference
from agentmesh.protocols import ChatModel, Embedder, EventSink, Judge, Verifier
from agentmesh.records import AgentCard, Limits, RouteDecision, Run, Task
from agentmesh.routing.base import Router
from agentmesh.routing.named import router_named
from agentmesh.routing.preference_lint import Finding, lint
from agentmesh.routing.serving import ServingRouter
from agentmesh.run_control import RunControl
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, RunId, SystemClock


class Mesh(RunControl):
    """Routes tasks to agents, learns from what came of them, and keeps every trace.

    Open it with ``async with``; what it opened it closes. ``run_sync`` opens and closes by itself.

    Args:
        agents: Who can act. More can be registered later.
        router: The name of a router, or one of your own. ``"auto"`` is kernel regression over past outcomes, with the
            similarity of card and task for a cold start, in a cascade: a guard in front of it once it is calibrated,
            and where ``chat`` is given a reasoning model behind it for at most a tenth of the tasks.
        store: Where traces are kept: a URL such as ``"sqlite:///mesh.db"``, an open store, or ``None`` for memory.
        refiner: Makes one answer of several; by default the heaviest group of equal answers wins.
        verifiers: Score answers by rule after each run; the router learns from it.
        judge: Scores answers that no verifier could, after each run.
        preferences: The user's own rules; they stand above what is learned.
        stickiness: By how much the agent that answered last leads, for a message that says nothing by itself.
        limits: What each run may use, unless the run says otherwise.
        explore: The chance, 0 to 1, that a pick is drawn at random, so that every agent stays observed.
        seed: With the run's id it fixes every draw. The default is 0.
        embedder: The name of an embedder, or one of your own; by default what ``AGENTMESH_EMBEDDER`` names.
        learning: How it learns: where the learner runs, what is judged, what a score weighs. By default a process of
            its own learns when the store is a file, and the event loop in short slices otherwise.
        chat: The chat client that a router may ask where it is unsure. It stays the caller's to close.
        fallback: The id of the agent that acts where the router finds that nobody fits; by default the run abstains.
        secrets: What agents, models, verifiers and the store see placeholders of; by default nothing is hidden.
        team: Asks the chosen agents in waves and stops when their answers suffice; by default all are asked at once.
        max_concurrency: Calls that may be under way at once, first come first served; by default any number.
        health: When an agent that keeps failing is left alone; by default after five failures in a row.
        checks: Say before a call whether an agent can do the task, and after it whether the answer does what was asked.
        approvals: Which calls wait until a person has approved them; the first rule that fits counts.
        listeners: Are told each event of every run as it happens, with placeholders where secrets are hidden.
        capture: Which texts the store keeps: in full (the default), hashed or not at all, and what is redacted first.

    Raises:
        RegistrationError: an agent cannot be registered.
        ConfigError: another argument cannot be used as given.
    """

    def __init__(
        self,
        agents: Iterable[Agent],
        *,
        router: str | Router = "auto",
        store: str | TraceStore | None = None,
        refiner: Refiner | None = None,
        verifiers: Sequence[Verifier] = (),
        judge: Judge | None = None,
        preferences: Sequence[Preference] = (),
        stickiness: float = STICKINESS,
        limits: Limits | None = None,
        explore: float = 0.02,
        seed: int | None = None,
        embedder: str | Embedder | None = None,
        learning: Learning | None = None,
        chat: ChatModel | None = None,
        fallback: AgentId | None = None,
        secrets: Secrets | None = None,
        team: Team | None = None,
        max_concurrency: int | None = None,
        health: Health | None = None,
        checks: Iterable[Check] = (),
        approvals: Sequence[Approval] = (),
        listeners: Sequence[EventSink] = (),
        capture: Capture | None = None,
    ) -> None:
        chosen = embedder_named(embedder) if embedder is None or isinstance(embedder, str) else embedder
        clock = SystemClock()
        breakers = Breakers(health or Health(), clock, seed=seed or 0)
        self._setup = Setup(
            embedder=chosen,
            registry=Registry(chosen, agents),
            serving=ServingRouter(router_named(router) if isinstance(router, str) else router),
            refiner=refiner,
            verifiers=tuple(verifiers),
            judge=judge,
            preferences=tuple(preferences),
            stickiness=stickiness,
            limits=overlay(DEFAULT_LIMITS, limits),
            explore=explore,
            seed=seed or 0,
            learning=learning or Learning(),
            chat=chat,
            fallback=fallback,
            secrets=secrets,
            team=team,
            clock=clock,
            breakers=breakers,
            turns=Turns(max_concurrency, breakers=breakers),
            checks=Checks.of(checks),
            approvals=tuple(approvals),
            listeners=tuple(listeners),
            capture=capture or Capture(),
        )
        self._lasting = store if isinstance(store, TraceStore) else open_store(None) if store is None else None
        self._store_at = store if isinstance(store, str) else ""
        self._open: OpenMesh | None = None

    async def __aenter__(self) -> Self:
        """Open the store, bring the router up to date, and start writing.

        Raises:
            ConfigError: the mesh is open already.
            StoreError: the store cannot be opened.
        """
        if self._open is not None:
            raise ConfigError("the mesh is open already; open it once, and share it")
        self._open = await open_mesh(self._setup, self._lasting or self._store_at)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish scoring, cancel streams that nobody reads any more, write what is queued, close what was opened."""
        parts, self._open = self._parts(), None
        is_interrupted = error is not None and not isinstance(error, Exception)
        await parts.aclose(interrupted=is_interrupted)

    @property
    def store(self) -> TraceStore:
        """Return the store.

        Raises:
            ConfigError: the mesh is closed, and its store with it.
        """
        store = self._lasting if self._open is None else self._open.store
        if store is None:
            at = without_password(self._store_at)
            raise ConfigError(f"the store {at!r} is closed; open the mesh with 'async with', or open_store()")
        return store

    @property
    def router(self) -> Router:
        """Return the router that serves now; what has learned more may take its place at any time."""
        return self._setup.serving.router

    @property
    def registry(self) -> Registry:
        """Return what holds the agents."""
        return self._setup.registry

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """Return what scores answers by rule."""
        return self._setup.verifiers

    def cards(self) -> tuple[AgentCard, ...]:
        """Return the cards of all agents, sorted by id."""
        return self._setup.registry.cards()

    def lint(self, examples: Iterable[str | Task] = ()) -> tuple[Finding, ...]:
        """Return what is wrong with the preferences, errors first; rules that meet in an example are compared too."""
        return lint(self._setup.preferences, self.cards(), examples=[as_task(example) for example in examples])

    def register(self, agent: Agent) -> AgentCard:
        """Add an agent, also while tasks run.

        Raises:
            RegistrationError: its id is taken, or what it declares cannot be used.
        """
        return self._setup.registry.add(agent)

    def update(self, agent: Agent) -> AgentCard:
        """Replace the agent of the same id; a changed card gets the next version, and learning begins anew for it.

        Raises:
            RegistrationError: no agent has this id, or what it declares cannot be used.
        """
        return self._setup.registry.update(agent)

    def remove(self, agent_id: AgentId) -> Agent:
        """Take an agent out; runs that are under way finish with it.

        Raises:
            RegistrationError: no agent has this id.
        """
        return self._setup.registry.remove(agent_id)

    async def route(self, task: str | Task, *, max_agents: int = 1) -> RouteDecision:
        """Decide, and do nothing else: no agent is called, nothing is stored, nothing is left to chance.

        A router that is unsure asks the mesh's chat client here too, since its word is the decision.

        Raises:
            ConfigError: the task cannot be used, or the mesh is not open.
            RoutingError: nobody passes the gates, or the router returned no decision.
        """
        edge, services = Edge(self._setup.secrets, as_task(task), ""), self._parts().services
        considered = await consider(
            edge.task, services, run_id="", max_agents=max_agents, explore=0.0, asker=services.asker
        )
        return edge.restored(considered.decision)

    async def run(self, task: str | Task, *, limits: Limits | None = None, run_id: RunId | None = None) -> Run:
        """Route the task, call the chosen agents, make one answer, and return when the trace is committed.

        Agents that fail, a budget that does not suffice, and abstention are told by ``Run.status``.

        Args:
            task: What is asked.
            limits: Fields that are set here stand above the mesh's.
            run_id: A name of your own for the run, of at most 200 characters; it must be new to the store.

        Raises:
            ConfigError: the task cannot be used, or the mesh is not open.
            RoutingError: nobody passes the gates, or the router returned no decision.
            StoreError: the trace cannot be written.
        """
        return await self._run(as_task(task), limits=limits, run_id=run_id)

    async def run_workflow(
        self, workflow: Workflow, task: str | Task, *, limits: Limits | None = None, run_id: RunId | None = None
    ) -> Run:
        """Take the task through the stages of a workflow, each a run of its own, and return the run of the whole.

        Stages that fail, a budget that does not suffice, and abstention are told by ``Run.status``; ``Run.stages``
        says how each went, and names the run that did it.

        Args:
            workflow: The stages.
            task: What is asked.
            limits: What all stages together may use; fields that are set here stand above the mesh's.
            run_id: A name of your own for the run, of at most 200 characters; it must be new to the store.

        Raises:
            ConfigError: the task cannot be used, or the mesh is not open.
            StoreError: the trace cannot be written.
        """
        return await self._run(as_task(task), limits=limits, run_id=run_id, workflow=workflow)

    def run_sync(self, task: str | Task, *, limits: Limits | None = None, run_id: RunId | None = None) -> Run:
        """Open the mesh, run one task, close it. Inside a running loop (a notebook) one worker thread does so.

        Raises:
            ConfigError: the mesh is open; then ``await mesh.run(...)``.
        """
        if self._open is not None:
            raise ConfigError("the mesh is open in an event loop; use 'await mesh.run(...)' there")
        if not in_loop():
            return asyncio.run(self._run_once(task, limits, run_id))
        with ThreadPoolExecutor(max_workers=1) as worker:
            return worker.submit(asyncio.run, self._run_once(task, limits, run_id)).result()

    async def stream(
        self,
        task: str | Task,
        *,
        limits: Limits | None = None,
        run_id: RunId | None = None,
        workflow: Workflow | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Run a task and yield its events as they happen, pieces of answers among them; the last is ``run_finished``.

        With a ``workflow`` the events of the runs of its stages are among them, those of each run in their order.
        Leaving the loop early and closing the generator cancels the run.

        Raises:
            ConfigError, RoutingError, StoreError: as for :meth:`run`, after the events that came before.
        """
        checked, parts = as_task(task), self._parts()

        def begin(listener: EventSink) -> Coroutine[Any, Any, Run]:
            return self._run(checked, limits=limits, run_id=run_id, listeners=(listener,), workflow=workflow)

        async with aclosing(streamed(begin, parts.tasks, parts.streaming)) as events:
            async for event in events:
                yield event

    async def feedback(
        self, run_id: RunId, score: float, *, agent: AgentId | None = None, source: str = "user"
    ) -> None:
        """Say what an answer was worth, 0 to 1, and let the router learn from it.

        Without ``agent`` it scores the final answer, and credit goes to the agents whose answer group won. When this
        returns the score is stored for good. Where the event loop learns, it has also been learned; where another
        process does, a decision soon after may not know of it yet: :meth:`learned` waits for that.

        Raises:
            RunNotFoundError: no such run is stored.
            DuplicateFeedbackError: this source has scored this answer before.
            StoreError: the run has not finished.
            ConfigError: the score or the agent does not fit the run, or the mesh is not open.
        """
        await self._parts().learner.take(run_id, score, agent=agent, source=source)

    async def learned(self, timeout_s: float | None = None) -> None:
        """Return when the router that serves has taken in every outcome that is stored now.

        Raises:
            TimeoutError: it has not within ``timeout_s``.
            ConfigError: the mesh is not open, or ``Learning.mode`` is ``"off"``.
        """
        await self._parts().learner.learned(timeout_s)

    async def _run(
        self,
        task: Task,
        *,
        limits: Limits | None,
        run_id: RunId | None,
        listeners: Sequence[EventSink] = (),
        workflow: Workflow | None = None,
    ) -> Run:
        parts, run_id = self._parts(), named_run(run_id, self._setup.clock.now())
        edge = Edge(self._setup.secrets, task, run_id)
        run = await parts.executor_of(workflow).submit(
            edge.task, run_id=run_id, limits=self._setup.limits_of(limits), listeners=edge.listeners(listeners)
        )
        return parts.resumer.settle(run, edge, workflow)

    async def _run_once(self, task: str | Task, limits: Limits | None, run_id: RunId | None) -> Run:
        async with self:
            return await self.run(task, limits=limits, run_id=run_id)

    def _parts(self) -> OpenMesh:
        if self._open is None:
            raise ConfigError("the mesh is not open; use 'async with mesh:', or mesh.run_sync(...)")
        return self._open
