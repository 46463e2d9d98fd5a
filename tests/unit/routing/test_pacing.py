from math import inf

import numpy as np
import pytest

from agentmesh.records import Reasoning, Stage
from agentmesh.routing.base import RouteContext
from agentmesh.routing.pacing import FixedPace, SlidingPace, pace_of, take_note
from agentmesh.testing.asking import RatedRouter
from agentmesh.testing.samples import decided, sample_features, sample_pool


def decision(*stages: Stage, reasoning: Reasoning | None = None):
    made = decided(RatedRouter(quality={}), sample_features(), sample_pool(2), RouteContext(seed=1))
    return made.model_copy(update={"stages": stages, "reasoning": reasoning})


def share(pace: SlidingPace, confidences, budget: float) -> float:
    asked = 0
    for confidence in confidences:
        went_on = confidence < pace.threshold(budget)
        pace.observe(confidence, went_on=went_on)
        asked += went_on
    return asked / len(confidences)


def test_the_first_task_may_go_on_unless_the_budget_is_nothing():
    assert SlidingPace().threshold(0.1) == inf
    assert SlidingPace().threshold(0.0) == -inf


def test_while_the_first_is_under_way_no_other_goes_on():
    pace = SlidingPace()
    with pace.asking():
        assert pace.threshold(0.1) == -inf
    assert pace.threshold(0.1) == inf


def test_those_under_way_count_as_gone_on():
    pace = SlidingPace()
    for confidence in np.linspace(0, 1, 11).tolist():
        pace.observe(confidence, went_on=False)
    alone = pace.threshold(0.1)
    with pace.asking(), pace.asking():
        assert pace.threshold(0.1) == pytest.approx(alone - 2 * pace.gain)
    assert pace.threshold(0.1) == alone


def test_a_task_that_fails_under_way_is_no_longer_counted():
    pace = SlidingPace()
    with pytest.raises(RuntimeError), pace.asking():
        raise RuntimeError
    assert pace.threshold(0.1) == inf


@pytest.mark.parametrize("budget", [0.02, 0.1, 0.5])
def test_the_share_keeps_to_its_budget(budget):
    confidences = np.random.default_rng(1).random(3000)
    assert share(SlidingPace(), confidences, budget) == pytest.approx(budget, abs=0.005)


@pytest.mark.parametrize("later", [0.01, 0.5, 10.0])
def test_the_share_stays_within_a_point_when_the_mix_changes_half_way(later):
    rng = np.random.default_rng(2)
    confidences = np.concatenate([rng.random(1000), later * rng.random(1000)])
    assert share(SlidingPace(), confidences, 0.1) == pytest.approx(0.1, abs=0.01)


def test_without_paying_back_a_change_of_mix_breaks_the_budget():
    rng = np.random.default_rng(2)
    confidences = np.concatenate([rng.random(1000), 0.01 * rng.random(1000)])
    assert share(SlidingPace(gain=0.0), confidences, 0.1) > 0.115


def test_tasks_that_are_sure_beyond_all_measure_never_go_on():
    pace = SlidingPace()
    assert share(pace, [inf] * 50, 0.5) == 0.0
    assert share(pace, [0.1] * 50, 0.5) > 0.0


def test_a_budget_of_nothing_asks_nothing_and_a_whole_one_nearly_all():
    confidences = np.random.default_rng(3).random(500)
    assert share(SlidingPace(), confidences, 0.0) == 0.0
    assert share(SlidingPace(), confidences, 1.0) > 0.95


def test_a_decision_is_counted_by_the_confidence_before_the_model_and_by_whether_it_was_asked():
    pace = SlidingPace()
    unsure = Stage(name="kernel", confidence=0.1, threshold=0.2, beyond="reasoning")
    take_note(pace, decision(unsure, reasoning=Reasoning(model="m", asked=("a",), latency_s=0.1)))
    assert pace.threshold(1.0) == 0.1
    spent = pace.threshold(0.1)
    take_note(pace, decision(unsure, reasoning=Reasoning(model="m", asked=("a",), cached=True, latency_s=0.1)))
    take_note(pace, decision())
    take_note(pace, decision(unsure, reasoning=Reasoning(model="m", asked=("a",), fault="it has no price")))
    assert spent == 0.1
    assert pace._went_on == 1
    assert list(pace._last) == [0.1, 0.1, inf, 0.1]


def test_the_pace_of_a_replay_is_the_one_that_was_in_force():
    asked = Reasoning(model="m", asked=("a",), latency_s=0.1)
    stage = Stage(name="kernel", confidence=0.1, threshold=0.2, beyond="reasoning")
    assert pace_of(decision(stage, reasoning=asked)).threshold(0.1) == 0.2
    unmeasured = stage.model_copy(update={"threshold": None})
    assert pace_of(decision(unmeasured, reasoning=asked)).threshold(0.1) == inf
    assert pace_of(decision(unmeasured)).threshold(0.1) == -inf
    fixed = FixedPace(0.3)
    fixed.observe(0.9, went_on=True)
    assert fixed.threshold(0.5) == 0.3
