"""The chances after a model had its say are those that counting every possible draw gives."""

from itertools import permutations
from math import exp, log

import numpy as np
import pytest

from agentmesh.routing.base import RouteContext
from agentmesh.routing.reasoning.chances import is_best, is_reckonable, ranked, turned
from agentmesh.testing.asking import RatedRouter
from agentmesh.testing.samples import plain_pool, sample_features

AGENTS = "abcde"


def draw(k, epsilon, *, policy="greedy", best=True, ids=AGENTS):
    """Return the first decision that gave the best agents, or the first that did not, with its pool and order."""
    pool = plain_pool(*ids)
    router = RatedRouter(quality={name: 0.9 - place / 10 for place, name in enumerate(AGENTS)}, policy=policy)
    for seed in range(1000):
        decision = router.decide(sample_features(), pool, RouteContext(seed=seed, max_agents=k, explore=epsilon))
        order = ranked(decision, pool)
        if is_best(decision, pool, order) == best:
            return decision, pool, order
    raise AssertionError("no seed gives such a draw")


def greedy_chance(places, size, epsilon):
    """Return the chance of an ordered draw when the best agent has place 0."""
    left, chance = list(range(size)), 1.0
    for place in places:
        chance *= epsilon / len(left) + (1 - epsilon) * (place == left[0])
        left.remove(place)
    return chance


def counted(k, epsilon, named, size):
    """Count over every ordered draw what comes out once the k best give way to ``named``."""
    outcomes: dict[tuple[int, ...], float] = {}
    for places in permutations(range(size), k):
        outcome = tuple(named) if set(places) == set(range(k)) else places
        outcomes[outcome] = outcomes.get(outcome, 0.0) + greedy_chance(places, size, epsilon)
    first, inclusion = np.zeros(size), np.zeros(size)
    for outcome, chance in outcomes.items():
        first[list(outcome[:1])] += chance
        inclusion[list(outcome)] += chance
    return first, inclusion, outcomes[tuple(named)]


@pytest.mark.parametrize("epsilon", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize(
    ("k", "named"),
    [
        (1, [3]),
        (1, [0]),
        (1, []),
        (1, [2, 0, 4]),
        (2, [1, 0]),
        (2, [3]),
        (2, [4, 0]),
        (2, []),
        (3, [2, 4, 3]),
        (5, [4]),
    ],
)
def test_they_are_those_of_counting_every_draw(k, named, epsilon):
    decision, _, order = draw(k, epsilon)
    first, inclusion, chance = counted(k, epsilon, named, len(AGENTS))
    chances = turned(decision, order, np.array(named, dtype=np.int64))
    assert chances.probabilities == pytest.approx(first)
    assert chances.inclusion == pytest.approx(inclusion)
    assert exp(chances.log_p) == pytest.approx(chance)


def test_below_the_threshold_nobody_is_drawn_and_anybody_may_be_named():
    decision, _, order = draw(2, 0.3, policy="threshold:0.65")  # a, b and c reach it
    first, inclusion, chance = counted(2, 0.3, [1, 2], 3)
    chances = turned(decision, order, np.array([1, 2]))
    assert chances.probabilities == pytest.approx([*first, 0, 0])
    assert chances.inclusion == pytest.approx([*inclusion, 0, 0])
    assert exp(chances.log_p) == pytest.approx(chance)
    below = turned(decision, order, np.array([4, 0]))
    assert below.probabilities[4] == pytest.approx(exp(below.log_p))


@pytest.mark.parametrize("policy", ["softmax:0.1", "gumbel:0.1"])
def test_a_single_draw_of_any_policy_is_reckoned_with(policy):
    decision, _, order = draw(1, 0.1, policy=policy)
    before = decision.probability_array()
    chances = turned(decision, order, np.array([2]))
    assert is_reckonable(decision)
    assert chances.probabilities == pytest.approx([0, before[1], before[0] + before[2], *before[3:]])
    assert chances.log_p == pytest.approx(log(before[0] + before[2]))


def test_a_set_drawn_by_softmax_is_not_reckoned_with():
    assert not is_reckonable(draw(2, 0.0, policy="softmax:0.1")[0])


def test_what_was_drawn_to_explore_is_not_the_best():
    decision, pool, order = draw(1, 1.0, best=False)
    assert decision.explored
    assert not is_best(decision, pool, order)


def test_of_agents_that_tie_the_first_by_name_is_the_best_and_another_was_drawn_by_chance():
    pool, router = plain_pool("b", "a", "c"), RatedRouter(quality={})
    drawn = {}
    for seed in range(40):
        decision = router.decide(sample_features(), pool, RouteContext(seed=seed, explore=0.9))
        drawn[decision.selected[0].agent_id] = is_best(decision, pool, ranked(decision, pool))
    assert drawn == {"a": True, "b": False, "c": False}
