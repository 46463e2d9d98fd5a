"""The guard: what passes, what it is calibrated on, tables of outcomes, few tasks, its curve and its state."""

import numpy as np
import pytest

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError
from agentmesh.routing.base import Outcomes, TaskFeatures
from agentmesh.routing.guard import Guard, coverage_point
from agentmesh.routing.kinds import KindModel, are_labels, in_scope, kinds_of
from agentmesh.routing.state import pack_state, unpack_state

EMBEDDER = HashingEmbedder()
KITCHEN = (
    "bake a loaf of bread",
    "fry two eggs",
    "boil the pasta",
    "chop an onion",
    "knead the dough",
    "stir the soup",
)
GARDEN = ("water the roses", "mow the lawn", "prune the hedge", "plant a tulip", "rake the leaves", "weed the border")
STRANGE = ("refinance my mortgage", "who won the football cup", "translate this contract into Danish")


def label_rows(*, times: int, start: int = 0, strange: bool = False) -> Outcomes:
    """Return requests for a cook and a gardener, each in several wordings, and some that are nobody's."""
    wordings = ("please {}", "can you {}", "{} today", "I want to {}", "{} for me", "how do I {}", "{} now")
    texts, right = [], []
    for place in range(start, start + times):
        for column, requests in enumerate((KITCHEN, GARDEN)):
            texts += [wordings[place % len(wordings)].format(request) for request in requests]
            right += [np.eye(2)[column]] * len(requests)
    if strange:
        texts += list(STRANGE)
        right += [np.zeros(2)] * len(STRANGE)
    return table(texts, np.array(right))


def table(texts: list[str], quality: np.ndarray, groups: tuple[str, ...] | None = None) -> Outcomes:
    names = tuple(f"agent-{place}" for place in range(quality.shape[1]))
    vectors = EMBEDDER.embed(texts)
    return Outcomes(names, vectors, tuple(texts), groups or ("",) * len(texts), quality, np.full(quality.shape, np.nan))


def features(text: str) -> TaskFeatures:
    return TaskFeatures(EMBEDDER.embed([text])[0], text)


@pytest.fixture(scope="module")
def fitted() -> Guard:
    guard = Guard(coverage=0.9)
    guard.fit(label_rows(times=5), val=label_rows(times=2, start=5))
    return guard


def test_a_task_like_past_ones_passes_and_a_strange_one_does_not(fitted: Guard) -> None:
    assert fitted.passes(features("could you boil the pasta"))
    assert not any(fitted.passes(features(text)) for text in STRANGE)


def test_before_it_is_fitted_everything_passes_and_it_says_why() -> None:
    guard = Guard()
    assert not guard.is_fitted
    assert guard.passes(features(STRANGE[0]))
    assert "not fitted" in guard.reason


def test_tasks_that_nobody_fits_have_no_effect_on_what_is_learned() -> None:
    states = []
    for strange in (False, True):
        guard = Guard()
        guard.fit(label_rows(times=3, strange=strange), val=label_rows(times=2, start=5, strange=strange))
        states.append(pack_state(guard.arrays(), guard.meta()))
    assert states[0] == states[1]


def test_val_without_a_task_that_somebody_fits_is_refused() -> None:
    strange = table(list(STRANGE), np.zeros((len(STRANGE), 2)))
    with pytest.raises(ConfigError, match="somebody fits"):
        Guard().fit(label_rows(times=2), val=strange)


def test_a_restored_guard_is_the_same_bit_for_bit(fitted: Guard) -> None:
    arrays, meta = unpack_state(pack_state(fitted.arrays(), fitted.meta()))
    twin = Guard(**dict(fitted.parameters))  # type: ignore[arg-type]
    twin.load(arrays, meta)
    for text in (*KITCHEN, *STRANGE):
        assert twin.familiarity(features(text)) == fitted.familiarity(features(text))
    assert pack_state(twin.arrays(), twin.meta()) == pack_state(fitted.arrays(), fitted.meta())
    assert twin.agent_ids == fitted.agent_ids


