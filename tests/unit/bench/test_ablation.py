"""Variants on the same folds; a quick router with a seed stands for the trained one."""

from pathlib import Path

import numpy as np
import pytest

from agentmesh.bench.ablation import ABLATIONS, DEFAULT, ablate, log_loss
from agentmesh.bench.study import Study, StudyPlan, whole_study
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError
from agentmesh.routing.gnn.router import GnnRouter

VARIANTS = {DEFAULT: {}, "hard": {"mixture": "hard"}, "again": {"mixture": "soft"}}


def study(folder: Path) -> Study:
    return whole_study(folder, StudyPlan(router="category", seeds=(0, 1)), HashingEmbedder(dimension=64))


def test_each_variant_is_held_against_the_default(outcome_set: Path) -> None:
    report = ablate(study(outcome_set), VARIANTS, most_folds=2)
    default, hard, again = report.rows
    assert [row.variant for row in report.rows] == list(VARIANTS)
    assert default.quality_diff_ci is default.loss_diff_ci is None
    assert hard.quality_diff_ci is not None
    assert (again.quality_diff_ci, again.loss_diff_ci) == ((0.0, 0.0), (0.0, 0.0))
    assert again.loss == pytest.approx(default.loss)
    assert default.quality_ci[0] <= default.quality <= default.quality_ci[1]


def test_no_split_is_opened_and_the_report_says_so(outcome_set: Path) -> None:
    report = ablate(study(outcome_set), {DEFAULT: {}})
    assert report.notes[0].startswith("Opened: no split; 90 held out tasks of 5 folds of train and val, seeds 0, 1.")


def test_labels_are_measured_too(label_set: Path) -> None:
    (row,) = ablate(study(label_set), {DEFAULT: {}}, most_folds=1).rows
    assert 0.0 < row.quality < 1.0  # a third of the tasks is out of scope
    assert row.loss > 0.0


def test_without_a_fold_it_is_refused(outcome_set: Path) -> None:
    with pytest.raises(ConfigError, match="folds are 0; accepted: 1 to 5"):
        ablate(study(outcome_set), most_folds=0)


def test_every_variant_is_a_router_that_can_be_built_and_differs_from_the_default() -> None:
    built = {name: GnnRouter(**arguments).parameters for name, arguments in ABLATIONS.items()}  # type: ignore[arg-type]
    assert built.pop(DEFAULT) not in built.values()


def test_an_outcome_that_was_not_observed_does_not_count() -> None:
    loss = log_loss(np.array([[0.5, 0.9], [0.5, 0.5]]), np.array([[1.0, np.nan], [1.0, 1.0]]))
    assert loss == pytest.approx([np.log(2), np.log(2)])


def test_certainty_that_was_wrong_costs_much_and_not_without_end() -> None:
    assert log_loss(np.array([[0.0, 0.0]]), np.array([[1.0, 1.0]]))[0] == pytest.approx(-np.log(1e-6))
