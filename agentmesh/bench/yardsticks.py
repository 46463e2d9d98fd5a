"""Choices that need to have seen the outcomes, to measure routers against: the oracle, and one agent for everything."""

import numpy as np

from agentmesh.types import FloatArray, IndexArray


def oracle_choice(worth: FloatArray, cost: FloatArray) -> IndexArray:
    """Return the agent with the highest worth of each task, the cheapest of those that tie.

    It is flattered by luck: a right guess counts as knowing.

    >>> oracle_choice(np.array([[1.0, 1.0], [0.0, 0.5]]), np.array([[0.2, 0.1], [0.2, 0.1]])).tolist()
    [1, 1]

    Shapes:
        worth, cost: (m, n), NaN where not observed; at least one worth a row; returns (m,).
    """
    best = worth == np.nanmax(worth, axis=1, keepdims=True)
    price = np.where(best, np.nan_to_num(cost, nan=np.finfo(np.float64).max), np.inf)
    choice: IndexArray = np.argmin(price, axis=1)
    return choice


def single_choice(worth: FloatArray) -> int:
    """Return the agent with the highest mean worth over all tasks, the first of those that tie.

    >>> single_choice(np.array([[1.0, 0.0], [np.nan, 1.0]]))
    0

    Shapes:
        worth: (m, n), NaN where not observed; every agent observed at least once, or passed over.
    """
    observed = ~np.isnan(worth)
    counts = observed.sum(axis=0)
    sums = np.where(observed, worth, 0.0).sum(axis=0)
    means = np.divide(sums, counts, out=np.full(worth.shape[1], -np.inf), where=counts > 0)
    return int(np.argmax(means))


def taken(table: FloatArray, choice: IndexArray) -> FloatArray:
    """Return what came of the chosen agent on each task.

    Shapes:
        table: (m, n); choice: (m,); returns (m,).
    """
    picked: FloatArray = table[np.arange(len(choice)), choice]
    return picked
