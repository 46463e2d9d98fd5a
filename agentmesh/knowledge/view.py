"""The knowledge graph as it is read: plain data on networkx, and typed access to it."""

from collections.abc import Iterator, Mapping
from typing import Any

import networkx

from agentmesh.errors import ConfigError
from agentmesh.knowledge.nodes import (
    ENDS,
    NODE_KINDS,
    AgentNode,
    EdgeKind,
    EntityNode,
    Key,
    NodeKind,
    Outcome,
    TaskNode,
)
from agentmesh.types import AgentId


class GraphView:
    """Reads nodes, edges and counts; :class:`~agentmesh.knowledge.graph.KnowledgeGraph` adds what changes them."""

    def __init__(self) -> None:
        self.nx = networkx.DiGraph()
        self._keys: dict[NodeKind, dict[str, Key]] = {kind: {} for kind in NODE_KINDS}

    def names(self, kind: NodeKind) -> tuple[str, ...]:
        """Return the names of all nodes of a kind, in the order in which they came."""
        return tuple(self._keys[kind])

    def count(self, kind: NodeKind) -> int:
        """Return how many nodes of a kind there are."""
        return len(self._keys[kind])

    def has(self, kind: NodeKind, name: str) -> bool:
        """Return whether there is such a node."""
        return name in self._keys[kind]

    def task(self, name: str) -> TaskNode:
        """Return a task.

        Raises:
            ConfigError: it is not in the graph.
        """
        return TaskNode(name, **self._attributes("task", name))

    def agent(self, agent_id: AgentId) -> AgentNode:
        """Return an agent.

        Raises:
            ConfigError: it is not in the graph.
        """
        return AgentNode(agent_id, **self._attributes("agent", agent_id))

    def entity(self, name: str) -> EntityNode:
        """Return an entity by its key.

        Raises:
            ConfigError: it is not in the graph.
        """
        return EntityNode(name, **self._attributes("entity", name))

    def outcome(self, task: str, agent_id: AgentId) -> Outcome | None:
        """Return what came of an agent on a task, ``None`` where nothing is stored."""
        edge = self.nx.get_edge_data(("agent", agent_id), ("task", task))
        return None if edge is None else _outcome(task, agent_id, edge)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what came of every agent on every task where something is stored, by agent as they came."""
        for agent in self._keys["agent"].values():
            for task, edge in self.nx.adj[agent].items():
                if task[0] == "task":
                    yield _outcome(task[1], agent[1], edge)

    def linked(self, kind: EdgeKind, name: str) -> dict[str, float]:
        """Return where the edges of a kind from a node lead, with their weights, in the order in which they came.

        ``name`` is of the kind of node that such edges lead from: of a task for ``mentions``.
        """
        node = self._keys[ENDS[kind][0]].get(name)
        if node is None:
            return {}
        return {key[1]: edge["weight"] for key, edge in self.nx.adj[node].items() if edge["kind"] == kind}

    def _attributes(self, kind: NodeKind, name: str) -> dict[str, Any]:
        key = self._keys[kind].get(name)
        if key is None:
            raise ConfigError(f"the graph holds no {kind} {name!r}; it has {self.count(kind)} of that kind")
        found: dict[str, Any] = self.nx.nodes[key]
        return found

    def _out(self, key: Key, kind: EdgeKind) -> list[Key]:
        return [other for other, edge in self.nx.adj[key].items() if edge["kind"] == kind]

    def _into(self, key: Key, kind: EdgeKind) -> list[Key]:
        return [other for other, edge in self.nx.pred[key].items() if edge["kind"] == kind]


def _outcome(task: str, agent_id: AgentId, edge: Mapping[str, Any]) -> Outcome:
    costs = edge.get("costs", 0 if edge["cost_usd"] is None else edge["count"])
    return Outcome(task, agent_id, edge["quality"], edge["cost_usd"], edge["count"], edge["weight"], costs)
