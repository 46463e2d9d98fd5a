from dataclasses import replace

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.team.fitting import TeamFit, usual_price
from agentmesh.routing.team.plan import TeamPlan, next_move, walk
from agentmesh.routing.team.table import TeamTable

TEAM = (0, 1, 2)


@pytest.fixture(scope="module")
def plan(known: TeamTable) -> TeamPlan:
    return TeamFit(known.columns(TEAM)).plan(usual_price(known))


def test_a_team_is_as_good_as_its_best_agent_for_less_than_its_price(plan: TeamPlan, fresh: TeamTable) -> None:
    walked = walk(plan, fresh.columns(TEAM))
    assert walked.quality.mean() > fresh.quality[:, 2].mean() - 0.02
    assert walked.cost.mean() < 0.75 * fresh.cost[:, 2].mean()


def test_the_dear_agent_is_asked_more_often_where_the_cheap_ones_differ(plan: TeamPlan, fresh: TeamTable) -> None:
    asked = walk(plan, fresh.columns(TEAM)).asked
    both = asked[:, 0] & asked[:, 1]
    agree = fresh.keys[:, 0] == fresh.keys[:, 1]
    assert asked[both & ~agree, 2].mean() > 0.9 > 0.3 > asked[both & agree, 2].mean()


def test_step_by_step_it_goes_the_way_that_it_goes_on_a_whole_table(plan: TeamPlan, fresh: TeamTable) -> None:
    team = fresh.columns(TEAM)
    walked = walk(plan, team)
    for row in range(60):
        asked: list[int] = []
        task = team.rows(np.array([row]))
        while (move := next_move(plan, task, asked)).agent is not None:
            asked.append(plan.agents.index(move.agent))
        assert sorted(asked) == np.flatnonzero(walked.asked[row]).tolist()
        assert asked[0] == walked.first[row]


def test_what_was_not_asked_has_no_say(plan: TeamPlan, fresh: TeamTable) -> None:
    task = fresh.columns(TEAM).rows(np.array([3]))
    unknown = replace(
        task,
        quality=np.full((1, 3), np.nan),
        cost=np.array([[task.cost[0, 0], np.nan, np.nan]]),
        keys=np.array([[task.keys[0, 0], -1, -1]]),
    )
    assert next_move(plan, unknown, [0]) == next_move(plan, task, [0])
    assert next_move(plan, unknown, []).agreement == 0.0


def test_an_agent_that_may_not_be_asked_is_passed_over(plan: TeamPlan, fresh: TeamTable) -> None:
    task = fresh.columns(TEAM).rows(np.array([0]))
    usual = next_move(plan, task, []).agent
    assert usual is not None
    allowed = np.array([name != usual for name in plan.agents])
    assert next_move(plan, task, [], allowed=allowed).agent not in (usual, None)
    assert next_move(plan, task, [], allowed=np.zeros(3, np.bool_)).agent is None


def test_when_all_were_asked_it_stops(plan: TeamPlan, fresh: TeamTable) -> None:
    move = next_move(plan, fresh.columns(TEAM).rows(np.array([0])), [2, 0, 1])
    assert move.agent is None
    assert 0.0 < move.agreement <= 1.0


def test_prices_and_costs_that_are_not_known_are_no_obstacle(plan: TeamPlan, fresh: TeamTable) -> None:
    task = fresh.columns(TEAM).rows(np.array([0]))
    free = replace(task, cost=np.full((1, 3), np.nan), price=np.full((1, 3), np.nan))
    assert np.isfinite(next_move(plan, free, []).gain)
    assert np.isfinite(next_move(plan, free, [1]).gain)


def test_a_plan_is_the_same_after_it_was_written_as_json(plan: TeamPlan, fresh: TeamTable) -> None:
    again = TeamPlan.model_validate_json(plan.model_dump_json())
    assert again == plan
    assert walk(again, fresh.columns(TEAM)).quality.tolist() == walk(plan, fresh.columns(TEAM)).quality.tolist()


def test_a_set_of_agents_that_no_plan_knows_is_refused(plan: TeamPlan) -> None:
    with pytest.raises(ConfigError, match=r"a plan of 3 agents has no state \(1, 7\)"):
        plan.state((7, 1))
