"""The category router: named groups, clusters, mixing, learning, and what it does when it was never fitted."""

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.packing import pack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import Outcomes, TaskFeatures
from agentmesh.routing.category import CategoryRouter
from agentmesh.routing.clusters import cluster_centres
from agentmesh.routing.groups import ROWS_A_TASK
from agentmesh.testing.samples import plain_pool as make_pool

EAST, NORTH = np.eye(2, dtype=np.float32)


def saw(sequence, agent, quality, vector=EAST, cost=None, version=1, weight=1.0, hints=()):
    return Experience(
        sequence=sequence,
        run_id=str(sequence),
        text="t",
        vector=pack_vector(np.asarray(vector, np.float32)),
        agent_id=agent,
        agent_version=version,
        quality=quality,
        cost_usd=cost,
        weight=weight,
        type_hints=hints,
        at=0.0,
    )


def kinds(groups=("sums", "dates"), count=50, cost=None):
    """Return tasks east, where a is right, and north, where b is; the groups' names go with the directions."""
    vectors, quality = np.stack([EAST, NORTH] * count), np.array([[0.9, 0.1], [0.2, 0.8]] * count)
    prices = np.full(quality.shape, np.nan) if cost is None else np.array(cost * count, np.float64)
    return Outcomes(("a", "b"), vectors, ("t",) * 2 * count, groups * count, quality, prices)


def score(router, vector, *ids, hints=()):
    return router.score(TaskFeatures(np.asarray(vector, np.float32), "t", type_hints=hints), make_pool(*ids))


@pytest.mark.parametrize("mixture", ["soft", "hard"])
@pytest.mark.parametrize("groups", [("sums", "dates"), ("", "")])
def test_each_group_has_its_own_best_agent(mixture, groups):
    router = CategoryRouter(mixture=mixture, clusters=2, curiosity=0.0)
    router.fit(kinds(groups))
    assert score(router, EAST, "a", "b") == pytest.approx([0.9, 0.1], abs=0.15)
    assert score(router, NORTH, "a", "b") == pytest.approx([0.2, 0.8], abs=0.15)


def test_membership_names_the_known_groups():
    router = CategoryRouter()
    router.fit(kinds())
    east = router.membership(EAST)
    assert sorted(east) == ["dates", "sums"]
    assert east["sums"] > 0.8
    assert sum(east.values()) == pytest.approx(1.0)


def test_the_groups_are_what_a_task_was_taken_for():
    router = CategoryRouter()
    assert router.estimate(TaskFeatures(EAST, "t"), make_pool("a")).intent == {}
    router.fit(kinds())
    assert router.estimate(TaskFeatures(EAST, "t"), make_pool("a")).intent == router.membership(EAST)


def test_a_single_named_group_falls_back_on_clusters():
    router = CategoryRouter(clusters=3)
    router.fit(kinds(("only", "")))
    assert list(router.membership(EAST)) == ["cluster 0", "cluster 1", "cluster 2"]


def test_tasks_of_unknown_group_count_for_the_group_they_look_like():
    vectors = np.stack([EAST, NORTH, EAST] * 30)
    quality = np.array([[1.0], [0.0], [0.0]] * 30)
    router = CategoryRouter(mixture="hard", curiosity=0.0)
    cost = np.full(quality.shape, np.nan)
    router.fit(Outcomes(("a",), vectors, ("t",) * 90, ("sums", "dates", "") * 30, quality, cost))
    assert score(router, EAST, "a")[0] == pytest.approx(0.5, abs=0.05)


def test_hard_takes_one_group_and_soft_mixes_them():
    hard, soft = (CategoryRouter(mixture=mixture, curiosity=0.0) for mixture in ("hard", "soft"))
    for router in (hard, soft):
        router.fit(kinds())
    between = np.array([0.8, 0.6], np.float32)
    assert set(hard.membership(between).values()) == {0.0, 1.0}
    shares = soft.membership(between)
    assert 0.0 < shares["dates"] < shares["sums"] < 1.0
    assert score(soft, between, "a", "b")[0] < score(hard, between, "a", "b")[0]


def test_a_rare_outcome_is_smoothed_to_the_mean_over_all_groups():
    router = CategoryRouter(mixture="hard", curiosity=0.0)
    vectors = np.stack([EAST] * 100 + [NORTH])
    quality = np.array([[1.0]] * 100 + [[0.0]])
    groups = ("common",) * 100 + ("rare",)
    router.fit(Outcomes(("a",), vectors, ("t",) * 101, groups, quality, np.full(quality.shape, np.nan)))
    assert score(router, -EAST, "a")[0] > 0.5


