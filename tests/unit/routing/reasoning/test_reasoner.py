"""The reasoner: what the model says becomes part of the decision, and nothing it says can break one."""

import json
from decimal import Decimal

import numpy as np
import pytest

from agentmesh.decisions import Evidence
from agentmesh.errors import ConfigError
from agentmesh.records import RouteDecision
from agentmesh.routing.asking import Reply
from agentmesh.routing.base import RouteContext
from agentmesh.routing.preference import FORBID, PIN
from agentmesh.routing.reasoning.reasoner import Reasoner
from agentmesh.testing.asking import RatedRouter, ScriptedAsker
from agentmesh.testing.samples import chosen, plain_pool, sample_features


def said(*agents, reason="It asks for a poem.", scope=False):
    return json.dumps({"reason": reason, "agents": agents, "out_of_scope": scope})


async def consulted(router, pool, *replies, reasoner=None, **context):
    """Return the cheap decision, the one after the model was asked, and what it was asked through."""
    asker = ScriptedAsker(replies)
    made = RouteContext(**{"seed": 1, "asker": asker, **context})
    cheap = router.decide(sample_features(), pool, made)
    return cheap, await (reasoner or Reasoner()).consult(sample_features(), pool, made, cheap), asker


async def test_the_agents_that_the_model_names_are_chosen_in_its_order(rated, pool):
    cheap, decision, _ = await consulted(rated, pool, said("poet", "judge"), max_agents=3)
    assert chosen(cheap) == ["solver", "coder", "poet"]
    assert chosen(decision) == ["poet", "judge"]
    assert [selection.weight for selection in decision.selected] == pytest.approx([1 / 1.9, 0.9 / 1.9])
    assert decision.reason == "the model 'scripted' chose 'poet', 'judge': It asks for a poem."
    assert decision.reasoning is not None
    assert decision.reasoning.reason == "It asks for a poem."
    assert decision.reasoning.named == ("poet", "judge")
    assert decision.reasoning.reply == said("poet", "judge")
    assert (decision.reasoning.repairs, decision.reasoning.fault) == ((), "")
    assert decision.elapsed_ms >= cheap.elapsed_ms


async def test_scores_stay_the_routers_and_chances_are_those_of_the_outcome(rated, pool):
    cheap, decision, _ = await consulted(rated, pool, said("poet"), explore=0.06)
    assert decision.scores == cheap.scores
    assert decision.probability_array() == pytest.approx([0, 0.01, 0.96, 0.01, 0.01, 0.01])
    assert decision.log_propensity == pytest.approx(np.log(0.96))
    assert decision.margin == pytest.approx(0.7 - 0.9)
    seen = {one.agent_id: (one.probability, one.inclusion) for one in decision.candidates}
    assert seen["poet"] == pytest.approx((0.96, 0.96))
    assert seen["solver"] == (0, 0)


async def test_no_quality_is_said_to_flip_what_the_model_chose(rated, pool):
    cheap, decision, _ = await consulted(rated, pool, said("poet"))
    assert "would be chosen if" in cheap.explain()
    assert "would be chosen if" not in decision.explain()
    assert "the model 'scripted' chose 'poet': It asks for a poem." in decision.explain()


async def test_a_script_that_is_used_up_is_a_fault(rated, pool):
    assert (await consulted(rated, pool))[1].reasoning.fault == "the script is used up"


async def test_two_outvote_one_and_the_first_wins_a_tie(rated, pool):
    _, decision, _ = await consulted(rated, pool, said("cook", "poet", "judge", "coder"), max_agents=9)
    first, second, third = (selection.weight for selection in decision.selected)
    assert first > second > third
    assert second + third > first
    assert decision.reasoning.repairs == ("of 4 agents the first 3 were kept",)


