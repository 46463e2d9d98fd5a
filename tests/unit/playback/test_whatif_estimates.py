"""Estimates from a log: right where every outcome is known, and refused where the log cannot know."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.playback.estimates import (
    Table,
    best_alone,
    done_value,
    expected_effective,
    measured,
    refusal,
    replayed,
    valued,
    weights_of,
)
from agentmesh.playback.expected import cross_fitted
from agentmesh.types import FloatArray

MMLU_PRO = Path(__file__).parents[3] / "benchmarks" / "sets" / "mmlu_pro"
TASKS = 700
DECISIONS = 600


def train_rows() -> tuple[list[str], FloatArray, FloatArray]:
    """Read texts, qualities and costs of some train tasks; other lines are passed over."""
    with gzip.open(MMLU_PRO / "tasks.jsonl.gz", "rt", encoding="utf-8") as stream:
        tasks = [line for line in map(json.loads, stream) if line["split"] == "train"][:TASKS]
    agents = sorted(json.loads(line)["id"] for line in (MMLU_PRO / "agents.jsonl").read_text("utf-8").splitlines())
    row_of = {task["id"]: row for row, task in enumerate(tasks)}
    column_of = {agent: column for column, agent in enumerate(agents)}
    quality, cost = np.full((2, len(tasks), len(agents)), np.nan)
    with gzip.open(MMLU_PRO / "outcomes.csv.gz", "rt", encoding="utf-8") as stream:
        lines = csv.reader(stream)
        columns = next(lines)
        task, agent, worth, price = (columns.index(name) for name in ("task", "agent", "quality", "cost_usd"))
        for line in lines:
            if line[task] in row_of:
                spot = row_of[line[task]], column_of[line[agent]]
                quality[spot], cost[spot] = float(line[worth]), float(line[price])
    return [task["text"] for task in tasks], quality, cost


def softmax(values: FloatArray, temperature: float) -> FloatArray:
    weights = np.exp((values - values.max(axis=1, keepdims=True)) / temperature)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def test_the_true_value_lies_in_the_interval_on_recorded_outcomes_for_three_other_routers() -> None:
    texts, quality, cost = train_rows()
    vectors, rng = HashingEmbedder(dimension=64).embed(texts), np.random.default_rng(7)
    shape, means = quality.shape, quality.mean(axis=0)
    taste = vectors @ rng.normal(size=(vectors.shape[1], shape[1]))  # what a router makes of a text
    logging = 0.8 * softmax(means + 0.3 * taste, 0.2) + 0.2 / shape[1]
    best = np.tile(np.eye(shape[1])[means.argmax()], (len(texts), 1))
    by_text = np.eye(shape[1])[(means + 0.5 * taste).argmax(axis=1)]
    others = {"best": best, "by text": by_text, "drawn": softmax(means - 0.3 * taste, 0.2)}
    held = dict.fromkeys(((name, what) for name in others for what in ("quality", "cost_usd")), 0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(texts))[:DECISIONS]
        done = (np.cumsum(logging[rows], axis=1) <= rng.random((len(rows), 1))).sum(axis=1)
        for what, truth in (("quality", quality[rows]), ("cost_usd", cost[rows])):
            seen = np.full(truth.shape, np.nan)
            seen[np.arange(len(rows)), done] = truth[np.arange(len(rows)), done]
            expected = cross_fitted(vectors[rows], seen, seed=seed)
            for name, policy in others.items():
                found = measured(what, Table(policy[rows], logging[rows], done), seen, expected)
                right = float((policy[rows] * truth).sum(axis=1).mean())
                assert not found.refusal
                assert [one.method for one in found.estimates] == ["snips", "doubly_robust"]
                low, high = found.estimates[-1].interval
                held[name, what] += low <= right <= high
                assert found.estimates[-1].effective < DECISIONS
    assert min(held.values()) >= 18, held


def log_of(
    outcomes: FloatArray, *, policy: FloatArray, chance: FloatArray | None = None
) -> tuple[Table, FloatArray, FloatArray]:
    """Return a log in which everybody was asked by certain chance, unless it is given."""
    known = np.where(np.isfinite(outcomes), 1.0, 0.0) if chance is None else chance
    return Table(policy, known, np.zeros(len(outcomes), np.int64)), outcomes, np.zeros(outcomes.shape)


def test_where_every_outcome_is_known_all_methods_give_the_plain_mean() -> None:
    outcomes = np.tile([[1.0, 0.0], [0.5, 1.0]], (40, 1))
    policy = np.tile([[0.5, 0.5], [0.0, 1.0]], (40, 1))
    found = measured("quality", *log_of(outcomes, policy=policy), bounds=(0.0, 1.0))
    assert [one.method for one in found.estimates] == ["replay", "snips", "doubly_robust"]
    assert [one.value for one in found.estimates] == pytest.approx([0.75] * 3)
    assert found.best is found.estimates[0]
    assert found.best.known == 80
    assert found.logged == 0.75
    assert found.best.gain == pytest.approx(0.0)


def test_to_pick_nobody_is_worth_nothing_and_that_is_known() -> None:
    outcomes = np.full((100, 1), 1.0)
    policy = np.repeat([[1.0], [0.0]], 50, axis=0)
    found = measured("quality", *log_of(outcomes, policy=policy))
    assert [one.value for one in found.estimates] == pytest.approx([0.5] * 3)


def test_outcomes_that_are_all_alike_leave_room_for_others() -> None:
    table, outcomes, expected = log_of(np.ones((100, 1)), policy=np.ones((100, 1)))
    bounded = measured("quality", table, outcomes, expected, bounds=(0.0, 1.0)).estimates[-1]
    assert bounded.interval[0] == pytest.approx(1 - 0.02, abs=1e-3)
    assert bounded.interval[1] == 1.0
    assert measured("cost_usd", table, outcomes, expected).estimates[-1].interval == pytest.approx((1.0, 1.0))


def test_weights_are_clipped_only_where_it_is_asked_for() -> None:
    table, outcomes, _ = log_of(np.ones((4, 1)), policy=np.ones((4, 1)), chance=np.full((4, 1), 0.01))
    assert weights_of(table, outcomes).max() == pytest.approx(100.0)
    assert weights_of(table, outcomes, clip=10).max() == 10.0
    assert expected_effective(table, outcomes, clip=10) > expected_effective(table, outcomes)


def _half_asked() -> tuple[FloatArray, FloatArray, FloatArray]:
    outcomes = np.full((1000, 2), np.nan)
    outcomes[:, 0] = 1.0
    policy = np.zeros((1000, 2))
    policy[:700, 0], policy[700:, 1] = 1.0, 1.0
    return outcomes, policy, np.tile([0.99, 0.01], (1000, 1))


def test_picks_that_were_never_asked_are_refused_with_what_to_do() -> None:
    outcomes, policy, chance = _half_asked()
    table, *rest = log_of(outcomes, policy=policy, chance=np.where(chance < 0.5, 0.0, chance))
    found = measured("quality", table, *rest)
    assert (found.estimates, found.unsupported) == ((), 0.3)
    assert "30.0% of its picks were never asked" in found.refusal
    assert "explore above 0" in found.refusal


def test_rare_picks_are_refused_though_the_weights_that_came_up_look_alike() -> None:
    outcomes, policy, chance = _half_asked()
    outcomes[0, 1] = 1.0  # the agent was seen, on another task: the 300 picks of it were not
    table, seen, _ = log_of(outcomes, policy=policy, chance=chance)
    mine = weights_of(table, seen).sum(axis=1)
    assert mine.sum() ** 2 / (mine @ mine) > 600
    assert refusal(table, seen).startswith("what is known is worth 32.6 runs")


def test_nothing_is_said_without_any_outcome() -> None:
    found = measured("quality", *log_of(np.full((9, 2), np.nan), policy=np.full((9, 2), 0.5)))
    assert (found.logged, found.scored, found.best) == (None, 0, None)
    assert "no outcome is known" in found.refusal


def test_a_replay_of_few_runs_is_not_printed() -> None:
    outcomes = np.where(np.arange(100)[:, None] < 90, 1.0, np.nan)
    assert replayed(Table(np.ones((100, 1)), np.ones((100, 1)), np.zeros(100, np.int64)), outcomes) is None


def test_the_best_single_agent_is_found_among_those_that_were_asked_often_enough() -> None:
    rng = np.random.default_rng(0)
    chance = np.tile([0.499, 0.499, 0.002], (600, 1))
    done = rng.choice(3, size=600, p=chance[0])
    outcomes = np.full((600, 3), np.nan)
    outcomes[np.arange(600), done] = np.array([0.2, 0.8, 1.0])[done]
    table = Table(np.tile([1.0, 0.0, 0.0], (600, 1)), chance, done)
    found = best_alone(table, outcomes, np.zeros((600, 3)), np.ones((600, 3), np.bool_))
    assert found is not None
    assert found[0] == 1
    short = found[1][-1].less(valued(table, outcomes, np.zeros((600, 3)))[-1])
    assert short.value == pytest.approx(0.6)
    none = best_alone(table, np.full((600, 3), np.nan), np.zeros((600, 3)), np.ones((600, 3), np.bool_))
    assert none is None


def test_what_was_done_counts_nobody_as_nothing() -> None:
    table = Table(np.ones((4, 1)), np.ones((4, 1)), np.array([0, 0, -1, 0]))
    done = done_value(table, np.array([[1.0], [1.0], [np.nan], [np.nan]]))
    assert done is not None
    assert (done.value, done.known) == (pytest.approx(2 / 3), 3)


def test_a_run_is_not_predicted_from_itself() -> None:
    vectors = np.eye(6, dtype=np.float32)
    outcomes = np.full((6, 2), np.nan)
    outcomes[0, 0] = 1.0
    expected = cross_fitted(vectors, outcomes, parts=6)
    assert expected[0].tolist() == [0.0, 0.0]
    assert expected[1].tolist() == [1.0, 1.0]  # one that was never seen is as all are
    assert cross_fitted(vectors[:1], outcomes[:1]).tolist() == [[0.0, 0.0]]
