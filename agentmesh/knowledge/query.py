"""What a new task is tied to in a knowledge graph: by its text and vector alone, never by its name or outcomes."""

from dataclasses import dataclass

import numpy as np

from agentmesh.knowledge.entities import MOST_ENTITIES, EntityExtractor, RuleExtractor
from agentmesh.knowledge.graph import KnowledgeGraph
from agentmesh.knowledge.terms import TERMS_A_TASK, candidate_terms
from agentmesh.knowledge.words import read_part
from agentmesh.types import FloatArray, VectorArray


@dataclass(frozen=True, slots=True)
class QueryEdges:
    """The edges that a task would have: to the nearest past tasks, nearest first, and to the entities known.

    Shapes:
        cosines: (len(tasks),) above 0, one for each of ``tasks``.
    """

    tasks: tuple[str, ...]
    cosines: FloatArray
    entities: tuple[str, ...]


def query_edges(
    graph: KnowledgeGraph, text: str, vector: VectorArray, *, k: int = 8, extractor: EntityExtractor | None = None
) -> QueryEdges:
    """Return the edges of a task that is to be decided; nothing is added to the graph.

    Args:
        graph: What is known.
        text: What is asked.
        vector: Its embedding.
        k: How many past tasks to name; they are looked for among the newest ``graph.like_within``.
        extractor: The one that the graph was built with, if it was not :class:`RuleExtractor`.

    Shapes:
        vector: (d,) float32.

    Raises:
        ConfigError: the vector cannot be compared with those of the graph.
    """
    near = graph.window.nearest(np.asarray(vector, dtype=np.float32), k=k)
    found = (extractor or RuleExtractor()).extract(read_part(text))
    keys = dict.fromkeys(entity.key for entity in found if graph.has("entity", entity.key))
    keys.update(dict.fromkeys(_known_terms(graph, text)))
    return QueryEdges(
        tasks=tuple(name for name, _ in near),
        cosines=np.array([cosine for _, cosine in near], dtype=np.float64),
        entities=tuple(keys)[:MOST_ENTITIES],
    )


def _known_terms(graph: KnowledgeGraph, text: str) -> list[str]:
    terms = {term: count for term, count in candidate_terms(text).items() if graph.has("entity", term)}
    return graph.terms.best(terms, most=TERMS_A_TASK)
