"""A graph as arrays: order, shapes, means, and what is known of which agent on which task."""

import numpy as np
import pytest

from agentmesh.knowledge import KnowledgeBuilder, dense_outcomes, graph_tensors
from agentmesh.records import AgentCard
from tests.unit.knowledge.conftest import unit, vector


def pairs(tensors, kind, sources, targets):
    edges = getattr(tensors, kind)
    return {
        (sources[source], targets[target]): weight
        for source, target, weight in zip(edges.source, edges.target, edges.weight, strict=True)
    }


def test_tasks_come_by_arrival_and_all_else_by_name(builder):
    found = graph_tensors(builder.graph)
    assert found.task_names == ("t1", "t2", "t3", "t4")
    assert found.agent_ids == ("historian", "mathematician")
    assert list(found.entity_names) == sorted(builder.graph.names("entity"))
    assert found.skill_names == ("history", "maths", "proofs")
    assert list(found.relation_names) == sorted(builder.graph.names("relation"))
    assert found.task_order.tolist() == [0, 1, 2, 3]


def test_vectors_are_those_given_and_the_means_of_the_tasks(builder):
    found = graph_tensors(builder.graph)
    assert found.task_vectors[0].tolist() == vector("was Petra built by Nabataeans").tolist()
    assert found.agent_vectors[0].tolist() == vector("history").tolist()
    assert not found.agent_vectors[1].any()
    named = found.entity_vectors[found.entity_names.index("nabataeans")]
    assert named == pytest.approx(found.task_vectors[:2].mean(axis=0))
    assert found.skill_vectors[0] == pytest.approx(found.task_vectors[:2].mean(axis=0))
    assert not found.skill_vectors[2].any()
    assert found.prices[0].tolist() == pytest.approx([0.01, np.nan, np.nan], nan_ok=True)
    assert {found.task_vectors.dtype, found.entity_vectors.dtype, found.agent_vectors.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("tensor", "kind", "source", "target"),
    [
        ("mentions", "mentions", "task", "entity"),
        ("heads", "head", "entity", "relation"),
        ("tails", "tail", "relation", "entity"),
        ("has", "has", "agent", "skill"),
        ("of", "of", "task", "skill"),
        ("knows", "knows", "agent", "entity"),
        ("like", "like", "task", "task"),
    ],
)
def test_each_kind_of_edge_is_as_in_the_graph(builder, tensor, kind, source, target):
    found = graph_tensors(builder.graph)
    names = {
        "task": found.task_names,
        "entity": found.entity_names,
        "relation": found.relation_names,
        "skill": found.skill_names,
        "agent": found.agent_ids,
    }
    expected = {
        (name, other): weight
        for name in builder.graph.names(source)
        for other, weight in builder.graph.linked(kind, name).items()
    }
    assert pairs(found, tensor, names[source], names[target]) == expected != {}
    edges = getattr(found, tensor)
    assert list(zip(edges.source, edges.target, strict=True)) == sorted(zip(edges.source, edges.target, strict=True))


def test_outcomes_come_by_task_and_agent_with_unknown_costs_as_nan(builder):
    seen = graph_tensors(builder.graph).outcomes
    assert seen.task.tolist() == [0, 0, 1, 2]
    assert seen.agent.tolist() == [0, 1, 0, 1]
    assert seen.quality.tolist() == [1.0, 0.1, 0.9, 0.8]
    assert seen.cost.tolist() == pytest.approx([0.01, np.nan, 0.02, 0.001], nan_ok=True)
    assert seen.weight.tolist() == [1.0] * 4


def test_dense_outcomes_say_nan_where_nothing_is_known(builder):
    quality, cost = dense_outcomes(graph_tensors(builder.graph))
    expected = np.array([[1, 0.1], [0.9, np.nan], [np.nan, 0.8], [np.nan, np.nan]])
    assert quality == pytest.approx(expected, nan_ok=True)
    assert quality.dtype == cost.dtype == np.float32
    assert np.isnan(cost).tolist() == [[False, True], [False, True], [True, False], [True, True]]


def test_on_a_closed_task_who_did_not_solve_it_has_failed(builder):
    builder.add_task("c1", "one", vector("one"), closed=True)
    builder.add_task("c2", "two", vector("two"), closed=True)
    builder.add_outcome("c1", "historian", quality=1.0)
    quality, cost = dense_outcomes(graph_tensors(builder.graph))
    assert quality[4:].tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert np.isnan(cost[4:]).all()


def test_a_closed_task_says_nothing_of_an_agent_or_version_that_came_later(builder):
    builder.add_task("c1", "one", vector("one"), closed=True)
    builder.add_agent(AgentCard(id="late", description="Late."))
    builder.add_agent(AgentCard(id="historian", description="History.", version=2))
    builder.add_task("c2", "two", vector("two"), closed=True)
    found = graph_tensors(builder.graph)
    quality, _ = dense_outcomes(found)
    late, historian = found.agent_ids.index("late"), found.agent_ids.index("historian")
    assert np.isnan(quality[4, [late, historian]]).all()
    assert quality[5].tolist() == [0.0, 0.0, 0.0]


def test_an_empty_graph_is_empty_arrays():
    found = graph_tensors(KnowledgeBuilder().graph)
    assert found.task_vectors.shape == found.agent_vectors.shape == (0, 0)
    assert found.prices.shape == (0, 3)
    assert dense_outcomes(found)[0].shape == (0, 0)


def test_a_graph_of_agents_alone_has_their_vectors():
    builder = KnowledgeBuilder()
    builder.add_agent(AgentCard(id="a", description="", price_in_per_m_usd="2"), unit(1, 0))
    found = graph_tensors(builder.graph)
    assert found.agent_vectors.tolist() == [[1.0, 0.0]]
    assert found.prices[0, 1] == 2.0


def test_means_are_the_same_in_whatever_blocks_they_are_summed():
    builder = KnowledgeBuilder(neighbours=0)
    rng = np.random.default_rng(0)
    for number in range(60):
        builder.add_task(f"t{number}", "is Ada here", rng.standard_normal(4).astype(np.float32))
    found = graph_tensors(builder.graph)
    assert found.entity_vectors[0] == pytest.approx(found.task_vectors.mean(axis=0), abs=1e-6)
