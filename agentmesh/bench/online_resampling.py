"""Bootstrap over seeds and tasks at once: how far a mean over several streams could be off by the luck of both.

Rule: draw the seeds with replacement and, separately, the different tasks with replacement; weigh each step by how
often its seed and its task were drawn, and take the weighted mean; repeat. Streams of several seeds hold the same
tasks, so that drawing steps instead would count every task as many times as there are seeds. Every router gets the same
draws, which pairs the differences.

Reference: Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1(2), 2007.
"""

from typing import Final

import numpy as np

from agentmesh.types import FloatArray, IndexArray

RESAMPLES: Final = 2_000
_CELLS_AT_A_TIME: Final = 1_000_000


def crossed_means(values: FloatArray, rows: IndexArray, *, seed: int = 0, resamples: int = RESAMPLES) -> FloatArray:
    """Return the means of each router's values over many draws of seeds and tasks, the same draws for every router.

    Args:
        values: One for each router, seed and step.
        rows: The task of each seed's steps.
        seed: The same seed gives the same draws.
        resamples: How many draws, 1 or more.

    Shapes:
        values: (c, s, t); rows: (s, t); returns (resamples, c).

    >>> means = crossed_means(np.array([[[1.0, 1.0], [1.0, 1.0]]]), np.array([[0, 1], [1, 0]]), resamples=3)
    >>> means.tolist()
    [[1.0], [1.0], [1.0]]
    """
    rng = np.random.default_rng(seed)
    sums, counts = _by_task(values, rows)
    size, seeds = counts.shape
    step = max(1, _CELLS_AT_A_TIME // size)
    parts = []
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        tasks = _weights(rng, count, size)
        drawn = _weights(rng, count, seeds)
        total = np.einsum("rs,rcs->rc", drawn, (tasks @ sums).reshape(count, len(values), seeds))
        weight = (drawn * (tasks @ counts)).sum(axis=1)
        parts.append(total / np.maximum(weight, 1.0)[:, None])
    return np.concatenate(parts)


def _by_task(values: FloatArray, rows: IndexArray) -> tuple[FloatArray, FloatArray]:
    """Return the sum of each router and seed over the steps of each task, (m, c * s), and how many steps, (m, s)."""
    found, places = np.unique(rows, return_inverse=True)
    size, places = len(found), places.reshape(rows.shape)
    counts = np.stack([np.bincount(line, minlength=size) for line in places], axis=1).astype(np.float64)
    sums = [
        np.bincount(line, weights=held, minlength=size)
        for router in values
        for line, held in zip(places, router, strict=True)
    ]
    return np.stack(sums, axis=1), counts


def _weights(rng: np.random.Generator, count: int, size: int) -> FloatArray:
    """Return how often each of ``size`` things comes up in ``size`` draws, ``count`` times over."""
    drawn = rng.integers(0, size, size=(count, size)) + np.arange(count)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size).astype(np.float64)


def seed_band(curves: FloatArray, *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[FloatArray, FloatArray]:
    """Return the 95 % band of the mean of several curves, by bootstrap over the curves.

    Shapes:
        curves: (s, p); returns two of (p,).
    """
    weights = _weights(np.random.default_rng(seed), resamples, len(curves)) / len(curves)
    low, high = np.quantile(weights @ curves, (0.025, 0.975), axis=0)
    return low, high
