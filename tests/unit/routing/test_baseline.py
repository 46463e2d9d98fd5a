"""The baselines, and the table of sums that some of them keep."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.records import Objective
from agentmesh.routing.base import Outcomes, RouteContext
from agentmesh.routing.baseline import BestSingleRouter, CheapestRouter, RandomRouter, RoundRobinRouter
from agentmesh.routing.table import AgentTable
from agentmesh.testing.samples import sample_experience, sample_features, sample_pool, taken

POOL = replace(sample_pool(4), price_per_call=np.array([0.03, 0.01, 0.02, np.nan]))
TASK = sample_features()


def first(router, pool=POOL, **context):
    return router.decide(TASK, pool, RouteContext(**{"seed": 1, **context})).selected[0].agent_id


def experience(sequence, agent_id, quality, *, version=1, cost=None):
    update = {"agent_id": agent_id, "quality": quality, "agent_version": version, "cost_usd": cost}
    return sample_experience(sequence, POOL).model_copy(update=update)


def test_random_draws_every_agent_as_often():
    counts = Counter(first(RandomRouter(), seed=seed) for seed in range(800))
    assert [counts[agent_id] / 800 for agent_id in POOL.ids] == pytest.approx([0.25] * 4, abs=0.05)


def test_random_says_so_and_counts_no_draw_as_exploring():
    decision = RandomRouter().decide(TASK, POOL, RouteContext(seed=1, objective=Objective(cost=1)))
    assert decision.probability_array().tolist() == [0.25] * 4
    assert not decision.explored


def test_round_robin_takes_turns_over_consecutive_seeds():
    assert [first(RoundRobinRouter(), seed=seed) for seed in range(5)] == [*POOL.ids, POOL.ids[0]]


def test_round_robin_leaves_out_gated_agents():
    pool = POOL.gated({"agent-01": "skill"})
    assert [first(RoundRobinRouter(), pool, seed=seed) for seed in range(3)] == ["agent-00", "agent-02", "agent-03"]


def test_round_robin_goes_on_in_turn_within_a_set():
    decision = RoundRobinRouter().decide(TASK, POOL, RouteContext(seed=3, max_agents=3))
    assert [selection.agent_id for selection in decision.selected] == ["agent-03", "agent-00", "agent-01"]


def test_cheapest_takes_the_lowest_price_whatever_the_objective():
    assert first(CheapestRouter(), objective=Objective(quality=1, cost=0)) == "agent-01"


def test_cheapest_takes_an_unknown_price_last():
    decision = CheapestRouter().decide(TASK, POOL, RouteContext(seed=1, max_agents=4))
    assert [selection.agent_id for selection in decision.selected] == ["agent-01", "agent-02", "agent-00", "agent-03"]
    assert first(CheapestRouter(), replace(POOL, price_per_call=np.full(4, np.nan))) == "agent-00"


def test_best_single_shrinks_means_to_the_prior():
    router = BestSingleRouter(prior=0.5, strength=2.0)
    router.learn(experience(1, "agent-02", 1.0))
    router.learn(experience(2, "agent-02", 1.0))
    router.learn(experience(3, "agent-00", 0.0))
    assert router.score(TASK, POOL) == pytest.approx([1 / 3, 0.5, 0.75, 0.5])


def test_best_single_without_strength_knows_only_what_it_saw():
    router = BestSingleRouter(prior=0.3, strength=0.0)
    router.learn(experience(1, "agent-02", 1.0))
    assert router.score(TASK, POOL).tolist() == [0.3, 0.3, 1.0, 0.3]


def test_best_single_counts_an_observation_as_much_as_it_weighs_and_its_cost_whole():
    router = BestSingleRouter(prior=0, strength=1)
    doubtful = experience(1, "agent-00", 1.0, cost="0.002").model_copy(update={"weight": 0.25})
    router.learn(doubtful)
    found = router.estimate(TASK, POOL)
    assert found.quality.tolist() == [0.2, 0.0, 0.0, 0.0]
    assert found.cost[0] == 0.002


def test_best_single_believes_observed_costs_over_the_card():
    router = BestSingleRouter()
    router.learn(experience(1, "agent-00", 1.0, cost="0.002"))
    router.learn(experience(2, "agent-00", 1.0, cost="0.004"))
    router.learn(experience(3, "agent-01", 1.0))
    cost = router.estimate(TASK, POOL).cost
    assert cost == pytest.approx([0.003, 0.01, 0.02, np.nan], nan_ok=True)


def test_best_single_fits_a_table_in_place_of_what_it_learned():
    router = BestSingleRouter(strength=0.0, prior=0.5)
    router.learn(experience(1, "agent-03", 1.0))
    quality = np.array([[1.0, np.nan], [0.0, np.nan], [1.0, 0.0]])
    cost = np.array([[0.1, np.nan], [0.2, np.nan], [np.nan, 0.4]])
    vectors = np.stack([sample_features(seed).vector for seed in range(3)])
    router.fit(Outcomes(("agent-01", "agent-00"), vectors, ("a", "b", "c"), ("", "", ""), quality, cost))
    found = router.estimate(TASK, POOL)
    assert found.quality == pytest.approx([0.0, 2 / 3, 0.5, 0.5])
    assert found.cost == pytest.approx([0.4, 0.15, 0.02, np.nan], nan_ok=True)
    assert first(router) == "agent-01"


def test_best_single_starts_afresh_with_a_new_version():
    router = BestSingleRouter(strength=1.0)
    router.learn(experience(1, "agent-00", 1.0))
    router.learn(experience(2, "agent-00", 0.0, version=2))
    router.learn(experience(3, "agent-00", 1.0, version=1))  # a late outcome of the version that is gone
    bumped = replace(POOL, versions=np.array([2, 1, 1, 1]))
    assert router.score(TASK, bumped)[0] == 0.25
    assert router.score(TASK, POOL)[0] == 0.5


@pytest.mark.parametrize(
    "arguments", [{"prior": -0.1}, {"prior": 1.1}, {"prior": np.nan}, {"strength": -1.0}, {"strength": np.inf}]
)
def test_best_single_refuses_parameters_out_of_range(arguments):
    with pytest.raises(ConfigError, match="out of range"):
        BestSingleRouter(**arguments)


def test_a_fitted_row_holds_for_every_version():
    table = AgentTable()
    table.add("agent-00", 0, np.array([1.0]))
    assert table.aligned(replace(POOL, versions=np.full(4, 9)), 1).tolist() == [[1.0], [0.0], [0.0], [0.0]]
    table.add("agent-00", 9, np.array([1.0]))
    assert table.rows.tolist() == [[2.0]]


def test_a_table_lines_up_with_any_pool():
    table = AgentTable()
    assert table.aligned(POOL, 1).tolist() == [[0.0]] * 4
    for place in range(40):
        table.add(f"agent-{place:02}", 1, np.array([float(place)]))
    assert table.aligned(taken(POOL, [2, 0]), 1).tolist() == [[2.0], [0.0]]
    assert table.aligned(POOL, 1).tolist() == [[0.0], [1.0], [2.0], [3.0]]


def test_a_table_refuses_rows_of_another_width():
    table = AgentTable()
    table.add("agent-00", 1, np.array([1.0, 2.0]))
    with pytest.raises(ConfigError, match="3 numbers"):
        table.add("agent-00", 1, np.array([1.0, 2.0, 3.0]))
    with pytest.raises(ConfigError, match="expected 4"):
        table.aligned(POOL, 4)
