"""A knowledge graph of what is known already: from a recorded set, or from what a database has learned from.

Test rows of a set are never read, and of the rows that are, right answers are passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agentmesh.agents.capability import capability_texts, capability_vectors
from agentmesh.errors import ConfigError, StoreError
from agentmesh.knowledge.builder import KnowledgeBuilder, PastTask
from agentmesh.knowledge.graph import MAX_TASKS, KnowledgeGraph
from agentmesh.learning.learner import BATCH, seen_by
from agentmesh.learning.sets import open_parts, texts_of
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import RecordedSet, Rows, load_set
from agentmesh.records import AgentCard, Experience
from agentmesh.routing.progress import Say, unsaid
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.store.opening import is_database


@dataclass(frozen=True, slots=True)
class Gathered:
    """A graph, and how many outcomes went into it now and how many were passed over.

    Passed over are experiences of an older version of an agent, or with a vector that is none of the embedder's.
    """

    graph: KnowledgeGraph
    taken: int
    passed_over: int


def gather_knowledge(
    source: str, embedder: Embedder, *, graph: KnowledgeGraph | None = None, say: Say | None = None
) -> Gathered:
    """Build the graph of a source, or continue one with what is new in it.

    Args:
        source: The folder of a recorded set, or the URL of a database.
        embedder: What embeds tasks and agents.
        graph: A graph of the same database, which is continued; one of a set is built anew, since a set does not grow.
        say: Told in words what is being done.

    Raises:
        ConfigError: ``graph`` is of another source or embedder.
        RecordedSetError: the set is malformed, or has no rows but those for testing.
        StoreError: the database cannot be read, or holds no experience.
    """
    tell = say or unsaid
    if not is_database(source):
        recorded = load_set(source)
        _check_source(graph, recorded.info.name)
        tell(f"embedding the tasks of {recorded.info.name}")
        return _of_set(recorded, embedder)
    with open_store(source, read_only=True) as store:
        tell(f"learning from {store.url}")
        return _of_store(store, embedder, graph)


def knowledge_of_set(recorded: RecordedSet, embedder: Embedder) -> KnowledgeGraph:
    """Return the graph of a recorded set's train and val rows; all of them are kept.

    Groups become skills. The tasks of a set of labels are closed: who is not among the labels has failed.

    Raises:
        RecordedSetError: a line is malformed, or there are no rows but those for testing.
    """
    return _of_set(recorded, embedder).graph


def knowledge_of_store(store: TraceStore, embedder: Embedder, *, graph: KnowledgeGraph | None = None) -> KnowledgeGraph:
    """Return the graph of a database's experiences and agents, or ``graph`` continued with those that are new.

    Runs become tasks. What was embedded by another embedder is embedded again from its text.

    Raises:
        ConfigError: ``graph`` is of another database or embedder.
        StoreError: the database cannot be read, or holds no experience.
    """
    return _of_store(store, embedder, graph).graph


def _of_set(recorded: RecordedSet, embedder: Embedder) -> Gathered:
    parts = open_parts(recorded)
    graph = KnowledgeGraph(max_tasks=max(MAX_TASKS, sum(map(len, parts))))
    graph.source, graph.embedder = recorded.info.name, embedder.version
    builder = KnowledgeBuilder(graph=graph)
    _add_agents(builder, recorded.agents, embedder)
    taken = sum(_add_rows(builder, rows, embedder, closed=recorded.info.kind == "labels") for rows in parts)
    return Gathered(graph, taken, 0)


def _add_agents(builder: KnowledgeBuilder, cards: Sequence[AgentCard], embedder: Embedder) -> None:
    vectors = capability_vectors([capability_texts(card) for card in cards], embedder)
    for card, vector in zip(cards, vectors, strict=True):
        builder.add_agent(card, vector)


def _add_rows(builder: KnowledgeBuilder, rows: Rows, embedder: Embedder, *, closed: bool) -> int:
    """Add tasks and what came of them; of closed tasks, who solved them."""
    texts = texts_of(rows)
    vectors = embedder.embed(texts)
    builder.add_tasks(
        [
            PastTask(task.id, text, vector, kinds=(group,) if group else (), closed=closed)
            for task, text, vector, group in zip(rows.tasks, texts, vectors, rows.groups, strict=True)
        ]
    )
    known = rows.table.quality > 0 if closed else ~np.isnan(rows.table.quality)
    for row, column in np.argwhere(known).tolist():
        cost = float(rows.table.cost[row, column])
        builder.add_outcome(
            rows.tasks[row].id,
            rows.agent_ids[column],
            quality=float(rows.table.quality[row, column]),
            cost_usd=None if np.isnan(cost) else cost,
        )
    return int(known.sum())


def _of_store(store: TraceStore, embedder: Embedder, graph: KnowledgeGraph | None) -> Gathered:
    _check_source(graph, store.url)
    if graph is not None and graph.embedder != embedder.version:
        raise ConfigError(
            f"the graph was built with the embedder {graph.embedder!r}, this one is {embedder.version!r}; "
            "use the same, or begin a new graph (--fresh)"
        )
    last = store.last_experience()
    if graph is not None and graph.sequence > last:
        raise ConfigError(
            f"the graph has taken in experience {graph.sequence}, {store.url!r} ends at {last}: it is another database "
            "than it was; begin a new graph (--fresh)"
        )
    builder = KnowledgeBuilder(graph=graph)
    builder.graph.source, builder.graph.embedder = store.url, embedder.version
    _add_agents(builder, store.latest_cards(), embedder)
    taken = passed_over = 0
    while batch := store.experiences(builder.graph.sequence, limit=BATCH):
        for experience in seen_by(embedder, batch):
            if _took(builder, experience, embedder.dimension):
                taken += 1
            else:
                passed_over += 1
    if not builder.graph.count("task"):
        raise StoreError(
            f"{store.url!r} holds no experience to build a graph from ({passed_over} passed over); "
            "run tasks and give feedback first"
        )
    return Gathered(builder.graph, taken, passed_over)


def _took(builder: KnowledgeBuilder, experience: Experience, dimension: int) -> bool:
    """Add an experience, or pass it over where its vector is none of the embedder's."""
    try:
        if len(experience.vector) == dimension * np.dtype(np.float32).itemsize:
            return builder.add(experience)
    except ConfigError:
        pass
    builder.graph.sequence = experience.sequence
    return False


def _check_source(graph: KnowledgeGraph | None, source: str) -> None:
    if graph is not None and graph.source != source:
        raise ConfigError(
            f"the graph was built from {graph.source!r}, not from {source!r}; begin a new graph (--fresh)"
        )
