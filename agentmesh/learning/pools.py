"""The agents that a log speaks of, as a router sees them: from stored cards, with no live registry."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from agentmesh.agents.capability import (
    CapabilityTable,
    build_table,
    capability_texts,
    capability_vectors,
    name_text,
    snapshot_table,
)
from agentmesh.errors import RunNotFoundError
from agentmesh.events import DecisionMade, Event, RunStarted, TaskPrepared
from agentmesh.learning.tables import newest_versions
from agentmesh.packing import unpack_vector
from agentmesh.protocols import Embedder
from agentmesh.records import AgentCard, Experience, Objective, RegistrySnapshot
from agentmesh.routing.base import AgentPool, TaskFeatures, index_of
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, FloatArray


def pool_of_cards(cards: Sequence[AgentCard], embedder: Embedder, *, version: str = "recorded") -> AgentPool:
    """Return the agents of ``cards``, in their order, none of them masked out."""
    vectors = capability_vectors([capability_texts(card) for card in cards], embedder)
    names = capability_vectors([(name_text(card),) for card in cards], embedder)
    return pool_of_table(build_table(cards, vectors, version, name_vectors=names))


def pool_of_log(store: TraceStore, experiences: Iterable[Experience], embedder: Embedder) -> AgentPool:
    """Return the agents that an outcome is known of, sorted by id, by the newest of their cards in the store.

    One whose card is not stored has an empty card of the newest version in the log.
    """
    seen = newest_versions(experiences)
    stored = {card.id: card for card in store.latest_cards()}
    blank = {agent_id: AgentCard(id=agent_id, description="", version=version) for agent_id, version in seen.items()}
    cards = [stored.get(agent_id, blank[agent_id]) for agent_id in sorted(seen)]
    return pool_of_cards(cards, embedder, version="log")


def pool_of_table(table: CapabilityTable) -> AgentPool:
    """Return the agents of a table, none of them masked out."""
    return AgentPool(
        ids=table.ids,
        vectors=table.vectors,
        price_per_call=table.price_per_call,
        price_in_per_m=table.price_in_per_m,
        price_out_per_m=table.price_out_per_m,
        latency_s=table.latency_s,
        versions=table.versions,
        mask=np.ones(len(table), dtype=np.bool_),
        registry_version=table.registry_version,
        cards=table.cards,
        index=index_of(table.ids),
        name_vectors=table.name_vectors,
    )


@dataclass(frozen=True, slots=True)
class Considered:
    """What a recorded task was routed on: features, agents with their gates, what it weighed, the seed of its draws.

    Shapes:
        bonus, load: (n,) as in :class:`~agentmesh.routing.base.RouteContext`, ``None`` where nothing was recorded.
    """

    features: TaskFeatures
    pool: AgentPool
    seed: int = 0
    objective: Objective = field(default_factory=Objective)
    bonus: FloatArray | None = None
    load: FloatArray | None = None


class RecordedTasks:
    """Looks up what the tasks of a log were routed on, with vectors of one embedder.

    Args:
        store: Where the runs are kept.
        pool: Stands in where a run or its registry is not stored.
        embedder: Embeds cards whose stored vectors are of another embedder.
    """

    def __init__(self, store: TraceStore, pool: AgentPool, embedder: Embedder) -> None:
        self._store, self._pool, self._embedder = store, pool, embedder
        self._pools: dict[str, AgentPool] = {}

    def of(self, experience: Experience) -> Considered:
        """Return what the task of an outcome was routed on.

        Raises:
            StoreError: the store cannot be read.
        """
        features = TaskFeatures(
            vector=unpack_vector(experience.vector),
            text=experience.text,
            type_hints=experience.type_hints,
            stage=experience.stage,
            previous=experience.previous,
        )
        try:
            events = self._store.events(experience.run_id)
        except RunNotFoundError:
            return Considered(features, self._pool)
        return self._as_recorded(features, events)

    def _as_recorded(self, features: TaskFeatures, events: Sequence[Event]) -> Considered:
        started = next((event for event in events if isinstance(event, RunStarted)), None)
        prepared = next((event for event in events if isinstance(event, TaskPrepared)), None)
        decided = next((event for event in events if isinstance(event, DecisionMade)), None)
        if started is None or prepared is None or decided is None:
            return Considered(features, self._pool)
        pool = self._pool_at(decided.decision.registry_version)
        return as_recorded(features, started, prepared, pool=pool, seed=decided.decision.seed)

    def _pool_at(self, version: str) -> AgentPool:
        if version not in self._pools:
            self._pools[version] = pool_of_snapshot(self._store.registry(version), self._embedder)
        return self._pools[version]


def as_recorded(
    features: TaskFeatures, started: RunStarted, prepared: TaskPrepared, *, pool: AgentPool, seed: int
) -> Considered:
    """Return what a task was routed on, with the gates, bonuses and load that were recorded for it.

    Those of agents that ``pool`` does not hold are left out.
    """
    known = {agent_id: gate for agent_id, gate in prepared.refused.items() if agent_id in pool.index}
    return Considered(
        replace(features, turns=started.task.turns),
        pool.gated(known),
        seed=seed,
        objective=started.task.objective,
        bonus=_by_place(pool, prepared.bonus),
        load=_by_place(pool, prepared.load),
    )


def pool_of_snapshot(snapshot: RegistrySnapshot, embedder: Embedder) -> AgentPool:
    """Return the agents of a stored registry; they are embedded anew where its vectors are of another embedder."""
    if snapshot.embedder != embedder.version:
        return pool_of_cards(snapshot.cards, embedder, version=snapshot.version)
    return pool_of_table(snapshot_table(snapshot))


def _by_place(pool: AgentPool, values: Mapping[AgentId, float]) -> FloatArray | None:
    return np.array([values.get(agent_id, 0.0) for agent_id in pool.ids]) if values else None
