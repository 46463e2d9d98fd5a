from dataclasses import replace

import numpy as np
import pytest

from agentmesh.routing.team.table import TeamTable
from agentmesh.routing.team.verdict import fit_weights, judge, worth


def one(keys: list[int], expected: tuple[float, ...] = (0.7, 0.7, 0.8, 0.25)) -> TeamTable:
    """Return one task of a run, of which nothing but the answers is known."""
    unknown = np.full((1, 4), np.nan)
    return TeamTable(
        ("bob", "cheap", "dear", "guess"), unknown, unknown, np.array([expected]), unknown, np.array([keys])
    )


def chance(keys: list[int], asked: tuple[int, ...], known: TeamTable) -> float:
    return float(judge(one(keys), asked, fit_weights(known, asked)).chance[0])


def test_an_answer_is_surer_when_another_agent_agrees(known: TeamTable) -> None:
    assert chance([0, 0, 1, -1], (0, 1), known) > 0.9 > 0.6 > chance([0, 1, 1, -1], (0, 1), known)


def test_the_agent_that_was_right_more_often_leads_where_two_differ(known: TeamTable) -> None:
    assert judge(one([0, 0, 1, 2]), (2, 3), fit_weights(known, (2, 3))).lead.tolist() == [0]
    assert judge(one([0, 0, 1, 2]), (1, 2), fit_weights(known, (1, 2))).lead.tolist() == [1]


def test_two_that_agree_outvote_one_that_is_better_than_either_if_that_was_so_before(known: TeamTable) -> None:
    asked = (0, 1, 2)
    verdict = judge(one([0, 0, 1, -1]), asked, fit_weights(known, asked))
    agreed = (known.keys[:, 0] == known.keys[:, 1]) & (known.keys[:, 2] != known.keys[:, 0])
    assert (verdict.lead[0] == 0) == (known.quality[agreed, 0].mean() > known.quality[agreed, 2].mean())


def test_chances_are_as_often_right_as_they_say_on_tasks_that_were_not_learned(
    known: TeamTable, fresh: TeamTable
) -> None:
    asked = (0, 1, 3)
    verdict = judge(fresh, asked, fit_weights(known, asked))
    right = worth(fresh, asked, verdict.lead)
    sure = verdict.chance > np.median(verdict.chance)
    assert right[sure].mean() == pytest.approx(verdict.chance[sure].mean(), abs=0.04)
    assert right[~sure].mean() == pytest.approx(verdict.chance[~sure].mean(), abs=0.04)
    assert verdict.nobody.mean() == pytest.approx((fresh.quality[:, asked].max(axis=1) == 0).mean(), abs=0.04)


def test_one_that_copies_another_makes_its_answer_hardly_surer(known: TeamTable) -> None:
    copied = replace(known, keys=known.keys[:, [1, 1, 2, 3]], quality=known.quality[:, [1, 1, 2, 3]])
    keys, alone, both = [0, 0, 1, 2], (1, 3), (0, 1, 3)
    gained = chance(keys, both, known) - chance(keys, alone, known)
    assert chance(keys, both, copied) - chance(keys, alone, copied) < gained / 3


def test_the_chances_of_all_groups_and_of_nobody_sum_to_one(known: TeamTable, fresh: TeamTable) -> None:
    verdict = judge(fresh, (0, 2), fit_weights(known, (0, 2)))
    assert verdict.chance + verdict.second + verdict.nobody == pytest.approx(np.ones(len(fresh)))


def test_where_nobody_answered_nobody_leads_and_nothing_is_won(known: TeamTable) -> None:
    weights = fit_weights(known, (0, 1))
    table = replace(one([-1, -1, -1, -1]), quality=np.zeros((1, 4)))
    verdict = judge(table, (0, 1), weights)
    assert (verdict.lead.tolist(), verdict.chance.tolist(), verdict.nobody.tolist()) == ([-1], [0.0], [1.0])
    assert worth(table, (0, 1), verdict.lead).tolist() == [0.0]


def test_a_missing_answer_speaks_for_no_group(known: TeamTable) -> None:
    verdict = judge(one([-1, 0, -1, -1]), (0, 1), fit_weights(known, (0, 1)))
    assert verdict.lead.tolist() == [1]
    assert verdict.second.tolist() == [0.0]


def test_a_group_is_worth_the_mean_of_its_answers(known: TeamTable) -> None:
    table = replace(one([0, 0, 1, -1]), quality=np.array([[0.5, 1.0, 0.0, 0.0]]))
    assert worth(table, (0, 1, 2), np.array([0])).tolist() == [0.75]


def test_answers_that_were_all_right_leave_the_weights_finite(known: TeamTable) -> None:
    perfect = replace(known, quality=np.ones_like(known.quality), keys=np.zeros_like(known.keys))
    assert np.isfinite(fit_weights(perfect, (0, 1, 2))).all()
