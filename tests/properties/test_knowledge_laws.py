"""Laws of the knowledge graph, on whatever Hypothesis comes up with."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.knowledge import (
    KnowledgeBuilder,
    PastTask,
    RuleExtractor,
    from_json,
    graph_tensors,
    query_edges,
    to_json,
)
from agentmesh.knowledge.entities import MOST_ENTITIES
from agentmesh.knowledge.relations import triples_of
from agentmesh.knowledge.terms import candidate_terms
from agentmesh.knowledge.words import read_part

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)  # halves of surrogate pairs too
PIECES = st.sampled_from(
    ["Ada", " ", " of ", "x_y", "1,2", "3 km", '"', "`", "'", ".", "()", "2024-01-31", "\u202e", "שלום", "\0", "May 1"]
)
MADE_TEXT = st.lists(PIECES, max_size=40).map("".join)

WORDS = ("Ada", "Bob", "Cid", "before", "square root", "prime number", "1815", "is", "was born in", ". ")
TEXTS = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
NUMBERS = st.sampled_from([-1.0, 0.0, 0.1, 0.3, 1.0])
VECTORS = st.lists(NUMBERS, min_size=3, max_size=3).map(lambda row: np.array(row, dtype=np.float32))
OUTCOMES = st.lists(
    st.tuples(
        st.integers(0, 11),
        st.sampled_from(["a", "b"]),
        st.sampled_from([0.0, 0.4, 0.5, 1.0]),
        st.none() | st.sampled_from([0.0, 0.1]),
        st.integers(1, 2),
    ),
    max_size=12,
)


@st.composite
def histories(draw):
    """Draw tasks and what came of them, and the bounds of a graph they do not all fit in."""
    texts = draw(st.lists(st.tuples(TEXTS, VECTORS, st.booleans()), min_size=1, max_size=12))
    tasks = [
        PastTask(f"t{place}", text, vector, ("even",) if place % 2 else ("odd", "all"), float(place), closed)
        for place, (text, vector, closed) in enumerate(texts)
    ]
    bounds = {"max_tasks": draw(st.integers(1, 14)), "max_entities": draw(st.integers(1, 8))}
    return tasks, draw(OUTCOMES), bounds


def state(builder):
    """Return all that a graph holds, in its order, as values that compare."""
    graph = builder.graph
    nodes = [
        (key, {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in found.items()})
        for key, found in graph.nx.nodes(data=True)
    ]
    return nodes, list(graph.nx.edges(data=True)), graph.terms.counts, graph.terms.tasks, graph.arrived, graph.named


def teach(builder, outcomes):
    for place, agent, quality, cost, version in outcomes:
        builder.add_outcome(f"t{place}", agent, version=version, quality=quality, cost_usd=cost)


@given(text=ANY_TEXT | MADE_TEXT)
def test_no_text_makes_the_extractor_raise(text):
    entities = RuleExtractor().extract(text)
    assert len(entities) <= MOST_ENTITIES
    assert len({entity.key for entity in entities}) == len(entities)
    for entity in entities:
        assert entity.key
        assert entity.count >= 1
        assert read_part(text)[entity.start :].startswith(entity.surface)
    triples_of(text, entities)
    candidate_terms(text)


@settings(max_examples=60)
@given(history=histories())
def test_a_graph_is_the_same_built_in_bulk_or_one_by_one(history):
    tasks, outcomes, bounds = history
    bulk, single = KnowledgeBuilder(neighbours=2, **bounds), KnowledgeBuilder(neighbours=2, **bounds)
    bulk.add_tasks(tasks)
    for task in tasks:
        single.add_task(task.name, task.text, task.vector, kinds=task.kinds, at=task.at, closed=task.closed)
    for builder in (bulk, single):
        teach(builder, outcomes)
    assert state(bulk) == state(single)


@settings(max_examples=60)
@given(history=histories())
def test_counts_are_those_of_the_edges_whatever_came_and_went(history):
    tasks, outcomes, bounds = history
    builder = KnowledgeBuilder(neighbours=2, **bounds)
    for task in tasks:
        builder.add_tasks([task])
        teach(builder, outcomes)
    graph = builder.graph
    assert graph.count("task") == min(len(tasks), bounds["max_tasks"])
    assert graph.count("entity") <= bounds["max_entities"]
    for entity in graph.names("entity"):
        naming = {name for name in graph.names("task") if entity in graph.linked("mentions", name)}
        assert graph.entity(entity).count == len(naming) > 0
        for agent in graph.names("agent"):
            assert graph.linked("knows", agent).get(entity, 0) == len(naming & set(graph.linked("solved", agent)))
    for kind in ("relation", "skill"):
        assert all(graph.nx.in_degree((kind, name)) for name in graph.names(kind))


@settings(max_examples=60)
@given(history=histories(), vector=VECTORS, text=TEXTS)
def test_outcomes_change_no_query_and_no_vector(history, vector, text):
    tasks, outcomes, bounds = history
    with_outcomes, without = KnowledgeBuilder(**bounds), KnowledgeBuilder(**bounds)
    for builder in (with_outcomes, without):
        builder.add_tasks(tasks)
    teach(with_outcomes, outcomes)
    first, second = (query_edges(builder.graph, text, vector) for builder in (with_outcomes, without))
    assert (first.tasks, first.cosines.tolist(), first.entities) == (
        second.tasks,
        second.cosines.tolist(),
        second.entities,
    )
    seen, unseen = (graph_tensors(builder.graph) for builder in (with_outcomes, without))
    assert seen.entity_vectors.tolist() == unseen.entity_vectors.tolist()
    assert seen.skill_vectors.tolist() == unseen.skill_vectors.tolist()


@settings(max_examples=60)
@given(history=histories(), cut=st.integers(0, 12))
def test_a_graph_that_was_written_and_read_goes_on_as_if_it_had_not(history, cut):
    tasks, outcomes, bounds = history
    whole, first = KnowledgeBuilder(neighbours=2, **bounds), KnowledgeBuilder(neighbours=2, **bounds)
    for builder in (whole, first):
        builder.add_tasks(tasks[:cut])
        teach(builder, outcomes[:cut])
    text = to_json(first.graph)
    read = KnowledgeBuilder(neighbours=2, graph=from_json(text))
    assert to_json(read.graph) == text
    for builder in (whole, read):
        builder.add_tasks(tasks[cut:])
        teach(builder, outcomes[cut:])
    assert to_json(read.graph) == to_json(whole.graph)
