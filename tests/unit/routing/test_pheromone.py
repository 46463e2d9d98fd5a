"""The pheromone router: what it prefers, how it learns and forgets, how it explores, and what it says of it."""

from dataclasses import replace

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Objective
from agentmesh.routing.base import RouteContext, TaskFeatures
from agentmesh.routing.pheromone import DAY_S, PheromoneRouter
from agentmesh.testing.samples import plain_pool as make_pool
from agentmesh.testing.samples import sample_features

EAST, NORTH = np.eye(2, dtype=np.float32)
PLAIN = {
    "types": 0,
    "alpha": 1.0,
    "gate": 0.0,
    "penalty": 1.0,
    "half_life_days": 30.0,
    "bounds": (0.02, 0.98),
    "smoothing": 4.0,
    "rate": 0.0,
    "curiosity": 0.0,
    "anneal": 0.0,
    "drift": 0.0,
    "load_weight": 0.0,
}
"""Trails alone, every other part switched off: a test turns on what it is about."""


def plain(**arguments):
    return PheromoneRouter(**{**PLAIN, **arguments})


def saw(sequence, agent, quality, vector=EAST, *, hints=(), version=1, weight=1.0, at=0.0, **facts):
    return Experience(
        sequence=sequence,
        run_id=str(sequence),
        text="t",
        vector=pack_vector(np.asarray(vector, np.float32)),
        agent_id=agent,
        agent_version=version,
        quality=quality,
        weight=weight,
        type_hints=hints,
        at=at,
        **facts,
    )


def teach(router, *lessons, rounds=1):
    """Show lessons (agent, quality, vector, hints) in turn; what is left out is the tasks to the east and no hint."""
    for _ in range(rounds):
        for agent, quality, *rest in lessons:
            vector, hints = [*rest, *(EAST, ())[len(rest) :]]
            router.learn(saw(router.sequence + 1, agent, quality, vector, hints=hints))
    return router


def task(vector=EAST, *hints):
    return TaskFeatures(np.asarray(vector, np.float32), "t", type_hints=hints)


def decide(router, pool, features=None, **how):
    return router.decide(features or task(), pool, RouteContext(**{"seed": 1, **how}))


def choice(router, pool, features=None, **how):
    return decide(router, pool, features, **how).selected[0].agent_id


def evidence(router, agent):
    """Return how much evidence lies on the edges to an agent, over all types."""
    trails = router.trails()
    return float(sum(trails.evidence[:, place].sum() for place, edge in enumerate(trails.edges) if edge[2] == agent))


AB = make_pool("a", "b")


# --- what it prefers


def test_the_agent_with_the_better_outcomes_is_chosen():
    for best, worst in (("a", "b"), ("b", "a")):
        assert choice(teach(plain(), (best, 0.9), (worst, 0.3), rounds=10), AB) == best


def test_specialists_have_trails_of_their_own_for_each_type():
    lessons = ("a", 1.0, EAST, ("x",)), ("b", 0.0, EAST, ("x",)), ("a", 0.0, EAST, ("y",)), ("b", 1.0, EAST, ("y",))
    router = teach(plain(), *lessons, rounds=20)
    assert choice(router, AB, task(EAST, "x")) == "a"
    assert choice(router, AB, task(EAST, "y")) == "b"


def test_without_specialists_one_trail_serves_all_types():
    lessons = ("a", 1.0, EAST, ("x",)), ("b", 0.0, EAST, ("x",)), ("a", 0.0, NORTH, ("y",)), ("b", 1.0, NORTH, ("y",))
    router = teach(plain(specialists=False), *lessons, rounds=20)
    assert router.score(task(EAST, "x"), AB).tolist() == router.score(task(EAST, "y"), AB).tolist()
    assert len(router.trails().types) == 1


def test_an_agent_without_evidence_is_worth_the_guess_from_card_and_price():
    pool = make_pool("a", "b", price=[0.001, 0.1], vectors=np.stack([EAST, NORTH]))
    router = plain()
    factors = router.estimate(task(EAST), pool).factors
    assert factors["card"].tolist() == [0.5, -0.5]
    assert factors["trail"] == pytest.approx(0.5 + factors["card"] + 0.15 * factors["price"], abs=0.06)
    assert router.score(task(EAST), pool) == pytest.approx(factors["trail"])


