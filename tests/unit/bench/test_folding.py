"""Folds: every task of train and val is held out once, and what is chosen on them is chosen on all of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agentmesh.bench.folding import FOLDS, chosen_rows, folds
from agentmesh.bench.material import Material, prepare
from agentmesh.bench.tuning import combinations, points, single_level
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.recorded import load_set
from agentmesh.routing.baseline import BestSingleRouter
from agentmesh.routing.neighbours import KnnRouter


@pytest.fixture
def material(outcome_set: Path) -> Material:
    return prepare(load_set(outcome_set), HashingEmbedder(dimension=256))


def test_every_task_of_train_and_val_is_held_out_once_and_fitted_on_otherwise(material: Material) -> None:
    parted = folds(material)
    everything = sorted(task.id for task in material.train.rows.tasks + material.val.rows.tasks)
    assert len(parted) == FOLDS
    assert sorted(task.id for fold in parted for task in fold.val.rows.tasks) == everything
    for fold in parted:
        assert sorted(task.id for task in fold.train.rows.tasks + fold.val.rows.tasks) == everything


def test_a_row_keeps_its_vector_text_group_and_outcomes(material: Material) -> None:
    whole = {task.id: row for row, task in enumerate(material.val.rows.tasks)}
    for fold in folds(material):
        for row, task in enumerate(fold.val.rows.tasks):
            if task.id in whole:
                place = whole[task.id]
                assert np.array_equal(fold.val.vectors[row], material.val.vectors[place])
                assert fold.val.features[row].text == material.val.features[place].text
                assert fold.val.rows.groups[row] == material.val.rows.groups[place]
                assert np.array_equal(fold.val.quality[row], material.val.quality[place])
                assert np.array_equal(fold.val.cost[row], material.val.cost[place])


def test_the_folds_are_the_same_each_time(material: Material) -> None:
    first, second = folds(material), folds(material)
    assert [fold.val.rows.tasks for fold in first] == [fold.val.rows.tasks for fold in second]


def test_a_handful_of_tasks_gives_as_many_folds(material: Material) -> None:
    small = replace(
        material,
        train=chosen_rows(material.train, np.array([0, 1])),
        val=chosen_rows(material.val, np.array([4])),
    )
    assert [(len(fold.train), len(fold.val)) for fold in folds(small)] == [(2, 1)] * 3


def test_points_are_means_over_all_held_out_tasks(material: Material) -> None:
    (found,) = points(BestSingleRouter, material, (0.0,))
    qualities = np.concatenate([fold.val.quality[:, 1] for fold in folds(material)])
    assert len(qualities) == 90
    assert found.quality == pytest.approx(qualities.mean()) == pytest.approx(single_level(material))
    assert found.cost == pytest.approx(0.01)


def test_every_combination_meets_every_cost_weight_with_the_same_tasks(material: Material) -> None:
    found = list(points(KnnRouter, material, (0.0, 4.0)))
    assert [(point.arguments["k"], point.cost_weight) for point in found] == [
        (arguments["k"], weight) for arguments in combinations(KnnRouter.tunables) for weight in (0.0, 4.0)
    ]
    assert found[0].quality > found[1].quality
    assert found[0].cost > found[1].cost
