"""Predictions beside what came of them: bins, the two errors, and which stored answers are read for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import ConfigError
from agentmesh.intervals import wilson
from agentmesh.learning.predictions import Prediction, newest_predictions
from agentmesh.learning.reliability import reliability
from agentmesh.records import Candidate
from agentmesh.store.memory import MemoryStore
from agentmesh.store.retention import Retention
from agentmesh.testing.stores import decided, end, lesson, score, start

SHARES = st.floats(0, 1)


@given(st.lists(st.tuples(SHARES, SHARES), max_size=40), st.integers(1, 20))
def test_each_prediction_is_in_one_bin_and_errors_stay_within_bounds(
    pairs: list[tuple[float, float]], bins: int
) -> None:
    found = reliability([told for told, _ in pairs], [came for _, came in pairs], bins=bins)
    assert len(found.bins) == bins
    assert sum(one.n for one in found.bins) == found.n == len(pairs)
    if not pairs:
        assert (found.ece, found.brier) == (None, None)
        return
    assert 0 <= found.ece <= 1
    assert found.ece**2 <= found.brier + 1e-9 <= 1 + 1e-8  # the mean gap of bins is at most the root of the mean square
    for one in found.bins:
        assert one.n == 0 or one.score_low - 1e-9 <= one.score <= one.score_high + 1e-9


def test_bins_hold_means_and_the_interval_of_wilson() -> None:
    found = reliability([0.0, 0.05, 0.25, 1.0], [0.0, 1.0, 0.5, 1.0])
    first, last = found.bins[0], found.bins[-1]
    assert (first.low, first.high, first.n, first.predicted, first.score) == (0.0, 0.1, 2, 0.025, 0.5)
    assert (first.score_low, first.score_high) == wilson(1.0, 2)
    assert (last.n, last.predicted, last.score) == (1, 1.0, 1.0)
    assert found.bins[5].score is None
    assert found.ece == pytest.approx((2 * 0.475 + 0.25 + 0.0) / 4)
    assert found.brier == pytest.approx((0.0 + 0.95**2 + 0.25**2 + 0.0) / 4)


@pytest.mark.parametrize(("told", "came"), [([1.5], [1.0]), ([0.5], [-0.1]), ([0.5], []), ([float("nan")], [0.5])])
def test_what_is_no_share_or_has_no_score_is_refused(told: list[float], came: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"expected one score|not within 0 to 1"):
        reliability(told, came)


class CountingClock:
    """A clock on which each look takes a second."""

    at = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        self.at += 1.0
        return self.at


def answered(store: MemoryStore, run_id: str, *scores: tuple[str, float], expected: float | None = 0.75) -> None:
    """Store a run that ada answered, and what each source said of it."""
    made = decided(run_id, 1)
    known = Candidate(agent_id="ada", score=0.1, probability=1.0, inclusion=1.0, expected_quality=expected)
    event = made.model_copy(update={"decision": made.decision.model_copy(update={"candidates": (known,)})})
    store.append([start(run_id), event, end(run_id, 2)])
    for source, worth in scores:
        store.add_feedback(score(run_id, worth, source=source), [lesson(run_id, worth, source=source)])


def test_what_was_expected_of_the_newest_scored_answers_is_read() -> None:
    store = MemoryStore()
    answered(store, "old", ("user", 0.0))
    answered(store, "unscored")
    answered(store, "twice", ("judge:small", 0.5), ("user", 1.0))
    answered(store, "unknown", ("user", 1.0), expected=None)
    store.append([start("undecided"), end("undecided", 1)])
    store.add_feedback(score("undecided"), [lesson("undecided")])
    read = newest_predictions(store)
    assert read.found == (
        Prediction("random", "abc", "unknown", "ada", None, 1.0),
        Prediction("random", "abc", "twice", "ada", 0.75, 0.75),
        Prediction("random", "abc", "old", "ada", 0.75, 0.0),
    )
    assert (read.pruned, read.unread) == (0, 0)
    assert [one.run_id for one in newest_predictions(store, limit=4).found] == ["unknown", "twice"]


def test_runs_that_were_pruned_and_those_that_take_too_long_are_counted() -> None:
    store = MemoryStore()
    for number in range(4):
        answered(store, f"r{number}", ("user", 1.0))
    waits = iter([True, False])
    stopped = newest_predictions(store, goes_on=lambda: next(waits))
    assert ([one.run_id for one in stopped.found], stopped.unread) == (["r3"], 3)
    late = newest_predictions(store, longest_s=2.0, clock=CountingClock())
    assert ([one.run_id for one in late.found], late.unread) == (["r3", "r2"], 2)
    store.prune(Retention(before=10.0), at=20.0)
    assert newest_predictions(store).found == ()
    assert newest_predictions(store).pruned == 4