def test_a_trail_alone_ranks_by_trails_and_a_heuristic_alone_by_ability():
    lessons = ("a", 1.0, EAST), ("b", 0.2, EAST), ("a", 0.1, NORTH), ("b", 0.9, NORTH)
    by_trail = teach(plain(alpha=1.0, rate=1.0), *lessons, rounds=20)
    by_ability = teach(plain(alpha=0.0, rate=1.0), *lessons, rounds=20)
    for vector in (EAST, NORTH):
        trail = by_trail.estimate(task(vector), AB)
        assert np.argsort(trail.quality).tolist() == np.argsort(trail.factors["trail"]).tolist()
        ability = by_ability.estimate(task(vector), AB)
        assert ability.quality == pytest.approx(ability.factors["ability"])
    assert choice(by_ability, AB, task(EAST)) == "a"
    assert choice(by_ability, AB, task(NORTH)) == "b"
    assert choice(by_trail, AB, task(EAST)) == choice(by_trail, AB, task(NORTH))


def test_the_exponents_are_those_given_or_learned_and_sum_to_one():
    assert plain(alpha=0.3).exponents == pytest.approx((0.3, 0.7))
    router = plain(alpha=None)
    assert router.exponents == (0.5, 0.5)
    teach(router, ("a", 1.0, EAST, ("x",)), ("a", 0.0, EAST, ("y",)), rounds=100)  # content cannot tell these apart
    trail, heuristic = router.exponents
    assert trail > 0.6
    assert trail + heuristic == pytest.approx(1.0)


def test_content_learns_who_is_right_on_which_kind_of_task_where_no_type_tells():
    lessons = ("a", 1.0, EAST), ("b", 0.0, EAST), ("a", 0.0, NORTH), ("b", 1.0, NORTH)
    router = teach(plain(alpha=None, rate=1.0), *lessons, rounds=60)
    assert router.exponents[1] > 0.6
    assert choice(router, AB, task(EAST)) == "a"
    assert choice(router, AB, task(NORTH)) == "b"


def test_a_task_that_is_hard_for_all_is_expected_to_go_badly_and_ranks_them_as_an_easy_one():
    lessons = ("a", 1.0, EAST), ("b", 0.8, EAST), ("a", 0.3, NORTH), ("b", 0.1, NORTH)
    router = teach(plain(), *lessons, rounds=60)
    easy, hard = router.estimate(task(EAST), AB), router.estimate(task(NORTH), AB)
    assert easy.factors["trail"].tolist() == hard.factors["trail"].tolist()
    assert hard.quality.max() < 0.5 < easy.quality.min()
    assert np.argmax(easy.quality) == np.argmax(hard.quality) == 0


def test_who_had_only_the_hard_tasks_is_not_taken_for_worse():
    shared = ("a", 0.9, EAST), ("b", 0.9, EAST), ("c", 0.1, NORTH), ("a", 0.1, NORTH), ("b", 0.1, NORTH)
    router, pool = teach(plain(alpha=0.0, rate=0.0), *shared, rounds=30), make_pool("a", "b", "c")
    assert router.score(task(EAST), pool)[2] == pytest.approx(router.score(task(EAST), pool)[0])


def test_a_dear_agent_loses_where_the_objective_weighs_cost():
    router, pool = plain(), make_pool("cheap", "dear", price=[0.001, 0.1])
    for sequence in range(1, 41):
        agent, quality, cost = [("cheap", 0.7, 0.001), ("dear", 0.8, 0.1)][sequence % 2]
        router.learn(saw(sequence, agent, quality, cost_usd=cost))
    assert choice(router, pool, objective=Objective(quality=1.0, cost=0.0)) == "dear"
    assert choice(router, pool, objective=Objective(quality=0.5, cost=0.5)) == "cheap"


def test_costs_and_latencies_are_those_seen_and_at_first_those_declared():
    router, pool = plain(), make_pool("a", "b", price=0.1, latency=2.0)
    for sequence in range(1, 4):
        router.learn(saw(sequence, "a", 1.0, cost_usd=0.5, latency_s=8.0))
    estimate = router.estimate(task(), pool)
    assert estimate.cost.tolist() == pytest.approx([0.4, 0.1])
    assert estimate.latency.tolist() == [8.0, 2.0]


# --- evidence


def test_outcomes_below_the_gate_count_as_worthless():
    router = teach(plain(gate=0.5), ("a", 0.49), ("b", 0.5), rounds=30)
    trails = router.trails()
    assert trails.trail[0].tolist() == pytest.approx([0.02, 0.5])  # the lower bound, and the quality
    assert trails.evidence[0].tolist() == [30.0, 30.0]


