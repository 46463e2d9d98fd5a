"""A decision model behind the seam of a chat model: what it finds probable is chosen, and nothing else changes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import ConfigError, LlmError
from agentmesh.graphs.asking import LiveAsker, RecordedAsker
from agentmesh.llm import RecordedChat
from agentmesh.protocols import ChatModel, ChatResponse, OptionModel, OptionWeights
from agentmesh.records import Usage
from agentmesh.routing.base import RouteContext
from agentmesh.routing.reasoning.options import OptionChat, reply_text
from agentmesh.routing.reasoning.parsing import parse
from agentmesh.routing.reasoning.prompt import question
from agentmesh.routing.reasoning.reasoner import Reasoner
from agentmesh.testing import ScriptedOptions
from agentmesh.testing.samples import chosen, sample_features
from agentmesh.types import SystemClock


def asking(pool, most=3):
    return question(sample_features(), pool, pool.ids, most=most).request


async def decided(pool, rated, *weights, most=3, reasoner=None, **thresholds):
    """Return the decision of the cheap router after a model weighed its best."""
    context = RouteContext(seed=1, max_agents=most, asker=LiveAsker(chat_of(*weights, **thresholds), SystemClock()))
    cheap = rated.decide(sample_features(), pool, context)
    return await (reasoner or Reasoner()).consult(sample_features(), pool, context, cheap)


def chat_of(*weights, **thresholds):
    return OptionChat(ScriptedOptions(weights), **thresholds)


def test_it_is_a_chat_model_and_its_double_an_option_model():
    chat = chat_of()
    assert isinstance(chat, ChatModel)
    assert isinstance(ScriptedOptions([]), OptionModel)
    assert chat.name == "scripted"


async def test_those_nearly_as_probable_as_the_best_are_named_best_first(pool, rated):
    decision = await decided(pool, rated, {"poet": 0.2, "cook": 0.6, "judge": 0.14})
    assert chosen(decision) == ["cook", "poet"]
    assert decision.reasoning.reason.startswith("p(nobody) = 0.06, p('cook') = 0.60, p('poet') = 0.20, p('judge')")
    assert (decision.reasoning.repairs, decision.reasoning.fault) == ((), "")


async def test_no_more_are_named_than_may_be(pool, rated):
    decision = await decided(pool, rated, {"poet": 0.3, "cook": 0.4, "judge": 0.3}, most=1)
    assert chosen(decision) == ["cook"]
    assert decision.reasoning.repairs == ()


async def test_where_nobody_is_probable_the_task_is_out_of_scope(pool, rated):
    decision = await decided(pool, rated, {"poet": 0.4})
    assert decision.abstained
    assert decision.reasoning.out_of_scope
    assert "p(nobody) = 0.60" in decision.explain()


@pytest.mark.parametrize(("abstain", "abstained"), [(0.4, True), (0.41, False)])
async def test_how_probable_nobody_must_be_can_be_set(pool, rated, abstain, abstained):
    weights = OptionWeights(probabilities={"poet": 0.6}, none=0.4)
    assert (await decided(pool, rated, weights, abstain=abstain)).abstained is abstained


@pytest.mark.parametrize(("named", "expected"), [(1.0, ["cook"]), (0.5, ["cook", "poet"]), (0.0, ["cook", "poet"])])
async def test_how_near_to_the_best_another_must_be_can_be_set(pool, rated, named, expected):
    decision = await decided(pool, rated, {"poet": 0.25, "cook": 0.5, "judge": 0.0}, named=named)
    assert chosen(decision) == expected


async def test_where_nothing_is_probable_the_routers_choice_stands(pool, rated):
    weights = OptionWeights(probabilities={"poet": 0.0}, none=0.3)
    decision = await decided(pool, rated, weights)
    assert chosen(decision) == ["solver", "coder", "poet"]
    assert decision.reasoning.fault == "it names no agent"


@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        (LlmError("small: HTTP 500"), "small: HTTP 500"),
        (RuntimeError("out of memory"), "out of memory"),
        ({"ghost": 0.9, "poet": 0.1}, "it weighed ['ghost']; expected only options that it was asked about"),
    ],
)
async def test_a_model_that_fails_leaves_the_choice_to_the_router(pool, rated, weights, fault):
    decision = await decided(pool, rated, weights)
    assert chosen(decision) == ["solver", "coder", "poet"]
    assert fault in decision.reasoning.fault


@pytest.mark.parametrize("share", [1.5, -0.1, float("nan"), float("inf")])
async def test_a_weight_that_is_no_probability_is_a_failure_of_the_model(pool, rated, share):
    chat = OptionChat(ScriptedOptions(lambda request: OptionWeights(probabilities={"poet": share}, none=0.0)))
    with pytest.raises(LlmError, match="scripted: its weights cannot be used"):
        await chat.complete(asking(pool))


async def test_a_script_that_is_used_up_says_so(pool):
    with pytest.raises(LlmError, match="the script is used up; it holds 0 weights"):
        await chat_of().complete(asking(pool))


async def test_it_weighs_what_the_router_asked(pool):
    model, request = ScriptedOptions([{"poet": 1.0}]), asking(pool)
    await OptionChat(model).complete(request)
    (seen,) = model.requests
    assert [option.id for option in seen.options] == request.json_schema["properties"]["agents"]["items"]["enum"]
    assert seen.task == sample_features().text


async def test_a_router_that_asks_without_a_schema_is_answered_too(pool, rated):
    decision = await decided(pool, rated, {"cook": 1.0}, reasoner=Reasoner(structured=False))
    assert chosen(decision) == ["cook"]


async def test_model_usage_and_cost_are_the_weighing_models(pool, rated):
    usage = Usage(input_tokens=90, output_tokens=1)
    weights = OptionWeights(probabilities={"cook": 1.0}, none=0.0, model="small-2", usage=usage, cost_usd="0.001")
    reasoning = (await decided(pool, rated, weights)).reasoning
    assert (reasoning.model, reasoning.input_tokens, reasoning.output_tokens) == ("small-2", 90, 1)
    assert str(reasoning.cost_usd) == "0.001"


async def test_a_stream_ends_with_the_whole_answer(pool):
    items = [item async for item in chat_of({"poet": 1.0}).stream(asking(pool))]
    whole = items[-1]
    assert isinstance(whole, ChatResponse)
    assert "".join(items[:-1]) == whole.text


async def test_closing_it_closes_the_model():
    model = ScriptedOptions([])
    await OptionChat(model).aclose()
    assert model.closed


async def test_what_was_recorded_decides_again_the_same(pool, rated):
    live = await decided(pool, rated, {"poet": 0.2, "cook": 0.6})
    context = RouteContext(seed=1, max_agents=3, asker=RecordedAsker(live.reasoning))
    cheap = rated.decide(sample_features(), pool, context)
    again = await Reasoner().consult(sample_features(), pool, context, cheap)
    assert again.model_copy(update={"elapsed_ms": 0}) == live.model_copy(update={"elapsed_ms": 0})


async def test_a_recording_is_given_again_without_the_model(pool, tmp_path):
    path, request = tmp_path / "said.jsonl", asking(pool)
    said = await RecordedChat.record(chat_of({"cook": 0.9}), path).complete(request)
    assert await RecordedChat.replay(path).complete(request) == said


async def test_it_does_not_write(pool):
    chat = chat_of({"cook": 1.0})
    with pytest.raises(ConfigError, match="a model that weighs options was asked to write"):
        await chat.complete(asking(pool).model_copy(update={"messages": ()}))


def test_prices_are_those_of_the_model_or_unknown():
    class Priced(ScriptedOptions):
        price_in_per_m_usd = 1
        price_out_per_m_usd = 2

    dear, unknown = OptionChat(Priced([])), OptionChat(ScriptedOptions([]))
    assert (dear.price_in_per_m_usd, dear.price_out_per_m_usd) == (1, 2)
    assert (unknown.price_in_per_m_usd, unknown.price_out_per_m_usd) == (None, None)


@pytest.mark.parametrize("abstain", [0.0, -0.1, 1.1, float("nan")])
def test_a_threshold_of_abstention_out_of_range_is_refused(abstain):
    with pytest.raises(ConfigError, match="expected a probability above 0, at most 1"):
        chat_of(abstain=abstain)


@pytest.mark.parametrize("named", [-0.1, 1.1, float("nan")])
def test_a_share_of_the_best_out_of_range_is_refused(named):
    with pytest.raises(ConfigError, match="expected a share from 0 to 1"):
        chat_of(named=named)


SHARES = st.dictionaries(st.text(min_size=1, max_size=12), st.floats(0.0, 1.0), min_size=1, max_size=8)


@given(SHARES, st.floats(0.0, 1.0), st.floats(0.01, 1.0), st.floats(0.0, 1.0), st.integers(1, 3))
def test_a_reply_is_understood_as_it_was_meant(shares, none, abstain, named, most):
    text = reply_text(OptionWeights(probabilities=shares, none=none), abstain=abstain, named=named, most=most)
    parsed = parse(text, asked=tuple(shares), most=most)
    best = max(shares.values())
    if all(agent_id.isalpha() for agent_id in shares):  # others may look like something else in the reason
        assert parsed.repairs == ()
    assert parsed.out_of_scope is (none >= abstain)
    assert len(parsed.named) <= most
    if parsed.out_of_scope or best == 0.0:
        assert parsed.named == ()
    else:
        assert shares[parsed.named[0]] == best
        assert all(shares[agent_id] >= named * best for agent_id in parsed.named)


@given(SHARES)
def test_the_order_of_the_weights_has_no_effect(shares):
    turned = dict(reversed(shares.items()))
    texts = [
        reply_text(OptionWeights(probabilities=one, none=0.0), abstain=0.5, named=0.25, most=3)
        for one in (shares, turned)
    ]
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["out_of_scope"] is False
