"""Exact chances of the first k in a race of exponential clocks: the sets of a Plackett-Luce draw."""

from typing import Final

import numpy as np

from agentmesh.types import FloatArray

# The trapezoid rule with this step over sqrt(max(k, 4)) errs by abs(Gamma(k + 2 pi i / step) / Gamma(k)), about 2e-7.
STEP: Final = 0.8
EARLY: Final = -18.0  # log of a time so early that the likeliest agent has arrived with a chance of 2e-8
LATE: Final = 3.0  # log of a time so late, exp(3) mean waits, that an agent is missing with a chance of 2e-9
ROOM: Final = 1 << 20  # numbers in one array of the tree; times are taken in parts to stay near it
WIDEST: Final = 30.0  # agents exp(30) times less likely than the next above them come after it for good


def race_inclusion(logits: FloatArray, k: int) -> FloatArray:
    """Return each agent's chance to be among the first ``k`` of a Plackett-Luce draw.

    Agent i arrives at an exponential time of rate exp(logit i); the order of arrival is the draw. So its chance is
    the integral over its arrival time t of P(fewer than k others have arrived before t), taken by the trapezoid rule
    in log t. The number of others follows from a tree of products of polynomials cut at degree k, all terms positive.

    Shapes:
        logits: (n,) finite. Returns (n,), sums to min(k, n).

    >>> race_inclusion(np.log([0.5, 0.3, 0.2]), 2).round(4).tolist()
    [0.8393, 0.675, 0.4857]
    """
    n = len(logits)
    if k >= n:
        return np.ones(n)
    if k == 1:
        weights = np.exp(logits - logits.max())
        return np.asarray(weights / weights.sum())
    rates = _narrowed(logits)
    stop = LATE - float(np.sort(rates)[-(k + 1)])
    step = STEP / np.sqrt(max(k, 4))
    grid = np.arange(EARLY, stop + step, step)
    parts = np.array_split(grid, max(1, len(grid) * n * k // ROOM))
    return np.asarray(np.clip(step * sum(_arrivals(rates, part, k) for part in parts), 0.0, 1.0))


def _arrivals(rates: FloatArray, grid: FloatArray, k: int) -> FloatArray:
    """Return the integrand summed over the times exp(``grid``), shape (n,)."""
    waits = np.exp(np.minimum(rates[:, None] + grid, 700.0))  # (n, t) rate times time; exp(700) is near the largest
    absent = np.exp(-waits)
    fewer = _fewer_others(absent, -np.expm1(-waits), k)
    return np.asarray((waits * absent * fewer).sum(axis=1))


def _narrowed(logits: FloatArray) -> FloatArray:
    """Return logits from 0 downwards with wide gaps closed to ``WIDEST``, so that the grid stays short."""
    order = np.argsort(-logits, kind="stable")
    gaps = np.minimum(-np.diff(logits[order]), WIDEST)
    narrowed = np.empty(len(logits))
    narrowed[order] = np.concatenate([[0.0], -np.cumsum(gaps)])
    return narrowed


def _fewer_others(absent: FloatArray, present: FloatArray, k: int) -> FloatArray:
    """Return P(fewer than ``k`` of the others have arrived), shape (n, t), from (n, t) chances of each one."""
    n, times = absent.shape
    leaves = 1 << (n - 1).bit_length()
    level = np.zeros((leaves, k, times))
    level[:, 0] = 1.0
    level[:n, 0], level[:n, 1] = absent, present
    levels = [level]
    while len(levels[-1]) > 2:
        levels.append(_product(levels[-1][0::2], levels[-1][1::2]))
    outside = np.zeros((1, k, times))
    outside[:, 0] = 1.0
    for level in reversed(levels):
        swapped = level.reshape(-1, 2, k, times)[:, ::-1].reshape(level.shape)
        outside = _product(np.repeat(outside, 2, axis=0), swapped)
    return np.asarray(outside[:n].sum(axis=1))


def _product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Multiply polynomials (m, k, t) along their middle axis, keeping the lowest k terms."""
    product = np.zeros_like(left)
    for power in range(left.shape[1]):
        product[:, power:] += left[:, power, None] * right[:, : left.shape[1] - power]
    return product