def test_missing_quality_counts_against_an_agent_by_the_penalty():
    router = teach(plain(penalty=0.25), ("a", 0.2), rounds=10)
    assert evidence(router, "a") == pytest.approx(10 * (0.2 + 0.25 * 0.8))


def test_half_the_weight_twice_lays_as_much_trail_as_the_whole_once():
    whole, halves = plain(), plain()
    whole.learn(saw(1, "a", 0.8))
    for sequence in (1, 2):
        halves.learn(saw(sequence, "a", 0.8, weight=0.5))
    assert halves.trails().trail.tolist() == whole.trails().trail.tolist()
    assert halves.trails().evidence.tolist() == whole.trails().evidence.tolist()


def test_evidence_counts_half_after_its_half_life_also_of_agents_that_nobody_calls():
    router = plain(half_life_days=2.0)
    for sequence in range(1, 11):
        router.learn(saw(sequence, "a", 1.0, at=100.0))
    before = router.score(task(), AB)[0]
    router.learn(saw(11, "b", 0.5, at=100.0 + 2.0 * DAY_S))
    assert evidence(router, "a") == pytest.approx(5.0)
    assert router.trails().at == 100.0 + 2.0 * DAY_S
    assert router.trails().trail[0, 0] < before


def test_outcomes_that_come_late_count_as_much_as_if_they_had_come_in_time():
    early, late = plain(half_life_days=1.0), plain(half_life_days=1.0)
    for sequence, day in enumerate((0.0, 3.0), start=1):
        early.learn(saw(sequence, "a", day / 3.0, at=day * DAY_S))
    for sequence, day in enumerate((3.0, 0.0), start=1):
        late.learn(saw(sequence, "a", day / 3.0, at=day * DAY_S))
    assert late.trails().evidence == pytest.approx(early.trails().evidence, rel=1e-12)
    assert late.trails().trail == pytest.approx(early.trails().trail, rel=1e-12)


def test_no_outcomes_take_a_trail_past_its_bounds():
    router = teach(plain(bounds=(0.2, 0.7)), ("a", 1.0), ("b", 0.0), rounds=200)
    assert router.estimate(task(), AB).factors["trail"].tolist() == [0.7, 0.2]
    assert router.trails().trail.tolist() == [[0.7, 0.2]]


# --- versions


def test_a_new_version_of_an_agent_starts_afresh():
    router = teach(plain(rate=1.0, drift=8.0, alpha=None), ("a", 1.0), ("b", 0.9), rounds=30)
    bumped = make_pool("a", "b", version=2)
    assert router.estimate(task(), bumped).factors["evidence"].tolist() == [0.0, 0.0]
    router.learn(saw(router.sequence + 1, "a", 0.0, version=2))
    assert evidence(router, "a") == pytest.approx(1.0)
    assert evidence(router, "b") == pytest.approx(30.0)


def test_a_new_version_takes_the_evidence_of_agents_that_stood_behind_the_old_one():
    router = plain()
    router.learn(saw(1, "a", 1.0))
    router.learn(saw(2, "b", 1.0, stage=1, previous="a"))
    router.learn(saw(3, "a", 1.0, version=2))
    assert evidence(router, "b") == 0.0


def test_an_outcome_of_an_older_version_changes_nothing_but_the_sequence():
    router = plain(alpha=None, rate=1.0, drift=8.0, types=4)
    router.learn(saw(1, "a", 1.0, version=2))
    arrays, meta = router._arrays(), router._meta()
    before = {name: values.copy() for name, values in arrays.items()}
    router.learn(saw(2, "a", 0.0, NORTH, version=1, hints=("new",)))
    assert router.sequence == 2
    assert router._meta() == meta
    for name, values in router._arrays().items():
        assert np.array_equal(values, before[name], equal_nan=True), name


# --- drift


def breaking(outcomes, *, agent="a", **arguments):
    """Return a router with outcomes of one agent, and after how many of them its trail was broken off."""
    router, broken = plain(drift=8.0, half_life_days=1e6, **arguments), []
    for count, quality in enumerate(outcomes, start=1):
        before = evidence(router, agent)
        router.learn(saw(count, agent, float(quality), sample_features(count).vector))
        if evidence(router, agent) < before:
            broken.append(count)
    return router, broken


