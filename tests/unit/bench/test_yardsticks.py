import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from agentmesh.bench.yardsticks import oracle_choice, single_choice, taken

TABLES = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(0, 1))


@given(TABLES)
def test_nobody_beats_the_oracle(quality: np.ndarray) -> None:
    choice = oracle_choice(quality, np.ones_like(quality))
    np.testing.assert_array_equal(taken(quality, choice), quality.max(axis=1))


def test_the_oracle_takes_the_cheapest_of_the_best_and_never_the_unobserved() -> None:
    quality = np.array([[1.0, 1.0, np.nan], [0.0, 0.0, np.nan]])
    cost = np.array([[3.0, 2.0, 1.0], [np.nan, 5.0, np.nan]])
    assert oracle_choice(quality, cost).tolist() == [1, 1]


def test_best_single_passes_over_an_agent_that_was_never_observed() -> None:
    assert single_choice(np.array([[np.nan, 0.2], [np.nan, 0.3]])) == 1


@given(TABLES)
def test_best_single_has_the_highest_mean(quality: np.ndarray) -> None:
    assert quality.mean(axis=0)[single_choice(quality)] >= quality.mean(axis=0).max() - 1e-12
