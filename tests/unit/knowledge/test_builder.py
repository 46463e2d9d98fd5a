"""Building a knowledge graph: nodes and edges, outcomes that repeat, versions, and what is refused."""

import math

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.knowledge import Entity, KnowledgeBuilder, KnowledgeGraph, PastTask
from agentmesh.packing import pack_vector
from agentmesh.records import AgentCard, Experience
from tests.unit.knowledge.conftest import unit, vector

NORTH = unit(0.0, 1.0)


def experience(sequence: int = 1, **values) -> Experience:
    default = {
        "run_id": "r1",
        "text": "was Petra built",
        "vector": pack_vector(NORTH),
        "agent_id": "ada",
        "quality": 1.0,
        "at": 5.0,
        "type_hints": ("history",),
        "cost_usd": "0.25",
    }
    return Experience(sequence=sequence, **{**default, **values})


def test_a_task_is_tied_to_what_it_names_and_to_its_kind(builder):
    graph = builder.graph
    assert graph.linked("mentions", "t1") == {"petra": 1, "nabataeans": 1}
    assert graph.linked("of", "t1") == {"history": 1}
    assert graph.linked("head", "petra") == {"built by": 1}
    assert graph.linked("tail", "built by") == {"nabataeans": 1}
    assert graph.entity("nabataeans").count == 2
    assert (graph.entity("petra").surface, graph.entity("petra").entity_kind) == ("Petra", "name")


def test_a_task_is_tied_to_earlier_tasks_like_it(builder):
    assert max(builder.graph.linked("like", "t4").items(), key=lambda item: item[1])[0] == "t3"
    assert builder.graph.linked("like", "t1") == {}


def test_a_term_of_a_second_task_becomes_an_entity(builder):
    assert "square root" in builder.graph.linked("mentions", "t4")
    assert "square root" not in builder.graph.linked("mentions", "t3")
    assert builder.graph.entity("square root").entity_kind == "term"


def test_a_task_node_keeps_the_start_of_its_text_and_its_time():
    builder = KnowledgeBuilder()
    builder.add_task("t", "x\ud800" + "y" * 300, NORTH, at=7.0, closed=True)
    task = builder.graph.task("t")
    assert (task.text, task.at, task.order, task.closed) == ("x " + "y" * 198, 7.0, 0, True)
    assert task.vector.tolist() == [0.0, 1.0]


def test_an_agent_is_as_its_card_says(builder):
    agent = builder.graph.agent("historian")
    assert (agent.version, agent.description, agent.price_per_call_usd) == (1, "History.", 0.01)
    assert agent.vector is not None
    assert builder.graph.agent("mathematician").vector is None
    assert builder.graph.linked("has", "mathematician") == {"maths": 1, "proofs": 1}


def test_an_outcome_is_an_edge_and_what_was_solved_is_known(builder):
    graph = builder.graph
    assert set(graph.linked("solved", "historian")) == {"t1", "t2"}
    assert set(graph.linked("failed", "mathematician")) == {"t1"}
    assert graph.linked("knows", "historian") == {"petra": 1, "nabataeans": 2, "rome": 1}
    found = graph.outcome("t1", "historian")
    assert found is not None
    assert (found.quality, found.cost_usd, found.count, found.solved) == (1.0, 0.01, 1, True)


def test_a_repeated_outcome_is_averaged_and_may_change_its_kind(builder):
    builder.add_outcome("t2", "historian", quality=0.0, cost_usd=0.04)
    found = builder.graph.outcome("t2", "historian")
    assert (found.quality, found.cost_usd, found.count, found.weight) == (0.45, 0.03, 2, 2.0)
    assert set(builder.graph.linked("failed", "historian")) == {"t2"}
    assert builder.graph.linked("knows", "historian") == {"petra": 1, "nabataeans": 1}


def test_an_outcome_counts_as_much_as_its_weight(builder):
    builder.add_outcome("t2", "historian", quality=0.0, weight=0.5)
    assert builder.graph.outcome("t2", "historian").quality == pytest.approx(0.6)


def test_an_unknown_cost_does_not_change_the_mean_of_those_known(builder):
    for cost in (None, 0.06, None):
        builder.add_outcome("t2", "historian", quality=1.0, cost_usd=cost)
    found = builder.graph.outcome("t2", "historian")
    assert (found.cost_usd, found.costs, found.count) == (pytest.approx(0.04), 2, 4)
    builder.add_outcome("t1", "mathematician", quality=1.0, cost_usd=0.5)
    assert builder.graph.outcome("t1", "mathematician").cost_usd == 0.5


def test_a_closed_task_stores_failures_only_of_an_agent_that_solved_it(builder):
    graph = builder.graph
    builder.add_task("c", "who wrote Emma", vector("who wrote Emma"), closed=True)
    assert builder.add_outcome("c", "mathematician", quality=0.0)
    assert graph.outcome("c", "mathematician") is None
    builder.add_outcome("c", "historian", quality=1.0)
    builder.add_outcome("c", "historian", quality=0.0)
    builder.add_outcome("c", "historian", quality=0.0)
    assert graph.outcome("c", "historian").solved is False


def test_an_agent_unseen_so_far_gets_a_bare_node(builder):
    assert builder.add_outcome("t3", "newcomer", quality=1.0, version=4)
    agent = builder.graph.agent("newcomer")
    assert (agent.version, agent.description, agent.vector, agent.since) == (4, "", None, 2)
    assert builder.add_agent(AgentCard(id="newcomer", description="New.", version=4))
    assert builder.graph.agent("newcomer").description == "New."
    assert builder.graph.agent("newcomer").since == 2


def test_an_outcome_of_an_unknown_task_is_not_taken(builder):
    assert builder.add_outcome("nope", "historian", quality=1.0) is False