def flips(chance, count, seed=0):
    return np.random.default_rng(seed).random(count) < chance


@pytest.mark.parametrize(("good", "bad"), [(0.8, 0.2), (0.2, 0.8)])
@pytest.mark.parametrize("seed", range(3))
def test_a_change_is_noticed_within_sixty_outcomes(good, bad, seed):
    before, after = flips(good, 300, seed), flips(bad, 60, seed + 10)
    router, broken = breaking([*before, *after])
    assert len(broken) == 1
    assert 300 < broken[0] <= 360
    assert router.trails().trail[0, 0] == pytest.approx(bad, abs=0.25)


def test_a_broken_trail_holds_what_came_since():
    router, broken = breaking([1.0] * 200 + [0.25] * 30)
    since = 230 - 200  # the quality was steady, so the sum against it grew from the first bad outcome on
    assert len(broken) == 1
    assert evidence(router, "a") == pytest.approx(since)
    trail = router.trails()
    assert trail.trail[0, 0] < 0.35


def test_an_agent_whose_trail_broke_off_learns_in_large_steps_again():
    router, broken = breaking([1.0] * 300 + [0.0] * 60)
    assert router._arrays()["content_counts"].tolist() == [360.0 - broken[-1]]


@pytest.mark.parametrize("count", [1500, pytest.param(5000, marks=pytest.mark.soak)])
def test_a_steady_agent_is_not_broken_off_in_thousands_of_outcomes(count):
    assert breaking(flips(0.7, count))[1] == []


def test_with_drift_switched_off_a_trail_is_never_broken_off():
    router = teach(plain(drift=0.0), ("a", 1.0), rounds=100)
    teach(router, ("a", 0.0), rounds=100)
    assert evidence(router, "a") == pytest.approx(200.0, rel=1e-3)


def test_outcomes_below_the_gate_break_off_no_trail_that_expects_them():
    router, broken = breaking([0.5] * 400, gate=0.6)
    assert broken == []
    assert router.trails().trail[0, 0] < 0.1


def test_a_trail_broken_off_holds_evidence_by_the_penalty_too():
    router = teach(plain(drift=8.0, penalty=0.5), ("a", 1.0), rounds=100)
    teach(router, ("a", 0.0), rounds=20)
    assert evidence(router, "a") == pytest.approx(0.5 * 20)


# --- exploring


def chance_of_the_worse(router, *, explore):
    return 2.0 * float(decide(router, AB, explore=explore).probability_array().min())


def test_more_is_explored_at_the_beginning_and_no_more_than_asked_in_the_end():
    router = plain(anneal=1.5)
    shares = [chance_of_the_worse(router, explore=0.02)]
    for _ in range(5):
        teach(router, ("a", 0.9), ("b", 0.1), rounds=500)
        shares.append(chance_of_the_worse(router, explore=0.02))
    assert shares[0] == pytest.approx(0.05)
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == pytest.approx(0.02, rel=0.05)


def test_nothing_is_explored_where_the_context_says_so():
    router = teach(plain(anneal=1.5), ("a", 0.9), ("b", 0.1))
    assert decide(router, AB, explore=0.0).probability_array().tolist() == [1.0, 0.0]


def test_no_more_than_everything_is_explored():
    assert chance_of_the_worse(plain(anneal=1.5), explore=0.9) == pytest.approx(1.0)


def test_curiosity_tries_the_agent_that_was_hardly_tried():
    router = teach(plain(curiosity=0.3), ("a", 0.6), rounds=40)
    teach(router, ("b", 0.5))
    assert choice(router, AB) == "b"
    assert choice(teach(plain(curiosity=0.0), ("a", 0.6), ("a", 0.6), ("b", 0.5), rounds=20), AB) == "a"


def test_curiosity_is_no_part_of_the_expected_quality():
    curious, incurious = (teach(plain(curiosity=value), ("a", 0.6), rounds=9) for value in (0.3, 0.0))
    assert curious.score(task(), AB).tolist() == incurious.score(task(), AB).tolist()


def test_a_policy_that_samples_gives_better_agents_better_chances():
    router = teach(plain(policy="softmax:0.2"), ("a", 0.9), ("b", 0.5), rounds=50)
    chances = decide(router, AB).probability_array()
    assert 0.5 < chances[0] < 1.0
    assert chances.sum() == pytest.approx(1.0)


# --- load


