"""A stored run that goes on: what it has behind it comes from its log, the rest is done by the live parts.

What is recorded stands: the vector, the decision, each call that ended. It is not computed, called or written again.
A call that began and has no end in the log is made again; for those alone an agent may be called twice.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from decimal import Decimal

from agentmesh.agents.refiner import Refiner, VoteRefiner
from agentmesh.agents.registry import Registry
from agentmesh.capture import why_not_whole
from agentmesh.errors import ConfigError, DuplicateEventError, RunNotFoundError, StoreError
from agentmesh.events import ApprovalGiven, DecisionMade, Event, RunResumed, RunStarted, TaskPrepared
from agentmesh.graphs.admission import Admission
from agentmesh.graphs.approval import Approvals
from agentmesh.graphs.calling import Caller, CallRequest
from agentmesh.graphs.equality import Equality
from agentmesh.graphs.load import Load
from agentmesh.graphs.log import RunLog
from agentmesh.graphs.pool import PoolSource, StoredPool
from agentmesh.graphs.state import Services
from agentmesh.graphs.team import TEAM, Team
from agentmesh.graphs.vectors import RecordedEmbedder
from agentmesh.records import AgentCall, AgentCard, CallStatus
from agentmesh.routing.base import AgentPool
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, FloatArray


@dataclass(frozen=True, slots=True)
class Past:
    """What a run has behind it: all its events, and those that say how it is to go on."""

    events: tuple[Event, ...]
    started: RunStarted
    prepared: TaskPrepared | None
    decided: DecisionMade | None

    @classmethod
    def of(cls, events: Sequence[Event]) -> "Past":
        """Sort the events of a run that has not ended.

        Raises:
            RunNotFoundError: no ``run_started`` is among them.
        """
        started = next((event for event in events if isinstance(event, RunStarted)), None)
        if started is None:
            raise RunNotFoundError("these events hold no run_started; a trace begins with one")
        prepared = next((event for event in events if isinstance(event, TaskPrepared)), None)
        decided = next((event for event in events if isinstance(event, DecisionMade)), None)
        return cls(tuple(events), started, prepared, decided)

    @property
    def registry_version(self) -> str:
        """Return the version of the registry that the run is decided on."""
        return self.started.registry_version if self.decided is None else self.decided.decision.registry_version

    @property
    def unheard(self) -> tuple[Event, ...]:
        """Return what was written into the log since the run stopped, and told nobody who listens to runs."""
        last = next(
            (n for n, event in enumerate(reversed(self.events)) if not isinstance(event, ApprovalGiven | RunResumed)), 0
        )
        return self.events[len(self.events) - last :]

    @property
    def active_s(self) -> float:
        """Return how long the run was at work, in seconds: from its start, or from when it went on, to its last event.

        The time in which it waited, or in which nobody ran it, does not count.
        """
        active_s, begun, last = 0.0, self.started.at, self.started.at
        for event in self.events:
            if isinstance(event, RunResumed):
                active_s, begun, last = active_s + max(last - begun, 0.0), event.at, event.at
            elif not isinstance(event, ApprovalGiven):  # somebody spoke while it waited
                last = event.at
        return active_s + max(last - begun, 0.0)


def claimed(store: TraceStore, past: Past, *, now: float, reason: str, owner: str = "") -> Past:
    """Write down that the run goes on under the lease ``owner``, and return its past with that in it.

    Of several who try, one may. Whoever was at work on it is refused from then on: its next place in the log is taken.

    It is written past the writer of the mesh: of an event that was refused, a writer remembers that a log has a hole.

    Raises:
        ConfigError: the store keeps too little of its texts to go on with.
        StoreError: somebody else goes on with it, or it cannot be written.
    """
    run_id = past.started.run_id
    lost = why_not_whole(past.started.capture, (event.model_dump_json() for event in past.events))
    if lost:
        raise ConfigError(f"run {run_id!r} cannot go on from the store: {lost}; give the mesh its task anew")
    resumed = RunResumed(run_id=run_id, seq=len(past.events), at=now, reason=reason, owner=owner)
    try:
        store.append([resumed])
    except DuplicateEventError as error:
        raise StoreError(f"somebody else goes on with run {run_id!r}; see 'runs show' for what comes of it") from error
    return replace(past, events=(*past.events, resumed))


async def continued(past: Past, live: Services, store: TraceStore, registry: Registry) -> Services:
    """Return the parts that a run goes on with: recorded ones as far as its log goes, the live ones from there.

    Raises:
        ConfigError: the task is not embedded yet, and the mesh has another embedder than the run began with.
        StoreError: its registry or its team is not in the store.
    """
    started, team = past.started, await asyncio.to_thread(_team, past.started, live.team, store)
    services = replace(
        live,
        refiner=_refiner(live.refiner, team),
        caller=UnchangedCaller(live.caller, registry),
        mesh_seed=started.mesh_seed,
        explore=started.explore,
        fallback=started.fallback,
        team=team,
        equality=_equality(live, team),
        admissions=_admissions(live),
    )
    if past.prepared is None:
        if started.embedder != live.embedder.version:
            raise ConfigError(
                f"run {started.run_id!r} began with the embedder {started.embedder!r}, and this mesh has "
                f"{live.embedder.version!r}; open one with the same"
            )
        return services
    embedder = RecordedEmbedder(started.embedder, started.task.text, past.prepared.vector)
    pools = await asyncio.to_thread(_pools, past, past.prepared, live.pools, store)
    return replace(services, embedder=embedder, pools=pools, topic_weight=0.0)


def _team(started: RunStarted, live: Team | None, store: TraceStore) -> Team | None:
    """Return the team that the run began with."""
    if not started.team or (live is not None and live.fingerprint == started.team):
        return live if started.team else None
    stored = store.router_parameters(TEAM, started.team)
    if stored is None:
        raise StoreError(f"the store does not hold the team {started.team!r} of run {started.run_id!r}")
    return Team.model_validate_json(stored)


def _equality(live: Services, team: Team | None) -> Equality:
    """Return what says which answers of the run's own team are the same."""
    if team is None or team == live.team:
        return live.equality
    return team.equality(live.embedder)


