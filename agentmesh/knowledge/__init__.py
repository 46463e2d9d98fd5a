"""The knowledge graph as plain data: its builder, its form as arrays, and what a new task is tied to in it."""

from agentmesh.knowledge.builder import KnowledgeBuilder, PastTask
from agentmesh.knowledge.entities import Entity, EntityExtractor, RuleExtractor
from agentmesh.knowledge.graph import KnowledgeGraph
from agentmesh.knowledge.query import QueryEdges, query_edges
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
    "dense_outcomes",
    "graph_tensors",
    "query_edges",
]