def test_a_newer_version_drops_what_was_learned_of_the_older_one(builder):
    assert builder.add_outcome("t4", "historian", version=2, quality=1.0)
    graph = builder.graph
    assert set(graph.linked("solved", "historian")) == {"t4"}
    assert set(graph.linked("knows", "historian")) == set(graph.linked("mentions", "t4"))
    assert set(graph.linked("has", "historian")) == {"history"}
    assert (graph.agent("historian").version, graph.agent("historian").since) == (2, 3)


def test_what_comes_in_of_an_older_version_is_refused(builder):
    builder.add_agent(AgentCard(id="historian", description="Newer.", version=2))
    assert builder.graph.linked("solved", "historian") == {}
    assert builder.add_outcome("t4", "historian", version=1, quality=1.0) is False
    assert builder.add_agent(AgentCard(id="historian", description="Old.", version=1)) is False
    assert builder.graph.agent("historian").description == "Newer."
    assert builder.graph.agent("historian").since == 4


def test_skills_that_a_card_no_longer_declares_go(builder):
    builder.add_agent(AgentCard(id="mathematician", description="Maths.", skills=("maths", "logic", "logic")))
    assert builder.graph.linked("has", "mathematician") == {"maths": 1, "logic": 1}
    assert not builder.graph.has("skill", "proofs")


def test_an_experience_is_a_task_and_an_outcome():
    builder = KnowledgeBuilder()
    assert builder.add(experience(3))
    assert builder.add(experience(4, agent_id="bob", quality=0.0))
    assert builder.graph.names("task") == ("r1",)
    assert builder.graph.linked("of", "r1") == {"history": 1}
    assert builder.graph.outcome("r1", "ada").cost_usd == 0.25
    assert builder.graph.sequence == 4


def test_an_experience_is_taken_in_once():
    builder = KnowledgeBuilder()
    builder.add(experience(3))
    assert builder.add(experience(3)) is False
    assert builder.graph.outcome("r1", "ada").count == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"quality": math.nan}, "quality is nan"),
        ({"quality": 1.01}, "quality is 1.01"),
        ({"quality": 1.0, "weight": 0.0}, "weight is 0.0"),
        ({"quality": 1.0, "weight": math.inf}, "weight is inf"),
        ({"quality": 1.0, "cost_usd": math.nan}, "cost_usd is nan"),
        ({"quality": 1.0, "cost_usd": -0.1}, "cost_usd is -0.1"),
    ],
)
def test_an_outcome_out_of_range_is_refused_and_changes_nothing(builder, values, said):
    with pytest.raises(ConfigError, match=said):
        builder.add_outcome("t4", "somebody", **values)
    assert not builder.graph.has("agent", "somebody")


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (PastTask("t1", "again", vector("again")), "'t1' is in the graph already"),
        (PastTask("\ud800", "x", vector("x")), "must be text that UTF-8 can hold"),
        (PastTask("t5", "x", vector("x"), ("\udfff",)), "the kind of task is called"),
        (PastTask("t5", "x", NORTH), "has shape"),
        (PastTask("t5", "x", np.ones((2, 64), np.float32)), "has shape"),
    ],
)
def test_a_task_that_cannot_be_taken_is_refused_and_the_graph_stays_whole(builder, task, said):
    with pytest.raises(ConfigError, match=said):
        builder.add_tasks([PastTask("t9", "new", vector("new")), task])
    assert builder.graph.count("task") == 4
    builder.add_task("t9", "new", vector("new"))
    assert builder.graph.task("t9").order == 4


def test_a_vector_of_another_length_than_the_graphs_is_refused(builder):
    with pytest.raises(ConfigError, match="2 numbers was given; the graph's vectors have 64"):
        builder.add_task("t5", "x", NORTH)


def test_two_tasks_of_one_name_are_refused():
    tasks = [PastTask("t", "a", NORTH), PastTask("t", "b", NORTH)]
    with pytest.raises(ConfigError, match="'t' is in the graph already"):
        KnowledgeBuilder().add_tasks(tasks)


@pytest.mark.parametrize("options", [{"neighbours": -1}, {"max_tasks": 0}, {"max_entities": 0}])
def test_a_builder_that_cannot_be_is_refused(options):
    with pytest.raises(ConfigError, match=f"{next(iter(options))} is"):
        KnowledgeBuilder(**options)


def test_an_agent_vector_of_another_length_is_refused(builder):
    with pytest.raises(ConfigError, match="2 numbers was given"):
        builder.add_agent(AgentCard(id="x", description=""), NORTH)


class Shouting:
    """An extractor of one's own: a word that ends in an exclamation mark."""

    version = "shouting-1"

    def extract(self, text: str) -> tuple[Entity, ...]:
        words = dict.fromkeys(word for word in text.split() if word.endswith("!"))
        return tuple(Entity(word, word.lower(), "term", text.index(word)) for word in words)


def test_an_extractor_of_ones_own_may_be_given():
    builder = KnowledgeBuilder(extractor=Shouting())
    builder.add_task("t", "Hey! you there Ho!", NORTH)
    assert builder.graph.linked("mentions", "t") == {"hey!": 1, "ho!": 1}
    assert builder.graph.linked("head", "hey!") == {"you there": 1}


def test_a_graph_is_continued_with_the_extractor_it_was_begun_with(builder):
    assert KnowledgeBuilder(graph=builder.graph).graph is builder.graph
    with pytest.raises(ConfigError, match="built with the extractor 'rules-1', this one is 'shouting-1'"):
        KnowledgeBuilder(graph=builder.graph, extractor=Shouting())


def test_a_builder_of_an_empty_graph_keeps_that_graph():
    graph = KnowledgeGraph(max_tasks=2)
    assert KnowledgeBuilder(graph=graph).graph is graph