def test_costs_are_the_means_of_the_group():
    router = CategoryRouter(mixture="hard")
    router.fit(kinds(count=400, cost=[[0.1, 0.5], [0.3, np.nan]]))
    east = router.estimate(TaskFeatures(EAST, "t"), make_pool("a", "b", "new")).cost
    north = router.estimate(TaskFeatures(NORTH, "t"), make_pool("a", "b", "new")).cost
    assert (east[0], north[0]) == pytest.approx((0.1, 0.3), abs=0.01)
    assert (east[1], north[1]) == pytest.approx((0.5, 0.5))
    assert np.isnan(east[2])


def test_an_outcome_teaches_its_group_more_than_the_others():
    router = CategoryRouter(curiosity=0.0)
    router.fit(kinds())
    before = score(router, EAST, "b")[0], score(router, NORTH, "b")[0]
    for sequence in range(1, 41):
        router.learn(saw(sequence, "b", 1.0, vector=EAST, cost=0.5))
    after = score(router, EAST, "b")[0], score(router, NORTH, "b")[0]
    assert after[0] - before[0] > 0.2
    assert after[0] - before[0] > 3 * (after[1] - before[1])


def test_before_its_warm_up_a_router_never_fitted_learns_one_mean_for_each_agent():
    router = CategoryRouter(curiosity=0.0)
    for sequence in range(1, 81):
        router.learn(saw(sequence, "ab"[sequence % 2], float(sequence % 2), vector=EAST))
    assert router.membership(NORTH) == {"": 1.0}
    assert score(router, NORTH, "a", "b", "new").tolist() == pytest.approx([0.01, 0.99, 0.5], abs=0.02)


