"""A knowledge graph told in numbers that a person can take in."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np

from agentmesh.knowledge.entities import EntityKind
from agentmesh.knowledge.graph import KnowledgeGraph
from agentmesh.knowledge.nodes import ENDS, NODE_KINDS, SOLVED_FROM, EdgeKind, NodeKind
from agentmesh.knowledge.tensors import Edges, GraphTensors, dense_outcomes, graph_tensors
from agentmesh.records import Record
from agentmesh.types import AgentId, VectorArray

AGENTS_LISTED: Final = 200
SKILLS_LISTED: Final = 200
LISTED: Final = 10
"""Entities that are listed, of all and of each agent, and skills of an agent."""


class EntitySummary(Record):
    """An entity, and how many tasks name it; for an agent, how many of these it solved."""

    name: str
    kind: EntityKind
    tasks: int


class SkillSummary(Record):
    """A skill, and how many tasks ask for it."""

    skill: str
    tasks: int


class SkillShare(Record):
    """How an agent did on the tasks of a skill: the share it solved, of how many where that is known."""

    skill: str
    solved: float
    tasks: int


class AgentSummary(Record):
    """What is known of an agent. ``None`` for a mean says that nothing is known."""

    agent_id: AgentId
    version: int
    solved: int
    failed: int
    quality: float | None
    cost_usd: float | None
    skills: tuple[SkillShare, ...]
    entities: tuple[EntitySummary, ...]


class Summary(Record):
    """A graph in numbers: nodes and edges by kind, and the first of each list, whose lengths are bounded."""

    source: str
    embedder: str
    sequence: int
    nodes: Mapping[NodeKind, int]
    edges: Mapping[EdgeKind, int]
    entities: tuple[EntitySummary, ...]
    skills: tuple[SkillSummary, ...]
    agents: tuple[AgentSummary, ...]


def summary_of(graph: KnowledgeGraph) -> Summary:
    """Return a graph in numbers: the 10 most frequent entities, and up to 200 skills and agents, most tasks first."""
    tensors = graph_tensors(graph)
    quality, cost = dense_outcomes(tensors)
    edges = Counter(kind for _, _, kind in graph.nx.edges(data="kind"))
    named = [graph.entity(name) for name in tensors.entity_names]
    frequent = sorted(named, key=lambda entity: (-entity.count, entity.name))[:LISTED]
    tasks_of = np.bincount(tensors.of.target, minlength=len(tensors.skill_names)).tolist()
    asked = sorted(zip(tensors.skill_names, tasks_of, strict=True), key=lambda pair: (-pair[1], pair[0]))
    known = np.isfinite(quality).sum(axis=0)
    return Summary(
        source=graph.source,
        embedder=graph.embedder,
        sequence=graph.sequence,
        nodes={kind: graph.count(kind) for kind in NODE_KINDS},
        edges={kind: edges[kind] for kind in ENDS},
        entities=tuple(EntitySummary(name=one.name, kind=one.entity_kind, tasks=one.count) for one in frequent),
        skills=tuple(SkillSummary(skill=skill, tasks=count) for skill, count in asked[:SKILLS_LISTED]),
        agents=tuple(
            _agent(graph, tensors, place, quality[:, place], cost[:, place])
            for place in np.argsort(-known, kind="stable")[:AGENTS_LISTED].tolist()
        ),
    )


def _agent(
    graph: KnowledgeGraph, tensors: GraphTensors, place: int, quality: VectorArray, cost: VectorArray
) -> AgentSummary:
    """Tell of one agent.

    Shapes:
        quality, cost: (m,) of the agent on each task, NaN where unknown.
    """
    agent_id = tensors.agent_ids[place]
    solved = int((quality >= SOLVED_FROM).sum())
    knows = sorted(graph.linked("knows", agent_id).items(), key=lambda item: (-item[1], item[0]))[:LISTED]
    return AgentSummary(
        agent_id=agent_id,
        version=int(tensors.agent_versions[place]),
        solved=solved,
        failed=int(np.isfinite(quality).sum()) - solved,
        quality=_mean(quality),
        cost_usd=_mean(cost),
        skills=_strongest(tensors.skill_names, tensors.of, quality),
        entities=tuple(
            EntitySummary(name=name, kind=graph.entity(name).entity_kind, tasks=int(count)) for name, count in knows
        ),
    )


def _strongest(skills: tuple[str, ...], of: Edges, quality: VectorArray) -> tuple[SkillShare, ...]:
    """Return the skills of whose tasks an agent solved the largest share, and of equal ones the most tasks."""
    seen = np.isfinite(quality)[of.source]
    tasks = np.bincount(of.target[seen], minlength=len(skills))
    solved = np.bincount(of.target[quality[of.source] >= SOLVED_FROM], minlength=len(skills))
    found = [
        SkillShare(skill=skills[place], solved=int(solved[place]) / int(tasks[place]), tasks=int(tasks[place]))
        for place in np.flatnonzero(solved).tolist()
    ]
    return tuple(sorted(found, key=lambda share: (-share.solved, -share.tasks, share.skill))[:LISTED])


def _mean(values: VectorArray) -> float | None:
    known = values[np.isfinite(values)].astype(np.float64)
    return float(known.mean()) if len(known) else None
