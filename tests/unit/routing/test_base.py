"""The scoring router: what a decision holds, how state is kept, and what is refused."""

import asyncio
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from agentmesh.errors import ConfigError, NoCandidateError, RouterOutputError, RoutingError
from agentmesh.records import Objective
from agentmesh.routing.base import Estimate, RouteContext, Router, ScoringRouter, TaskFeatures
from agentmesh.routing.baseline import BestSingleRouter
from agentmesh.routing.inputs import index_of
from agentmesh.routing.prices import by_card, expected_cost
from agentmesh.routing.similarity import CosineRouter
from agentmesh.routing.state import pack_state, unpack_state
from agentmesh.testing.samples import sample_experience, sample_features, sample_outcomes, sample_pool, taken

POOL = sample_pool(6)
TASK = TaskFeatures(vector=POOL.vectors[0], text="x" * 400)


class GivenRouter(ScoringRouter):
    """Rates agents by numbers it was given."""

    name: ClassVar[str] = "given"
    calibrated: bool = True

    def __init__(self, *, quality=(0.9, 0.8, 0.3, 0.2, 0.1, 0.0), policy="greedy"):
        super().__init__(policy=policy, quality=list(quality))
        self.quality = np.array(quality)

    def estimate(self, features, pool):
        return by_card(self.quality, features, pool, halved=self.quality / 2)


def decide(router=None, pool=POOL, **context):
    return (router or GivenRouter()).decide(TASK, pool, RouteContext(**{"seed": 1, **context}))


def test_the_best_agent_is_selected_and_the_margin_is_its_lead():
    decision = decide()
    assert [selection.agent_id for selection in decision.selected] == ["agent-00"]
    assert decision.margin == pytest.approx(0.1)
    assert (decision.explored, decision.abstained, decision.policy) == (False, False, "epsilon_greedy")


def test_the_margin_of_a_set_is_taken_to_the_best_one_left_out():
    assert decide(max_agents=2).margin == pytest.approx(0.6)
    assert decide(max_agents=6).margin is None


def test_calibrated_quality_weighs_the_votes():
    weights = [selection.weight for selection in decide(max_agents=2).selected]
    assert weights == pytest.approx([0.9 / 1.7, 0.8 / 1.7])


def test_affinities_weigh_all_votes_alike():
    weights = [selection.weight for selection in decide(CosineRouter(), max_agents=4).selected]
    assert weights == [0.25] * 4


def test_an_agent_expected_to_fail_keeps_a_say():
    router = GivenRouter(quality=(0.0,) * 6)
    assert [selection.weight for selection in decide(router, max_agents=2).selected] == [0.5, 0.5]


def test_the_readable_candidates_are_the_best_and_every_selected_one():
    for seed in range(20):
        decision = decide(seed=seed, top=2, max_agents=2, explore=1.0)
        shown = {candidate.agent_id for candidate in decision.candidates}
        assert shown == {"agent-00", "agent-01"} | {selection.agent_id for selection in decision.selected}
        scores = [candidate.score for candidate in decision.candidates]
        assert scores == sorted(scores, reverse=True)


def test_a_candidate_shows_what_was_expected_of_it():
    candidate = decide(pool=replace(POOL, latency_s=np.full(6, 1.5))).candidates[0]
    assert candidate.expected_quality == 0.9
    assert candidate.expected_cost_usd == POOL.price_per_call[0]
    assert candidate.expected_latency_s == 1.5
    assert candidate.factors == {"halved": 0.45}


def test_what_is_unknown_is_left_out_of_a_candidate():
    candidate = decide().candidates[3]
    assert (candidate.expected_cost_usd, candidate.expected_latency_s) == (None, None)


def test_affinities_are_not_shown_as_quality():
    assert decide(CosineRouter()).candidates[0].expected_quality is None


def test_refused_agents_are_listed_when_they_are_few():
    few = decide(pool=POOL.gated({"agent-01": "skill", "agent-05": "budget"}))
    assert [(c.agent_id, c.gate) for c in few.candidates if c.gate] == [("agent-01", "skill"), ("agent-05", "budget")]
    many = decide(pool=POOL.gated(dict.fromkeys(POOL.ids[1:], "skill")))
    assert [candidate.gate for candidate in many.candidates] == [None]


def test_a_pool_masked_by_hand_names_the_mask():
    mask = POOL.mask.copy()
    mask[2] = False
    assert decide(pool=replace(POOL, mask=mask)).candidates[-1].gate == "mask"


