"""The knowledge graph as plain data: its builder, its form as arrays, and what a new task is tied to in it."""

from agentmesh.knowledge.builder import KnowledgeBuilder, PastTask
from agentmesh.knowledge.codec import from_json, to_json
from agentmesh.knowledge.entities import Entity, EntityExtractor, RuleExtractor
from agentmesh.knowledge.graph import KnowledgeGraph
from agentmesh.knowledge.graphml import to_graphml
from agentmesh.knowledge.query import QueryEdges, query_edges
from agentmesh.knowledge.summary import Summary, summary_of
from agentmesh.knowledge.tensors import Edges, GraphTensors, OutcomeEdges, dense_outcomes, graph_tensors

__all__ = [
    "Edges",
    "Entity",
    "EntityExtractor",
    "GraphTensors",
    "KnowledgeBuilder",
    "KnowledgeGraph",
    "OutcomeEdges",
    "PastTask",
    "QueryEdges",
    "RuleExtractor",
    "Summary",
    "dense_outcomes",
    "from_json",
    "graph_tensors",
    "query_edges",
    "summary_of",
    "to_graphml",
    "to_json",
]
