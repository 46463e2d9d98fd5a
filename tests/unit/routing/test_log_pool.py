"""The pool of two predictions: it follows the one that proved right, and forgets."""

import numpy as np
import pytest

from agentmesh.routing.pooling import LogPool


def fed(pool, count, *, first, second, chance=0.8, seed=0):
    for came in np.random.default_rng(seed).random(count) < chance:
        pool.observe(first=first, second=second, quality=float(came))
    return pool


def test_both_weigh_the_same_before_anything_came():
    assert LogPool().second == 0.5


def test_the_better_predictor_wins_all_the_weight():
    assert fed(LogPool(), 300, first=0.8, second=0.4).second < 0.01
    assert fed(LogPool(), 300, first=0.4, second=0.8).second > 0.99


def test_equal_predictors_go_on_sharing():
    assert fed(LogPool(), 300, first=0.7, second=0.7).second == 0.5


def test_the_log_odds_of_the_weights_grow_as_the_lead_of_one_over_the_other():
    once, twice = (fed(LogPool(), count, first=0.6, second=0.9, chance=1.0) for count in (1, 2))
    odds = [np.log(pool.second / (1.0 - pool.second)) for pool in (once, twice)]
    assert odds[0] > 0.0
    assert odds[1] == pytest.approx(2 * odds[0], rel=2e-3)


def test_a_graded_outcome_counts_between_right_and_wrong():
    seen = []
    for quality in (0.0, 0.5, 1.0):
        pool = LogPool()
        pool.observe(first=0.5, second=0.9, quality=quality)
        seen.append(pool.second)
    assert seen[0] < seen[1] < 0.5 < seen[2]


def test_half_the_weight_twice_counts_nearly_as_much_as_the_whole_once():
    whole, halves = LogPool(), LogPool()
    whole.observe(first=0.3, second=0.6, quality=1.0)
    for _ in range(2):
        halves.observe(first=0.3, second=0.6, quality=1.0, weight=0.5)
    assert halves.second == pytest.approx(whole.second, abs=1e-3)


def test_who_was_right_long_ago_is_overtaken_by_who_is_right_now():
    pool = fed(LogPool(), 3000, first=0.8, second=0.4)
    fed(pool, 3000, first=0.4, second=0.8, seed=1)
    assert pool.second > 0.99


def test_predictions_of_certainty_that_fail_leave_the_weights_finite():
    pool = LogPool()
    for _ in range(5000):
        pool.observe(first=1.0, second=0.0, quality=0.0)
    assert np.isfinite(pool.losses).all()
    assert pool.second == pytest.approx(1.0)
