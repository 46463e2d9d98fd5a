"""What the GNN is trained on: the knowledge graph of a table of outcomes, laid out in arrays."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from agentmesh.knowledge.builder import KnowledgeBuilder, PastTask
from agentmesh.knowledge.entities import Entity
from agentmesh.knowledge.tensors import GraphTensors, dense_outcomes, graph_tensors
from agentmesh.records import AgentCard
from agentmesh.routing.base import AgentPool, Outcomes, index_of
from agentmesh.routing.gnn.features import card_features, task_features
from agentmesh.types import FloatArray, IndexArray, MaskArray, VectorArray

BLOCK: Final = 512
"""Tasks whose nearest are looked for in one product."""

MOST_IMPORTANCE: Final = 20.0
"""An outcome drawn at less than one in twenty counts as if at one in twenty, or a few would weigh as much as all."""


@dataclass(frozen=True, slots=True)
class TrainingGraph:
    """A knowledge graph of m tasks, n agents and s skills as the network trains on it.

    Shapes:
        features: (m, d + 1), cards: (n, d + 2) as :mod:`~agentmesh.routing.gnn.features` makes them.
        nearness: (m, n) how much nearer each card is to the task than the average card.
        quality, cost: (m, n) 0 where unknown. seen, priced: (m, n) 1 where known, else 0.
        importance: (m, n) what each outcome weighs in the loss: 1 over its propensity, of mean 1.
        skill: (m,) the task's first skill, -1 where it has none.
        near: (m, k) the most similar other tasks, nearest first, and their cosines. All but indices are float32.
    """

    tensors: GraphTensors
    texts: tuple[str, ...]
    features: VectorArray
    cards: VectorArray
    nearness: VectorArray
    quality: VectorArray
    cost: VectorArray
    seen: VectorArray
    priced: VectorArray
    importance: VectorArray
    skill: IndexArray
    near: IndexArray
    cosines: VectorArray

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.texts)

    @property
    def exclusive(self) -> bool:
        """Return whether each task has at most one agent that is right, and all were observed: labels."""
        return bool(self.tensors.closed.all()) and len(self) > 0


class NoEntities:
    """Finds nothing, for a network that reads no entities."""

    version = "none"

    def extract(self, text: str) -> tuple[Entity, ...]:  # noqa: ARG002 - the seam's signature
        """Return nothing."""
        return ()


def by_id(outcomes: Outcomes) -> Outcomes:
    """Return the table with its agents sorted by id and with a pool, of empty cards where it had none."""
    pool = outcomes.pool or unknown_pool(outcomes.agent_ids, outcomes.vectors.shape[1])
    order = sorted(range(len(outcomes.agent_ids)), key=outcomes.agent_ids.__getitem__)
    return replace(outcomes, pool=pool).taken(order)


def unknown_pool(ids: tuple[str, ...], dimension: int) -> AgentPool:
    """Return agents of which only the names are known."""
    unknown = np.full(len(ids), np.nan)
    return AgentPool(
        ids=ids,
        vectors=np.zeros((len(ids), dimension), np.float32),
        price_per_call=unknown,
        price_in_per_m=unknown,
        price_out_per_m=unknown,
        latency_s=unknown,
        versions=np.ones(len(ids), np.int64),
        mask=np.ones(len(ids), np.bool_),
        registry_version="",
        index=index_of(ids),
    )


def training_graph(outcomes: Outcomes, pool: AgentPool, *, entities: bool, neighbours: int) -> TrainingGraph:
    """Build the knowledge graph of a table and lay it out; the agents of both are sorted by id, as in ``pool``."""
    tensors = graph_tensors(_built(outcomes, pool, entities=entities).graph)
    quality, cost = dense_outcomes(tensors)
    seen = ~np.isnan(quality)
    near, cosines = nearest_others(tensors.task_vectors, neighbours)
    nearness = tensors.task_vectors @ pool.vectors.T
    return TrainingGraph(
        tensors=tensors,
        texts=outcomes.texts,
        features=task_features(tensors.task_vectors, [len(text) for text in outcomes.texts]),
        cards=card_features(pool),
        nearness=nearness - nearness.mean(axis=1, keepdims=True),
        quality=np.nan_to_num(quality),
        cost=np.nan_to_num(cost),
        seen=seen.astype(np.float32),
        priced=(~np.isnan(cost)).astype(np.float32),
        importance=_importance(outcomes.propensity, seen),
        skill=_first_skill(tensors),
        near=near,
        cosines=cosines,
    )


def _built(outcomes: Outcomes, pool: AgentPool, *, entities: bool) -> KnowledgeBuilder:
    extractor = None if entities else NoEntities()
    builder = KnowledgeBuilder(extractor=extractor, terms=entities, max_tasks=max(len(outcomes), 1))
    cards = pool.cards or tuple(AgentCard(id=agent_id, description="") for agent_id in pool.ids)
    for card, vector in zip(cards, pool.vectors, strict=True):
        builder.add_agent(card, vector)
    closed = is_closed(outcomes.quality)
    names = [row_name(row) for row in range(len(outcomes))]
    builder.add_tasks(
        [
            PastTask(name, text, vector, kinds=(group,) if group else (), closed=closed)
            for name, text, vector, group in zip(names, outcomes.texts, outcomes.vectors, outcomes.groups, strict=True)
        ]
    )
    told = ~np.isnan(outcomes.quality) & ((outcomes.quality > 0) | (not closed))
    for row, column in np.argwhere(told).tolist():
        paid = float(outcomes.cost[row, column])
        builder.add_outcome(
            names[row],
            pool.ids[column],
            version=int(pool.versions[column]),
            quality=float(outcomes.quality[row, column]),
            cost_usd=None if np.isnan(paid) else paid,
        )
    return builder


def row_name(row: int) -> str:
    """Return what a row of a table is called among the tasks: rows sort as they stand.

    >>> row_name(7)
    'row 0000007'
    """
    return f"row {row:07}"


def is_closed(quality: FloatArray) -> bool:
    """Return whether at most one agent is right on each task and all were observed, as on a set of labels."""
    return bool((quality.sum(axis=1) <= 1.0).all())  # a sum with NaN in it is not


def nearest_others(vectors: VectorArray, k: int) -> tuple[IndexArray, VectorArray]:
    """Return the ``k`` most similar other tasks of each task, nearest first, and their cosines.

    Shapes:
        vectors: (m, d). Returns (m, min(k, m - 1)) int64 and float32.
    """
    count = min(k, len(vectors) - 1)
    near = np.zeros((len(vectors), max(count, 0)), np.int64)
    cosines = np.zeros(near.shape, np.float32)
    for start in range(0, len(vectors) if count > 0 else 0, BLOCK):
        rows = slice(start, start + BLOCK)
        like = vectors[rows] @ vectors.T
        like[np.arange(len(like)), np.arange(start, start + len(like))] = -np.inf
        near[rows], cosines[rows] = highest(like, count)
    return near, cosines


def highest(values: VectorArray, k: int) -> tuple[IndexArray, VectorArray]:
    """Return the places of the ``k`` highest values of each row, highest first, and the values.

    Shapes:
        values: (b, m), k <= m. Returns (b, k) twice.
    """
    places = np.argpartition(-values, k - 1, axis=1)[:, :k] if k < values.shape[1] else _all_places(values)
    found = np.take_along_axis(values, places, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(found, order, axis=1)


def _all_places(values: VectorArray) -> IndexArray:
    return np.broadcast_to(np.arange(values.shape[1]), values.shape)


def _importance(propensity: FloatArray | None, seen: MaskArray) -> VectorArray:
    if propensity is None or not seen.any():
        return seen.astype(np.float32)
    known = seen & (propensity > 0)  # NaN is not
    weight = np.where(known, np.minimum(1.0 / np.where(known, propensity, 1.0), MOST_IMPORTANCE), 1.0) * seen
    return np.asarray(weight / weight[seen].mean(), dtype=np.float32)


def _first_skill(tensors: GraphTensors) -> IndexArray:
    skill = np.full(len(tensors.task_names), -1, np.int64)
    skill[tensors.of.source[::-1]] = tensors.of.target[::-1]
    return skill
