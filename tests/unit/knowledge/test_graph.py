"""The graph's bounds: which tasks and entities go, what goes with them, and what is left."""

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.knowledge import KnowledgeBuilder, KnowledgeGraph
from agentmesh.knowledge.nodes import ENDS
from tests.unit.knowledge.conftest import unit

NORTH = unit(0.0, 1.0)


def test_nodes_and_edges_are_plain_data_of_the_kinds_there_are(builder):
    nx = builder.graph.nx
    for (source, _), (target, _), edge in nx.edges(data=True):
        assert ENDS[edge["kind"]] == (source, target)
        assert edge["weight"] > 0
    assert set(nx.edges[("agent", "historian"), ("task", "t1")]) == {"kind", "quality", "cost_usd", "count", "weight"}
    assert builder.graph.count("task") == 4


@pytest.mark.parametrize("read", ["task", "agent", "entity"])
def test_a_node_that_is_not_there_is_named(builder, read):
    with pytest.raises(ConfigError, match=f"holds no {read} 'nope'"):
        getattr(builder.graph, read)("nope")


def test_nothing_leads_from_a_node_that_is_not_there(builder):
    assert builder.graph.linked("mentions", "nope") == {}
    assert builder.graph.outcome("nope", "historian") is None


def test_the_oldest_task_goes_with_all_that_hangs_on_it():
    builder = KnowledgeBuilder(max_tasks=2)
    for name, text in (("t1", "is Ada before Babbage"), ("t2", "is Babbage before Turing"), ("t3", "is Turing here")):
        builder.add_task(name, text, NORTH, kinds=(f"kind of {name}",))
        builder.add_outcome(name, "historian", quality=1.0)
    graph = builder.graph
    assert graph.names("task") == ("t2", "t3")
    assert set(graph.names("entity")) == {"babbage", "turing"}
    assert graph.entity("babbage").count == 1
    assert graph.linked("knows", "historian") == {"babbage": 1, "turing": 2}
    assert graph.names("skill") == ("kind of t2", "kind of t3")
    assert graph.linked("head", "babbage") == {"before": 1}
    assert set(graph.linked("tail", "before")) == {"turing"}
    assert graph.linked("like", "t2") == {}
    builder.add_task("t4", "is it", NORTH)
    builder.add_task("t5", "is it", NORTH)
    assert graph.names("entity") == graph.names("relation") == graph.names("skill") == ()
    assert graph.names("agent") == ("historian",)
    assert graph.nx.number_of_nodes() == 3


def test_a_task_that_went_may_come_again():
    builder = KnowledgeBuilder(max_tasks=1)
    for name in ("t1", "t2", "t1"):
        builder.add_task(name, "x", NORTH)
    assert (builder.graph.names("task"), builder.graph.task("t1").order) == (("t1",), 2)


def test_the_rarest_entities_go_first_and_of_these_the_oldest():
    builder = KnowledgeBuilder(max_entities=3)
    for place, text in enumerate(("see Ada and Bob", "see Ada", "see Cid", "see Bob", "see Dan")):
        builder.add_task(f"t{place}", text, NORTH)
    assert builder.graph.names("entity") == ("ada", "bob", "dan")


def test_a_triple_goes_with_one_of_its_entities_and_the_rest_stays():
    builder = KnowledgeBuilder(max_entities=2)
    builder.add_task("t0", "is Bob before Cid", NORTH)
    builder.add_task("t1", "is Bob here", NORTH)
    builder.add_outcome("t0", "ada", quality=1.0)
    builder.add_task("t2", "did Bob see Dan", NORTH)
    graph = builder.graph
    assert graph.names("entity") == ("bob", "dan")
    assert graph.names("relation") == ("see",)
    assert graph.task("t0").triples == ()
    assert graph.linked("knows", "ada") == {"bob": 1}
    builder.add_task("t3", "is Cid before Bob, is Bob before Cid", NORTH)
    builder.add_task("t4", "is Cid before Bob", NORTH)
    assert graph.entity("cid").count == 2


def test_of_many_entities_a_sixteenth_goes_at_once():
    builder = KnowledgeBuilder(max_entities=32)
    for number in range(33):
        builder.add_task(f"t{number}", f"is {number * 7 + 3000} here", NORTH)
    assert builder.graph.count("entity") == 30
    assert builder.graph.names("entity")[0] == "3021"


def test_counts_stay_those_of_the_edges_whatever_goes():
    rng = np.random.default_rng(3)
    builder = KnowledgeBuilder(max_tasks=20, max_entities=12)
    people = ["Ada", "Bob", "Cid", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kim", "Lee", "Mia", "Ned"]
    for number in range(120):
        first, second, third = rng.permutation(people)[:3]
        builder.add_task(f"t{number}", f"did {first} meet {second} or help {third}", NORTH)
        for agent in ("x", "y"):
            builder.add_outcome(f"t{max(number - 1, 0)}", agent, quality=float(rng.random()))
    assert_whole(builder.graph)
    assert builder.graph.count("task") == 20


def assert_whole(graph: KnowledgeGraph) -> None:
    """Check everything that is counted against the edges themselves."""
    nx = graph.nx
    for kind in ("task", "entity", "relation", "skill", "agent"):
        assert set(graph.names(kind)) == {name for found, name in nx.nodes if found == kind}
    triples: dict[tuple[str, str], int] = {}
    for name in graph.names("task"):
        for head, relation, tail in graph.task(name).triples:
            triples["head", head, relation] = triples.get(("head", head, relation), 0) + 1
            triples["tail", relation, tail] = triples.get(("tail", relation, tail), 0) + 1
    edges = {
        (edge["kind"], source[1], target[1]): edge["weight"]
        for source, target, edge in nx.edges(data=True)
        if edge["kind"] in ("head", "tail")
    }
    assert edges == triples
    for entity in graph.names("entity"):
        naming = {name for name in graph.names("task") if entity in graph.linked("mentions", name)}
        assert graph.entity(entity).count == len(naming) > 0
        for agent in graph.names("agent"):
            solved = len(naming & set(graph.linked("solved", agent)))
            assert graph.linked("knows", agent).get(entity, 0) == solved
