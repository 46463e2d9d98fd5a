"""The chances to be the best of Beta-distributed worths, and the policy that draws from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.routing.posterior import PosteriorSampling, chances_to_be_best

agents = st.lists(
    st.tuples(st.floats(1.0, 900.0), st.floats(1.0, 900.0), st.floats(-0.5, 0.5)), min_size=1, max_size=12
)


def chances(drawn, weight=1.0):
    alpha, beta, offset = np.array(drawn).T
    return chances_to_be_best(alpha / (alpha + beta), alpha + beta, weight=weight, offset=offset)


@settings(max_examples=60, deadline=None)
@given(agents, st.sampled_from([0.0, 0.2, 1.0, 3.0]))
def test_chances_sum_to_1_and_none_is_negative(drawn, weight):
    values = chances(drawn, weight)
    assert values.min() >= 0.0
    assert values.sum() == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(agents, st.randoms(use_true_random=False))
def test_permuting_agents_permutes_their_chances(drawn, shuffler):
    order = list(range(len(drawn)))
    shuffler.shuffle(order)
    assert chances([drawn[place] for place in order]) == pytest.approx(chances(drawn)[order], abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(agents, st.floats(0.01, 0.3))
def test_raising_an_agents_worth_never_lowers_its_chance(drawn, rise):
    alpha, beta, offset = drawn[0]
    raised = [(alpha, beta, offset + rise), *drawn[1:]]
    assert chances(raised)[0] >= chances(drawn)[0] - 0.004  # the grid moves with it


@pytest.mark.parametrize("evidence", [(2.0, 2.0, 2.0), (3.0, 40.0, 2000.0), (2000.0, 1990.0, 300.0)])
@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (0.1, 0.0, -0.2)])
def test_chances_agree_with_a_simulation(evidence, offset):
    mean, total, added = np.array([0.5, 0.52, 0.54]), np.array(evidence), np.array(offset)
    samples = np.random.default_rng(0).beta(mean * total, (1 - mean) * total, size=(200_000, 3)) + added
    shares = np.bincount(samples.argmax(axis=1), minlength=3) / len(samples)
    assert chances_to_be_best(mean, total, offset=added) == pytest.approx(shares, abs=0.006)


def test_an_agent_out_of_reach_has_no_chance():
    assert chances_to_be_best(np.array([0.9, 0.1]), np.array([2000.0, 2000.0])).tolist() == [1.0, 0.0]


def test_with_no_weight_on_quality_the_highest_offset_wins():
    values = chances_to_be_best(np.array([0.9, 0.1]), np.array([4.0, 4.0]), weight=0.0, offset=np.array([0.0, 0.1]))
    assert values.tolist() == [0.0, 1.0]


def test_the_policy_gives_every_agent_that_passes_a_chance_and_the_others_none():
    policy = PosteriorSampling(np.array([0.9, 0.1, 0.5]), np.full(3, 2000.0), epsilon=0.3)
    mask = np.array([True, True, False])
    draw = policy.draw(np.array([0.9, 0.1, 0.5]), mask, k=2, rng=np.random.default_rng(0))
    assert draw.probabilities == pytest.approx([0.85, 0.15, 0.0], abs=1e-6)
    assert draw.inclusion == pytest.approx([1.0, 1.0, 0.0], abs=1e-6)
    assert sorted(draw.order.tolist()) == [0, 1]


def test_the_policy_draws_nobody_where_nobody_passes():
    policy = PosteriorSampling(np.zeros(2), np.zeros(2))
    draw = policy.draw(np.zeros(2), np.zeros(2, np.bool_), k=1, rng=np.random.default_rng(0))
    assert (len(draw.order), draw.probabilities.tolist(), draw.log_p) == (0, [0.0, 0.0], 0.0)
