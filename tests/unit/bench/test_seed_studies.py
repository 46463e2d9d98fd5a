"""A router over several seeds, on outcomes and on labels; a quick router with a seed stands for the trained one."""

from pathlib import Path

import pytest

from agentmesh.bench.run import bench
from agentmesh.bench.seed_labels import study_labels
from agentmesh.bench.seed_outcomes import study_outcomes
from agentmesh.bench.seed_records import LabelSeedReport, SeedReport
from agentmesh.bench.study import Study, StudyPlan, study_of
from agentmesh.bench.study_report import verdicts
from agentmesh.embed.hashing import HashingEmbedder

WORDS = HashingEmbedder(dimension=64)
SMALL = {"clusters": 4}


def study(folder: Path, **plan: object) -> Study:
    return study_of(
        folder,
        StudyPlan(router="category", arguments=SMALL, seeds=(0, 3), opponents=("knn",), **plan),  # type: ignore[arg-type]
        WORDS,
    )


@pytest.fixture(scope="module")
def outcomes(kept_outcome_set: Path) -> SeedReport:
    return study_outcomes(study(kept_outcome_set))


@pytest.fixture
def labels(label_set: Path) -> LabelSeedReport:
    return study_labels(study(label_set))


def test_rows_are_best_single_the_opponents_the_router_and_the_oracle(outcomes: SeedReport) -> None:
    assert [row.router for row in outcomes.rows] == ["best_single", "knn", "category", "oracle"]
    assert [row.seed for row in outcomes.seeds] == [0, 3]
    assert (outcomes.split, outcomes.router) == ("val", "category")


def test_the_router_is_the_mean_of_its_seeds(outcomes: SeedReport) -> None:
    own = next(row for row in outcomes.rows if row.router == "category")
    assert own.quality == pytest.approx(sum(row.quality for row in outcomes.seeds) / 2)
    assert own.quality_ci[0] <= own.quality <= own.quality_ci[1]
    assert own.lead_ci is None
    assert own.chosen["clusters"] == 4
    assert "cost_weight" in own.chosen


def test_leads_are_those_of_the_others_over_the_router(outcomes: SeedReport) -> None:
    rows = {row.router: row for row in outcomes.rows}
    single, own = rows["best_single"], rows["category"]
    assert single.lead_ci is not None
    assert own.vs_best_single_ci == pytest.approx((-single.lead_ci[1], -single.lead_ci[0]), abs=1e-6)
    assert single.vs_best_single_ci is None
    assert rows["oracle"].p50_ms is None


def test_best_singles_level_is_reached_for_a_share_of_its_cost(outcomes: SeedReport) -> None:
    own = next(row for row in outcomes.rows if row.router == "category")
    level = own.at_best_single
    assert level is not None
    assert level.cost_share is not None
    assert level.cost_share < 1.0
    assert level.quality == pytest.approx(sum(row.level_quality or 0.0 for row in outcomes.seeds) / 2)
    assert level.cost_share == pytest.approx(sum(row.level_cost_share or 0.0 for row in outcomes.seeds) / 2)


def test_beats_is_said_only_where_the_interval_lies_above_zero(outcomes: SeedReport) -> None:
    knn, single = verdicts(outcomes)
    assert knn.startswith("category does not beat kNN: the interval is")
    assert single.startswith("category beats best single: +")


def test_without_knn_nothing_is_said_of_it(outcome_set: Path) -> None:
    plan = StudyPlan(router="category", arguments=SMALL, seeds=(0,), opponents=())
    report = study_outcomes(study_of(outcome_set, plan, WORDS))
    assert [line.split(":")[0] for line in verdicts(report)] == ["category beats best single"]


def test_opponents_stand_as_the_bench_has_them_on_test(outcome_set: Path) -> None:
    measured = study_outcomes(study(outcome_set, split="test"))
    benched = {row.router: row for row in bench(outcome_set, routers=["knn"], embedder=WORDS).rows}
    for row in measured.rows:
        if row.router in ("best_single", "knn", "oracle"):
            assert row.quality == benched[row.router].quality  # type: ignore[union-attr]
    assert measured.notes[0].startswith("Opened: test (30 tasks)")


def test_labels_have_top1_with_abstaining_and_without(labels: LabelSeedReport) -> None:
    assert [row.router for row in labels.rows] == ["category", "knn"]
    own, knn = labels.rows
    assert own.top1 == pytest.approx(sum(row.top1 for row in labels.seeds) / 2)
    assert own.top1_closed == pytest.approx(sum(row.top1_closed for row in labels.seeds) / 2)
    assert own.top1 <= own.top1_closed
    assert own.closed_ci[0] <= own.top1_closed <= own.closed_ci[1]
    assert own.lead_ci is None
    assert knn.lead_ci is not None
    assert own.oos_recall is not None


def test_labels_that_all_fit_have_no_recall_out_of_scope(closed_label_set: Path) -> None:
    report = study_labels(study(closed_label_set))
    assert all(row.oos_recall is None for row in (*report.rows, *report.seeds))
    assert all(row.top1 == row.top1_closed for row in report.rows)


def test_opponents_on_labels_stand_as_the_bench_has_them_on_test(label_set: Path) -> None:
    measured = study_labels(study(label_set, split="test"))
    benched = {row.router: row for row in bench(label_set, routers=["knn"], embedder=WORDS).rows}
    assert measured.rows[1].top1 == benched["knn"].top1  # type: ignore[union-attr]
    assert measured.rows[1].top1_closed == benched["knn"].top1_closed  # type: ignore[union-attr]