def test_all_scores_are_packed_with_nan_where_gated():
    decision = decide(pool=POOL.gated({"agent-01": "skill"}))
    assert decision.score_array()[[0, 2]].tolist() == [0.9, 0.3]
    assert np.isnan(decision.score_array()).tolist() == [False, True, False, False, False, False]


def test_a_draw_that_is_not_the_best_is_explored():
    outcomes = {decide(seed=seed, explore=1.0).explored for seed in range(20)}
    assert outcomes == {True, False}
    worst = next(d for d in (decide(seed=s, explore=1.0) for s in range(50)) if d.selected[0].agent_id == "agent-05")
    assert worst.explored
    assert worst.margin == pytest.approx(-0.9)


def test_a_threshold_nobody_reaches_is_an_abstention():
    decision = decide(GivenRouter(policy="threshold:0.95"), max_agents=3)
    assert (decision.abstained, decision.selected, decision.margin, decision.threshold) == (True, (), None, 0.95)
    assert "0.95" in decision.explain()


def test_a_bonus_is_added_to_the_utilities():
    bonus = np.zeros(6)
    bonus[4] = 2.0
    for order in (range(6), [4, 5, 0, 3, 2, 1]):
        pool = taken(POOL, list(order))
        router = GivenRouter(quality=GivenRouter().quality[list(order)])
        assert decide(router, pool, bonus=bonus[list(order)]).selected[0].agent_id == "agent-04"


def test_the_objective_weighs_cost():
    cheapest = POOL.ids[int(np.nanargmin(POOL.price_per_call))]
    decision = decide(objective=Objective(quality=0.01, cost=1.0))
    assert decision.selected[0].agent_id == cheapest


def test_route_is_decide():
    decision = asyncio.run(GivenRouter().route(TASK, POOL, RouteContext(seed=1)))
    assert decision.selected == decide().selected
    assert decision.elapsed_ms > 0


def test_the_score_is_the_estimated_quality():
    assert GivenRouter().score(TASK, POOL).tolist() == [0.9, 0.8, 0.3, 0.2, 0.1, 0.0]


def test_a_seed_of_any_size_is_taken():
    assert decide(seed=2**200).selected
    assert decide(seed=-5).selected


def test_an_empty_pool_says_that_nobody_is_registered():
    with pytest.raises(NoCandidateError, match="registered"):
        decide(pool=taken(POOL, []))


def test_a_pool_of_refused_agents_names_the_gates():
    with pytest.raises(NoCandidateError, match="'agent-00' by 'budget'"):
        decide(pool=POOL.gated(dict.fromkeys(POOL.ids, "budget")))
    with pytest.raises(NoCandidateError, match="refused: all"):
        decide(pool=replace(POOL, mask=~POOL.mask))


def test_an_estimate_of_the_wrong_shape_is_refused():
    with pytest.raises(RouterOutputError, match=r"quality of shape \(2,\)"):
        decide(GivenRouter(quality=(0.1, 0.2)))


def test_an_estimate_that_is_no_number_is_refused_unless_gated():
    router = GivenRouter(quality=(0.9, np.nan, 0.3, 0.2, 0.1, 0.0))
    with pytest.raises(RouterOutputError, match="'agent-01' nan"):
        decide(router)
    assert decide(router, POOL.gated({"agent-01": "skill"})).selected


def test_a_policy_is_among_the_parameters_unless_it_is_the_default():
    assert dict(CosineRouter().parameters) == {}
    assert dict(CosineRouter(policy="gumbel:0.2").parameters) == {"policy": "gumbel:0.2"}
    assert CosineRouter().parameters_hash != CosineRouter(policy="gumbel:0.2").parameters_hash


def test_fitting_names_the_base_and_starts_the_sequence_again():
    router = BestSingleRouter()
    router.learn(sample_experience(5, POOL))
    router.fit(sample_outcomes(POOL))
    assert (router.base, router.sequence) == (sample_outcomes(POOL).fingerprint(), 0)
    assert router.parameters_hash != BestSingleRouter().parameters_hash
    assert router.base != sample_outcomes(POOL, seed=1).fingerprint()


def test_a_router_that_learns_nothing_still_sees_costs():
    router = CosineRouter()
    router.fit(sample_outcomes(POOL))
    assert (
        decide(router, objective=Objective(quality=1, cost=1)).score_array().tolist()
        != decide(CosineRouter(), objective=Objective(quality=1, cost=1)).score_array().tolist()
    )


def test_an_experience_twice_is_refused():
    router = BestSingleRouter()
    router.learn(sample_experience(3, POOL))
    with pytest.raises(RoutingError, match="rising"):
        router.learn(sample_experience(3, POOL))