def _refiner(live: Refiner, team: Team | None) -> Refiner:
    """Return the refiner of the mesh; a plain vote goes by what the run's own team takes for equal."""
    return VoteRefiner(None if team is None else team.key) if isinstance(live, VoteRefiner) else live


def _admissions(live: Services) -> tuple[Admission, ...]:
    """Return the steps before a call, one that heeds what was said among them, whether the mesh has rules or not."""
    if any(isinstance(step, Approvals) for step in live.admissions):
        return live.admissions
    return (*live.admissions, Approvals((), live.clock))


def _pools(past: Past, prepared: TaskPrepared, live: PoolSource, store: TraceStore) -> PoolSource:
    snapshot = store.registry(past.registry_version)
    known = {card.id for card in snapshot.cards}  # an agent that came just before the decision is not
    refused = {agent_id: gate for agent_id, gate in prepared.refused.items() if agent_id in known}
    pools = StoredPool(snapshot, prepared.model_copy(update={"refused": refused}))
    pools.load = _ContinuedLoad(pools.load, live.load)
    return pools


@dataclass(frozen=True, slots=True)
class _ContinuedLoad:
    """The load that a decision is made under, as it was; calls that are made now count among those under way."""

    then: Load
    now: Load

    def counted(self, agent_id: AgentId) -> AbstractContextManager[None]:
        """Count a call of the agent for as long as the context is open."""
        return self.now.counted(agent_id)

    def shares(self, pool: AgentPool) -> FloatArray | None:
        """Return the recorded load of each agent."""
        return self.then.shares(pool)


@dataclass(frozen=True, slots=True)
class UnchangedCaller:
    """Calls agents that are what they were when the run was decided; a call of one that is not fails.

    What was chosen, and approved, was the agent of then.
    """

    caller: Caller
    registry: Registry

    async def call(self, request: CallRequest, log: RunLog) -> AgentCall:
        """Return the call as it ended."""
        changed = self._change(request.card)
        if changed is None:
            return await self.caller.call(request, log)
        return AgentCall(
            agent_id=request.card.id,
            agent_version=request.card.version,
            attempt=request.attempt,
            wave=request.wave,
            status=CallStatus.FAILED,
            cost_usd=Decimal(0),
            error=changed,
        )

    async def wait(self, card: AgentCard, attempt: int, seconds: float, deadline: float | None) -> bool:
        """Wait after a failed attempt, and say whether there is time for another one."""
        return await self.caller.wait(card, attempt, seconds, deadline)

    def _change(self, card: AgentCard) -> str | None:
        if card.id not in self.registry:
            return f"agent {card.id!r} was taken out while the run stood still"
        now = self.registry.card(card.id).version
        if now == card.version:
            return None
        return f"agent {card.id!r} was changed while the run stood still: version {card.version} then, {now} now"
