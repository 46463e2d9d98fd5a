"""The objective: bands, scales and utilities on small numbers."""

import numpy as np
import pytest

from agentmesh.records import Objective
from agentmesh.routing.objective import SCENARIOS, Band, Estimate, Scale, reward, utility
from agentmesh.routing.window import CAPACITY, ENOUGH, OutcomeWindow

UNKNOWN = np.full(3, np.nan)
OPEN = np.ones(3, dtype=np.bool_)


def estimate(quality, cost, latency=UNKNOWN):
    return Estimate(np.array(quality), cost=np.array(cost), latency=np.array(latency))


def test_a_band_runs_from_the_5th_to_the_95th_percentile_of_the_roots():
    values = np.arange(101.0) ** 2
    assert Band.of(values) == Band(5.0, 95.0)


def test_a_band_of_nothing_known_is_none():
    assert Band.of(np.array([np.nan, np.nan])) is None


def test_a_flat_band_places_all_in_the_middle():
    assert Band.of(np.full(4, 0.3)).place(np.array([0.1, 0.3, np.nan])).tolist() == [0.5, 0.5, 0.5]


def test_free_agents_beside_a_paid_one_are_the_cheap_end():
    band = Band.of(np.array([0.0, 0.0, 0.0, 0.04]))
    assert band.place(np.array([0.0, 0.04])).tolist() == [0.0, 1.0]


def test_joined_bands_cover_both():
    assert Band(1, 2).joined(Band(0.5, 1.5)) == Band(0.5, 2)
    assert Band(1, 2).joined(None) == Band(1, 2)


def test_an_unknown_price_counts_as_a_dear_one():
    utilities = utility(estimate([0.5, 0.5, 0.5], [0.01, 0.09, np.nan]), SCENARIOS["cheap"], OPEN)
    assert utilities[2] == utilities[1] < utilities[0]


def test_without_any_price_the_choice_is_by_quality():
    utilities = utility(estimate([0.2, 0.9, 0.5], UNKNOWN), SCENARIOS["cheap"], OPEN)
    assert np.argsort(-utilities).tolist() == [1, 2, 0]


def test_latency_is_weighed_like_cost():
    objective = Objective(quality=1.0, latency=1.0)
    utilities = utility(estimate([0.5, 0.5, 0.5], UNKNOWN, [9.0, 1.0, 4.0]), objective, OPEN)
    assert np.argsort(-utilities).tolist() == [1, 2, 0]


def test_a_gated_price_does_not_stretch_the_band():
    mask = np.array([True, True, False])
    few = utility(estimate([0.5, 0.5, 0.5], [0.01, 0.04, 99.0]), SCENARIOS["balanced"], mask)
    assert few[0] - few[1] == pytest.approx(0.5)


def test_observed_costs_widen_the_band():
    narrow = utility(estimate([0.5, 0.5, 0.5], [0.01, 0.02, 0.03]), SCENARIOS["balanced"], OPEN)
    scale = Scale.of(np.array([0.0, 1.0]))
    wide = utility(estimate([0.5, 0.5, 0.5], [0.01, 0.02, 0.03]), SCENARIOS["balanced"], OPEN, scale=scale)
    assert np.ptp(wide) < np.ptp(narrow)


def test_affinities_are_aligned_with_the_spread_of_the_costs():
    rated = estimate([0.001, 0.002, 0.003], [0.01, 0.04, 0.09])
    by_affinity = utility(rated, SCENARIOS["balanced"], OPEN, calibrated=False)
    assert np.ptp(by_affinity) < 0.01  # the two terms are as wide as each other, and here they cancel


def test_equal_costs_leave_affinities_as_they_are():
    rated = estimate([0.1, 0.2, 0.3], [0.01, 0.01, 0.01])
    assert np.ptp(utility(rated, SCENARIOS["balanced"], OPEN, calibrated=False)) == pytest.approx(0.1)


def test_the_balance_is_the_ratio_of_the_deviations_within_bounds():
    cost = np.linspace(0.0, 1.0, 50) ** 2
    places = Band.of(cost).place(cost)
    quality = np.tile([0.0, 1.0], 25)
    assert Scale.of(cost, quality=quality).balance == pytest.approx(0.5 / np.std(places))
    assert Scale.of(cost, quality=np.ones(50)).balance == 0.5
    assert Scale.of(np.ones(50), quality=quality).balance == 1.0
    assert Scale.of(np.append(np.zeros(39), 1.0), quality=quality[:40]).balance == 1.0
    assert Scale.of(cost).balance == Scale.of(UNKNOWN, quality=quality).balance == 1.0


def test_two_prices_inside_a_flat_stretch_keep_the_balance_at_one():
    assert Scale.of(np.array([4.0, 4.0, 4.0, np.nan]), quality=np.array([0.0, 1.0, 0.0, 1.0])).balance == 1.0


def test_the_reward_is_the_utility_of_what_happened():
    scale = Scale(cost=Band(0.1, 0.3), latency=Band(1.0, 2.0), balance=1.5)
    worth = reward([1.0, 1.0, 0.0], [0.01, 0.09, np.nan], SCENARIOS["balanced"], scale)
    assert worth == pytest.approx([0.5, 0.5 - 0.75, -0.75])
    slow = reward([1.0], [0.01], Objective(quality=1, latency=0.2), scale, latency=[4.0])
    assert slow == pytest.approx([1 - 0.2 * 1.5])
    assert reward([1.0], [0.01], Objective(quality=1, latency=0.2), scale) == pytest.approx([1 - 0.3])


def test_the_reward_without_a_scale_takes_every_cost_for_middling():
    assert reward([1.0, 1.0], [0.01, 0.5], SCENARIOS["balanced"], Scale()).tolist() == [0.25, 0.25]


def test_the_scenarios_are_the_named_trade_offs():
    assert {name: (o.quality, o.cost, o.latency) for name, o in SCENARIOS.items()} == {
        "quality": (1, 0, 0),
        "balanced": (0.5, 0.5, 0),
        "cheap": (0.2, 0.8, 0),
    }


def test_a_window_has_no_scale_until_enough_was_observed():
    window = OutcomeWindow()
    for place in range(ENOUGH - 1):
        window.add(quality=0.5, cost=place + 1.0, latency=1.0)
    assert window.scale() == Scale()
    window.add(quality=1.0, cost=5.0, latency=2.0)
    assert window.scale().cost is not None
    assert window.scale().latency is not None


def test_a_window_forgets_the_oldest():
    window = OutcomeWindow()
    for place in range(CAPACITY + 3):
        window.add(quality=0.5, cost=float(place), latency=np.nan)
    assert len(window) == CAPACITY
    assert window.rows()[[0, -1], 1].tolist() == [3.0, CAPACITY + 2.0]


def test_a_loaded_window_goes_on_as_the_first_one_would():
    first, second = OutcomeWindow(), OutcomeWindow()
    for place in range(CAPACITY + 7):
        first.add(quality=0.5, cost=float(place), latency=1.0)
    second.load(first.rows())
    for window in (first, second):
        window.add(quality=1.0, cost=0.25, latency=2.0)
    assert first.rows().tolist() == second.rows().tolist()
    assert first.scale() == second.scale()


def test_a_table_fills_a_window_evenly():
    window = OutcomeWindow()
    cost = np.arange(4.0 * CAPACITY).reshape(-1, 4)
    window.fill(np.where(cost % 2 == 0, 1.0, np.nan), cost)
    assert len(window) == CAPACITY
    assert window.rows()[[0, -1], 1].tolist() == [0.0, 4.0 * CAPACITY - 2]
