"""The prompt: rules of our own, then material that cannot pass for anything else."""

import json
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest

from agentmesh.records import AgentCard, Turn
from agentmesh.routing.reasoning.prompt import handles, question, shuffled
from agentmesh.testing.asking import carded_pool
from agentmesh.testing.samples import plain_pool, sample_features


def asked(*cards, text="What is 2 + 2?", turns=(), most=3):
    pool = carded_pool(*cards)
    return question(replace(sample_features(text=text), turns=turns), pool, pool.ids, most=most)


def parts(made):
    """Read the material with a parser of XML, which refuses what is not well formed."""
    return list(Xml.fromstring(f"<all>{made.request.messages[1].content}</all>"))  # noqa: S314 - our own prompt


def one(**declared):
    card = {"id": "solver", "description": "Solves.", **declared}
    return parts(asked(AgentCard(**card)))[0]


def test_the_rules_are_the_systems_and_the_material_is_the_users():
    made = asked(AgentCard(id="solver", description="Solves sums."), most=2)
    system, user = made.request.messages
    assert (system.role, user.role) == ("system", "user")
    assert "up to 2 where" in system.content
    assert '{"reason": "your reasoning", "agents": ["an id"], "out_of_scope": false}' in system.content
    assert "Solves sums." not in system.content
    assert made.request.temperature == 0.0


def test_the_schema_knows_the_ids_and_asks_for_the_reason_first():
    made = asked(AgentCard(id='the "best" <x>', description="d"), AgentCard(id="coder", description="d"))
    schema = made.request.json_schema
    assert isinstance(schema, dict)
    assert list(schema["properties"]) == ["reason", "agents", "out_of_scope"]
    assert schema["properties"]["agents"]["items"]["enum"] == list(made.asked)
    assert set(made.asked) == {'the "best" <x>', "coder"}


def test_a_card_is_shown_with_its_handle_and_id_and_without_its_price():
    card = one(skills=("sums", "proofs"), examples=("2 + 2", "6 * 9"), price_per_call_usd="0.125")
    told = [(part.tag, part.text) for part in card]
    assert card.attrib == {"handle": "A1"}
    assert told == [
        ("id", '"solver"'),
        ("description", "Solves."),
        ("skills", "sums, proofs"),
        ("example", "2 + 2"),
        ("example", "6 * 9"),
    ]


def test_an_agent_without_a_card_is_shown_by_its_id():
    pool = plain_pool("solver", "coder")
    made = question(sample_features(text="t"), pool, pool.ids, most=1)
    assert {part.findtext("id") for part in parts(made)[:2]} == {'"solver"', '"coder"'}


@pytest.mark.parametrize("text", ["</description> & <b>", "{x} {{y}} %s", "word " * 10_000, "\x00\x1b[2J", "\ud800"])
def test_any_card_leaves_the_prompt_well_formed(text):
    card = one(description=text, skills=(text,), examples=(text,) * 9)
    assert [part.tag for part in card] == ["id", "description", "skills", "example", "example", "example"]
    assert len(card.findtext("description") or "") < 620


@pytest.mark.parametrize("agent_id", ['the "best" <x>', "</id>", "{{7*7}}", "日本語", "a\u202eb", "\uff1cb\uff1e"])
def test_any_id_can_be_read_back(agent_id):
    assert json.loads(one(id=agent_id).findtext("id") or "") == agent_id


def test_of_a_long_task_both_ends_are_shown():
    task = parts(asked(AgentCard(id="a", description="d"), text="first " + "x" * 9000 + " last"))[-1]
    assert (task.tag, len(task.text or "")) == ("task", 4000 + len(" [...] "))
    assert (task.text or "").startswith("first ")
    assert (task.text or "").endswith(" last")


def test_the_last_turns_are_shown_with_the_agent_where_it_is_a_candidate():
    turns = [Turn(role="user", text=f"turn {place} {'x' * 600}") for place in range(8)]
    turns[6:] = [Turn(role="assistant", text="84", agent_id="b"), Turn(role="assistant", text="?", agent_id="gone")]
    made = asked(AgentCard(id="b", description="d"), turns=tuple(turns))
    shown = [part for part in parts(made) if part.tag == "turn"]
    assert [(part.text or "")[:6] for part in shown] == ["turn 2", "turn 3", "turn 4", "turn 5", "84", "?"]
    assert len(shown[0].text or "") == 500 + len(" [...] ")
    assert [part.attrib for part in shown[3:]] == [
        {"role": "user"},
        {"role": "assistant", "agent": "A1"},
        {"role": "assistant"},
    ]


def test_the_order_of_the_cards_hangs_on_the_task_and_not_on_the_pool():
    ids = [f"agent-{place}" for place in range(12)]
    assert shuffled(ids, "t") == shuffled(ids[::-1], "t")
    firsts = [shuffled(ids, f"task {place}")[0] for place in range(600)]
    assert min(firsts.count(agent_id) for agent_id in ids) > 25  # 50 each are expected


def test_no_handle_is_an_id():
    assert handles(["x", "aa2", "A1"]) == ("AAA1", "AAA2", "AAA3")
    assert handles([]) == ()
