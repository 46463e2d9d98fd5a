"""Agents that enter late; a quick router with a seed stands for the trained one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agentmesh.bench.entering import first_outcomes, others_only
from agentmesh.bench.leave_one_out import leave_one_out
from agentmesh.bench.leave_one_out_rows import LeaveOneOutReport
from agentmesh.bench.material import Material, prepare
from agentmesh.bench.study import Study, StudyPlan, study_of
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError
from agentmesh.packing import unpack_vector
from agentmesh.recorded import load_set

WORDS = HashingEmbedder(dimension=64)
METHODS = {"category", "pilot", "kernel", "retrained", "without it", "cosine"}


def study(folder: Path) -> Study:
    return study_of(folder, StudyPlan(router="category", arguments={"clusters": 4}, seeds=(0,)), WORDS)


@pytest.fixture
def material(outcome_set: Path) -> Material:
    return prepare(load_set(outcome_set), WORDS)


@pytest.fixture(scope="module")
def report(kept_outcome_set: Path) -> LeaveOneOutReport:
    return leave_one_out(study(kept_outcome_set), (0, 10))


def test_every_way_to_decide_has_a_row_for_each_count_and_each_agent_one(report: LeaveOneOutReport) -> None:
    assert {(row.count, row.method) for row in report.rows} == {(k, method) for k in (0, 10) for method in METHODS}
    assert {(row.agent, row.count) for row in report.agents} == {
        (agent, k) for agent in ("a-cheap", "b-dear", "c-weak") for k in (0, 10)
    }
    assert all(set(row.quality) == set(row.share) == METHODS for row in report.agents)


def test_a_row_is_the_mean_over_agents(report: LeaveOneOutReport) -> None:
    for row in report.rows:
        each = [agent.quality[row.method] for agent in report.agents if agent.count == row.count]
        assert row.quality == pytest.approx(np.mean(each))
        assert row.quality_ci[0] <= row.quality + 1e-6
        assert row.quality_ci[1] >= row.quality - 1e-6
        assert (row.lead_ci is None) == (row.method == "category")


def test_nobody_chooses_an_agent_that_is_not_there(report: LeaveOneOutReport) -> None:
    assert all(row.share["without it"] == 0.0 for row in report.agents)


def test_what_needs_no_outcome_of_the_agent_is_the_same_for_every_count(report: LeaveOneOutReport) -> None:
    for method in ("retrained", "without it", "cosine"):
        few, many = ([row.quality[method] for row in report.agents if row.count == k] for k in (0, 10))
        assert few == many


def test_it_says_what_was_opened_and_that_curiosity_is_off(report: LeaveOneOutReport) -> None:
    assert report.notes[0].startswith("Opened: val (30 tasks)")
    assert report.arguments == {"curiosity": 0.0, "clusters": 4}
    assert "'curiosity': 0.0" in report.notes[-1]


def test_the_others_table_holds_nothing_of_the_agent(material: Material) -> None:
    whole = material.train.outcomes(material.pool)
    others = others_only(whole, 1)
    assert others.agent_ids == ("a-cheap", "c-weak")
    assert others.pool is not None
    assert others.pool.ids == others.agent_ids
    assert np.array_equal(others.quality, whole.quality[:, [0, 2]])
    assert others_only(material.train.outcomes(), 0).pool is None


def test_first_outcomes_are_of_train_and_grow_from_the_same_beginning(material: Material) -> None:
    few, many = (list(first_outcomes(material, 1, count, seed=0)) for count in (3, 8))
    assert many[:3] == few
    assert [one.sequence for one in many] == list(range(1, 9))
    texts = {feature.text: row for row, feature in enumerate(material.train.features)}
    for one in many:
        row = texts[one.text]
        assert one.agent_id == "b-dear"
        assert one.quality == material.train.quality[row, 1]
        assert np.array_equal(unpack_vector(one.vector), material.train.vectors[row])
    assert list(first_outcomes(material, 1, 8, seed=1)) != many


def test_an_outcome_that_was_not_observed_is_not_told_and_an_unknown_cost_is_none(material: Material) -> None:
    material.train.quality[5:, 0] = np.nan
    material.train.cost[:, 0] = np.nan
    told = list(first_outcomes(material, 0, 20, seed=0))
    assert len(told) == 5
    assert all(one.cost_usd is None for one in told)


def test_a_set_of_labels_is_refused(label_set: Path) -> None:
    with pytest.raises(ConfigError, match="'two-labels' is a set of labels"):
        leave_one_out(study(label_set), (0,))


def test_a_set_of_one_agent_is_refused(outcome_set: Path) -> None:
    whole = study(outcome_set)
    pool = whole.material.pool.taken([0], registry_version="one")
    alone = replace(whole, material=replace(whole.material, pool=pool))
    with pytest.raises(ConfigError, match="'two-topics' has 1 agent; leaving one out needs two or more"):
        leave_one_out(alone, (0,))


@pytest.mark.parametrize("counts", [(), (0, -1)])
def test_counts_out_of_range_are_refused(outcome_set: Path, counts: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="counts of outcomes are"):
        leave_one_out(study(outcome_set), counts)
