"""Paired bootstrap over tasks: how far a mean, or the difference of two, could be off by the luck of the tasks.

Rule: draw m of the m tasks with replacement, take the mean of every column over the same draw, repeat; the interval
is the 2.5 % to 97.5 % quantile of the repeats.

Reference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile interval).
"""

from typing import TypeAlias

import numpy as np

from agentmesh.types import FloatArray

Interval: TypeAlias = tuple[float, float]
RESAMPLES = 10_000
_CELLS_AT_A_TIME = 1_000_000  # 8 MB of draws in memory at once


def resampled_means(columns: FloatArray, *, seed: int, resamples: int = RESAMPLES) -> FloatArray:
    """Return the means of the columns over many draws of the rows, the same draws for every column.

    Args:
        columns: One value for each task and router.
        seed: The same seed gives the same draws.
        resamples: How many draws, 1 or more.

    Shapes:
        columns: (m, c), m >= 1; returns (resamples, c).
    """
    rng = np.random.default_rng(seed)
    m = len(columns)
    step = max(1, _CELLS_AT_A_TIME // m)
    parts = []
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(0, m, size=(count, m)) + np.arange(count)[:, None] * m
        weights = np.bincount(drawn.ravel(), minlength=count * m).reshape(count, m)
        parts.append(weights @ columns / m)
    return np.concatenate(parts)


def interval(means: FloatArray) -> Interval:
    """Return the 95 % percentile interval of resampled means.

    >>> interval(np.linspace(0.0, 1.0, 1001))
    (0.025, 0.975)

    Shapes:
        means: (resamples,).
    """
    low, high = np.quantile(means, (0.025, 0.975))
    return float(round(low, 6)), float(round(high, 6))