def test_the_time_of_a_state_is_that_of_the_last_experience():
    router = BestSingleRouter()
    assert router.snapshot().at == 0.0
    router.learn(sample_experience(3, POOL))
    assert router.snapshot().at == 1003.0


def test_costs_and_latencies_that_are_unknown_are_learned_as_such():
    router = CosineRouter()
    router.learn(sample_experience(1, POOL).model_copy(update={"cost_usd": None, "latency_s": None}))
    arrays, _ = unpack_state(router.snapshot().payload)
    assert np.isnan(arrays["_window"][0]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    "payload",
    [
        pack_state({}, {"base": "", "router": {}}),
        pack_state({"_window": np.zeros((0, 3))}, {"router": {}}),
        pack_state({"_window": np.zeros((0, 3))}, {"base": "", "router": []}),
        pack_state({"_window": np.zeros((0, 3))}, {"base": "", "router": {}}),
        pack_state(
            {"_window": np.zeros((0, 3)), "rows": np.zeros((2, 4)), "versions": np.ones(1)},
            {"base": "", "router": {"ids": ["a"]}},
        ),
        pack_state(
            {"_window": np.zeros((4, 9)), "rows": np.zeros((0, 4)), "versions": np.ones(0)},
            {"base": "", "router": {"ids": []}},
        ),
    ],
)
def test_a_state_with_something_missing_or_amiss_is_refused(payload):
    router = BestSingleRouter()
    with pytest.raises(ConfigError):
        router.restore(router.snapshot().model_copy(update={"payload": payload}))


@pytest.mark.parametrize(
    "payload", [b"", b"x", b"\x80\x04]", pack_state({}, {})[:-1], b"\x02" + b"\x00" * 7 + b"{}", b"\xff" * 30]
)
def test_bytes_that_are_no_state_are_refused(payload):
    with pytest.raises(ConfigError, match="router state"):
        unpack_state(payload)


def test_a_header_that_is_no_object_is_refused():
    from safetensors.numpy import save

    with pytest.raises(ConfigError, match="'list'"):
        unpack_state(save({}, metadata={"agentmesh": "[]"}))


def test_arrays_of_every_kind_come_back_bit_for_bit():
    arrays = {
        "floats": np.array([[0.1, np.nan, -0.0]]).T,
        "single": np.array([1 / 3], dtype=np.float32),
        "none": np.zeros((0, 4)),
        "whole": np.arange(6, dtype=np.int64).reshape(2, 3)[:, ::-1],
        "flags": np.array([True, False]),
    }
    back, meta = unpack_state(pack_state(arrays, {"a": [1, None, "Δ"]}))
    assert meta == {"a": [1, None, "Δ"]}
    for name, array in arrays.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == np.ascontiguousarray(array).tobytes()


def test_a_price_per_call_stands_above_prices_per_token():
    pool = replace(
        POOL,
        price_per_call=np.array([0.5, np.nan, np.nan, np.nan, np.nan, np.nan]),
        price_in_per_m=np.array([1.0, 1.0, 2.0, np.nan, 0.0, np.nan]),
        price_out_per_m=np.array([1.0, 1.0, 0.0, 3.0, 0.0, np.nan]),
    )
    expected = [0.5, 400e-6, 200e-6, np.nan, 0.0, np.nan]
    assert expected_cost(TASK, pool) == pytest.approx(expected, nan_ok=True)


def test_a_pool_gated_twice_keeps_both_gates():
    pool = POOL.gated({"agent-01": "skill"}).gated({"agent-02": "budget"})
    assert dict(pool.refused) == {"agent-01": "skill", "agent-02": "budget"}
    assert pool.mask.tolist() == [True, False, False, True, True, True]
    assert POOL.gated({}) is POOL
    assert index_of(pool.ids) == pool.index


def test_a_router_without_a_base_names_only_its_parameters():
    class Fixed(Router):
        name = "fixed"
        parameters: ClassVar[dict] = {}
        sequence = 4

        async def route(self, features, pool, context):
            return await GivenRouter().route(features, pool, context)

        def learn(self, experience):
            self.sequence = experience.sequence

        def snapshot(self):
            return GivenRouter().snapshot()

        def restore(self, state):
            self.sequence = state.sequence

    assert Fixed().base == ""
    assert Fixed().version.endswith("@4")


def test_a_table_is_as_long_as_its_tasks():
    assert len(sample_outcomes(POOL, 7)) == 7


def test_the_estimate_is_part_of_the_seam():
    assert Estimate is type(GivenRouter().estimate(sample_features(), POOL))
