"""Trails: sums of deposits that evaporate, and how they are read beside a pool."""

from dataclasses import replace

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.ledger import Ledger
from agentmesh.routing.trail_view import Smoothing, TrailView, view_of
from agentmesh.routing.trails import SOURCE, Edge, TrailMap, Trails
from agentmesh.testing.samples import sample_experience, sample_pool

A, B = Edge(0, SOURCE, "a"), Edge(0, SOURCE, "b")
ONE = np.ones(1)
SMOOTHING = Smoothing(within=4.0, own=2.0, low=0.1, high=0.9)


def make_trails(*, half_life_s=np.inf, penalty=1.0):
    return Trails(half_life_s=half_life_s, penalty=penalty)


# --- deposits


def test_a_deposit_counts_for_each_type_by_its_weight():
    trails = make_trails()
    trails.reshape([{0: 1.0}, {}])
    trails.deposit(A, np.array([0.25, 0.75]), 0.5, at=0.0)
    assert trails.sums[:, :, 0].tolist() == [[0.125, 0.375], [0.25, 0.75]]


@pytest.mark.parametrize(("penalty", "evidence"), [(0.0, 0.25), (0.5, 0.625), (1.0, 1.0)])
def test_missing_quality_is_evidence_against_an_agent_by_the_penalty(penalty, evidence):
    trails = make_trails(penalty=penalty)
    trails.deposit(A, ONE, 0.25, at=0.0)
    assert trails.sums[:, 0, 0].tolist() == [0.25, evidence]
    table = trails.evidence_of(np.array([0.25, 0.25]), np.array([True, False]))
    assert table.tolist() == [evidence, 0.0]


def test_each_edge_has_a_column_of_its_own():
    trails = make_trails()
    edges = [A, B, Edge(1, "a", "b"), Edge(1, "b", "b")]
    assert [trails.deposit(edge, ONE, 1.0, at=0.0) for edge in edges] == [0, 1, 2, 3]
    assert trails.deposit(edges[2], ONE, 0.0, at=0.0) == 2
    assert trails.sums[1, 0].tolist() == [1.0, 1.0, 2.0, 1.0]
    assert len(trails) == 4


def test_the_column_of_an_edge_never_deposited_on_is_past_the_last():
    trails = make_trails()
    trails.deposit(B, ONE, 1.0, at=0.0)
    assert trails.columns(0, SOURCE, ("a", "b")).tolist() == [1, 0]
    assert trails.columns(1, SOURCE, ("a", "b")).tolist() == [1, 1]


# --- evaporation


def test_a_deposit_counts_half_after_its_half_life_on_every_edge():
    trails = make_trails(half_life_s=100.0)
    trails.deposit(A, ONE, 0.5, at=1000.0)
    trails.deposit(B, ONE, 1.0, at=1100.0)
    assert trails.sums[:, 0] == pytest.approx(np.array([[0.25, 1.0], [0.5, 1.0]]))
    assert trails.at == 1100.0


def test_a_late_deposit_counts_as_if_it_had_come_in_time():
    early, late = make_trails(half_life_s=100.0), make_trails(half_life_s=100.0)
    for at in (0.0, 250.0):
        early.deposit(A, ONE, 1.0, at=at)
    for at in (250.0, 0.0):
        late.deposit(A, ONE, 1.0, at=at)
    assert late.at == early.at == 250.0
    assert late.sums == pytest.approx(early.sums, rel=1e-12)


def test_a_deposit_of_centuries_ago_counts_for_nothing_and_breaks_nothing():
    trails = make_trails(half_life_s=1.0)
    trails.deposit(A, ONE, 1.0, at=4e9)
    trails.deposit(B, ONE, 1.0, at=0.0)
    assert trails.sums[1, 0].tolist() == [1.0, 0.0]


# --- dropping and remaking


def test_dropping_an_agent_empties_the_edges_to_it_and_from_it():
    trails = make_trails()
    for edge in (A, B, Edge(1, "a", "b"), Edge(1, "b", "c")):
        trails.deposit(edge, ONE, 1.0, at=0.0)
    assert trails.drop("a").tolist() == [0, 2]
    assert trails.sums[1, 0].tolist() == [0.0, 1.0, 0.0, 1.0]


def test_types_made_anew_take_over_shares_of_old_ones():
    trails = make_trails()
    trails.reshape([{0: 1.0}, {}])
    trails.deposit(A, np.array([1.0, 3.0]), 1.0, at=0.0)
    trails.reshape([{0: 1.0}, {1: 0.25}, {1: 0.75}, {}])
    assert trails.sums[1, :, 0].tolist() == [1.0, 0.75, 2.25, 0.0]
    trails.reshape([{0: 1.0, 3: 1.0}, {1: 1.0, 2: 1.0}])
    assert trails.sums[1, :, 0].tolist() == [1.0, 3.0]


# --- the state


def test_trails_are_loaded_as_they_were():
    trails, fresh = make_trails(half_life_s=50.0), make_trails(half_life_s=50.0)
    for at, edge in ((3.0, A), (8.0, Edge(1, "a", "b"))):
        trails.deposit(edge, ONE, 0.3, at=at)
    fresh.load(trails.arrays(), trails.meta())
    for one in (trails, fresh):
        one.deposit(Edge(1, "a", "b"), ONE, 1.0, at=20.0)
    assert fresh.sums.tolist() == trails.sums.tolist()
    assert (fresh.edges, fresh.at) == (trails.edges, trails.at)


