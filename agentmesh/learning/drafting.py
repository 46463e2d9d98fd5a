"""A better description proposed: from tasks that an agent did well, with what it would change among its team."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from agentmesh.agents.describing import draft_description
from agentmesh.agents.resemblance import card_cosines
from agentmesh.learning.measured import mean_quality
from agentmesh.learning.overlap import Neighbour, neighbour_of
from agentmesh.learning.tables import TaskKey, task_key
from agentmesh.protocols import ChatModel, Embedder
from agentmesh.records import AgentCard, Experience, Record
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId

WELL = 0.5
"""The least quality of a task that was done well."""


class Proposal(Record):
    """A drafted description beside the old one. ``before`` and ``after`` are the nearest other agents under each.

    ``old`` is "" for an agent without a card, and then there is no ``before``.
    """

    agent_id: AgentId
    old: str
    new: str
    model: str
    examples: tuple[str, ...]
    cost_usd: Decimal | None = None
    before: Neighbour | None = None
    after: Neighbour | None = None


async def propose_description(
    client: ChatModel,
    card: AgentCard,
    examples: Sequence[str],
    *,
    others: Sequence[AgentCard] = (),
    embedder: Embedder,
) -> Proposal:
    """Draft a description and compare it with the old one. No card is changed.

    Raises:
        ConfigError: there is no example.
        LlmError: the client failed, or replied with nothing that is a description.
    """
    rivals = nearest_first(card.model_copy(update={"examples": tuple(examples)}), others, embedder)
    draft = await draft_description(client, card, examples, others=rivals)
    changed = card.model_copy(update={"description": draft.description})
    return Proposal(
        agent_id=card.id,
        old=card.description,
        new=draft.description,
        model=draft.model,
        examples=draft.examples,
        cost_usd=draft.cost_usd,
        before=neighbour_of(card, others, embedder) if card.description else None,
        after=neighbour_of(changed, others, embedder),
    )


def nearest_first(card: AgentCard, others: Sequence[AgentCard], embedder: Embedder) -> list[AgentCard]:
    """Return the other agents, the nearest to ``card`` first."""
    rivals = [other for other in others if other.id != card.id]
    cosines = card_cosines([card, *rivals], embedder)[0, 1:]
    return [rivals[place] for place in np.argsort(-cosines, kind="stable").tolist()]


def tasks_done_well(store: TraceStore, agent_id: AgentId, *, most: int) -> tuple[str, ...]:
    """Return the texts of the tasks that an agent did best, the best first, and of equal ones the newest.

    Raises:
        StoreError: the store cannot be read.
    """
    by_task: dict[TaskKey, list[Experience]] = {}
    for one in store.experiences():
        if one.agent_id == agent_id:
            by_task.setdefault(task_key(one), []).append(one)
    rated = [(mean_quality(scores), scores[-1].sequence, scores[-1].text) for scores in by_task.values()]
    best = sorted((one for one in rated if one[0] >= WELL), key=lambda one: (-one[0], -one[1]))
    return tuple(dict.fromkeys(text for _, _, text in best))[:most]
