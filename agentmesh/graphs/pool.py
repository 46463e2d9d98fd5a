"""The agents of a mesh as a router sees them: from the live registry, or from a stored snapshot of it."""

import asyncio
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import numpy as np

from agentmesh.agents.capability import CapabilityTable, snapshot_table
from agentmesh.agents.registry import Registry
from agentmesh.events import TaskPrepared
from agentmesh.graphs.conversation import staying
from agentmesh.graphs.health import Breakers
from agentmesh.graphs.load import CallsUnderWay, Load, RecordedLoad
from agentmesh.graphs.vectors import ExampleVectors
from agentmesh.packing import pack_vector
from agentmesh.preferences import Preference
from agentmesh.protocols import Embedder
from agentmesh.records import RegistrySnapshot, Task
from agentmesh.routing.base import AgentPool, index_of
from agentmesh.routing.preference import Applied, apply
from agentmesh.store.base import TraceStore
from agentmesh.types import VectorArray


class PoolSource(Protocol):
    """Hands out the pool that a task is routed over."""

    @property
    def load(self) -> Load:
        """Return what knows how busy the agents are."""
        ...

    async def current(self) -> AgentPool:
        """Return the pool with every agent in it."""
        ...

    async def for_task(self, task: Task, vector: VectorArray) -> Applied:
        """Return the pool after the task's hard gates, the user's preferences and the lead of who answered last.

        Shapes:
            vector: (d,) what the task is routed by.
        """
        ...

    async def keep(self, pool: AgentPool) -> None:
        """See that the pool is stored, so that a trace may name its version."""
        ...


@dataclass(slots=True)
class LivePool:
    """The registry as it is now. The pool is built once for each of its versions.

    ``stickiness`` is the lead of the agent that answered last in a conversation; ``breakers`` knows who is unhealthy.
    """

    registry: Registry
    embedder: Embedder
    store: TraceStore
    preferences: tuple[Preference, ...] = ()
    stickiness: float = 0.0
    breakers: Breakers | None = None
    load: Load = field(default_factory=CallsUnderWay)
    _table: CapabilityTable | None = None
    _pool: AgentPool = field(init=False)
    _examples: ExampleVectors = field(init=False)
    _kept: set[str] = field(default_factory=set)
    _keeping: asyncio.Lock = field(default_factory=asyncio.Lock)  # guards a version from being stored twice

    def __post_init__(self) -> None:
        """Make room for the vectors of examples."""
        self._examples = ExampleVectors(self.embedder)

    async def for_task(self, task: Task, vector: VectorArray) -> Applied:
        """Return the pool after the task's hard gates, the user's preferences and the lead of who answered last."""
        near = await self._examples.near((*self.preferences, *task.preferences), vector)
        pool = await self.current()
        unhealthy = {} if self.breakers is None else self.breakers.refused(pool)
        refused = {**unhealthy, **self.registry.refused(task)}
        pool = pool.gated({agent_id: gate for agent_id, gate in refused.items() if agent_id in pool.index})
        applied = apply(self.preferences, task, pool, near=near)
        return staying(applied, task, self.stickiness)

    async def keep(self, pool: AgentPool) -> None:
        """See that the pool is stored, once for each of its versions."""
        if pool.registry_version in self._kept:
            return
        snapshot = RegistrySnapshot(
            version=pool.registry_version,
            cards=pool.cards,
            embedder=self.embedder.version,
            vectors=pack_vector(pool.vectors),
            name_vectors=b"" if pool.name_vectors is None else pack_vector(pool.name_vectors),
        )
        async with self._keeping:
            if pool.registry_version not in self._kept:
                await asyncio.to_thread(self.store.put_registry, snapshot)
                self._kept.add(pool.registry_version)

    async def current(self) -> AgentPool:
        """Return the pool with every agent in it; new cards are embedded, off the loop unless that is quick."""
        is_new = self._table is None or self._table.registry_version != self.registry.version
        if is_new and not self.embedder.is_quick:
            table = await asyncio.to_thread(self.registry.capabilities)
        else:
            table = self.registry.capabilities()
        if table is not self._table:
            # a database may hold this registry from before names had vectors: with them it is another version
            version = f"{table.registry_version}.{_short_hash(f'{self.embedder.version} names')}"
            self._pool, self._table = pool_of(table, version), table
        return self._pool


class StoredPool:
    """A registry as it was stored, with the gates, preferences and load that were recorded for one task."""

    def __init__(self, snapshot: RegistrySnapshot, prepared: TaskPrepared) -> None:
        """Rebuild the pool without any embedder."""
        pool = pool_of(snapshot_table(snapshot), snapshot.version)
        bonus = np.array([prepared.bonus.get(agent_id, 0.0) for agent_id in pool.ids])
        self._applied = Applied(pool.gated(prepared.refused), bonus, prepared.rules, prepared.faults)
        self.load: Load = RecordedLoad(prepared.load)

    async def current(self) -> AgentPool:
        """Return the pool as it was then."""
        return self._applied.pool

    async def for_task(self, task: Task, vector: VectorArray) -> Applied:  # noqa: ARG002 - recorded, not asked again
        """Return the pool as it was then."""
        return self._applied

    async def keep(self, pool: AgentPool) -> None:
        """Do nothing: it came from the store."""


def pool_of(table: CapabilityTable, version: str) -> AgentPool:
    """Return the agents of a table as a router sees them, none of them masked out."""
    return AgentPool(
        ids=table.ids,
        vectors=table.vectors,
        price_per_call=table.price_per_call,
        price_in_per_m=table.price_in_per_m,
        price_out_per_m=table.price_out_per_m,
        latency_s=table.latency_s,
        versions=table.versions,
        mask=np.ones(len(table), dtype=np.bool_),
        registry_version=version,
        cards=table.cards,
        index=index_of(table.ids),
        name_vectors=table.name_vectors,
    )


def _short_hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=3).hexdigest()