def test_trails_loaded_before_anything_was_deposited_still_have_no_time():
    trails = make_trails()
    trails.load(make_trails().arrays(), make_trails().meta())
    assert trails.at is None


@pytest.mark.parametrize(
    "edges", [None, [], [[0, "", "a"], [0, "", "b"]], [["0", "", "a"]], [[0, "a"]], ["a"], [[0, None, "a"]]]
)
def test_edges_that_are_none_or_do_not_fit_the_sums_are_refused(edges):
    trails = make_trails()
    trails.deposit(A, ONE, 1.0, at=0.0)
    with pytest.raises(ConfigError, match=r"do not fit|is no edge"):
        make_trails().load(trails.arrays(), {"edges": edges})


# --- reading


def test_a_trail_is_the_mean_on_the_type_smoothed_by_the_mean_over_all_and_that_by_the_guess():
    view = TrailView.of(np.array([[6.0], [1.0]]), np.array([[8.0], [2.0]]), np.array([[7.0], [10.0]]), SMOOTHING)
    mean = (7.0 + 2.0 * 0.3) / (10.0 + 2.0)
    first, second = (6.0 + 4.0 * mean) / 12.0, (1.0 + 4.0 * mean) / 6.0
    guess = np.array([0.3])
    assert view.fused(np.array([1.0, 0.0]), guess) == pytest.approx([first])
    assert view.fused(np.array([0.25, 0.75]), guess) == pytest.approx([0.25 * first + 0.75 * second])


def test_a_trail_without_evidence_is_the_guess_within_the_bounds():
    view = TrailView.of(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros((2, 3)), SMOOTHING)
    assert view.fused(ONE, np.array([0.05, 0.5, 0.95])) == pytest.approx([0.1, 0.5, 0.9])


def test_no_evidence_takes_a_trail_past_its_bounds():
    good, evidence = np.array([[1e6, 0.0]]), np.array([[1e6, 1e6]])
    view = TrailView.of(good, evidence, np.stack([good[0], evidence[0]]), SMOOTHING)
    assert view.fused(ONE, np.full(2, 0.5)).tolist() == [0.9, 0.1]


def learned(*lessons):
    """Return trails and a ledger after outcomes (edge, version, quality), all certain and at one time."""
    trails, ledger = make_trails(), Ledger()
    for place, (edge, version, quality) in enumerate(lessons, start=1):
        experience = sample_experience(place, sample_pool())
        ledger.learn(experience.model_copy(update={"agent_id": edge.agent_id, "agent_version": version}))
        trails.deposit(edge, ONE, quality, at=0.0)
    return trails, ledger


def seen(trails, ledger, pool, *, stage=0, previous=SOURCE):
    return view_of(trails, ledger, pool, stage=stage, previous=previous, smoothing=SMOOTHING)


def test_trails_are_lined_up_with_the_agents_of_a_pool():
    pool = replace(sample_pool(3), ids=("c", "b", "a"))
    view = seen(*learned((A, 1, 1.0), (B, 1, 0.5), (A, 1, 0.0)), pool)
    assert view.evidence.tolist() == [[0.0, 1.0, 2.0]]
    assert view.total.tolist() == [0.0, 1.0, 2.0]


def test_what_was_learned_of_an_older_version_of_an_agent_is_not_read():
    pool = replace(sample_pool(2), ids=("a", "b"), versions=np.array([2, 1]))
    view = seen(*learned((A, 1, 1.0), (B, 1, 1.0)), pool)
    assert view.evidence.tolist() == [[0.0, 1.0]]
    assert view.total.tolist() == [0.0, 1.0]


def test_an_agents_outcomes_behind_another_agent_smooth_its_trail_but_are_no_evidence_on_it():
    pool = replace(sample_pool(2), ids=("a", "b"))
    behind_a, behind_b = Edge(1, "a", "b"), Edge(1, "b", "b")
    view = seen(*learned((behind_a, 1, 1.0), (behind_b, 1, 1.0), (A, 1, 0.0)), pool, stage=1, previous="a")
    assert view.evidence.tolist() == [[0.0, 1.0]]
    assert view.total.tolist() == [0.0, 2.0]


# --- the map


def make_map(trail, evidence):
    share, edges = np.array([0.5, 0.5]), (A, B)
    return TrailMap(("x", "y"), edges, np.array(trail), np.array(evidence), share, low=0.1, high=0.9, at=0.0)


def test_the_strongest_trails_come_first_and_those_without_evidence_not_at_all():
    found = make_map([[0.4, 0.9], [0.8, 0.6]], [[1.0, 0.0], [2.0, 3.0]]).strongest(5)
    assert found == [("y", A, 0.8, 2.0), ("y", B, 0.6, 3.0), ("x", A, 0.4, 1.0)]


def test_no_more_trails_are_named_than_asked_for():
    assert make_map([[0.4, 0.9], [0.8, 0.6]], [[1.0, 1.0], [1.0, 1.0]]).strongest(1) == [("x", B, 0.9, 1.0)]
