"""The agents of a mesh as a router sees them: from the live registry, or from a stored snapshot of it."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import numpy as np

from agentmesh.agents.capability import CapabilityTable, build_table
from agentmesh.agents.registry import Registry
from agentmesh.events import TaskPrepared
from agentmesh.packing import pack_vector, unpack_vector
from agentmesh.protocols import Embedder
from agentmesh.records import RegistrySnapshot, Task
from agentmesh.routing.base import AgentPool, index_of
from agentmesh.routing.preference import Applied, Preference, apply


class PoolSource(Protocol):
    """Hands out the pool that a task is routed over."""

    @property
    def version(self) -> str:
        """Return the registry version of the pool."""
        ...

    def for_task(self, task: Task) -> Applied:
        """Return the pool after the task's hard gates and the user's preferences."""
        ...


@dataclass(slots=True)
class LivePool:
    """The registry as it is now. The pool is built once for each of its versions."""

    registry: Registry
    embedder: Embedder
    preferences: tuple[Preference, ...] = ()
    _table: CapabilityTable | None = None
    _pool: AgentPool = field(init=False)

    @property
    def version(self) -> str:
        """Return the version of the pool: its cards and the embedder that placed them."""
        return self.current().registry_version

    def current(self) -> AgentPool:
        """Return the pool with every agent in it."""
        table = self.registry.capabilities()
        if table is not self._table:
            self._pool = _pool_of(table, f"{table.registry_version}.{_short_hash(self.embedder.version)}")
            self._table = table
        return self._pool

    def for_task(self, task: Task) -> Applied:
        """Return the pool after the task's hard gates and the user's preferences."""
        pool = self.current()
        refused = self.registry.refused(task)
        pool = pool.gated({agent_id: gate for agent_id, gate in refused.items() if agent_id in pool.index})
        return apply(self.preferences, task, pool)

    def snapshot(self) -> RegistrySnapshot:
        """Return the pool as the store keeps it."""
        pool = self.current()
        return RegistrySnapshot(
            version=pool.registry_version,
            cards=pool.cards,
            embedder=self.embedder.version,
            vectors=pack_vector(pool.vectors),
        )


class StoredPool:
    """A registry as it was stored, with the gates and preferences that were recorded for one task."""

    def __init__(self, snapshot: RegistrySnapshot, prepared: TaskPrepared) -> None:
        """Rebuild the pool without any embedder."""
        vectors = unpack_vector(snapshot.vectors)
        rows = vectors.reshape(len(snapshot.cards), -1)
        pool = _pool_of(build_table(snapshot.cards, rows, snapshot.version), snapshot.version)
        bonus = np.array([prepared.bonus.get(agent_id, 0.0) for agent_id in pool.ids])
        self._applied = Applied(pool.gated(prepared.refused), bonus, prepared.rules)

    @property
    def version(self) -> str:
        """Return the version it was stored under."""
        return self._applied.pool.registry_version

    def for_task(self, task: Task) -> Applied:  # noqa: ARG002 - the gates were recorded, not asked again
        """Return the pool as it was then."""
        return self._applied


def _pool_of(table: CapabilityTable, version: str) -> AgentPool:
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
    )


def _short_hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=3).hexdigest()
