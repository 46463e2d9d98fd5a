import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agentmesh.bench.label_bench import fit_gap, fit_threshold, named
from agentmesh.bench.records import LabelReport, LabelRow
from agentmesh.bench.run import bench
from agentmesh.embed.hashing import HashingEmbedder

WORDS = HashingEmbedder(dimension=256)
SCORES = arrays(np.float64, (7, 5), elements=st.floats(0, 1))


def rows_of(report: object) -> dict[str, LabelRow]:
    assert isinstance(report, LabelReport)
    return {row.router: row for row in report.rows}


def test_a_router_that_learned_finds_the_right_agent_and_abstains_where_nobody_fits(label_set: Path) -> None:
    knn = rows_of(bench(label_set, embedder=WORDS, routers=["knn"]))["knn"]
    assert knn.top1_closed == 1.0
    assert knn.gqr is not None
    assert knn.gqr > 0.95
    assert knn.mean_agents == 1.0
    assert knn.hit_at_set == knn.top1


def test_random_and_the_oracle_are_always_there(label_set: Path) -> None:
    rows = rows_of(bench(label_set, embedder=WORDS, routers=["cosine"]))
    assert list(rows) == ["random", "cosine", "oracle"]
    assert rows["oracle"].gqr == 1.0
    assert rows["random"].mean_agents <= 1.0


def test_the_json_has_the_keys_that_are_documented(label_set: Path) -> None:
    shape = json.loads(bench(label_set, embedder=WORDS, routers=["cosine"]).model_dump_json())
    assert list(shape) == ["set", "kind", "split", "rows"]
    assert list(shape["rows"][0]) == [
        "router",
        "top1",
        "hit_at_set",
        "mean_agents",
        "oos_recall",
        "gqr",
        "p50_ms",
        "top1_closed",
    ]


def test_nobody_abstains_where_no_val_task_is_out_of_scope(closed_label_set: Path) -> None:
    report = bench(closed_label_set, embedder=WORDS, routers=["cosine"])
    row = rows_of(report)["cosine"]
    assert row.oos_recall is None
    assert row.gqr is None
    assert row.top1 == row.top1_closed
    assert "nobody abstains" in report.notes[-1]
    assert rows_of(report)["oracle"].gqr is None


def test_an_abstention_in_scope_counts_as_wrong(label_set: Path) -> None:
    cosine = rows_of(bench(label_set, embedder=WORDS, routers=["cosine"]))["cosine"]
    assert cosine.top1 <= cosine.top1_closed
    assert cosine.gqr == pytest.approx(
        2 * cosine.top1 * cosine.oos_recall / (cosine.top1 + cosine.oos_recall)  # type: ignore[operator]
    )


@given(SCORES, st.floats(0, 1), st.floats(0, 1))
def test_at_most_three_are_named_and_the_best_is_among_them(scores: np.ndarray, threshold: float, gap: float) -> None:
    mask = named(scores, threshold, gap)
    answering = scores.max(axis=1) >= threshold
    assert mask.sum(axis=1).max() <= 3
    np.testing.assert_array_equal(mask.any(axis=1), answering)
    assert all(mask[row, scores[row].argmax()] for row in np.flatnonzero(answering))


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_no_threshold_that_costs_at_most_a_point_abstains_more_often_out_of_scope(seed: int, digits: int) -> None:
    scores = np.random.default_rng(seed).random((210, 3)).round(digits)
    right = np.zeros((210, 3))
    right[:200, 0] = 1.0
    fitted = fit_threshold(scores, right)
    best = scores.max(axis=1)
    correct = right[np.arange(210), scores.argmax(axis=1)] > 0

    def recall(threshold: float) -> float:
        lost = np.count_nonzero(correct & (best < threshold))
        return float(np.mean(best[200:] < threshold)) if lost <= 2 else -1.0

    assert recall(fitted) == max(recall(threshold) for threshold in best)


def test_the_threshold_turns_away_one_answerable_task_of_a_hundred_and_not_two() -> None:
    answered = np.linspace(0.1, 0.9, 200)  # the second is 0.104, the third 0.108, the fourth 0.112
    scores = np.stack([np.append(answered, [0.107, 0.111, 0.5]), np.zeros(203)], axis=1)
    right = np.stack([np.append(np.ones(200), np.zeros(3)), np.zeros(203)], axis=1)
    threshold = fit_threshold(scores, right)
    assert np.count_nonzero(scores[:200, 0] < threshold) == 2
    assert (scores[200:, 0] < threshold).tolist() == [True, False, False]


def test_there_is_no_threshold_without_tasks_on_both_sides() -> None:
    scores = np.array([[0.5, 0.4], [0.3, 0.2]])
    assert fit_threshold(scores, np.ones((2, 2))) == -np.inf
    assert fit_threshold(scores, np.zeros((2, 2))) == -np.inf


def test_a_close_second_is_named_where_it_is_often_right() -> None:
    scores = np.array([[0.5, 0.45, 0.0], [0.5, 0.45, 0.0], [0.9, 0.1, 0.0]])
    right = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    gap = fit_gap(scores, right, -np.inf)
    assert named(scores, -np.inf, gap).sum(axis=1).tolist() == [2, 2, 1]


def test_one_agent_alone_needs_no_gap() -> None:
    assert fit_gap(np.array([[0.5]]), np.array([[1.0]]), -np.inf) == 0.0
