"""The agents that a log speaks of, as a router sees them: from stored cards, with no live registry."""

from collections.abc import Iterable, Sequence

import numpy as np

from agentmesh.agents.capability import CapabilityTable, build_table, capability_texts, capability_vectors
from agentmesh.learning.tables import newest_versions
from agentmesh.protocols import Embedder
from agentmesh.records import AgentCard, Experience
from agentmesh.routing.base import AgentPool, index_of
from agentmesh.store.base import TraceStore


def pool_of_cards(cards: Sequence[AgentCard], embedder: Embedder, *, version: str = "recorded") -> AgentPool:
    """Return the agents of ``cards``, in their order, none of them masked out."""
    vectors = capability_vectors([capability_texts(card) for card in cards], embedder)
    return pool_of_table(build_table(cards, vectors, version))


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
    )
