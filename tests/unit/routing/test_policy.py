"""Policies: who is drawn, and whether the chances that are reported are those it happens with."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.policy import (
    Argmax,
    EpsilonGreedy,
    GumbelTopK,
    PolicySpec,
    Softmax,
    Threshold,
    best,
    greedy_inclusion,
    luce_log_p,
)
from agentmesh.routing.race import race_inclusion

UTILITIES = np.array([0.3, 0.9, 0.5, 0.1, 0.7])
OPEN = np.ones(5, dtype=np.bool_)
PARTLY = np.array([True, False, True, True, True])


def rng(seed=0):
    return np.random.default_rng(seed)


def luce_sets(weights, k):
    """Inclusion by brute force: every ordered draw with its chance."""
    inclusion = np.zeros(len(weights))
    for order in permutations(range(len(weights)), k):
        chance, left = 1.0, np.ones(len(weights), dtype=np.bool_)
        for pick in order:
            chance *= weights[pick] / weights[left].sum()
            left[pick] = False
        inclusion[list(order)] += chance
    return inclusion


def greedy_sets(m, k, epsilon):
    """Inclusion by brute force: rank 0 is the best."""
    inclusion = np.zeros(m)
    for order in permutations(range(m), k):
        chance, left = 1.0, list(range(m))
        for pick in order:
            chance *= epsilon / len(left) + (1 - epsilon) * (pick == left[0])
            left.remove(pick)
        inclusion[list(order)] += chance
    return inclusion


def test_argmax_takes_the_best_in_order():
    draw = Argmax().draw(UTILITIES, OPEN, k=3, rng=rng())
    assert draw.order.tolist() == [1, 4, 2]
    assert draw.probabilities.tolist() == [0, 1, 0, 0, 0]
    assert draw.inclusion.tolist() == [0, 1, 1, 0, 1]
    assert draw.log_p == 0.0


def test_argmax_passes_over_gated_agents():
    draw = Argmax().draw(UTILITIES, PARTLY, k=2, rng=rng())
    assert draw.order.tolist() == [4, 2]


def test_ties_go_to_the_agent_that_stands_first():
    assert best(np.array([0.5, 0.7, 0.7, 0.7]), np.arange(4), 2).tolist() == [1, 2]
    assert best(np.zeros(4), np.array([1, 3]), 2).tolist() == [1, 3]


def test_more_places_than_agents_draws_them_all():
    for policy in (Argmax(), EpsilonGreedy(0.4), Softmax(0.2), GumbelTopK(0.2, 0.3), Threshold(-1.0)):
        draw = policy.draw(UTILITIES, PARTLY, k=9, rng=rng())
        assert sorted(draw.order.tolist()) == [0, 2, 3, 4]
        assert draw.inclusion == pytest.approx(PARTLY.astype(float))


def test_a_mask_that_is_all_false_draws_nobody():
    for policy in (Argmax(), EpsilonGreedy(0.4), Softmax(0.2), GumbelTopK(0.2), Threshold(-1.0)):
        draw = policy.draw(UTILITIES, ~OPEN, k=2, rng=rng())
        assert (draw.order.tolist(), draw.probabilities.sum(), draw.inclusion.sum(), draw.log_p) == ([], 0, 0, 0)


def test_epsilon_greedy_reports_the_chance_of_the_first_place():
    draw = EpsilonGreedy(0.2).draw(UTILITIES, PARTLY, k=1, rng=rng())
    assert draw.probabilities == pytest.approx([0.05, 0, 0.05, 0.05, 0.85])
    assert draw.inclusion == pytest.approx(draw.probabilities)


@pytest.mark.parametrize("epsilon", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize(("m", "k"), [(1, 1), (4, 2), (5, 3), (6, 4), (5, 5)])
def test_epsilon_greedy_inclusion_is_exact(m, k, epsilon):
    chances = greedy_inclusion(m, k, epsilon)
    by_rank = np.append(chances[:-1], [chances[-1]] * (m - k))
    assert by_rank == pytest.approx(greedy_sets(m, k, epsilon), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "logits",
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, -0.5, -1.0, -3.0, -2.0],
        [0.0, -10.0, -20.0, -21.0, -40.0],
        [-5.0, 0.0, -300.0, -301.0, -600.0],
        [700.0, 699.0, 0.0, -1.0, -2.0],
    ],
)
def test_the_race_gives_the_inclusion_of_a_plackett_luce_draw(logits, k):
    logits = np.array(logits)
    weights = np.exp(np.longdouble(1) * (logits - logits.max()))
    assert race_inclusion(logits, k) == pytest.approx(luce_sets(weights, k).astype(float), abs=1e-6)


def test_the_race_takes_many_agents_in_parts():
    inclusion = race_inclusion(rng(1).normal(size=3000), 8)
    assert inclusion.sum() == pytest.approx(8.0, abs=1e-4)
    assert inclusion.min() > 0


@pytest.mark.parametrize(
    "policy", [EpsilonGreedy(0.5), Softmax(0.3), Softmax(0.3, 0.5), GumbelTopK(0.3), GumbelTopK(0.3, 0.5)]
)
def test_what_happens_agrees_with_what_is_reported(policy):
    trials, firsts, members, orders, log_p = 800, Counter(), Counter(), Counter(), {}
    for seed in range(trials):
        draw = policy.draw(UTILITIES, PARTLY, k=2, rng=rng(seed))
        order = tuple(draw.order.tolist())
        firsts[order[0]] += 1
        members.update(order)
        orders[order] += 1
        log_p[order] = draw.log_p
    noise = 4 * 0.5 / np.sqrt(trials)
    assert [firsts[place] / trials for place in range(5)] == pytest.approx(draw.probabilities, abs=noise)
    assert [members[place] / trials for place in range(5)] == pytest.approx(draw.inclusion, abs=noise)
    for order, count in orders.items():
        assert count / trials == pytest.approx(np.exp(log_p[order]), abs=noise)
    assert sum(np.exp(value) for value in log_p.values()) == pytest.approx(1.0, abs=1e-9)


def test_softmax_follows_the_temperature():
    draw = Softmax(0.1).draw(np.array([0.1, 0.2]), OPEN[:2], k=1, rng=rng())
    assert draw.probabilities == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e)])


def test_a_tiny_temperature_neither_overflows_nor_wavers():
    draw = GumbelTopK(1e-9).draw(UTILITIES, OPEN, k=3, rng=rng())
    assert draw.order.tolist() == [1, 4, 2]
    assert draw.inclusion == pytest.approx([0, 1, 1, 0, 1], abs=1e-6)


def test_exploring_always_is_uniform_whatever_the_policy():
    for policy in (EpsilonGreedy(1.0), Softmax(0.1, 1.0), GumbelTopK(0.1, 1.0)):
        draw = policy.draw(UTILITIES, OPEN, k=2, rng=rng(3))
        assert draw.probabilities == pytest.approx([0.2] * 5)
        assert draw.inclusion == pytest.approx([0.4] * 5)
        assert draw.log_p == pytest.approx(np.log(1 / 20))


def test_threshold_takes_those_above_it_and_abstains_when_there_is_none():
    assert Threshold(0.5).draw(UTILITIES, OPEN, k=5, rng=rng()).order.tolist() == [1, 4, 2]
    assert Threshold(0.5).draw(UTILITIES, OPEN, k=2, rng=rng()).order.tolist() == [1, 4]
    nobody = Threshold(0.95).draw(UTILITIES, OPEN, k=2, rng=rng())
    assert (nobody.order.tolist(), nobody.log_p) == ([], 0.0)


def test_threshold_explores_only_above_it():
    seen = {int(Threshold(0.5, 1.0).draw(UTILITIES, OPEN, k=1, rng=rng(seed)).order[0]) for seed in range(50)}
    assert seen == {1, 2, 4}


def test_the_chance_of_an_order_is_a_product_of_shares():
    assert np.exp(luce_log_p(np.log([0.5, 0.3, 0.2]), np.array([2, 0]))) == pytest.approx(0.2 * 0.5 / 0.8)


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("greedy", EpsilonGreedy(0.1)),
        ("softmax", Softmax(0.1, 0.1)),
        ("softmax:0.25", Softmax(0.25, 0.1)),
        ("gumbel:2", GumbelTopK(2.0, 0.1)),
        ("threshold:-0.5", Threshold(-0.5, 0.1)),
    ],
)
def test_a_policy_is_read_from_text(text, policy):
    built = PolicySpec.parse(text).build(explore=0.1)
    assert (type(built), built) == (type(policy), policy)


@pytest.mark.parametrize(
    "text", ["", "boltzmann", "greedy:0.1", "softmax:", "softmax:hot", "softmax:0", "gumbel:-1", "threshold:nan"]
)
def test_a_policy_that_makes_no_sense_is_refused(text):
    with pytest.raises(ConfigError):
        PolicySpec.parse(text)


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
def test_a_share_outside_0_to_1_is_refused(share):
    for make in (EpsilonGreedy, lambda epsilon: Softmax(0.1, epsilon), lambda epsilon: Threshold(0.1, epsilon)):
        with pytest.raises(ConfigError, match="epsilon"):
            make(share)