def corners(count=40, kinds=2, seed=0):
    """Return ``count`` unit vectors near the axes, in turn."""
    rows = np.resize(np.eye(kinds, dtype=np.float32), (count, kinds))
    rows = rows + 0.1 * np.random.default_rng(seed).normal(size=rows.shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def warmed(router, count, *, agent="a"):
    """Teach that the agent is right in the east and wrong in the north, each task a different one."""
    for sequence, row in enumerate(corners(count), start=1):
        router.learn(saw(sequence, agent, float(sequence % 2), vector=row, cost=0.5))
    return router


def test_a_router_never_fitted_finds_its_groups_when_its_warm_up_ends():
    assert list(warmed(CategoryRouter(clusters=2, warm_up=40), 39).membership(EAST)) == [""]
    assert list(warmed(CategoryRouter(clusters=2, warm_up=40), 40).membership(EAST)) == ["cluster 0", "cluster 1"]


def test_the_outcomes_of_the_warm_up_are_booked_in_the_groups_found():
    router = warmed(CategoryRouter(clusters=2, warm_up=40, curiosity=0.0), 40)
    assert score(router, EAST, "a")[0] > 0.8
    assert score(router, NORTH, "a")[0] < 0.2
    assert router._sums.values.sum(axis=1)[:, 0].tolist() == pytest.approx([40.0, 20.0, 40.0, 20.0])


def test_groups_found_on_the_way_are_those_of_a_fitted_table():
    table = Outcomes(
        ("a",),
        corners(40),
        ("t",) * 40,
        ("",) * 40,
        np.resize([[1.0], [0.0]], (40, 1)),
        np.full((40, 1), 0.5),
    )
    fitted, online = CategoryRouter(clusters=2), warmed(CategoryRouter(clusters=2, warm_up=40), 40)
    fitted.fit(table)
    assert online.membership(EAST) == fitted.membership(EAST)


def test_the_same_task_seen_again_does_not_end_the_warm_up():
    router = CategoryRouter(warm_up=3)
    for sequence in range(1, 100):
        router.learn(saw(sequence, "a", 1.0, vector=EAST))
    assert list(router.membership(EAST)) == [""]


def test_a_warm_up_of_one_task_with_very_many_outcomes_ends_too():
    router = CategoryRouter(warm_up=2)
    for sequence in range(1, 2 * ROWS_A_TASK + 1):
        router.learn(saw(sequence, "a", 1.0, vector=EAST))
    assert list(router.membership(EAST)) == ["cluster 0"]


def test_a_new_version_during_the_warm_up_takes_nothing_along():
    router = warmed(CategoryRouter(clusters=2, warm_up=42, curiosity=0.0), 40)
    for sequence, row in ((41, EAST), (42, NORTH)):
        router.learn(saw(sequence, "a", 0.5, vector=row, version=2))
    assert len(router.membership(EAST)) == 2
    assert router._sums.values[0].sum() == pytest.approx(2.0)


@pytest.mark.parametrize("cut", [0, 20, 40, 45])
def test_a_state_taken_before_or_after_the_warm_up_leads_to_the_same_router_bit_for_bit(cut):
    whole, parted = (CategoryRouter(clusters=3, warm_up=40) for _ in range(2))
    for sequence, row in enumerate(corners(50), start=1):
        if sequence == cut:
            state, parted = parted.snapshot(), CategoryRouter(clusters=3, warm_up=40)
            parted.restore(state)
        for router in (whole, parted):
            router.learn(saw(sequence, "ab"[sequence % 2], 0.3, vector=row))
    assert whole.snapshot() == parted.snapshot()


def test_a_vector_of_another_length_during_the_warm_up_is_refused_and_changes_nothing():
    router = warmed(CategoryRouter(), 5)
    before = router.snapshot()
    with pytest.raises(ConfigError, match="length 3, past ones had 2"):
        router.learn(saw(6, "b", 1.0, vector=np.ones(3)))
    assert router.snapshot() == before


def test_first_outcomes_that_do_not_fit_their_tasks_are_refused():
    router = warmed(CategoryRouter(), 5)
    arrays = dict(router._arrays())
    for rows in (arrays["first_rows"][:, :4], arrays["first_rows"] + 5):
        with pytest.raises(ConfigError, match="first outcomes of"):
            CategoryRouter()._load({**arrays, "first_rows": rows}, router._meta())


@pytest.mark.parametrize("warm_up", [1000, 4])
def test_half_the_weight_twice_counts_as_much_as_the_whole_once(warm_up):
    whole, halves = (CategoryRouter(clusters=2, warm_up=warm_up) for _ in range(2))
    for sequence, row in enumerate(corners(8), start=1):
        whole.learn(saw(sequence, "a", 0.8, vector=row))
        halves.learn(saw(2 * sequence - 1, "a", 0.8, vector=row, weight=0.5))
        halves.learn(saw(2 * sequence, "a", 0.8, vector=row, weight=0.5))
    assert score(halves, EAST, "a") == pytest.approx(score(whole, EAST, "a"), abs=1e-12)


def test_a_new_version_of_an_agent_starts_afresh_and_an_older_one_is_refused():
    router = CategoryRouter(curiosity=0.0)
    router.fit(kinds())
    router.learn(saw(1, "a", 0.0, version=2))
    features = TaskFeatures(EAST, "t")
    after = router.score(features, make_pool("a", version=2))[0]
    assert after < 0.5
    router.learn(saw(2, "a", 1.0, version=1))
    assert router.score(features, make_pool("a", version=2))[0] == after


def test_a_vector_of_another_length_is_refused():
    router = CategoryRouter()
    router.fit(kinds())
    with pytest.raises(ConfigError, match="length 3"):
        router.membership(np.zeros(3, np.float32))


def test_a_state_whose_parts_do_not_fit_is_refused():
    router = CategoryRouter()
    router.fit(kinds())
    with pytest.raises(ConfigError, match="do not fit a recogniser"):
        CategoryRouter()._load(router._arrays(), {**router._meta(), "groups": ["one"]})


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: CategoryRouter(mixture="medium"), "mixture is 'medium'.*'soft' or 'hard'"),
        (lambda: CategoryRouter(clusters=0), "clusters is 0"),
        (lambda: CategoryRouter(warm_up=0), "warm_up is 0"),
        (lambda: CategoryRouter(curiosity=-0.1), "curiosity is -0.1"),
        (lambda: CategoryRouter(seed=-3), "seed is -3"),
    ],
)
def test_a_parameter_out_of_range_is_named(build, said):
    with pytest.raises(ConfigError, match=said):
        build()