async def test_an_agent_that_was_not_readable_becomes_a_candidate_in_its_place(rated, pool):
    cheap, decision, _ = await consulted(rated, pool.gated({"cook": "skill"}), said("guide"), top=1)
    assert [one.agent_id for one in cheap.candidates] == ["solver", "cook"]
    assert [one.agent_id for one in decision.candidates] == ["solver", "guide", "cook"]
    guide = decision.candidates[1]
    assert (guide.score, guide.probability, guide.inclusion) == (pytest.approx(0.5), 1.0, 1.0)
    assert decision.candidates[2].gate == "skill"


async def test_the_routers_choice_confirmed_stays_with_its_margin(rated, pool):
    cheap, decision, _ = await consulted(rated, pool, said("solver"))
    assert (chosen(decision), decision.margin) == (["solver"], pytest.approx(cheap.margin))
    assert decision.probabilities == cheap.probabilities


async def test_only_the_best_few_that_pass_the_gates_are_put_to_the_model(rated, pool):
    gated = pool.gated({"solver": "budget", "poet": FORBID})
    _, decision, asker = await consulted(rated, gated, said("solver", "cook"), reasoner=Reasoner(candidates=2))
    assert set(decision.reasoning.asked) == {"coder", "cook"}
    assert chosen(decision) == ["cook"]
    assert decision.reasoning.repairs == ("unknown ids were left out: 'solver'",)
    assert "Works as a solver." not in asker.requests[0].messages[1].content


async def test_the_request_carries_the_limits(rated, pool):
    reasoner = Reasoner(timeout_s=3.0, most_tokens=99, structured=False)
    _, _, asker = await consulted(rated, pool, said("poet"), reasoner=reasoner)
    assert asker.timeouts_s == [3.0]
    assert (asker.requests[0].max_tokens, asker.requests[0].json_schema) == (99, None)
    _, _, asker = await consulted(rated, pool, said("poet"))
    assert asker.requests[0].json_schema is not None


async def test_out_of_scope_is_a_decision_for_nobody(rated, pool):
    _, decision, _ = await consulted(rated, pool, said(reason="Nobody flies.", scope=True), explore=0.06)
    assert decision.abstained
    assert (decision.selected, decision.margin) == ((), None)
    assert decision.reason == "the model 'scripted' says out of scope: Nobody flies."
    assert decision.probability_array() == pytest.approx([0, 0.01, 0.01, 0.01, 0.01, 0.01])
    assert decision.log_propensity == pytest.approx(np.log(0.95))


async def test_out_of_scope_does_not_undo_a_pin(rated, pool):
    pinned = pool.gated(dict.fromkeys(("solver", "coder", "cook", "guide"), PIN))
    _, decision, _ = await consulted(rated, pinned, said(scope=True))
    assert chosen(decision) == ["poet"]
    assert "a pin holds" in decision.reasoning.repairs[-1]
    assert decision.reason == "the model 'scripted' says out of scope; what router 'rated' chose stands"


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("I cannot say.", "it names no agent"),
        ("", "it is empty"),
        (Reply("", model="m", fault="it did not reply within 10 s", latency_s=10.0), "it did not reply within 10 s"),
        (Reply(said("poet"), model="m", fault="cut off"), "cut off"),
    ],
)
async def test_a_reply_of_no_use_leaves_the_choice_as_it_was_and_says_so(rated, pool, reply, fault):
    cheap, decision, _ = await consulted(rated, pool, reply)
    model = decision.reasoning.model
    assert chosen(decision) == chosen(cheap)
    assert decision.probabilities == cheap.probabilities
    assert decision.reasoning.fault == fault
    assert decision.reason == f"the model {model!r} was of no use: {fault}; what router 'rated' chose stands"


async def test_without_a_model_the_choice_stands_and_says_so(rated, pool):
    cheap, decision, _ = await consulted(rated, pool, asker=None)
    assert chosen(decision) == chosen(cheap)
    assert decision.reasoning.fault == "there is no chat model to ask"
    assert decision.reason.startswith("the reasoning model was of no use")
    assert set(decision.reasoning.asked) == set(pool.ids)