def test_it_names_the_agents_whose_tasks_it_knows(fitted: Guard) -> None:
    assert Guard().agent_ids == ()
    assert fitted.agent_ids == ("agent-0", "agent-1")
    rows = label_rows(times=5)
    idle = np.zeros((len(rows), 1))
    wider = Guard()
    wider.fit(table(list(rows.texts), np.hstack([rows.quality, idle])))
    assert wider.agent_ids == fitted.agent_ids


def test_a_parameter_out_of_its_range_is_refused() -> None:
    for wrong in (
        {"coverage": 0.0},
        {"coverage": 1.5},
        {"nearness": -1.0},
        {"nearness": float("inf")},
        {"max_tasks": 0},
        {"seed": -1},
        {"buckets": 1000},
        {"buckets": 128},
    ):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Guard(**wrong)  # type: ignore[arg-type]


def test_the_share_of_new_in_domain_tasks_turned_away_is_about_what_was_asked_for(fitted: Guard) -> None:
    fresh = label_rows(times=1, start=7)
    turned_away = np.mean([not fitted.passes(features(text)) for text in fresh.texts])
    assert turned_away <= 0.25


def test_familiarity_of_the_held_back_tasks_is_spread_evenly() -> None:
    val = label_rows(times=2, start=5)
    guard = Guard()
    guard.fit(label_rows(times=5), val=val)
    familiar = sorted(guard.familiarity(features(text)) for text in val.texts)
    assert familiar[0] < 0.15
    assert familiar[-1] > 0.8  # its own score is part of what is usual for its kind
    assert abs(familiar[len(familiar) // 2] - 0.5) < 0.15


def test_a_wider_coverage_has_a_lower_threshold(fitted: Guard) -> None:
    assert fitted.threshold == pytest.approx(0.1)
    assert fitted.at_coverage(0.99) < fitted.at_coverage(0.95)
    assert fitted.at_coverage(1.0) == 0.0
    with pytest.raises(ConfigError, match="coverage"):
        fitted.at_coverage(0.0)


def test_without_val_a_part_of_the_tasks_is_held_back() -> None:
    guard = Guard(coverage=0.9)
    guard.fit(label_rows(times=7))
    assert guard.is_fitted
    assert guard.reason == ""
    assert len(guard.arrays()["usual"]) == 16
    assert not guard.passes(features(STRANGE[0]))


def test_too_few_tasks_leave_it_unfitted_and_everything_passes() -> None:
    guard = Guard()
    guard.fit(table(["bake bread", "mow the lawn"], np.eye(2)))
    assert not guard.is_fitted
    assert "too few" in guard.reason
    assert guard.familiarity(features(STRANGE[0])) == 1.0
    assert guard.threshold == 0.0


def test_an_empty_table_leaves_it_unfitted() -> None:
    guard = Guard()
    guard.fit(table([], np.zeros((0, 2))))
    assert not guard.is_fitted


def test_few_held_back_tasks_turn_nobody_away() -> None:
    guard = Guard(coverage=0.95)
    guard.fit(label_rows(times=3), val=label_rows(times=1, start=5))
    assert guard.is_fitted
    assert all(guard.passes(features(text)) for text in STRANGE)


def test_fitting_again_on_too_little_forgets_what_was_learned() -> None:
    guard = Guard()
    guard.fit(label_rows(times=5))
    guard.fit(table(["bake bread"], np.eye(2)[:1]))
    assert not guard.is_fitted


def outcome_rows(*, start: int, times: int, grouped: bool) -> Outcomes:
    """Return the same requests as answers of two agents that are both right at times, with unknown ones."""
    rows = label_rows(times=times, start=start)
    rng = np.random.default_rng(start)
    quality = rng.choice([0.0, 0.5, 1.0, np.nan], size=rows.quality.shape)
    groups = tuple("kitchen" if right[0] else "garden" for right in rows.quality)
    return table(list(rows.texts), quality, groups if grouped else None)


@pytest.mark.parametrize("grouped", [True, False])
def test_a_table_of_outcomes_has_all_its_tasks_in_scope(grouped: bool) -> None:
    guard = Guard(coverage=0.9)
    guard.fit(outcome_rows(start=0, times=5, grouped=grouped), val=outcome_rows(start=5, times=2, grouped=grouped))
    assert guard.is_fitted
    assert len(guard.arrays()["tasks"]) == 60
    assert len(guard.arrays()["centre"]) == (2 if grouped else 1)
    assert guard.passes(features("could you boil the pasta"))
    assert not guard.passes(features("refinance my mortgage"))


def test_a_task_on_which_every_agent_failed_is_no_stranger_in_a_table_of_outcomes() -> None:
    quality = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    rows = table(["one", "two", "three", "four"], quality)
    assert not are_labels(rows)
    assert in_scope(rows, labels=False).all()
    assert in_scope(rows, labels=True).tolist() == [True, False, True, True]


def test_past_tasks_are_bounded_and_shared_out_among_the_kinds() -> None:
    guard = Guard(max_tasks=10)
    guard.fit(label_rows(times=5), val=label_rows(times=2, start=5))
    assert guard.arrays()["tasks"].shape[0] == 10
    assert guard.arrays()["starts"].tolist() == [0, 5, 10]
    assert guard.passes(features("could you boil the pasta"))


def test_more_kinds_than_fit_in_memory_get_fewer_buckets() -> None:
    rows = table([f"word{place}" for place in range(130)], np.eye(130))
    model = KindModel.trained(rows.vectors, rows.texts, kinds_of(rows, labels=True), buckets=65536, seed=0)
    assert model.buckets == 32768
    assert model.kinds == 130


def test_a_task_without_a_known_word_gets_an_answer(fitted: Guard) -> None:
    nothing = TaskFeatures(np.zeros(EMBEDDER.dimension, np.float32), "")
    assert 0.0 < fitted.familiarity(nothing) <= 1.0


def test_a_vector_of_another_length_is_refused(fitted: Guard) -> None:
    with pytest.raises(ConfigError, match="same embedder"):
        fitted.familiarity(TaskFeatures(np.zeros(3, np.float32), "bake"))


def test_the_curve_says_what_answering_is_worth_at_each_coverage(fitted: Guard) -> None:
    tasks = [features(text) for text in (*KITCHEN, *STRANGE)]
    quality = np.array([1.0] * len(KITCHEN) + [0.0] * len(STRANGE))
    narrow, wide = fitted.curve(tasks, quality, (0.9, 1.0))
    assert (narrow.quality, wide.coverage) == (1.0, 1.0)
    assert wide.quality == pytest.approx(6 / 9)
    with pytest.raises(ConfigError, match="no task"):
        fitted.curve([], np.zeros(0))


def test_a_point_at_which_nothing_is_answered_has_no_quality() -> None:
    point = coverage_point(np.array([0.1]), np.array([1.0]), 0.5)
    assert point.coverage == 0.0
    assert np.isnan(point.quality)


def test_an_unfitted_guard_is_restored_with_its_reason() -> None:
    guard, twin = Guard(), Guard()
    guard.fit(table(["bake bread"], np.eye(2)[:1]))
    twin.load(guard.arrays(), guard.meta())
    assert (twin.is_fitted, twin.reason) == (False, guard.reason)


def test_a_state_whose_parts_do_not_fit_is_refused(fitted: Guard) -> None:
    arrays, meta = dict(fitted.arrays()), fitted.meta()
    for broken_arrays, broken_meta in (
        (arrays, {}),
        ({}, meta),
        ({**arrays, "centre": np.zeros(5)}, meta),
        (arrays, {**meta, "nearness": "much"}),
        (arrays, {**meta, "buckets": "many"}),
        ({**arrays, "kind_weights": np.zeros(4)}, meta),
    ):
        with pytest.raises(ConfigError):
            Guard().load(broken_arrays, broken_meta)


def test_the_same_seed_gives_the_same_guard() -> None:
    states = []
    for _ in range(2):
        guard = Guard(seed=3)
        guard.fit(label_rows(times=3), val=label_rows(times=1, start=5))
        states.append(pack_state(guard.arrays(), guard.meta()))
    assert states[0] == states[1]
