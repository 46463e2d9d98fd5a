"""A graph in numbers: counts, frequent entities, and what each agent is good at."""

import pytest

from agentmesh.knowledge import KnowledgeBuilder, summary_of
from agentmesh.knowledge.summary import AGENTS_LISTED, LISTED
from agentmesh.records import AgentCard
from tests.unit.knowledge.conftest import unit, vector

NORTH = unit(0.0, 1.0)


def test_nodes_and_edges_are_counted_by_kind(builder):
    found = summary_of(builder.graph)
    assert found.nodes == {kind: builder.graph.count(kind) for kind in ("task", "entity", "relation", "skill", "agent")}
    assert {kind: found.edges[kind] for kind in ("solved", "failed", "has", "of")} == {
        "solved": 3,
        "failed": 1,
        "has": 3,
        "of": 4,
    }
    assert sum(found.edges.values()) == builder.graph.nx.number_of_edges()


def test_the_most_frequent_entities_come_first(builder):
    first = summary_of(builder.graph).entities[0]
    assert (first.name, first.kind, first.tasks) == ("nabataeans", "name", 2)


def test_skills_come_with_their_tasks(builder):
    found = summary_of(builder.graph)
    assert [(skill.skill, skill.tasks) for skill in found.skills] == [("history", 2), ("maths", 2), ("proofs", 0)]


def test_an_agent_is_told_by_what_it_solved(builder):
    historian, mathematician = summary_of(builder.graph).agents
    assert (historian.agent_id, historian.solved, historian.failed) == ("historian", 2, 0)
    assert historian.quality == pytest.approx(0.95)
    assert historian.cost_usd == pytest.approx(0.015)
    assert [(share.skill, share.solved, share.tasks) for share in historian.skills] == [("history", 1.0, 2)]
    assert historian.entities[0].name == "nabataeans"
    assert (mathematician.solved, mathematician.failed) == (1, 1)
    assert [(share.skill, share.solved) for share in mathematician.skills] == [("maths", 1.0)]


def test_failures_on_closed_tasks_count():
    builder = KnowledgeBuilder()
    for name in ("ada", "bob"):
        builder.add_agent(AgentCard(id=name, description=""))
    builder.add_task("c", "x", NORTH, closed=True)
    builder.add_outcome("c", "bob", quality=1.0)
    ada, bob = summary_of(builder.graph).agents
    assert (ada.solved, ada.failed, ada.quality) == (0, 1, 0.0)
    assert (bob.solved, bob.failed, bob.quality) == (1, 0, 1.0)


def test_an_agent_of_which_nothing_is_known_has_no_means():
    builder = KnowledgeBuilder()
    builder.add_agent(AgentCard(id="new", description=""))
    [agent] = summary_of(builder.graph).agents
    assert (agent.quality, agent.cost_usd, agent.skills, agent.entities) == (None, None, (), ())


def test_an_empty_graph_has_an_empty_summary():
    found = summary_of(KnowledgeBuilder().graph)
    assert set(found.nodes.values()) == set(found.edges.values()) == {0}
    assert found.agents == found.skills == found.entities == ()


def test_lists_are_bounded():
    builder = KnowledgeBuilder(neighbours=0)
    for number in range(AGENTS_LISTED + 5):
        builder.add_agent(AgentCard(id=f"a{number}", description=""))
    text = " ".join(str(number + 5000) for number in range(LISTED + 5))
    builder.add_task("t", text, vector(text), kinds=[f"k{number}" for number in range(LISTED + 5)])
    builder.add_outcome("t", "a9", quality=1.0)
    found = summary_of(builder.graph)
    assert len(found.agents) == AGENTS_LISTED
    assert found.agents[0].agent_id == "a9"
    assert len(found.entities) == len(found.agents[0].entities) == len(found.agents[0].skills) == LISTED
