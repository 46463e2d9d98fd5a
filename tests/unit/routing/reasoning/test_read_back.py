"""A question that was written for a reader of prompts is read back whole, for a model that weighs options."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import ConfigError
from agentmesh.llm.quoting import quote, unquote
from agentmesh.protocols import ChatMessage, ChatRequest, Option
from agentmesh.records import AgentCard, Turn
from agentmesh.routing.reasoning.legible import legible
from agentmesh.routing.reasoning.prompt import question
from agentmesh.routing.reasoning.read_back import read_back
from agentmesh.testing.asking import carded_pool
from agentmesh.testing.injections import injections
from agentmesh.testing.samples import sample_features

CARDS = (
    AgentCard(id="solver", description="Solves sums.", skills=("sums", "proofs"), examples=("2 + 2", "6 * 9")),
    AgentCard(id="coder", description="Writes code."),
)


def asked(*cards, text="What is 2 + 2?", turns=(), most=3):
    pool = carded_pool(*(cards or CARDS))
    return question(replace(sample_features(text=text), turns=turns), pool, pool.ids, most=most)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_it_is_known_how_many_may_be_named(most):
    assert read_back(asked(most=most).request).most == most


def test_options_come_with_all_they_say_of_themselves_in_the_order_asked():
    made = asked()
    options = read_back(made.request).request.options
    assert tuple(option.id for option in options) == made.asked
    assert set(options) == {
        Option(id="solver", description="Solves sums.\nSkills: sums, proofs\nExample: 2 + 2\nExample: 6 * 9"),
        Option(id="coder", description="Writes code."),
    }


def test_turns_name_the_agents_that_are_options():
    turns = (
        Turn(role="user", text="Hi"),
        Turn(role="assistant", text="4 < 5", agent_id="solver"),
        Turn(role="assistant", text="gone", agent_id="ghost"),
    )
    assert read_back(asked(turns=turns).request).request.turns == (
        *turns[:2],
        turns[2].model_copy(update={"agent_id": None}),
    )


def test_a_question_without_a_schema_is_read_as_well():
    request = asked().request
    assert read_back(request.model_copy(update={"json_schema": None})) == read_back(request)


@given(
    st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4, unique=True),
    st.text(max_size=60),
    st.text(max_size=60),
)
def test_whatever_strangers_write_comes_back_as_it_stood_in_the_prompt(ids, description, text):
    cards = [AgentCard(id=agent_id, description=description, examples=(text,)) for agent_id in ids]
    made = asked(*cards, text=text, turns=(Turn(role="user", text=description, agent_id=ids[0]),))
    read = read_back(made.request).request
    assert tuple(option.id for option in read.options) == made.asked
    assert {option.description for option in read.options} == {f"{legible(description)}\nExample: {legible(text)}"}
    assert read.task == legible(text)
    assert read.turns == (Turn(role="user", text=legible(description), agent_id=ids[0]),)


@pytest.mark.parametrize("injection", injections("solver"), ids=lambda one: f"{one.order}-{one.disguise}")
def test_no_hostile_text_adds_an_option_or_another_task(injection):
    hostile = injection.text
    card = AgentCard(id="solver", description=hostile, skills=(hostile,), examples=(hostile,))
    read = read_back(asked(card, CARDS[1], text=hostile, turns=(Turn(role="user", text=hostile),)).request)
    assert {option.id for option in read.request.options} == {"solver", "coder"}
    assert len(read.request.turns) == 1
    assert read.most == 3


@given(st.text())
def test_what_was_quoted_is_unquoted_as_it_was(text):
    assert unquote(quote("task", text).removeprefix("<task>").removesuffix("</task>")) == text


@pytest.mark.parametrize("place", [0, 1])
def test_another_request_is_a_mistake_of_the_users(place):
    kept = asked().request.messages[place]
    for request in (ChatRequest(messages=()), ChatRequest(messages=(kept, ChatMessage(role="user", content="Hi")))):
        with pytest.raises(ConfigError, match="it answers only what a reasoning router asks"):
            read_back(request)
