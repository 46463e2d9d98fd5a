"""A knowledge graph as arrays: what a router is trained on."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from agentmesh.knowledge.graph import KnowledgeGraph
from agentmesh.knowledge.nodes import EdgeKind, NodeKind
from agentmesh.types import AgentId, FloatArray, IndexArray, MaskArray, VectorArray

BLOCK: Final = 8_192
"""Edges whose vectors are gathered at a time: at 384 numbers a vector it takes 13 MB."""


@dataclass(frozen=True, slots=True)
class Edges:
    """The edges of one kind, by source, then target.

    Shapes:
        source, target: (s,) int64, places among the nodes of their kinds. weight: (s,) float64.
    """

    source: IndexArray
    target: IndexArray
    weight: FloatArray


@dataclass(frozen=True, slots=True)
class OutcomeEdges:
    """What came of agents on tasks, by task, then agent; the failures on closed tasks are not among them.

    Shapes:
        task, agent: (s,) int64. quality: (s,) 0 to 1. cost: (s,) US dollars, NaN where unknown. weight: (s,) above 0.
    """

    task: IndexArray
    agent: IndexArray
    quality: FloatArray
    cost: FloatArray
    weight: FloatArray


@dataclass(frozen=True, slots=True)
class GraphTensors:
    """A knowledge graph as arrays: tasks in the order of arrival, all else sorted by name.

    Shapes:
        task_vectors: (m, d) float32. task_order: (m,) int64, rising. closed: (m,) bool.
        agent_vectors: (n, d) float32, zeros where unknown. agent_versions, agent_since: (n,) int64; a closed task says
            something of an agent where ``agent_since <= task_order``. prices: (n, 3) US dollars a call, a million
            tokens read and a million written, NaN where unknown.
        entity_vectors: (e, d) float32, the mean vector of the tasks that name the entity. skill_vectors: (s, d)
            float32, the mean of the tasks of the skill, zeros where there are none.
        mentions: task -> entity. heads: entity -> relation. tails: relation -> entity. has: agent -> skill.
        of: task -> skill. knows: agent -> entity. like: task -> earlier task, weighed by the cosine.
    """

    task_names: tuple[str, ...]
    task_vectors: VectorArray
    task_order: IndexArray
    closed: MaskArray
    agent_ids: tuple[AgentId, ...]
    agent_versions: IndexArray
    agent_since: IndexArray
    agent_vectors: VectorArray
    prices: FloatArray
    entity_names: tuple[str, ...]
    entity_vectors: VectorArray
    skill_names: tuple[str, ...]
    skill_vectors: VectorArray
    relation_names: tuple[str, ...]
    outcomes: OutcomeEdges
    mentions: Edges
    heads: Edges
    tails: Edges
    has: Edges
    of: Edges
    knows: Edges
    like: Edges


Places: TypeAlias = dict[NodeKind, dict[str, int]]


@dataclass(slots=True)
class _Column:
    """The edges of one kind as they are read, in plain arrays of machine numbers."""

    source: "array[int]" = field(default_factory=lambda: array("q"))
    target: "array[int]" = field(default_factory=lambda: array("q"))
    weight: "array[float]" = field(default_factory=lambda: array("d"))
    quality: "array[float]" = field(default_factory=lambda: array("d"))
    cost: "array[float]" = field(default_factory=lambda: array("d"))

    def edges(self) -> Edges:
        """Return the edges in order."""
        source, target = np.asarray(self.source), np.asarray(self.target)
        order = np.lexsort((target, source))
        return Edges(source[order], target[order], np.asarray(self.weight)[order])


def graph_tensors(graph: KnowledgeGraph) -> GraphTensors:
    """Return a knowledge graph as arrays; the same graph gives the same arrays."""
    names = _ordered_names(graph)
    columns = _columns(graph, {kind: {name: place for place, name in enumerate(names[kind])} for kind in names})
    tasks = [graph.task(name) for name in names["task"]]
    agents = [graph.agent(name) for name in names["agent"]]
    known = [agent.vector for agent in agents if agent.vector is not None]
    dimension = graph.window.dimension or (len(known[0]) if known else 0)
    vectors = _stacked([task.vector for task in tasks], dimension)
    edges = {kind: columns[kind].edges() for kind in columns if kind not in ("solved", "failed")}
    nothing = np.zeros(dimension, np.float32)
    prices = [(one.price_per_call_usd, one.price_in_per_m_usd, one.price_out_per_m_usd) for one in agents]
    return GraphTensors(
        task_names=names["task"],
        task_vectors=vectors,
        task_order=np.array([task.order for task in tasks], dtype=np.int64),
        closed=np.array([task.closed for task in tasks], dtype=np.bool_),
        agent_ids=names["agent"],
        agent_versions=np.array([agent.version for agent in agents], dtype=np.int64),
        agent_since=np.array([agent.since for agent in agents], dtype=np.int64),
        agent_vectors=_stacked([nothing if one.vector is None else one.vector for one in agents], dimension),
        prices=np.array(prices, dtype=np.float64).reshape(-1, 3),
        entity_names=names["entity"],
        entity_vectors=_mean_vectors(vectors, edges["mentions"], len(names["entity"])),
        skill_names=names["skill"],
        skill_vectors=_mean_vectors(vectors, edges["of"], len(names["skill"])),
        relation_names=names["relation"],
        outcomes=_outcomes(columns["solved"], columns["failed"]),
        mentions=edges["mentions"],
        heads=edges["head"],
        tails=edges["tail"],
        has=edges["has"],
        of=edges["of"],
        knows=edges["knows"],
        like=edges["like"],
    )


def dense_outcomes(tensors: GraphTensors) -> tuple[VectorArray, VectorArray]:
    """Return quality and cost of every agent on every task.

    Shapes:
        returns (m, n) and (m, n) float32, NaN where nothing is known; on a closed task the quality of an agent that
        did not solve it is 0, if it was there already.
    """
    shape = len(tensors.task_names), len(tensors.agent_ids)
    quality, cost = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    quality[tensors.closed[:, None] & (tensors.agent_since <= tensors.task_order[:, None])] = 0.0
    seen = tensors.outcomes
    quality[seen.task, seen.agent] = seen.quality
    cost[seen.task, seen.agent] = seen.cost
    return quality, cost


def _ordered_names(graph: KnowledgeGraph) -> dict[NodeKind, tuple[str, ...]]:
    kinds: tuple[NodeKind, ...] = ("entity", "relation", "skill", "agent")
    return {"task": graph.names("task"), **{kind: tuple(sorted(graph.names(kind))) for kind in kinds}}


def _columns(graph: KnowledgeGraph, places: Places) -> dict[EdgeKind, _Column]:
    kinds: tuple[EdgeKind, ...] = ("solved", "failed", "mentions", "head", "tail", "has", "of", "knows", "like")
    columns = {kind: _Column() for kind in kinds}
    for (source_kind, source), (target_kind, target), edge in graph.nx.edges(data=True):
        column = columns[edge["kind"]]
        column.source.append(places[source_kind][source])
        column.target.append(places[target_kind][target])
        column.weight.append(edge["weight"])
        if "quality" in edge:
            column.quality.append(edge["quality"])
            column.cost.append(np.nan if edge["cost_usd"] is None else edge["cost_usd"])
    return columns


def _outcomes(solved: _Column, failed: _Column) -> OutcomeEdges:
    agent = np.asarray(solved.source + failed.source)
    task = np.asarray(solved.target + failed.target)
    order = np.lexsort((agent, task))
    return OutcomeEdges(
        task=task[order],
        agent=agent[order],
        quality=np.asarray(solved.quality + failed.quality)[order],
        cost=np.asarray(solved.cost + failed.cost)[order],
        weight=np.asarray(solved.weight + failed.weight)[order],
    )


def _stacked(vectors: Sequence[VectorArray], dimension: int) -> VectorArray:
    """Return vectors as rows, (len(vectors), dimension) float32."""
    return np.array(vectors, dtype=np.float32).reshape(len(vectors), dimension)


def _mean_vectors(vectors: VectorArray, edges: Edges, count: int) -> VectorArray:
    """Return the mean vector of the sources of each target, (count, d) float32, zeros where it has none."""
    sums = np.zeros((count, vectors.shape[1]), np.float32)
    order = np.argsort(edges.target, kind="stable")
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        targets, first = np.unique(edges.target[block], return_index=True)
        sums[targets] += np.add.reduceat(vectors[edges.source[block]], first, axis=0)
    tasks: VectorArray = np.maximum(np.bincount(edges.target, minlength=count), 1).astype(np.float32)
    return sums / tasks[:, None]
