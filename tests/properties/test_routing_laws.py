"""Laws of policies and of the objective, on whatever Hypothesis comes up with."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agentmesh.records import Objective
from agentmesh.routing.objective import SCENARIOS, Band, Estimate, Scale, utility
from agentmesh.routing.policy import EpsilonGreedy, GumbelTopK, Softmax, Threshold

SHARES = st.sampled_from([0.0, 0.02, 0.3, 1.0])
POLICIES = st.one_of(
    st.builds(EpsilonGreedy, SHARES),
    st.builds(Softmax, st.sampled_from([0.01, 0.1, 1.0]), SHARES),
    st.builds(GumbelTopK, st.sampled_from([0.01, 0.1, 1.0]), SHARES),
    st.builds(Threshold, st.sampled_from([-2.0, 0.3]), SHARES),
)
# tenths, so that two qualities differ by more than rounding
QUALITIES = st.integers(0, 10).map(lambda tenths: tenths / 10)
COSTS = st.sampled_from([0.0001, 0.0004, 0.001, 0.003, 0.01, 0.05, 0.2])


@st.composite
def rated(draw, *, most=9):
    """Utilities and a mask with at least one agent open."""
    n = draw(st.integers(1, most))
    values = np.array(draw(st.lists(QUALITIES, min_size=n, max_size=n)))
    mask = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(mask.any())
    return values, mask


@st.composite
def estimates(draw, *, least=1, most=12, costs=COSTS):
    n = draw(st.integers(least, most))
    quality = np.array(draw(st.lists(QUALITIES, min_size=n, max_size=n)))
    cost = np.array(draw(st.lists(costs, min_size=n, max_size=n)))
    return Estimate(quality, cost=cost, latency=np.full(n, np.nan))


def choice(estimate, objective, **options):
    return int(np.argmax(utility(estimate, objective, np.ones(len(estimate.quality), dtype=np.bool_), **options)))


def scaled(estimate, factor):
    return Estimate(estimate.quality, cost=estimate.cost * factor, latency=estimate.latency)


@given(policy=POLICIES, rated=rated(), k=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_chances_sum_to_one_and_inclusions_to_the_number_drawn(policy, rated, k, seed):
    utilities, mask = rated
    draw = policy.draw(utilities, mask, k=k, rng=np.random.default_rng(seed))
    allowed = mask & (utilities >= policy.minimum) if isinstance(policy, Threshold) else mask
    assert len(set(draw.order.tolist())) == len(draw.order) == min(k, int(allowed.sum()))
    assert float(draw.probabilities.sum()) == pytest.approx(float(allowed.any()))
    assert float(draw.inclusion.sum()) == pytest.approx(len(draw.order), abs=1e-5)
    assert (draw.inclusion >= draw.probabilities - 1e-6).all()
    assert not draw.probabilities[~allowed].any()
    assert not draw.inclusion[~allowed].any()
    assert draw.log_p <= 1e-12
    assert allowed[draw.order].all()


@given(policy=POLICIES, rated=rated(), k=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_the_same_seed_draws_the_same(policy, rated, k, seed):
    utilities, mask = rated
    first, second = (policy.draw(utilities, mask, k=k, rng=np.random.default_rng(seed)) for _ in range(2))
    assert first.order.tolist() == second.order.tolist()
    assert first.log_p == second.log_p


@given(policy=POLICIES, rated=rated(), k=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_what_gated_agents_are_worth_changes_nothing(policy, rated, k, seed):
    utilities, mask = rated
    other = np.where(mask, utilities, np.nan)
    first = policy.draw(utilities, mask, k=k, rng=np.random.default_rng(seed))
    second = policy.draw(other, mask, k=k, rng=np.random.default_rng(seed))
    assert first.order.tolist() == second.order.tolist()
    assert first.inclusion.tolist() == second.inclusion.tolist()


@given(policy=POLICIES, rated=rated(), k=st.integers(1, 5), shift=st.integers(0, 8))
def test_the_chances_of_agents_do_not_depend_on_where_they_stand(policy, rated, k, shift):
    utilities, mask = rated
    assume(len(set(utilities[mask].tolist())) == mask.sum())  # without ties, which go by place
    places = np.roll(np.arange(len(mask)), shift)
    here = policy.draw(utilities, mask, k=k, rng=np.random.default_rng(0))
    there = policy.draw(utilities[places], mask[places], k=k, rng=np.random.default_rng(0))
    assert there.probabilities == pytest.approx(here.probabilities[places], abs=1e-9)
    assert there.inclusion == pytest.approx(here.inclusion[places], abs=1e-6)


@given(
    tasks=st.lists(estimates(), min_size=1, max_size=6),
    weights=st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted),
    calibrated=st.booleans(),
    balance=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_a_heavier_weight_on_cost_never_raises_the_mean_cost(tasks, weights, calibrated, balance):
    less, more = (Objective(quality=1.0, cost=weight / 10) for weight in weights)
    scale, means = Scale(balance=balance), []
    for objective in (less, more):
        chosen = [task.cost[choice(task, objective, scale=scale, calibrated=calibrated)] for task in tasks]
        means.append(float(np.mean(chosen)))
    assert means[1] <= means[0] + 1e-12


@given(estimate=estimates(), objective=st.sampled_from(sorted(SCENARIOS)), calibrated=st.booleans())
def test_another_currency_leads_to_the_same_choice(estimate, objective, calibrated):
    # 1,024, a power of four, scales the roots without rounding; 1,000 is tried on the utilities below
    weights = SCENARIOS[objective]
    assert choice(scaled(estimate, 1024.0), weights, calibrated=calibrated) == choice(
        estimate, weights, calibrated=calibrated
    )


@given(estimate=estimates(), objective=st.sampled_from(sorted(SCENARIOS)), calibrated=st.booleans())
def test_costs_times_a_thousand_leave_the_utilities_as_they_are(estimate, objective, calibrated):
    mask = np.ones(len(estimate.quality), dtype=np.bool_)
    before = utility(estimate, SCENARIOS[objective], mask, calibrated=calibrated)
    after = utility(scaled(estimate, 1000.0), SCENARIOS[objective], mask, calibrated=calibrated)
    assert after == pytest.approx(before, abs=1e-9)


@given(
    estimate=estimates(costs=COSTS | st.just(np.nan)), calibrated=st.booleans(), weight=st.sampled_from([0.2, 0.5, 1])
)
def test_without_a_weight_on_cost_the_best_quality_is_chosen(estimate, calibrated, weight):
    objective = Objective(quality=weight, cost=0.0)
    assert choice(estimate, objective, calibrated=calibrated) == int(np.argmax(estimate.quality))


@given(costs=st.lists(st.integers(1, 50), min_size=3, max_size=60, unique=True))
def test_one_outlier_of_a_hundred_times_does_not_flatten_the_rest(costs):
    values = np.array(costs, dtype=np.float64)
    assume(values.max() >= 4 * values.min())
    band = Band.of(np.append(values, 100 * values.max()))
    places = band.place(values)
    assert float(np.ptp(places)) >= 0.2
    assert float(band.place(np.array([100 * values.max()]))[0]) == 1.0


@given(estimate=estimates(least=2), place=st.integers(0, 11), weight=st.sampled_from([0.1, 0.5, 2.0]))
def test_to_hide_a_price_is_never_better_than_the_dearest_price_known(estimate, place, weight):
    hidden = place % len(estimate.cost)
    cost = estimate.cost.copy()
    cost[hidden] = np.nan
    mask = np.ones(len(cost), dtype=np.bool_)
    unknown = utility(
        Estimate(np.full(len(cost), 0.5), cost=cost, latency=estimate.latency), Objective(cost=weight), mask
    )
    assert unknown[hidden] <= unknown.min() + 1e-12


@given(estimate=estimates(least=2), weight=st.sampled_from([0.0, 0.5, 2.0]))
def test_a_better_and_cheaper_agent_is_never_passed_over_for_a_worse_and_dearer_one(estimate, weight):
    place = choice(estimate, Objective(cost=weight))
    better = (estimate.quality > estimate.quality[place]) & (estimate.cost <= estimate.cost[place])
    assert not better.any()
