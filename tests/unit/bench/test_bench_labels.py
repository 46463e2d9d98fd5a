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


def test_the_json_has_the_keys_that_the_plan_lays_down(label_set: Path) -> None:
    shape = json.loads(bench(label_set, embedder=WORDS, routers=["cosine"]).model_dump_json())
    assert list(shape) == ["set", "kind", "split", "rows"]
    assert list(shape["rows"][0]) == ["router", "top1", "hit_at_set", "mean_agents", "oos_recall", "gqr", "p50_ms"]


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


@given(SCORES)
def test_no_threshold_is_better_than_the_fitted_one(scores: np.ndarray) -> None:
    right = np.eye(7, 5)
    fitted = fit_threshold(scores, right)

    def value(threshold: float) -> float:
        best, choice = scores.max(axis=1), scores.argmax(axis=1)
        top1 = np.mean((best >= threshold)[:5] & (choice[:5] == np.arange(5)))
        recall = np.mean((best < threshold)[5:])
        return 0.0 if top1 + recall == 0 else 2 * top1 * recall / (top1 + recall)

    assert value(fitted) == pytest.approx(max(value(threshold) for threshold in scores.max(axis=1)))


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
