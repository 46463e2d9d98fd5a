"""kNN and kernel regression: the rule, the prior, exploring, costs, and learning from a stream of single outcomes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import ConfigError
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Objective
from agentmesh.routing.base import Outcomes, RouteContext, TaskFeatures
from agentmesh.routing.neighbours import KernelRouter, KnnRouter
from agentmesh.testing.samples import plain_pool as make_pool

EAST, NORTH = np.eye(2, dtype=np.float32)


def task(vector):
    return TaskFeatures(np.asarray(vector, np.float32), "text")


def saw(sequence, agent, quality, vector=EAST, cost=None, latency=None):
    return Experience(
        sequence=sequence,
        run_id=str(sequence),
        text="t",
        vector=pack_vector(np.asarray(vector, np.float32)),
        agent_id=agent,
        quality=quality,
        cost_usd=cost,
        latency_s=latency,
        at=0.0,
    )


def clusters(count=20):
    """Return tasks that point east, where a is right, and as many that point north, where b is."""
    vectors = np.stack([EAST] * count + [NORTH] * count)
    quality = np.array([[1.0, 0.0]] * count + [[0.0, 1.0]] * count)
    cost = np.array([[0.2, 0.01]] * 2 * count)
    return Outcomes(("a", "b"), vectors, ("t",) * 2 * count, ("",) * 2 * count, quality, cost)


@pytest.mark.parametrize("kind", [lambda: KnnRouter(k=5), lambda: KnnRouter(k=5, weighting="cosine"), KernelRouter])
def test_each_agent_is_rated_by_tasks_like_this_one(kind):
    router = kind()
    router.fit(clusters())
    pool = make_pool("a", "b")
    assert router.score(task(EAST), pool).argmax() == 0
    assert router.score(task(NORTH), pool).argmax() == 1
    assert router.decide(task(NORTH), pool, RouteContext(seed=0)).selected[0].agent_id == "b"


def test_knn_is_the_plain_mean_of_the_nearest_without_a_prior():
    router = KnnRouter(k=2, prior_strength=0.0, curiosity=0.0)
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    quality = np.array([[1.0], [0.5], [0.0]])
    router.fit(Outcomes(("a",), vectors, ("x", "y", "z"), ("", "", ""), quality, quality))
    assert router.score(task(EAST), make_pool("a")).tolist() == [0.75]
    assert router.estimate(task(EAST), make_pool("a")).cost.tolist() == [0.75]


def test_knn_with_cosine_weighs_near_tasks_more():
    router = KnnRouter(k=9, weighting="cosine", prior_strength=0.0, curiosity=0.0)
    vectors = np.array([[1, 0], [0.6, 0.8], [-1, 0]], np.float32)
    quality = np.array([[1.0], [0.0], [0.0]])
    router.fit(Outcomes(("a",), vectors, ("x", "y", "z"), ("", "", ""), quality, quality))
    assert router.score(task(EAST), make_pool("a")) == pytest.approx([1.0 / 1.6])


@given(temperature=st.floats(0.05, 1.0), seed=st.integers(0, 99))
def test_kernel_without_a_prior_is_the_softmax_weighted_mean(temperature, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(12, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    quality = rng.random((12, 3))
    router = KernelRouter(temperature=temperature, prior_strength=0.0, curiosity=0.0)
    router.fit(Outcomes(("a", "b", "c"), vectors, ("",) * 12, ("",) * 12, quality, quality))
    query = vectors[0] * 0.5 + vectors[1] * 0.5
    weights = np.exp(vectors.astype(np.float64) @ query / temperature)
    expected = weights @ quality / weights.sum()
    pool = make_pool("a", "b", "c", vectors=np.zeros((3, 4)))
    assert router.score(task(query), pool) == pytest.approx(expected, abs=1e-4)


def test_before_any_outcome_the_card_nearest_to_the_task_leads():
    pool = make_pool("a", "b", vectors=[NORTH, EAST])
    router = KernelRouter()
    assert router.score(task(EAST), pool).argmax() == 1
    assert router.score(task(NORTH), pool).argmax() == 0


def test_before_any_outcome_a_dearer_agent_is_expected_to_be_better_and_an_unknown_price_is_average():
    score = KernelRouter(curiosity=0.0).score(
        task(EAST), make_pool("cheap", "dear", "unpriced", price=[0.01, 1.0, np.nan])
    )
    assert score.tolist() == pytest.approx([0.35, 0.65, 0.5])


def test_equal_prices_tell_nothing():
    score = KernelRouter(curiosity=0.0).score(task(EAST), make_pool("a", "b", price=[0.5, 0.5]))
    assert score.tolist() == [0.5, 0.5]


def test_outcomes_overrule_the_first_guess():
    pool = make_pool("cheap", "dear", price=[0.01, 1.0])
    router = KernelRouter()
    for sequence in range(1, 41):
        router.learn(saw(sequence, ("cheap", "dear")[sequence % 2], float(sequence % 2 == 0)))
    assert router.score(task(EAST), pool).argmax() == 0


def test_an_agent_without_outcomes_here_keeps_its_own_mean():
    router = KernelRouter(temperature=0.01, prior_strength=1.0, curiosity=0.0)
    for sequence in range(1, 201):
        router.learn(saw(sequence, "good" if sequence % 2 else "bad", float(sequence % 2), vector=NORTH))
    east = router.score(task(EAST), make_pool("good", "bad", "new"))
    assert east[0] > east[2] > east[1]


def test_hard_tasks_lower_the_expectation_of_agents_not_seen_on_them():
    router = KernelRouter(temperature=0.05, curiosity=0.0)
    sequence = 0
    for _ in range(40):
        for agent, quality, vector in (("here", 0.0, EAST), ("here", 1.0, NORTH), ("there", 1.0, NORTH)):
            sequence += 1
            router.learn(saw(sequence, agent, quality, vector=vector))
    pool = make_pool("here", "there")
    assert router.score(task(EAST), pool)[1] < router.score(task(NORTH), pool)[1]


def test_curiosity_fades_with_outcomes():
    router = KernelRouter(curiosity=0.3)
    pool = make_pool("a", "b")
    before = router.estimate(task(EAST), pool).factors["curiosity"]
    for sequence in range(1, 9):
        router.learn(saw(sequence, "a", 1.0))
    after = router.estimate(task(EAST), pool).factors["curiosity"]
    assert before.tolist() == [0.3, 0.3]
    assert after.tolist() == pytest.approx([0.1 * np.log(8 + np.e) ** 0.5, 0.3 * np.log(8 + np.e) ** 0.5])


def test_an_agent_given_up_after_bad_luck_is_tried_again():
    router, pool, called = KernelRouter(curiosity=0.3), make_pool("good", "unlucky"), []
    for sequence in (1, 2):
        router.learn(saw(sequence, "unlucky", 0.0))
    for sequence in range(3, 100):
        called.append(router.decide(task(EAST), pool, RouteContext(seed=sequence)).selected[0].agent_id)
        router.learn(saw(sequence, called[-1], 0.5))
    assert called[:5] == ["good"] * 5
    assert "unlucky" in called


def test_curiosity_tries_every_agent_of_equal_promise_in_turn():
    router, pool, called = KernelRouter(curiosity=1.0), make_pool("a", "b", "c", "d"), []
    for sequence in range(1, 9):
        called.append(router.decide(task(EAST), pool, RouteContext(seed=sequence)).selected[0].agent_id)
        router.learn(saw(sequence, called[-1], 0.5))
    assert sorted(called[:4]) == ["a", "b", "c", "d"]


def test_costs_go_from_the_price_to_what_was_observed():
    router = KernelRouter(prior_strength=1.0)
    pool = make_pool("a", "b", "c", price=[0.5, 0.5, np.nan])
    assert np.array_equal(router.estimate(task(EAST), pool).cost, [0.5, 0.5, np.nan], equal_nan=True)
    for sequence in range(1, 50):
        router.learn(saw(sequence, "a", 1.0, cost=0.1))
    router.learn(saw(50, "c", 1.0, cost=0.3))
    router.learn(saw(51, "b", 1.0))
    cost = router.estimate(task(EAST), pool).cost
    assert cost[0] == pytest.approx(0.1, abs=0.01)
    assert cost[1:].tolist() == pytest.approx([0.5, 0.3])


def test_latency_is_the_measured_mean_and_else_what_the_card_says():
    router = KernelRouter()
    router.learn(saw(1, "a", 1.0, latency=2.0))
    router.learn(saw(2, "a", 1.0, latency=4.0))
    pool = replace(make_pool("a", "b"), latency_s=np.array([9.0, 7.0]))
    assert router.estimate(task(EAST), pool).latency.tolist() == [3.0, 7.0]


def test_a_weight_on_cost_chooses_the_cheaper_of_two_good_agents():
    router = KernelRouter()
    vectors = np.stack([EAST, NORTH] * 20)
    quality, cost = np.array([[0.9, 0.85]] * 40), np.array([[0.5, 0.01]] * 40)
    router.fit(Outcomes(("dear", "cheap"), vectors, ("t",) * 40, ("",) * 40, quality, cost))
    pool = make_pool("dear", "cheap")
    free = router.decide(task(EAST), pool, RouteContext(seed=0))
    thrifty = router.decide(task(EAST), pool, RouteContext(seed=0, objective=Objective(quality=1.0, cost=0.3)))
    assert free.selected[0].agent_id == "dear"
    assert thrifty.selected[0].agent_id == "cheap"


def test_a_stream_of_single_outcomes_ends_near_the_right_agent_for_each_kind_of_task():
    router, pool, rng, right = KernelRouter(), make_pool("a", "b", "c"), np.random.default_rng(0), []
    for sequence in range(1, 301):
        kind = int(rng.integers(2))
        vector = (EAST, NORTH)[kind]
        decision = router.decide(task(vector), pool, RouteContext(seed=sequence))
        agent = decision.selected[0].agent_id
        chance = 0.9 if agent == ("a", "b")[kind] else 0.2
        right.append(agent == ("a", "b")[kind])
        router.learn(saw(sequence, agent, float(rng.random() < chance), vector=vector))
    assert np.mean(right[-100:]) > 0.9


def test_a_zero_vector_sees_all_tasks_alike():
    router = KernelRouter(prior_strength=0.0, curiosity=0.0)
    router.fit(clusters())
    assert router.score(task([0.0, 0.0]), make_pool("a", "b")).tolist() == pytest.approx([0.5, 0.5])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1), st.floats(-3, 3)), max_size=20))
def test_what_is_expected_stays_within_0_and_1(steps):
    for router in (KnnRouter(k=3), KernelRouter()):
        for sequence, (agent, quality, angle) in enumerate(steps, start=1):
            router.learn(saw(sequence, agent, quality, vector=[np.cos(angle), np.sin(angle)]))
        estimate = router.estimate(task(EAST), make_pool("a", "b", "c", vectors=[EAST, NORTH, EAST]))
        assert estimate.quality.min() >= -1e-9
        assert estimate.quality.max() <= 1 + 1e-9


@pytest.mark.parametrize("kind", [KnnRouter, KernelRouter])
def test_of_two_that_are_expected_to_do_as_well_the_less_tried_is_chosen(kind):
    router = kind(prior_strength=0.0)
    for sequence, agent in enumerate("aab", start=1):
        router.learn(saw(sequence, agent, 1.0, vector=EAST))
    pool = make_pool("a", "b", vectors=[EAST, EAST])
    decision = router.decide(task(EAST), pool, RouteContext(seed=1))
    by_agent = {candidate.agent_id: candidate for candidate in decision.candidates}
    assert by_agent["a"].expected_quality == pytest.approx(by_agent["b"].expected_quality)
    assert decision.selected[0].agent_id == "b"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: KnnRouter(k=0), "k is 0"),
        (lambda: KnnRouter(weighting="rank"), r"weighting is 'rank'.*'uniform' or 'cosine'"),
        (lambda: KnnRouter(prior_strength=-1.0), "prior_strength is -1.0"),
        (lambda: KernelRouter(temperature=0.0), "temperature is 0.0"),
        (lambda: KernelRouter(curiosity=float("nan")), "curiosity is nan"),
        (lambda: KernelRouter(max_tasks=0), "max_tasks is 0"),
    ],
)
def test_a_parameter_out_of_range_is_named(build, said):
    with pytest.raises(ConfigError, match=said):
        build()


@pytest.mark.parametrize("kind", [KnnRouter, KernelRouter])
def test_a_restored_router_remembers_and_learns_the_same(kind):
    router, twin = kind(), kind()
    router.fit(clusters())
    router.learn(saw(1, "a", 0.5, cost=0.2))
    twin.restore(router.snapshot())
    for one in (router, twin):
        one.learn(saw(2, "new", 1.0))
    pool = make_pool("a", "b", "new")
    assert twin.score(task(EAST), pool).tobytes() == router.score(task(EAST), pool).tobytes()
