"""Agents whose worth is known: two cheap ones that fail on hard tasks, one dear one that does not, one that guesses."""

from collections.abc import Callable

import numpy as np
import pytest

from agentmesh.routing.team.table import TeamTable

AGENTS = ("bob", "cheap", "dear", "guess")
CHANCES = {"bob": (0.85, 0.4), "cheap": (0.9, 0.4), "dear": (0.95, 0.85), "guess": (0.25, 0.25)}  # easy, hard
PRICES = (0.0001, 0.0001, 0.002, 0.0001)


def made(count: int = 1500, *, seed: int = 0) -> TeamTable:
    rng = np.random.default_rng(seed)
    hard = rng.random(count) < 0.4
    chances = np.stack([np.where(hard, CHANCES[name][1], CHANCES[name][0]) for name in AGENTS], axis=1)
    right = rng.random((count, 4)) < chances
    keys = np.where(right, 0, rng.integers(1, 5, (count, 4)))
    seen = 0.5 + rng.normal(0.0, 0.2, count) + np.where(hard, -0.2, 0.2)
    expected = np.clip(chances.mean(axis=0) + 0.3 * (seen[:, None] - 0.5), 0.05, 0.95)
    cost = np.array(PRICES) * np.where(hard, 1.5, 1.0)[:, None] * rng.uniform(0.9, 1.1, (count, 4))
    price = np.tile(np.array(PRICES) * 1.2, (count, 1))
    return TeamTable(AGENTS, right.astype(np.float64), cost, expected, price, keys)


@pytest.fixture
def make() -> Callable[..., TeamTable]:
    return made


@pytest.fixture(scope="session")
def known() -> TeamTable:
    return made()


@pytest.fixture(scope="session")
def fresh() -> TeamTable:
    return made(seed=1)
