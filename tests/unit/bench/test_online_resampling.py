"""Laws of the bootstrap over seeds and tasks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.bench.online_resampling import crossed_means, seed_band


def orders(seeds: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.permutation(size) for _ in range(seeds)])


@settings(max_examples=20, deadline=None)
@given(seeds=st.integers(1, 4), size=st.integers(1, 30), value=st.floats(-5, 5))
def test_a_constant_has_no_spread(seeds: int, size: int, value: float) -> None:
    means = crossed_means(np.full((2, seeds, size), value), orders(seeds, size), resamples=20)
    assert means == pytest.approx(np.full((20, 2), value))


def test_routers_are_paired() -> None:
    first = np.random.default_rng(1).random((1, 3, 50))
    means = crossed_means(np.concatenate([first, first + 0.1]), orders(3, 50), resamples=100)
    assert means[:, 1] - means[:, 0] == pytest.approx(np.full(100, 0.1))


def test_the_spread_is_that_of_the_tasks_however_many_seeds_repeat_them() -> None:
    by_task = np.random.default_rng(2).random(400)
    for seeds in (1, 8):
        rows = orders(seeds, 400)
        means = crossed_means(by_task[rows][None], rows, resamples=1000)
        assert means.std() == pytest.approx(by_task.std() / np.sqrt(400), rel=0.1)


def test_the_spread_between_seeds_counts() -> None:
    by_seed = np.arange(5.0)[:, None] * np.ones((5, 40))
    means = crossed_means(by_seed[None], orders(5, 40), resamples=1000)
    assert means.std() == pytest.approx(np.arange(5.0).std() / np.sqrt(5), rel=0.15)


def test_the_mean_of_the_draws_is_the_mean() -> None:
    values = np.random.default_rng(3).random((1, 4, 200))
    means = crossed_means(values, orders(4, 200), resamples=1000)
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)


def test_the_same_seed_gives_the_same_draws() -> None:
    values, rows = np.random.default_rng(4).random((1, 2, 20)), orders(2, 20)
    first, same, other = (crossed_means(values, rows, seed=seed, resamples=10).tolist() for seed in (1, 1, 2))
    assert first == same != other


def test_a_band_lies_about_the_mean_and_within_the_curves() -> None:
    curves = np.array([[0.0, 1.0], [2.0, 3.0], [1.0, 8.0]])
    low, high = seed_band(curves)
    assert (low <= curves.mean(axis=0)).all()
    assert (curves.mean(axis=0) <= high).all()
    assert (low >= curves.min(axis=0)).all()
    assert (high <= curves.max(axis=0)).all()
