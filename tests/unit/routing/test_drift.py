"""The watch for drift: what it notices, how soon, and what it lets pass."""

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.drift import DriftWatch

ONE = np.ones(1)
THRESHOLD = 8.0


def watched(outcomes, *, predicted, threshold=THRESHOLD, weight=1.0):
    """Return after how many outcomes the watch says that the agent changed, and what it saw since; None if never."""
    watch = DriftWatch(threshold)
    for count, quality in enumerate(outcomes, start=1):
        types, since = watch.observe(0, ONE, predicted=predicted, quality=float(quality), weight=weight)
        if len(types):
            return count, since
    return None


def flips(chance, count, seed):
    return np.random.default_rng(seed).random(count) < chance


@pytest.mark.parametrize("seed", range(10))
def test_a_fall_is_noticed_within_sixty_outcomes(seed):
    assert watched(flips(0.2, 60, seed), predicted=0.75) is not None


@pytest.mark.parametrize("seed", range(10))
def test_a_rise_is_noticed_within_sixty_outcomes(seed):
    assert watched(flips(0.8, 60, seed), predicted=0.25) is not None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("chance", [0.2, 0.75, 0.95])
def test_a_steady_agent_is_left_alone_for_five_thousand_outcomes(chance, seed):
    assert watched(flips(chance, 5000, seed), predicted=chance) is None


def test_a_prediction_that_is_off_by_less_than_the_slack_is_left_alone():
    assert watched([0.6] * 5000, predicted=0.74) is None


def test_what_came_since_the_change_is_handed_back_and_nothing_before():
    watch = DriftWatch(2.0)
    for quality in (1.0,) * 50 + (0.0, 0.25):
        assert not len(watch.observe(0, ONE, predicted=0.9, quality=quality, weight=1.0)[0])
    types, since = watch.observe(0, ONE, predicted=1.0, quality=0.0, weight=1.0)
    assert types.tolist() == [0]
    assert since.tolist() == [[0.25], [3.0]]


def test_after_a_change_the_watch_begins_anew():
    watch = DriftWatch(2.0)
    noticed = [len(watch.observe(0, ONE, predicted=0.9, quality=0.0, weight=1.0)[0]) for _ in range(9)]
    assert noticed == [0, 0, 1] * 3


def test_doubtful_outcomes_count_by_their_weight():
    whole, half = (watched([0.0] * 100, predicted=0.9, weight=weight) for weight in (1.0, 0.5))
    assert half[0] == pytest.approx(2 * whole[0], abs=1)
    assert half[1][1, 0] == pytest.approx(0.5 * half[0])


def test_a_change_on_one_type_of_task_leaves_the_others_alone():
    watch, share = DriftWatch(2.5), np.array([0.9, 0.1])
    watch.reshape([0, -1])
    for _ in range(3):
        assert not len(watch.observe(0, share, predicted=0.9, quality=0.0, weight=1.0)[0])
    types, since = watch.observe(0, share, predicted=0.9, quality=0.0, weight=1.0)
    assert types.tolist() == [0]
    assert since[1].tolist() == pytest.approx([4 * 0.9])


def test_each_edge_is_watched_for_itself():
    watch = DriftWatch(2.0)
    for column in (4, 0, 4, 0):
        assert not len(watch.observe(column, ONE, predicted=0.9, quality=0.0, weight=1.0)[0])
    assert len(watch.observe(4, ONE, predicted=0.9, quality=0.0, weight=1.0)[0])


def test_a_threshold_of_nothing_switches_the_watch_off():
    assert watched([0.0] * 1000, predicted=1.0, threshold=0.0) is None


def test_a_dropped_edge_begins_anew():
    watch = DriftWatch(2.0)
    for _ in range(2):
        watch.observe(0, ONE, predicted=0.9, quality=0.0, weight=1.0)
    watch.drop(np.array([0, 7]))
    assert not len(watch.observe(0, ONE, predicted=0.9, quality=0.0, weight=1.0)[0])


def test_types_made_anew_take_over_from_the_old_ones_or_begin_anew():
    watch = DriftWatch(2.0)
    for _ in range(2):
        watch.observe(0, ONE, predicted=0.9, quality=0.0, weight=1.0)
    watch.reshape([0, -1])
    types, _ = watch.observe(0, np.ones(2), predicted=0.9, quality=0.0, weight=1.0)
    assert types.tolist() == [0]


def test_a_watch_is_loaded_as_it_was():
    watch, fresh = DriftWatch(2.0), DriftWatch(2.0)
    for _ in range(2):
        watch.observe(3, ONE, predicted=0.9, quality=0.1, weight=1.0)
    fresh.load(watch.arrays())
    found = [one.observe(3, ONE, predicted=0.9, quality=0.0, weight=1.0) for one in (watch, fresh)]
    assert found[0][0].tolist() == found[1][0].tolist() == [0]
    assert found[0][1].tolist() == found[1][1].tolist()


@pytest.mark.parametrize("rows", [np.zeros((5, 1, 1)), np.zeros((1, 2, 2, 1)), np.zeros(0)])
def test_rows_of_another_shape_are_refused(rows):
    with pytest.raises(ConfigError, match="has shape"):
        DriftWatch(2.0).load({"drift": rows})