def test_clusters_find_directions_and_are_the_same_for_the_same_seed():
    rng = np.random.default_rng(0)
    corners = np.eye(5, dtype=np.float32)
    vectors = np.repeat(corners, 40, axis=0) + 0.1 * rng.normal(size=(200, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    centres = cluster_centres(vectors, 5, seed=3)
    assert sorted(np.argmax(centres @ corners.T, axis=0).tolist()) == [0, 1, 2, 3, 4]
    assert np.linalg.norm(centres, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert cluster_centres(vectors, 5, seed=3).tobytes() == centres.tobytes()


def test_there_are_never_more_clusters_than_tasks_and_equal_or_empty_tasks_do_no_harm():
    assert cluster_centres(np.stack([EAST]), 16, seed=0).shape == (1, 2)
    assert cluster_centres(np.stack([EAST, EAST, EAST]), 2, seed=0).tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert np.isfinite(cluster_centres(np.zeros((4, 2), np.float32), 2, seed=0)).all()


def test_a_restored_router_recognises_and_learns_the_same():
    router, twin = CategoryRouter(), CategoryRouter()
    router.fit(kinds())
    twin.restore(router.snapshot())
    for one in (router, twin):
        one.learn(saw(1, "new", 1.0))
    assert twin.membership(EAST) == router.membership(EAST)
    assert score(twin, NORTH, "a", "new").tobytes() == score(router, NORTH, "a", "new").tobytes()


# --- groups that hints name


def told(router, hints=("sums", "dates"), *, start=1, count=40):
    """Teach, in tasks that all look alike, that a is right on the first kind and b on the second."""
    for sequence in range(start, start + count):
        kind, agent = sequence % 2, "ab"[sequence // 2 % 2]
        router.learn(saw(sequence, agent, float((agent == "b") == bool(kind)), vector=EAST, hints=(hints[kind],)))
    return router


def test_hints_name_groups_and_a_task_with_a_known_hint_is_wholly_of_its_group():
    router = told(CategoryRouter(curiosity=0.0))
    assert score(router, EAST, "a", "b", hints=("sums",)).tolist() == pytest.approx([7 / 9, 2 / 9], abs=0.02)
    assert score(router, NORTH, "a", "b", hints=("dates",)).tolist() == pytest.approx([2 / 9, 7 / 9], abs=0.02)
    both = score(router, EAST, "a", "b", hints=("sums", "dates", "sums", "never heard of"))
    assert both.tolist() == pytest.approx([0.5, 0.5], abs=0.01)


@pytest.mark.parametrize("hints", [(), ("never heard of",), ("", "(other)")])
def test_a_task_without_a_known_hint_goes_on_as_if_there_were_none(hints):
    router = told(CategoryRouter(curiosity=0.0))
    assert router.membership(EAST) == {"": 1.0, "dates": 0.0, "sums": 0.0}
    assert score(router, EAST, "a", "b", hints=hints).tolist() == pytest.approx([0.5, 0.5], abs=0.01)


def test_hints_that_name_nothing_make_no_group():
    router = CategoryRouter()
    router.learn(saw(1, "a", 1.0, hints=("", "(other)")))
    assert router.membership(EAST) == {"": 1.0}


def test_a_hint_is_what_a_task_was_taken_for():
    router = told(CategoryRouter())
    features = TaskFeatures(EAST, "t", type_hints=("dates",))
    assert router.estimate(features, make_pool("a", "b")).intent == {"dates": 1.0, "sums": 0.0}


def test_hints_of_fitted_groups_are_those_and_new_ones_are_known_by_their_hint_alone():
    router = CategoryRouter(curiosity=0.0)
    router.fit(kinds())
    told(router, ("dates", "puzzles"))
    assert router.membership(NORTH)["puzzles"] == 0.0
    assert score(router, EAST, "a", "b", hints=("puzzles",))[1] > score(router, EAST, "a", "b")[1] + 0.3
    assert score(router, EAST, "a", "b", hints=("dates",)).tolist() == pytest.approx([0.36, 0.64], abs=0.01)


def test_clusters_are_found_beside_the_groups_that_hints_made():
    router = told(CategoryRouter(clusters=2, warm_up=40, curiosity=0.0), ("cluster 0", "dates"))
    before = score(router, EAST, "a", "b", hints=("dates",))
    for sequence, row in enumerate(corners(40), start=41):
        router.learn(saw(sequence, "c", float(sequence % 2), vector=row))
    assert list(router.membership(EAST)) == ["cluster 1", "cluster 2", "dates", "cluster 0"]
    assert router.membership(EAST)["cluster 0"] == 0.0
    assert [score(router, vector, "c")[0] > 0.5 for vector in (EAST, NORTH)] == [True, False]
    assert score(router, EAST, "a", "b", hints=("dates",)).tolist() == before.tolist()


@pytest.mark.parametrize("cut", [20, 60, 100])
def test_groups_that_hints_made_are_kept_bit_for_bit(cut):
    whole, parted = (CategoryRouter(clusters=3, warm_up=40) for _ in range(2))
    for sequence, row in enumerate(corners(110), start=1):
        if sequence == cut:
            state, parted = parted.snapshot(), CategoryRouter(clusters=3, warm_up=40)
            parted.restore(state)
        hints = ("sums", "dates")[: sequence % 3 // 2 + sequence // 90]
        for router in (whole, parted):
            router.learn(saw(sequence, "ab"[sequence % 2], 0.3, vector=row, hints=hints))
    assert len(whole.membership(EAST)) > 2
    assert whole.snapshot() == parted.snapshot()


def test_a_vector_of_another_length_is_refused_with_a_hint_too():
    router = CategoryRouter()
    router.fit(kinds())
    with pytest.raises(ConfigError, match="length 3, past ones had 2"):
        score(router, np.ones(3), "a", hints=("sums",))
    with pytest.raises(ConfigError, match="length 3, past ones had 2"):
        router.learn(saw(1, "a", 1.0, vector=np.ones(3), hints=("new",)))