def test_an_agent_that_is_busy_loses_to_one_nearly_as_good():
    router = teach(plain(load_weight=0.2), ("a", 0.9), ("b", 0.8), rounds=50)
    assert choice(router, AB) == "a"
    assert choice(router, AB, load=np.array([1.0, 0.0])) == "b"
    assert choice(router, AB, load=np.array([0.2, 0.0])) == "a"


def test_a_busy_agent_takes_longer_where_the_objective_weighs_latency():
    router, pool = teach(plain(), ("a", 0.7), ("b", 0.7), rounds=9), make_pool("a", "b", latency=[1.0, 1.5])
    objective = Objective(quality=1.0, latency=0.5)
    assert choice(router, pool, objective=objective) == "a"
    assert choice(router, pool, objective=objective, load=np.array([1.0, 0.0])) == "b"


def test_a_decision_replayed_under_the_same_load_comes_out_the_same():
    router = teach(plain(load_weight=0.2, alpha=None, rate=1.0), ("a", 0.9), ("b", 0.8), rounds=20)
    load = np.array([0.75, 0.25])
    first, second = (decide(router, AB, load=load.copy(), explore=0.3, seed=8) for _ in range(2))
    assert first.model_copy(update={"elapsed_ms": 0.0}) == second.model_copy(update={"elapsed_ms": 0.0})


def test_loads_stand_with_their_agents_whatever_their_order():
    router = teach(plain(load_weight=0.3), ("a", 0.9), ("b", 0.8), rounds=50)
    assert choice(router, make_pool("b", "a"), load=np.array([0.0, 1.0])) == "b"


# --- what a decision says


def test_a_decision_says_what_each_candidate_was_rated_by():
    router = teach(plain(types=4, alpha=None, rate=1.0), ("a", 0.9, EAST, ("x",)), ("b", 0.2, EAST, ("x",)), rounds=9)
    pool = make_pool("a", "b", price=[0.001, 0.1], vectors=np.stack([EAST, NORTH]))
    best, other = decide(router, pool, task(EAST, "x")).candidates
    for candidate in (best, other):
        assert set(candidate.factors) == {"trail", "evidence", "ability", "card", "price", "curiosity"}
        assert 0.02 <= candidate.factors["trail"] <= 0.98
        assert candidate.factors["evidence"] == pytest.approx(9.0)
    assert (best.flip, best.agent_id) == (0.0, "a")
    assert other.flip == pytest.approx(best.score - other.score)


def test_a_decision_says_what_the_task_was_taken_for():
    router = teach(plain(), ("a", 0.9, EAST, ("x",)), ("b", 0.2, NORTH, ("y",)), rounds=9)
    assert decide(router, AB, task(EAST, "x")).intent == {"x": 1.0}
    intent = decide(router, AB, task(EAST + 0.9 * NORTH)).intent
    assert intent["x"] > intent["y"] > 0
    assert sum(intent.values()) <= 1.0 + 1e-9
    assert "Taken for: x" in decide(router, AB, task(EAST, "x")).explain()


def test_a_decision_takes_no_task_for_anything_while_there_is_one_type():
    assert decide(teach(plain(), ("a", 1.0)), AB).intent == {}


def test_the_map_of_trails_names_the_strongest_edges():
    router = teach(plain(), ("a", 1.0, EAST, ("x",)), ("b", 0.5, EAST, ("x",)), rounds=30)
    (kind, edge, trail, seen), (_, second, _, _) = router.trails().strongest(2)
    assert (kind, edge.agent_id, second.agent_id, seen) == ("x", "a", "b", 30.0)
    assert trail > 0.9
    assert router.trails().share.tolist() == pytest.approx([0.0, 1.0])


def test_a_router_that_has_learned_nothing_has_an_empty_map():
    trails = plain().trails()
    assert (trails.trail.shape, trails.at, trails.strongest(3)) == ((1, 0), 0.0, [])


# --- bad input


def test_a_vector_of_another_length_is_refused_and_changes_nothing():
    router = teach(plain(rate=1.0), ("a", 1.0), rounds=5)
    before = router.snapshot()
    with pytest.raises(ConfigError, match="length 3, past ones had 2"):
        router.learn(saw(6, "a", 1.0, np.ones(3)))
    with pytest.raises(ConfigError, match="length 3, past ones had 2"):
        router.score(task(np.ones(3)), replace(AB, vectors=np.zeros((2, 3), np.float32)))
    assert router.snapshot() == before
