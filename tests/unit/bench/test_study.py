"""What a study may choose on, and what it opens."""

from dataclasses import replace
from pathlib import Path

import pytest

from agentmesh.bench.folding import drawn, inner
from agentmesh.bench.material import Material, prepare
from agentmesh.bench.study import StudyPlan, study_of, whole_study
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError
from agentmesh.recorded import load_set

WORDS = HashingEmbedder(dimension=64)


def ids(material: Material) -> tuple[list[str], list[str]]:
    train, val = (sorted(task.id for task in part.rows.tasks) for part in (material.train, material.val))
    return train, val


def test_to_score_val_a_tenth_of_train_stands_in_for_it(outcome_set: Path) -> None:
    material = study_of(outcome_set, StudyPlan(split="val"), WORDS).material
    train, val = ids(material)
    assert (len(train), len(val)) == (54, 6)
    whole = ids(prepare(load_set(outcome_set), WORDS))
    assert sorted(train + val) == whole[0]
    assert not set(train + val) & set(whole[1])


def test_to_score_test_train_and_val_are_as_they_are(outcome_set: Path) -> None:
    material = study_of(outcome_set, StudyPlan(split="test"), WORDS).material
    assert ids(material) == ids(prepare(load_set(outcome_set), WORDS))
    assert ids(whole_study(outcome_set, StudyPlan(), WORDS).material) == ids(material)


def test_the_inner_tenth_is_the_same_each_time_and_a_task_at_least(outcome_set: Path) -> None:
    material = prepare(load_set(outcome_set), WORDS)
    assert ids(inner(material)) == ids(inner(material))
    few = replace(material, train=drawn(material.train, 3))
    assert [len(part) for part in ids(inner(few))] == [2, 1]


def test_the_split_is_opened_cut_and_named(outcome_set: Path) -> None:
    said: list[str] = []
    study = study_of(outcome_set, StudyPlan(split="test", limit=7), WORDS, say=said.append)
    assert said == ["reading two-topics"]
    part = study.opened()
    assert said[-1] == "opening the outcomes of test"
    assert part.rows.split == "test"
    assert len(part) == len(study.material.train) == 7
    assert study.notes(part)[0] == "Opened: test (7 tasks), after everything was chosen."
    assert "val chose nothing" in study_of(outcome_set, StudyPlan(), WORDS).notes(part)[0]


def test_drawing_no_fewer_than_there_are_changes_nothing(outcome_set: Path) -> None:
    train = prepare(load_set(outcome_set), WORDS).train
    assert drawn(train, None) is train
    assert drawn(train, 1_000) is train


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("split", "train", "split is 'train'; accepted: 'test', 'val'"),
        ("seeds", (), "seeds are"),
        ("seeds", (1, 1), "seeds are"),
        ("processes", 0, "processes are 0; accepted: 1 or more"),
    ],
)
def test_a_plan_out_of_range_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StudyPlan(**{field: value})  # type: ignore[arg-type]
