"""Asking a model over real HTTP: every way in which an endpoint fails is a fault, and what was asked is remembered."""

import json
from contextlib import aclosing
from decimal import Decimal

import pytest

from agentmesh.errors import ConfigError, LlmError
from agentmesh.graphs.asking import LiveAsker, RecordedAsker
from agentmesh.llm import OpenAIChat
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.protocols import ChatMessage, ChatRequest, ChatResponse
from agentmesh.records import AgentCard, Usage
from agentmesh.routing.base import RouteContext
from agentmesh.routing.reasoning.reasoner import Reasoner
from agentmesh.testing import FakeOpenAIServer, ServerFault, ServerReply
from agentmesh.testing.asking import RatedRouter, carded_pool
from agentmesh.testing.samples import chosen, sample_features
from agentmesh.types import SystemClock

NAMES = tuple(f"agent-{place:03}" for place in range(100))
CHOICE = '{"reason": "It is a sum.", "agents": ["agent-002"], "out_of_scope": false}'


class Watch:
    """A clock that goes on by a quarter of a second each time it is read."""

    def __init__(self):
        self.reads = 0

    def now(self):
        return 0.0

    def monotonic(self):
        self.reads += 1
        return self.reads / 4


def request(text="Who?"):
    return ChatRequest(messages=(ChatMessage(role="user", content=text),))


def card(agent_id, description="Works."):
    return AgentCard(id=agent_id, description=description)


async def consulted(asker, *cards, reasoner=None):
    pool = carded_pool(*(cards or [card(name) for name in NAMES]))
    router = RatedRouter(quality={agent_id: 0.9 - place / 1000 for place, agent_id in enumerate(pool.ids)})
    context = RouteContext(seed=1, max_agents=3, asker=asker)
    cheap = router.decide(sample_features(), pool, context)
    return await (reasoner or Reasoner()).consult(sample_features(), pool, context, cheap)


async def served(reply, *cards, reasoner=None):
    """Return the decision when a real endpoint sends ``reply``, and what it was asked."""
    with FakeOpenAIServer([reply]) as server:
        async with aclosing(OpenAIChat("thinker", base_url=server.base_url)) as client:
            decision = await consulted(LiveAsker(client, SystemClock()), *cards, reasoner=reasoner)
    return decision, next((request.body for request in server.requests), {})  # its time may be up before it comes in


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (CHOICE, ("agent-002",)),
        (f"Let me think.\n```json\n{CHOICE}\n```\nDone.", ("agent-002",)),
        ("I would hand this to agent-003, which knows sums.", ("agent-003",)),
        ("<reason>It is a sum.</reason><agents>agent-001, agent-000", ("agent-001", "agent-000")),
        (json.dumps({"reason": "all", "agents": NAMES, "out_of_scope": False}), NAMES[:3]),
    ],
)
async def test_a_reply_that_names_agents_decides(text, named):
    decision, body = await served(text)
    assert tuple(chosen(decision)) == decision.reasoning.named == named
    assert decision.reasoning.fault == ""
    assert (decision.reasoning.model, body["max_tokens"]) == ("thinker", 400)
    assert decision.reasoning.input_tokens > 100
    assert decision.reasoning.latency_s > 0


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("It depends on what you mean by a task.", "it names no agent"),
        ("抱歉我无法决定。", "it names no agent"),
        ("", "it is empty"),
        ("ghost, phantom and spectre", "it names no agent"),
        (ServerReply(refusal="I cannot do that."), "the model refused: 'I cannot do that.'"),
        (ServerFault(status=429, message="slow down", retry_after_s=7), "slow down"),
        (ServerFault(status=500), "scripted failure"),
        (ServerFault(kind="truncate"), "Connection error"),
        (ServerFault(kind="drop"), "Connection error"),
        (ServerFault(kind="invalid_json"), "thinker"),
        (ServerFault(kind="empty_choices"), "the answer has no choices"),
        (ServerReply(CHOICE, delay_s=30), "it did not reply within 0.05 s"),
    ],
)
async def test_a_reply_of_no_use_leaves_the_choice_to_the_router(reply, fault):
    decision, _ = await served(reply, reasoner=Reasoner(timeout_s=0.05 if "0.05" in fault else 10.0))
    assert chosen(decision) == list(NAMES[:3])
    assert fault in decision.reasoning.fault
    assert decision.reasoning.fault in decision.reason


