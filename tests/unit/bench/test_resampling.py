import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.bench.resampling import excludes_zero, interval, resampled_means


def test_the_spread_of_resampled_means_is_the_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=(400, 1))
    means = resampled_means(values, seed=1, resamples=4000)
    assert means.std() == pytest.approx(values.std() / 20, rel=0.05)
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)


def test_columns_are_resampled_with_the_same_draws() -> None:
    values = np.random.default_rng(0).normal(size=(50, 1))
    means = resampled_means(np.hstack([values, values + 0.5]), seed=0, resamples=300)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 0.5)


@given(seed=st.integers(0, 2**32), m=st.integers(1, 30), resamples=st.integers(1, 40))
def test_the_same_seed_gives_the_same_draws(seed: int, m: int, resamples: int) -> None:
    values = np.linspace(0, 1, m)[:, None]
    first, second = (resampled_means(values, seed=seed, resamples=resamples) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (resamples, 1)
    assert values.min() - 1e-12 <= first.min() <= first.max() <= values.max() + 1e-12


def test_many_tasks_are_drawn_in_parts_of_bounded_size() -> None:
    means = resampled_means(np.ones((600_000, 1)), seed=0, resamples=3)
    np.testing.assert_allclose(means, 1.0)


def test_an_interval_of_a_constant_is_a_point() -> None:
    assert interval(np.full(100, 0.25)) == (0.25, 0.25)


def test_beating_needs_the_whole_interval_above_zero() -> None:
    assert not excludes_zero((0.0, 0.1))
    assert not excludes_zero((-0.2, -0.1))
