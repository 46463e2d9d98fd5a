"""The bandits: what they expect, how unsure they are, how they learn, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.errors import ConfigError
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Objective
from agentmesh.routing.bandit import LinUcbRouter, ThompsonRouter
from agentmesh.routing.base import Outcomes, RouteContext, TaskFeatures
from agentmesh.routing.prices import expected_cost
from agentmesh.routing.priors import OWN_STRENGTH, cold_quality
from agentmesh.testing.samples import plain_pool as make_pool

EAST, NORTH = np.eye(2, dtype=np.float32)


def saw(sequence, agent, quality, vector=EAST, *, cost=None, version=1, weight=1.0, hints=()):
    return Experience(
        sequence=sequence,
        run_id=str(sequence),
        text="t",
        vector=pack_vector(np.asarray(vector, np.float32)),
        agent_id=agent,
        agent_version=version,
        quality=quality,
        cost_usd=cost,
        weight=weight,
        type_hints=hints,
        at=0.0,
    )


def kinds(count=50):
    """Return tasks east, where a is right, and north, where b is."""
    vectors, quality = np.stack([EAST, NORTH] * count), np.array([[0.9, 0.1], [0.2, 0.8]] * count)
    return Outcomes(("a", "b"), vectors, ("t",) * 2 * count, ("",) * 2 * count, quality, np.full(quality.shape, np.nan))


def unit_rows(count, dimension, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def task(vector):
    return TaskFeatures(np.asarray(vector, np.float32), "t")


def score(router, vector, *ids):
    return router.score(task(vector), make_pool(*ids))


BANDITS = [LinUcbRouter, ThompsonRouter]
both = pytest.mark.parametrize("kind", BANDITS)


@both
def test_an_agent_never_tried_is_worth_the_guess_from_card_and_price(kind):
    router = kind()
    pool = make_pool("a", "b", "new", price=[0.001, 0.01, 0.1], vectors=np.stack([EAST, NORTH, (EAST + NORTH) / 2]))
    for sequence in range(1, 30):
        router.learn(saw(sequence, "ab"[sequence % 2], 1.0))
    guess = cold_quality(task(EAST), pool, expected_cost(task(EAST), pool))
    expected = guess[2] if kind is LinUcbRouter else (1 + OWN_STRENGTH * guess[2]) / (2 + OWN_STRENGTH)
    assert router.score(task(EAST), pool)[2] == pytest.approx(expected, abs=1e-12)


@both
def test_outcomes_of_one_kind_of_task_say_who_is_good_at_it(kind):
    router = kind()
    router.fit(kinds(1000))
    assert score(router, EAST, "a", "b") == pytest.approx([0.9, 0.1], abs=0.1)
    assert score(router, NORTH, "a", "b") == pytest.approx([0.2, 0.8], abs=0.1)


@both
def test_qualities_stay_between_0_and_1(kind):
    router, rows = kind(), unit_rows(60, 2)
    for sequence, row in enumerate(rows, start=1):
        router.learn(saw(sequence, "a", float(row[0] > 0), row))
    values = np.array([score(router, row, "a", "b") for row in unit_rows(50, 2, seed=1)])
    assert values.min() >= 0.0
    assert values.max() <= 1.0


@both
def test_half_the_weight_twice_counts_as_much_as_the_whole_once(kind):
    whole, halves = kind(), kind()
    whole.learn(saw(1, "a", 0.8, weight=1.0))
    halves.learn(saw(1, "a", 0.8, weight=0.5))
    halves.learn(saw(2, "a", 0.8, weight=0.5))
    assert score(halves, EAST, "a", "b") == pytest.approx(score(whole, EAST, "a", "b"), abs=1e-12)


@both
def test_a_new_version_of_an_agent_starts_afresh_and_an_older_one_is_refused(kind):
    router, fresh, pool = kind(), kind(), make_pool("a", version=2)
    router.fit(kinds())
    router.learn(saw(1, "a", 0.0, version=2))
    after = router.score(task(EAST), pool)[0]
    fresh.learn(saw(1, "a", 0.0, version=2))
    if kind is LinUcbRouter:
        assert after == pytest.approx(fresh.score(task(EAST), pool)[0], abs=1e-12)
    assert after < 0.5
    router.learn(saw(2, "a", 1.0, version=1))
    assert router.score(task(EAST), pool)[0] == after


@both
def test_costs_are_the_means_of_what_was_paid_with_the_price_as_one_call(kind):
    router, pool = kind(), make_pool("a", "b", price=0.1)
    for sequence in range(1, 4):
        router.learn(saw(sequence, "a", 1.0, cost=0.5))
    assert router.estimate(task(EAST), pool).cost.tolist() == pytest.approx([0.4, 0.1])


@both
def test_a_vector_of_another_length_is_refused_and_changes_nothing(kind):
    router = kind()
    router.fit(kinds())
    before = router.snapshot()
    with pytest.raises(ConfigError, match="length 3, past ones had 2"):
        router.learn(saw(1, "a", 1.0, vector=np.ones(3)))
    with pytest.raises(ConfigError, match="length 3, past ones had 2"):
        router.score(task(np.ones(3)), make_pool("a", vectors=np.zeros((1, 3), np.float32)))
    assert router.snapshot() == before


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: LinUcbRouter(curiosity=-0.1), "curiosity is -0.1"),
        (lambda: LinUcbRouter(ridge=0.0), "ridge is 0.0"),
        (lambda: LinUcbRouter(dimensions=0), "dimensions is 0"),
        (lambda: LinUcbRouter(warm_up=0), "warm_up is 0"),
        (lambda: ThompsonRouter(clusters=0), "clusters is 0"),
        (lambda: ThompsonRouter(warm_up=0), "warm_up is 0"),
        (lambda: ThompsonRouter(strength=float("nan")), "strength is nan"),
        (lambda: ThompsonRouter(seed=-1), "seed is -1"),
    ],
)
def test_a_parameter_out_of_range_is_named(build, said):
    with pytest.raises(ConfigError, match=said):
        build()


def test_linucb_is_ridge_regression_towards_the_guess():
    router, ridge, rows = LinUcbRouter(ridge=3.0), 3.0, unit_rows(40, 2)
    quality = np.random.default_rng(1).random(40)
    for sequence, (row, value) in enumerate(zip(rows, quality, strict=True), start=1):
        router.learn(saw(sequence, "a", float(value), row))
    x = np.column_stack([np.ones(40), rows])
    prior = np.array([0.5, 0.0, 0.0])  # the guess is 0.5 wherever the task lies
    weights = np.linalg.solve(x.T @ x + ridge * np.eye(3), x.T @ quality + ridge * prior)
    probe = unit_rows(1, 2, seed=5)[0]
    at = np.append(1.0, probe)
    estimate = router.estimate(task(probe), make_pool("a"))
    assert estimate.quality[0] == pytest.approx(at @ weights, abs=1e-6)
    width = np.sqrt(at @ np.linalg.solve(x.T @ x + ridge * np.eye(3), at))
    assert np.asarray(estimate.curiosity)[0] == pytest.approx(0.1 * width, abs=1e-6)


def test_linucb_fitted_in_one_go_is_the_same_as_taught_one_by_one():
    table, one_go, one_by_one = kinds(30), LinUcbRouter(), LinUcbRouter()
    table.quality[::3, 0] = np.nan
    one_go.fit(table)
    sequence = 0
    for row in range(len(table)):
        for place, agent in enumerate(table.agent_ids):
            if not np.isnan(table.quality[row, place]):
                sequence += 1
                one_by_one.learn(saw(sequence, agent, float(table.quality[row, place]), table.vectors[row]))
    for probe in unit_rows(5, 2):
        assert score(one_go, probe, "a", "b") == pytest.approx(score(one_by_one, probe, "a", "b"), abs=1e-9)


def test_linucb_is_the_surer_the_more_it_saw_and_the_nearer():
    router, pool = LinUcbRouter(curiosity=1.0), make_pool("a", "b")
    widths = []
    for sequence in range(1, 40):
        widths.append(float(np.asarray(router.estimate(task(EAST), pool).curiosity)[0]))
        router.learn(saw(sequence, "a", 1.0, EAST))
    assert widths[1:] == sorted(widths[1:], reverse=True)
    far = float(np.asarray(router.estimate(task(-EAST), pool).curiosity)[0])
    assert far > 2 * widths[-1]


def taught_long(count, *, warm_up=40, cut=None):
    """Teach two kinds of long vectors, each with its own right agent; restore a twin after ``cut`` outcomes."""
    kinds_of, noise = unit_rows(2, 100), unit_rows(60, 100, seed=1)
    router = LinUcbRouter(dimensions=8, ridge=1.0, warm_up=warm_up)
    for sequence in range(1, count + 1):
        if sequence == cut:
            state, router = router.snapshot(), LinUcbRouter(dimensions=8, ridge=1.0, warm_up=warm_up)
            router.restore(state)
        place, agent = sequence % 2, sequence // 2 % 2
        row = kinds_of[place] + 0.3 * noise[sequence]
        router.learn(saw(sequence, "ab"[agent], float(agent == place), row / np.linalg.norm(row)))
    return router


def test_linucb_keeps_intercepts_until_its_warm_up_ends_and_then_the_main_directions():
    rows, pool = unit_rows(2, 100), replace(make_pool("a", "b"), vectors=np.zeros((2, 100), np.float32))
    before, after = taught_long(39), taught_long(40)
    assert before.score(task(rows[0]), pool) == pytest.approx([0.5, 0.5], abs=0.05)
    assert after.score(task(rows[0]), pool)[0] > after.score(task(rows[0]), pool)[1] + 0.3
    assert after.score(task(rows[1]), pool)[1] > after.score(task(rows[1]), pool)[0] + 0.3
    assert after.snapshot().payload != before.snapshot().payload


def test_linucb_learns_its_first_outcomes_again_once_it_knows_the_directions():
    late, fitted = taught_long(40), LinUcbRouter(dimensions=8, ridge=1.0)
    first = taught_long(39)._first
    vectors, quality = first.vectors, np.full((40, 2), np.nan)
    for place, seen in first.rows:
        quality[place, seen.column] = seen.quality
    quality[39, 0] = 1.0  # the 40th outcome, of a, which is right on the first kind
    row = unit_rows(2, 100)[0] + 0.3 * unit_rows(60, 100, seed=1)[40]
    vectors = np.vstack([vectors, (row / np.linalg.norm(row)).astype(np.float32)])
    fitted.fit(Outcomes(("a", "b"), vectors, ("t",) * 40, ("",) * 40, quality, np.full(quality.shape, np.nan)))
    pool = replace(make_pool("a", "b"), vectors=np.zeros((2, 100), np.float32))
    for probe in unit_rows(3, 100, seed=7):
        assert late.score(task(probe), pool) == pytest.approx(fitted.score(task(probe), pool), abs=1e-6)


@pytest.mark.parametrize("cut", [1, 30, 40, 45])
def test_linucb_restored_around_its_warm_up_ends_up_the_same_bit_for_bit(cut):
    assert taught_long(50, cut=cut).snapshot() == taught_long(50).snapshot()


def test_linucb_leans_on_the_cards_where_it_has_seen_little():
    cards = unit_rows(2, 100)
    pool = replace(make_pool("a", "b"), vectors=cards)
    router = LinUcbRouter()
    router.learn(saw(1, "a", 0.0, unit_rows(1, 100, seed=9)[0]))
    assert router.score(task(cards[0]), pool).argmax() == 0
    assert router.score(task(cards[1]), pool).argmax() == 1
    other = replace(pool, vectors=cards[::-1].copy())
    assert router.score(task(cards[0]), other).argmax() == 1


@both
def test_a_state_whose_parts_do_not_fit_is_refused(kind):
    router = kind()
    router.fit(kinds())
    arrays = dict(router._arrays())
    name = "targets" if kind is LinUcbRouter else "cluster_sums"
    with pytest.raises(ConfigError, match="do not fit"):
        kind()._load({**arrays, name: arrays[name][:1]}, router._meta())


def decide(router, vector, pool, **how):
    return router.decide(task(vector), pool, RouteContext(**{"seed": 1, **how}))


def test_thompson_draws_with_the_chances_it_reports():
    router, pool = ThompsonRouter(), make_pool("a", "b", "c")
    for sequence in range(1, 13):
        router.learn(saw(sequence, "abc"[sequence % 3], float(sequence % 3 == 1)))
    drawn = [decide(router, EAST, pool, seed=seed) for seed in range(800)]
    shares = np.array([sum(one.selected[0].agent_id == agent for one in drawn) for agent in pool.ids]) / 800
    assert shares == pytest.approx(drawn[0].probability_array(), abs=0.05)
    assert drawn[0].policy == "thompson"


def test_thompson_has_the_law_of_its_draws_from_beta_distributions():
    router, pool = ThompsonRouter(strength=0.0), make_pool("a", "b")
    for sequence, quality in enumerate([1.0, 0.25, 1.0], start=1):
        router.learn(saw(sequence, "a", quality))
    rng = np.random.default_rng(0)
    wins = float((rng.beta(3.25, 1.75, 200_000) > rng.beta(1.0, 1.0, 200_000)).mean())
    assert decide(router, EAST, pool).probability_array()[0] == pytest.approx(wins, abs=0.005)


def test_thompson_shifts_a_distribution_by_what_an_agent_costs():
    router, pool = ThompsonRouter(), make_pool("cheap", "dear", price=[0.001, 0.1])
    for sequence in range(1, 101):
        router.learn(
            saw(sequence, ["cheap", "dear"][sequence % 2], float(sequence % 4 > 0), cost=[0.001, 0.1][sequence % 2])
        )
    quality, balanced, cheap = (
        decide(router, EAST, pool, objective=Objective(quality=1.0, cost=cost)).probability_array()[0]
        for cost in (0.0, 0.5, 2.0)
    )
    assert quality < balanced <= cheap
    assert cheap == pytest.approx(1.0, abs=1e-6)


def test_thompson_takes_the_cheapest_when_quality_is_worth_nothing():
    router, pool = ThompsonRouter(), make_pool("cheap", "dear", price=[0.001, 0.1])
    decision = decide(router, EAST, pool, objective=Objective(quality=0.0, cost=1.0))
    assert decision.probability_array() == pytest.approx([1.0, 0.0], abs=1e-6)


def test_thompson_starts_in_a_cluster_from_what_the_agent_showed_in_the_others():
    router = ThompsonRouter(clusters=2, strength=10.0)
    quality = np.array([[1.0], [np.nan]] * 50)
    table = kinds()
    router.fit(replace(table, agent_ids=("a",), quality=quality, cost=np.full(quality.shape, np.nan)))
    mean = (100 * 0.5 * 1.0 + OWN_STRENGTH * 0.5) / (50 + OWN_STRENGTH)
    assert score(router, NORTH, "a")[0] == pytest.approx((1 + 10 * mean) / 12)
    assert score(router, NORTH, "new")[0] == pytest.approx(0.5)


def hinted(router, count=40, *, start=1):
    """Teach, in tasks that all look alike, that a is right on sums and b on dates."""
    for sequence in range(start, start + count):
        kind, agent = ("sums", "dates")[sequence % 2], "ab"[sequence // 2 % 2]
        router.learn(saw(sequence, agent, float((agent == "b") == (kind == "dates")), hints=(kind,)))
    return router


def hinted_score(router, vector, *hints):
    return router.score(replace(task(vector), type_hints=hints), make_pool("a", "b")).round(2).tolist()


def test_a_hint_names_a_cluster_for_thompson_and_a_task_is_of_the_first_known_one():
    router = hinted(ThompsonRouter(strength=0.0))
    assert hinted_score(router, NORTH, "sums") == [0.92, 0.08]
    assert hinted_score(router, EAST, "dates", "sums") == [0.08, 0.92]
    assert hinted_score(router, EAST, "never heard of", "sums") == [0.92, 0.08]
    assert hinted_score(router, EAST, "never heard of") == hinted_score(router, EAST) == [0.5, 0.5]


def test_thompson_finds_clusters_beside_those_that_hints_name():
    router = hinted(ThompsonRouter(clusters=2, warm_up=20, strength=0.0))
    rows = unit_rows(20, 2)
    for sequence, row in enumerate(rows, start=41):
        router.learn(saw(sequence, "c", float(row[0] > 0), row))
    assert router._centres.shape == (2, 2)
    assert router._sums.values[0].sum(axis=1)[2:].tolist() == [20.0, 20.0]
    assert hinted_score(router, NORTH, "sums") == [0.92, 0.08]
    assert [score(router, vector, "c")[0] > 0.5 for vector in (EAST, -EAST)] == [True, False]


@pytest.mark.parametrize("cut", [10, 30, 70])
def test_clusters_that_hints_name_are_kept_bit_for_bit(cut):
    whole, parted = (ThompsonRouter(clusters=2, warm_up=20) for _ in range(2))
    for sequence, row in enumerate(unit_rows(80, 2), start=1):
        if sequence == cut:
            state, parted = parted.snapshot(), ThompsonRouter(clusters=2, warm_up=20)
            parted.restore(state)
        for router in (whole, parted):
            hints = ("sums", "dates")[: sequence % 3 // 2 + sequence // 60]
            router.learn(saw(sequence, "ab"[sequence % 2], 0.3, row, hints=hints))
    assert len(whole._centres) == 2
    assert whole.snapshot() == parted.snapshot()


def test_fitting_forgets_the_clusters_that_hints_named():
    router = hinted(ThompsonRouter(clusters=2, strength=0.0))
    router.fit(kinds())
    assert hinted_score(router, NORTH, "sums") == hinted_score(router, NORTH)


def test_thompson_never_grows_so_sure_that_a_change_goes_unseen():
    router, pool = ThompsonRouter(), make_pool("a")
    router._learn(saw(1, "a", 0.5))
    router._sums.values[:2, 0, 0] = 1e6, 5e5
    evidence = router.estimate(task(EAST), pool).factors["evidence"][0]
    assert evidence == pytest.approx(2002.0 + OWN_STRENGTH)
    assert router.score(task(EAST), pool)[0] == pytest.approx(0.5, abs=1e-3)


def test_thompson_finds_clusters_after_its_warm_up_and_books_the_first_outcomes_there():
    router = ThompsonRouter(clusters=2, warm_up=20, strength=0.0)
    rows = np.stack([EAST, NORTH] * 10) + 0.05 * unit_rows(20, 2)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for sequence, row in enumerate(rows, start=1):
        assert router._centres.shape[0] == 0
        router.learn(saw(sequence, "a", float(sequence % 2), row))
    assert score(router, EAST, "a")[0] == pytest.approx(11 / 12)
    assert score(router, NORTH, "a")[0] == pytest.approx(1 / 12)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1), st.integers(0, 9)), max_size=40), st.integers(0, 40))
def test_a_bandit_restored_on_the_way_ends_up_the_same_bit_for_bit(steps, cut):
    rows = unit_rows(10, 4)
    for kind in (lambda: LinUcbRouter(dimensions=3), lambda: ThompsonRouter(clusters=2, warm_up=5)):
        whole, parted = kind(), kind()
        for sequence, (agent, quality, place) in enumerate(steps, start=1):
            if sequence == cut:
                fresh = kind()
                fresh.restore(parted.snapshot())
                parted = fresh
            for router in (whole, parted):
                router.learn(saw(sequence, agent, quality, rows[place]))
        assert whole.snapshot() == parted.snapshot()