async def test_a_set_whose_chances_could_not_be_told_is_left_as_it_was(pool):
    router = RatedRouter(quality={"solver": 0.9, "coder": 0.8}, policy="softmax:0.001")
    cheap, decision, asker = await consulted(router, pool, said("poet"), max_agents=2)
    assert chosen(decision) == chosen(cheap)
    assert decision.reasoning.fault == "a set drawn by 'softmax' is not replaced: its chances are unknown"
    assert asker.requests == []


async def test_nothing_is_asked_where_there_is_nothing_to_choose(rated, pool):
    pinned = pool.gated(dict.fromkeys(pool.ids[1:], PIN))
    cheap, decision, asker = await consulted(rated, pinned, said("coder"))
    assert (decision, asker.requests) == (cheap, [])


async def test_nothing_is_asked_where_the_router_abstains(pool):
    router = RatedRouter(quality={}, policy="threshold:0.5")
    cheap, decision, asker = await consulted(router, pool, said("coder"))
    assert cheap.abstained
    assert (decision, asker.requests) == (cheap, [])


async def test_what_was_drawn_to_explore_stands_unasked(rated, pool):
    explored = 0
    for seed in range(20):
        cheap, decision, asker = await consulted(rated, pool, said("poet"), seed=seed, explore=0.5)
        explored += cheap.explored
        assert (decision == cheap, asker.requests == []) == (cheap.explored, cheap.explored)
    assert 0 < explored < 20


async def test_what_a_reply_cost_is_in_the_trace(rated, pool):
    reply = Reply(said("poet"), "m", input_tokens=7, output_tokens=3, cost_usd=Decimal("0.01"), latency_s=2.0)
    reasoning = (await consulted(rated, pool, reply))[1].reasoning
    assert (reasoning.model, reasoning.input_tokens, reasoning.output_tokens) == ("m", 7, 3)
    assert (reasoning.cost_usd, reasoning.latency_s, reasoning.cached) == (Decimal("0.01"), 2.0, False)


@pytest.mark.parametrize("text", [said("poet", reason="\ud800\x00" * 9000), "\ud800" * 30_000, "\x00\x1b[2J"])
async def test_any_reply_survives_the_trace(rated, pool, text):
    decision = (await consulted(rated, pool, Reply(text, model="\ud800m")))[1]
    assert RouteDecision.model_validate_json(decision.model_dump_json()) == decision


async def test_what_came_before_in_a_reason_is_kept(pool, rated):
    made = RouteContext(seed=1, asker=ScriptedAsker([said("poet")]))
    cheap = rated.decide(sample_features(), pool, made).model_copy(update={"reason": "first"})
    decision = await Reasoner().consult(sample_features(), pool, made, cheap)
    assert decision.reason.startswith("first; the model 'scripted' chose 'poet'")


@pytest.mark.parametrize(("named", "left"), [("solver", 1), ("poet", 0)])
async def test_the_routers_evidence_is_that_of_its_own_choice_alone(pool, rated, named, left):
    made = RouteContext(seed=1, asker=ScriptedAsker([said(named)]))
    evidence = (Evidence(kind="skill", name="sums", weight=0.5),)
    cheap = rated.decide(sample_features(), pool, made).model_copy(update={"evidence": evidence})
    decision = await Reasoner().consult(sample_features(), pool, made, cheap)
    assert len(decision.evidence) == left


async def test_a_pool_without_cards_is_asked_about_by_ids(rated):
    bare = plain_pool("solver", "coder")
    assert chosen((await consulted(rated, bare, said("coder")))[1]) == ["coder"]


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("candidates", 1, "2 or more"),
        ("timeout_s", 0.0, "seconds above 0"),
        ("timeout_s", float("nan"), "seconds above 0"),
        ("most_tokens", 0, "1 or more"),
    ],
)
def test_an_argument_out_of_range_is_refused(argument, value, expected):
    with pytest.raises(ConfigError, match=expected):
        Reasoner(**{argument: value})