async def test_a_reply_that_was_cut_by_its_limit_gives_the_ids_that_stand_whole():
    cut = ServerReply('{"reason": "Sums.", "agents": ["agent-004", "agent-0', finish_reason="length")
    decision, _ = await served(cut)
    assert chosen(decision) == ["agent-004"]
    assert decision.reasoning.repairs == ("the JSON could not be read as a whole; what could be read was used",)


async def test_the_endpoint_gets_the_schema_and_cards_that_are_escaped_and_short():
    cards = [
        card("agent-002", "</candidate> <b>bold</b> & more"),
        card("braces", "{x} {{y}} {0} %s"),
        card("words", "word " * 10_000),
    ]
    decision, body = await served(CHOICE, *cards)
    assert chosen(decision) == ["agent-002"]
    user = body["messages"][1]["content"]
    assert user.count("</candidate>") == 3
    assert "&lt;/candidate&gt; &lt;b&gt;bold&lt;/b&gt; &amp; more" in user
    assert "{x} {{y}} {0} %s" in user
    assert user.count("word ") == 120
    assert len(user) < 2000
    enum = body["response_format"]["json_schema"]["schema"]["properties"]["agents"]["items"]["enum"]
    assert set(enum) == {"agent-002", "braces", "words"}


async def test_asking_again_costs_nothing():
    answer = ChatResponse(text="a", model="m-1", usage=Usage(input_tokens=5, output_tokens=2), cost_usd=Decimal("0.01"))
    client = ScriptedChat([answer])
    asker = LiveAsker(client, Watch())
    first, again = await asker.ask(request()), await asker.ask(request())
    assert (first.text, first.model, first.cost_usd, first.cached) == ("a", "m-1", Decimal("0.01"), False)
    assert (first.input_tokens, first.output_tokens, first.latency_s) == (5, 2, 0.25)
    assert (again.text, again.model, again.cost_usd, again.cached) == ("a", "m-1", Decimal(0), True)
    assert (again.input_tokens, again.output_tokens, again.latency_s) == (5, 2, 0.0)
    assert len(client.requests) == 1


async def test_an_unknown_cost_stays_unknown():
    reply = await LiveAsker(ScriptedChat([ChatResponse(text="a", model="m")]), Watch()).ask(request())
    assert (reply.cost_usd, reply.input_tokens, reply.output_tokens) == (None, None, None)


async def test_those_used_last_are_remembered():
    client = ScriptedChat(lambda asked: asked.messages[0].content)
    asker = LiveAsker(client, Watch(), remember=2)
    for text in ("one", "two", "one", "three", "one", "two"):
        assert (await asker.ask(request(text))).text == text
    assert [asked.messages[0].content for asked in client.requests] == ["one", "two", "three", "two"]


async def test_nothing_is_remembered_where_no_reply_is_kept():
    client = ScriptedChat(["a", "b"])
    asker = LiveAsker(client, Watch(), remember=0)
    assert [(await asker.ask(request())).text for _ in range(2)] == ["a", "b"]


async def test_failures_are_not_remembered():
    asker = LiveAsker(ScriptedChat([LlmError("overloaded"), "a"]), Watch())
    failed = await asker.ask(request())
    assert (failed.text, failed.model, failed.fault, failed.latency_s) == ("", "scripted", "overloaded", 0.25)
    assert failed.cost_usd is None
    assert (await asker.ask(request())).text == "a"


async def test_a_mistake_of_the_users_is_raised():
    asker = LiveAsker(ScriptedChat([ConfigError("no key")]), Watch())
    with pytest.raises(ConfigError, match="no key"):
        await asker.ask(request())


def test_a_memory_below_nothing_is_refused():
    with pytest.raises(ConfigError, match="remember is -1"):
        LiveAsker(ScriptedChat([]), Watch(), remember=-1)


@pytest.mark.parametrize(
    "reply", [CHOICE, "agent-001?", "no idea", "", "x" * 30_000, f"\ud800{CHOICE}", LlmError("down")]
)
async def test_what_was_recorded_decides_again_the_same(reply):
    live = await consulted(LiveAsker(ScriptedChat([reply]), Watch()))
    again = await consulted(RecordedAsker(live.reasoning))
    assert again.reasoning == live.reasoning
    assert again.model_copy(update={"elapsed_ms": 0}) == live.model_copy(update={"elapsed_ms": 0})


async def test_a_decision_made_without_a_model_is_made_again_without_one():
    live = await consulted(None)
    assert (await consulted(RecordedAsker(live.reasoning))).reasoning == live.reasoning


async def test_where_nothing_was_asked_nothing_is_answered():
    reply = await RecordedAsker(None).ask(request())
    assert (reply.text, reply.fault) == ("", "nothing was asked when this was recorded")
