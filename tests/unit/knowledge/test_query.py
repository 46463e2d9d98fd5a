"""What a new task is tied to: by its text and vector alone."""

import pytest

from agentmesh.errors import ConfigError
from agentmesh.knowledge import KnowledgeBuilder, query_edges
from tests.unit.knowledge.conftest import TEXTS, unit, vector

QUESTION = "did Rome know Petra, and what is a square root of 9"


def test_the_nearest_tasks_and_the_entities_known_are_named(builder):
    text = "what is the square root of 25"
    found = query_edges(builder.graph, text, vector(text), k=2)
    assert found.tasks == ("t3", "t4")
    assert found.cosines[0] > found.cosines[1] > 0
    assert found.entities == ("square root",)


def test_entities_and_terms_that_the_graph_does_not_know_are_left_out(builder):
    assert query_edges(builder.graph, QUESTION, vector(QUESTION)).entities == ("rome", "petra", "square root")
    assert query_edges(builder.graph, "did Zog ride a prime number", vector("x")).entities == ()


def test_a_query_leaves_the_graph_as_it_is(builder):
    before = (builder.graph.nx.number_of_edges(), dict(builder.graph.terms.counts), builder.graph.terms.tasks)
    query_edges(builder.graph, QUESTION, vector(QUESTION))
    assert (builder.graph.nx.number_of_edges(), builder.graph.terms.counts, builder.graph.terms.tasks) == before


def test_an_empty_graph_has_nothing_to_tie_a_task_to():
    found = query_edges(KnowledgeBuilder().graph, QUESTION, vector(QUESTION))
    assert (found.tasks, found.cosines.shape, found.entities) == ((), (0,), ())


def test_a_vector_that_cannot_be_compared_is_refused(builder):
    with pytest.raises(ConfigError, match="2 numbers was given"):
        query_edges(builder.graph, "x", unit(1, 0))


@pytest.mark.parametrize("outcomes", [(), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
def test_what_came_of_the_task_itself_changes_nothing(outcomes):
    """The rest of the graph is without the task; whatever comes of it afterwards, the query before it is the same."""
    builder = KnowledgeBuilder()
    for name, text in TEXTS.items():
        builder.add_task(name, text, vector(text))
        builder.add_outcome(name, "historian", quality=1.0)
    found = query_edges(builder.graph, QUESTION, vector(QUESTION))
    builder.add_task("q", QUESTION, vector(QUESTION))
    without = query_edges(builder.graph, QUESTION, vector(QUESTION))
    for agent, quality in zip(("historian", "mathematician"), outcomes, strict=False):
        builder.add_outcome("q", agent, quality=quality)
    again = query_edges(builder.graph, QUESTION, vector(QUESTION))
    assert (found.tasks, found.entities) == (tuple(builder.graph.linked("like", "q")), ("rome", "petra", "square root"))
    assert (again.tasks, again.cosines.tolist(), again.entities) == (
        without.tasks,
        without.cosines.tolist(),
        without.entities,
    )
