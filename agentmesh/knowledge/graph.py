"""The knowledge graph: what is known of tasks, of what they name, and of the agents that solved them."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.knowledge.entities import Entity
from agentmesh.knowledge.likeness import TaskWindow
from agentmesh.knowledge.nodes import (
    AgentNode,
    EdgeKind,
    EntityNode,
    Key,
    NodeKind,
    Outcome,
    TaskNode,
)
from agentmesh.knowledge.relations import Triple
from agentmesh.knowledge.terms import TermStatistics
from agentmesh.knowledge.view import GraphView
from agentmesh.types import AgentId

MAX_TASKS: Final = 20_000

SLACK: Final = 16
"""When there are too many entities, a sixteenth of them goes at once: so each costs a constant share of one look at
all of them."""


@dataclass(frozen=True, slots=True)
class Links:
    """What a task is tied to: what it names, the skills it asks for, and earlier tasks like it with their cosines."""

    entities: Sequence[Entity] = ()
    skills: Sequence[str] = ()
    like: Sequence[tuple[str, float]] = ()


class KnowledgeGraph(GraphView):
    """Keeps tasks, entities, relations, skills and agents as one directed graph, within bounds.

    ``nx`` is the graph itself, plain data: nodes are ``(kind, name)``, and every edge has a ``kind`` (see
    :data:`~agentmesh.knowledge.nodes.ENDS`) and a ``weight``. Read it freely; change it only through this class, which
    keeps counts beside it. Edges from an agent to a task are ``solved`` or ``failed`` and also carry the mean
    ``quality``, the mean ``cost_usd`` or ``None``, and the ``count`` of outcomes (``costs`` where fewer have a cost).
    A triple of a text stands as entity -> relation -> entity; ``knows`` counts the tasks with an entity that an agent
    solved.

    Bounds: of tasks the newest ``max_tasks`` stay, the oldest by arrival goes with its edges. Of entities about
    ``max_entities`` stay: when there are more, a sixteenth of them goes, those that the fewest tasks name, of these
    the oldest. Entities, relations and skills that nothing leads to any more go too. A new version of an agent drops
    what was known of the old one; what still comes in of the old one is refused. ``like`` edges are looked for among
    the newest ``like_within`` tasks. Every step is O(1) amortised, but for that search. 100,000 tasks with
    vectors of 384 numbers and 12 outcomes each take 1.4 GB, and 0.4 GB more as arrays.

    Args:
        max_tasks: How many tasks are kept, 1 and up.
        max_entities: How many entities are kept, 1 and up.
        like_within: Among how many of the newest tasks those that are alike are looked for, 1 and up.
    """

    def __init__(self, *, max_tasks: int = MAX_TASKS, max_entities: int = 50_000, like_within: int = 20_000) -> None:
        for name, value in (("max_tasks", max_tasks), ("max_entities", max_entities), ("like_within", like_within)):
            if value < 1:
                raise ConfigError(f"{name} is {value!r}; it must be a whole number from 1 up")
        super().__init__()
        self.max_tasks, self.max_entities, self.like_within = max_tasks, max_entities, like_within
        self.sequence = 0
        """The last experience taken in."""
        self.embedder = ""
        self.extractor = ""
        self.source = ""
        self.terms = TermStatistics()
        self.window = TaskWindow(min(like_within, max_tasks))
        self.arrived = 0
        """How many tasks have come so far, those that went again too."""
        self.named = 0
        """How many entities have come so far, those that went again too."""
        self._arrivals: deque[str] = deque()

    def put_agent(self, agent: AgentNode, skills: Iterable[str] = ()) -> bool:
        """Put an agent in, or its declaration anew; a newer version drops what was known of the older one.

        Its ``since`` is set here, and kept where the version stays.

        Returns:
            Whether it was taken: not if a newer version is here.
        """
        if not self.renew(agent.name, agent.version, since=self.arrived):
            return False
        key = self._keys["agent"][agent.name]
        self.nx.nodes[key].update({**fields_of(agent), "since": self.nx.nodes[key]["since"]})
        before = self._out(key, "has")
        declared = {self._ensured("skill", skill): None for skill in skills}
        self.nx.add_edges_from([(key, skill) for skill in declared], kind="has", weight=1)
        for skill in before:
            if skill not in declared:
                self.nx.remove_edge(key, skill)
                self._drop_alone(skill)
        return True

    def renew(self, agent_id: AgentId, version: int, *, since: int) -> bool:
        """See that an agent stands here at ``version``, and return ``False`` if it is here at a newer one."""
        key = self._keys["agent"].get(agent_id)
        if key is None:
            self._add("agent", agent_id, fields_of(AgentNode(agent_id, version, since)))
            return True
        attributes = self.nx.nodes[key]
        if version > attributes["version"]:
            learned = [other for other, edge in self.nx.adj[key].items() if edge["kind"] != "has"]
            self.nx.remove_edges_from([(key, other) for other in learned])
            attributes.update(version=version, since=since)
        return bool(version == attributes["version"])

    def put_task(self, task: TaskNode, links: Links) -> None:
        """Put a new task in, as the newest, and let go of what is beyond the bounds; ``order`` is set here."""
        self._tie(replace(task, order=self.arrived), links)
        self.arrived += 1
        while len(self._arrivals) > self.max_tasks:
            self._forget_task(self._keys["task"][self._arrivals.popleft()])
        if self.count("entity") > self.max_entities:
            self._forget_rare()

    def restore(
        self,
        *,
        entities: Iterable[EntityNode],
        tasks: Sequence[tuple[TaskNode, Links]],
        agents: Iterable[tuple[AgentNode, Sequence[str]]],
        outcomes: Iterable[Outcome],
    ) -> None:
        """Put what another graph held into this one, which is empty; what follows from it is counted anew.

        Everything is in the order in which it came, and names only what is among the rest.

        Raises:
            ConfigError: the vectors cannot be compared with one another.
        """
        newest = [task for task, _ in tasks[-self.window.limit :]]
        if newest:
            self.window.extend([task.name for task in newest], np.stack([task.vector for task in newest]), k=0)
        for entity in entities:
            self._add("entity", entity.name, {**fields_of(entity), "count": 0})
        for task, links in tasks:
            self._tie(task, links)
        for agent, skills in agents:
            self.put_agent(agent, skills)
            self.nx.nodes["agent", agent.name]["since"] = agent.since
        for outcome in outcomes:
            self._keep(outcome, 0)

    def _tie(self, task: TaskNode, links: Links) -> None:
        key = self._add("task", task.name, fields_of(task))
        self._arrivals.append(task.name)
        for skill in links.skills:
            self.nx.add_edge(key, self._ensured("skill", skill), kind="of", weight=1)
        for entity in links.entities:
            self._mention(key, entity)
        for triple in task.triples:
            self._relate(triple)
        for name, cosine in links.like:
            self.nx.add_edge(key, self._keys["task"][name], kind="like", weight=cosine)

    def put_outcome(self, outcome: Outcome) -> None:
        """Take in what came of an agent on a task, both of which are here, beside what came of it before.

        A closed task stores no failures, except of an agent that was seen to solve it.
        """
        before = self.outcome(outcome.task, outcome.agent_id)
        if before is None and not outcome.solved and self.nx.nodes["task", outcome.task]["closed"]:
            return
        self._keep(outcome if before is None else before.joined(outcome), int(before is not None and before.solved))

    def _add(self, kind: NodeKind, name: str, attributes: Mapping[str, Any]) -> Key:
        key = (kind, name)
        self.nx.add_node(key, **attributes)
        self._keys[kind][name] = key
        return key

    def _ensured(self, kind: NodeKind, name: str) -> Key:
        """Return the one key object of a node, so that a million edges do not hold a million keys."""
        return self._keys[kind].get(name) or self._add(kind, name, {})

    def _drop(self, key: Key) -> None:
        self.nx.remove_node(key)
        del self._keys[key[0]][key[1]]

    def _drop_alone(self, key: Key) -> None:
        if not self.nx.degree(key):
            self._drop(key)

    def _mention(self, task: Key, entity: Entity) -> None:
        key = self._keys["entity"].get(entity.key)
        if key is None:
            node = EntityNode(entity.key, entity.surface, entity.kind, order=self.named)
            key = self._add("entity", entity.key, fields_of(node))
            self.named += 1
        self.nx.nodes[key]["count"] += 1
        self.nx.add_edge(task, key, kind="mentions", weight=entity.count)

    def _relate(self, triple: Triple) -> None:
        head, tail = self._keys["entity"][triple.head], self._keys["entity"][triple.tail]
        relation = self._ensured("relation", triple.relation)
        self._weigh(head, relation, "head", 1)
        self._weigh(relation, tail, "tail", 1)

    def _unrelate(self, triple: Triple) -> None:
        head, tail = self._keys["entity"][triple.head], self._keys["entity"][triple.tail]
        relation = self._keys["relation"][triple.relation]
        self._weigh(head, relation, "head", -1)
        self._weigh(relation, tail, "tail", -1)
        self._drop_alone(relation)

    def _keep(self, outcome: Outcome, solved_before: int) -> None:
        agent, task = self._keys["agent"][outcome.agent_id], self._keys["task"][outcome.task]
        self.nx.add_edge(agent, task, **_edge_of(outcome))
        self._learn(agent, task, int(outcome.solved) - solved_before)

    def _learn(self, agent: Key, task: Key, step: int) -> None:
        """Count a task that an agent solved, or no longer counts as having solved, for all it names."""
        if step:
            for entity in self._out(task, "mentions"):
                self._weigh(agent, entity, "knows", step)

    def _weigh(self, source: Key, target: Key, kind: EdgeKind, step: int) -> None:
        edge = self.nx.get_edge_data(source, target)
        if edge is None:
            self.nx.add_edge(source, target, kind=kind, weight=step)
            return
        edge["weight"] += step
        if edge["weight"] <= 0:
            self.nx.remove_edge(source, target)

    def _forget_task(self, key: Key) -> None:
        for triple in self.nx.nodes[key]["triples"]:
            self._unrelate(triple)
        for agent in self._into(key, "solved"):
            self._learn(agent, key, -1)
        entities, skills = self._out(key, "mentions"), self._out(key, "of")
        self._drop(key)
        for entity in entities:
            attributes = self.nx.nodes[entity]
            attributes["count"] -= 1
            if not attributes["count"]:
                self._drop(entity)
        for skill in skills:
            self._drop_alone(skill)

    def _forget_rare(self) -> None:
        keys = list(self._keys["entity"].values())
        nodes = [self.nx.nodes[key] for key in keys]
        ranks = np.array([(node["count"] << 40) + node["order"] for node in nodes], dtype=np.int64)
        going = len(keys) - self.max_entities + self.max_entities // SLACK
        for place in np.argpartition(ranks, going - 1)[:going].tolist():
            self._forget_entity(keys[place])

    def _forget_entity(self, key: Key) -> None:
        for task in self._into(key, "mentions"):
            attributes = self.nx.nodes[task]
            gone = [triple for triple in attributes["triples"] if key[1] in (triple.head, triple.tail)]
            for triple in gone:
                self._unrelate(triple)
            if gone:
                attributes["triples"] = tuple(triple for triple in attributes["triples"] if triple not in gone)
        self._drop(key)


def fields_of(node: TaskNode | EntityNode | AgentNode) -> dict[str, Any]:
    """Return what a node is but its name, as the attributes it has in the graph."""
    return {field.name: getattr(node, field.name) for field in fields(node) if field.name != "name"}


def _edge_of(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as the attributes of its edge: five of them, which a dict holds in its smallest size."""
    attributes = {
        "kind": "solved" if outcome.solved else "failed",
        "quality": outcome.quality,
        "cost_usd": outcome.cost_usd,
        "count": outcome.count,
        "weight": outcome.weight,
    }
    return {**attributes, "costs": outcome.costs} if 0 < outcome.costs < outcome.count else attributes
