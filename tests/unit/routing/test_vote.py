import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.base import Outcomes, RouteContext
from agentmesh.routing.vote import VoteRouter, learned_weights
from agentmesh.testing.asking import RatedRouter
from agentmesh.testing.samples import chosen, decided, sample_experience, sample_features, sample_outcomes, sample_pool

POOL = sample_pool(2)
RIGHT, WRONG = {"agent-00": 0.9, "agent-01": 0.1}, {"agent-00": 0.1, "agent-01": 0.9}


def table(count: int) -> Outcomes:
    """Return tasks on which the first agent is always right and the second always wrong."""
    tasks = [sample_features(place) for place in range(count)]
    quality = np.tile([1.0, 0.0], (count, 1))
    return Outcomes(
        POOL.ids,
        np.stack([task.vector for task in tasks]),
        tuple(task.text for task in tasks),
        ("",) * count,
        quality,
        np.full_like(quality, np.nan),
        pool=POOL,
    )


def vote() -> VoteRouter:
    return VoteRouter(members=(RatedRouter(quality=WRONG), RatedRouter(quality=RIGHT)))


def test_before_anything_is_fitted_all_votes_weigh_the_same():
    assert vote().estimate(sample_features(), POOL).quality.tolist() == [0.5, 0.5]


def test_the_member_that_was_right_on_tasks_it_had_not_seen_gets_the_say():
    router = vote()
    router.fit(table(60))
    assert chosen(decided(router, sample_features(), POOL, RouteContext(seed=1))) == ["agent-00"]
    assert router.estimate(sample_features(), POOL).quality == pytest.approx([0.9, 0.1], abs=0.01)


def test_it_weighs_on_val_where_val_is_given():
    router = vote()
    router.fit(table(20), val=table(30))
    assert router.estimate(sample_features(), POOL).quality == pytest.approx([0.9, 0.1], abs=0.02)


def test_too_few_tasks_leave_all_votes_the_same():
    router = vote()
    router.fit(table(20))
    assert router.estimate(sample_features(), POOL).quality.tolist() == [0.5, 0.5]


def test_no_round_makes_what_came_less_likely():
    rng = np.random.default_rng(5)
    expected, came = rng.random((200, 3)), rng.integers(0, 2, 200).astype(float)

    def likelihood(weights):
        vote = np.clip(expected, 1e-3, 1 - 1e-3) @ weights
        return float((came * np.log(vote) + (1 - came) * np.log(1 - vote)).sum())

    weights = learned_weights(expected, came)
    assert weights.sum() == pytest.approx(1.0)
    assert likelihood(weights) >= likelihood(np.full(3, 1 / 3))
    for corner in np.eye(3):
        assert likelihood(weights) >= likelihood(corner) - 1e-6


def test_costs_are_means_over_the_members_that_know_them():
    router = VoteRouter(members=("kernel", RatedRouter(quality=RIGHT)))
    pool = sample_pool(4)
    cost = router.estimate(sample_features(), pool).cost
    assert np.isnan(cost).tolist() == [False, False, False, True]
    assert cost[:3] == pytest.approx(pool.price_per_call[:3])


def test_members_without_qualities_are_refused():
    for members in (("cosine", "kernel"), ()):
        with pytest.raises(ConfigError, match="vote"):
            VoteRouter(members=members)


def test_a_state_of_another_number_of_members_is_refused():
    router, two = VoteRouter(members=("kernel",)), VoteRouter(members=("kernel", "knn"))
    state = two.snapshot().model_copy(update={"parameters": router.parameters_hash})
    with pytest.raises(ConfigError, match="weights"):
        router.restore(state)


def test_what_comes_from_elsewhere_is_learned_on_from_the_first_number():
    router = VoteRouter()
    router.fit(sample_outcomes(sample_pool()))
    router.learn(sample_experience(40, sample_pool()))
    router.rebase("elsewhere")
    router.learn(sample_experience(1, sample_pool()))
    assert (router.sequence, router.base) == (1, "elsewhere")
