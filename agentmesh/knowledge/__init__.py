"""The knowledge graph as plain data: its builder, its form as arrays, and what a new task is tied to in it.

Names are imported when they are first used: whoever only finds entities, as a router that serves, loads no graph.
"""

from typing import TYPE_CHECKING

from agentmesh.lazy import lazily

if TYPE_CHECKING:
    from agentmesh.knowledge.builder import KnowledgeBuilder as KnowledgeBuilder
    from agentmesh.knowledge.builder import PastTask as PastTask
    from agentmesh.knowledge.codec import from_json as from_json
    from agentmesh.knowledge.codec import to_json as to_json
    from agentmesh.knowledge.entities import Entity as Entity
    from agentmesh.knowledge.entities import EntityExtractor as EntityExtractor
    from agentmesh.knowledge.entities import RuleExtractor as RuleExtractor
    from agentmesh.knowledge.graph import KnowledgeGraph as KnowledgeGraph
    from agentmesh.knowledge.graphml import to_graphml as to_graphml
    from agentmesh.knowledge.query import QueryEdges as QueryEdges
    from agentmesh.knowledge.query import query_edges as query_edges
    from agentmesh.knowledge.summary import Summary as Summary
    from agentmesh.knowledge.summary import summary_of as summary_of
    from agentmesh.knowledge.tensors import Edges as Edges
    from agentmesh.knowledge.tensors import GraphTensors as GraphTensors
    from agentmesh.knowledge.tensors import OutcomeEdges as OutcomeEdges
    from agentmesh.knowledge.tensors import dense_outcomes as dense_outcomes
    from agentmesh.knowledge.tensors import graph_tensors as graph_tensors

_HOMES = {
    "Edges": "tensors",
    "Entity": "entities",
    "EntityExtractor": "entities",
    "GraphTensors": "tensors",
    "KnowledgeBuilder": "builder",
    "KnowledgeGraph": "graph",
    "OutcomeEdges": "tensors",
    "PastTask": "builder",
    "QueryEdges": "query",
    "RuleExtractor": "entities",
    "Summary": "summary",
    "dense_outcomes": "tensors",
    "from_json": "codec",
    "graph_tensors": "tensors",
    "query_edges": "query",
    "summary_of": "summary",
    "to_graphml": "graphml",
    "to_json": "codec",
}

__all__ = sorted(_HOMES)

if not TYPE_CHECKING:
    __getattr__ = lazily(__name__, {name: f"knowledge.{home}" for name, home in _HOMES.items()})
