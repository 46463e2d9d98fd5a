"""Two routers on tasks that neither has seen: what their choices are said to be worth."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from agentmesh.learning.pools import Considered
from agentmesh.learning.shadow import MOST_WEIGHT, HeldBack, compare
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, ScoringRouter, TaskFeatures
from agentmesh.testing.samples import plain_pool

NAN = float("nan")
POOL = plain_pool("a", "b")


class Fixed(ScoringRouter):
    """Always prefers one agent, or nobody."""

    name: ClassVar[str] = "fixed"

    def __init__(self, favourite: str, *, policy: str = "greedy") -> None:
        super().__init__(policy=policy, favourite=favourite)
        self.favourite = favourite

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        liked = np.array([float(agent_id == self.favourite) for agent_id in pool.ids])
        return Estimate(quality=liked, cost=np.full(len(pool), NAN), latency=np.full(len(pool), NAN), factors={})


def held_back(
    quality: Sequence[Sequence[float]], propensity: Sequence[Sequence[float]] | None, pool: AgentPool = POOL
) -> HeldBack:
    m = len(quality)
    features = TaskFeatures(vector=np.ones(2, np.float32), text="t")
    table = Outcomes(
        ("a", "b"),
        np.ones((m, 2), np.float32),
        ("t",) * m,
        ("",) * m,
        np.array(quality, np.float64),
        np.full((m, 2), NAN),
        propensity=None if propensity is None else np.array(propensity, np.float64),
    )
    return HeldBack([Considered(features, pool)] * m, table)


def test_with_all_outcomes_known_the_value_is_the_mean_of_what_was_chosen() -> None:
    found = compare(Fixed("a"), Fixed("b"), held_back([[1, 0], [0, 1], [0, 1], [0, 1]], [[1, 1]] * 4))
    assert (found.serving.value, found.candidate.value, found.difference) == (0.25, 0.75, 0.5)
    assert (found.serving.known, found.serving.effective) == (4, 4.0)


def test_an_outcome_counts_by_the_inverse_of_its_chance() -> None:
    quality = [[1.0, NAN], [NAN, 1.0], [NAN, 0.0]]
    chance = [[0.8, NAN], [NAN, 0.5], [NAN, 0.25]]
    found = compare(Fixed("a"), Fixed("b"), held_back(quality, chance))
    assert found.candidate.value == pytest.approx(2 / 6, abs=1e-6)
    assert (found.candidate.known, found.candidate.effective) == (2, pytest.approx(36 / 20))


def test_one_outcome_counts_no_more_than_the_bound() -> None:
    found = compare(Fixed("a"), Fixed("b"), held_back([[NAN, 1.0], [NAN, 0.0]], [[NAN, 1e-9], [NAN, 1.0]]))
    assert found.candidate.value == pytest.approx(MOST_WEIGHT / (MOST_WEIGHT + 1), abs=1e-6)


@pytest.mark.parametrize("chance", [None, [[NAN, NAN]] * 3, [[0.0, 0.0]] * 3])
def test_outcomes_of_unknown_chance_say_nothing(chance: list[list[float]] | None) -> None:
    found = compare(Fixed("a"), Fixed("b"), held_back([[1.0, 0.0]] * 3, chance))
    assert (found.serving.value, found.candidate.value, found.difference, found.interval) == (None, None, None, None)
    assert found.candidate.effective == 0.0


def test_an_abstention_is_worth_nothing_for_certain() -> None:
    found = compare(Fixed("a"), Fixed("b", policy="threshold:2.0"), held_back([[1.0, 0.0]] * 3, [[0.5, NAN]] * 3))
    assert (found.candidate.value, found.candidate.known) == (0.0, 3)


def test_tasks_that_nobody_may_do_and_agents_without_outcomes_do_not_count() -> None:
    closed = POOL.gated({"a": "g", "b": "g"})
    assert compare(Fixed("a"), Fixed("b"), held_back([[1.0, 1.0]], [[1, 1]], closed)).serving.known == 0
    wider = plain_pool("a", "b", "c")
    assert compare(Fixed("c"), Fixed("b"), held_back([[1.0, 1.0]], [[1, 1]], wider)).serving.known == 0


def test_the_interval_is_that_of_the_difference_on_the_same_tasks() -> None:
    always = compare(Fixed("a"), Fixed("b"), held_back([[0.25, 0.75]] * 40, [[1, 1]] * 40))
    assert always.interval == (0.5, 0.5)
    chance = np.random.default_rng(0).integers(0, 2, size=40).tolist()
    same = compare(Fixed("a"), Fixed("a"), held_back([[float(q), 1.0] for q in chance], [[1, 1]] * 40))
    assert same.interval == (0.0, 0.0)


def test_no_interval_is_given_where_a_draw_of_the_tasks_may_hold_nothing() -> None:
    found = compare(Fixed("a"), Fixed("b"), held_back([[1.0, NAN], [NAN, 1.0]], [[1, NAN], [NAN, 1]]))
    assert (found.difference, found.interval) == (0.0, None)
