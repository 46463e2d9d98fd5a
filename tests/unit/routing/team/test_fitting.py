from collections.abc import Callable

import numpy as np

from agentmesh.routing.team.fitting import TeamFit, chosen_members, likely_teams, usual_price
from agentmesh.routing.team.plan import walk
from agentmesh.routing.team.table import TeamTable

TEAM = (0, 1, 2)


def test_the_more_a_dollar_must_bring_the_less_is_spent(known: TeamTable, fresh: TeamTable) -> None:
    fit = TeamFit(known.columns(TEAM))
    usual = usual_price(known)
    costs = [walk(fit.plan(share * usual), fresh.columns(TEAM)).cost.mean() for share in (0.0, 1.0, 4.0, 100.0)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.1 * costs[0]


def test_somebody_is_asked_however_dear_it_is(known: TeamTable, fresh: TeamTable) -> None:
    walked = walk(TeamFit(known.columns(TEAM)).plan(1e9), fresh.columns(TEAM))
    assert (walked.asked.sum(axis=1) == 1).all()


def test_a_team_that_must_begin_with_an_agent_does(known: TeamTable, fresh: TeamTable) -> None:
    walked = walk(TeamFit(known.columns(TEAM), first=1).plan(usual_price(known)), fresh.columns(TEAM))
    assert (walked.first == 1).all()
    assert walked.asked[:, 1].all()


def test_the_members_are_the_best_agent_and_those_that_help_it(known: TeamTable) -> None:
    members = chosen_members(known)
    assert 2 in members
    assert 3 not in members
    assert set(members) & {0, 1}


def test_teams_are_ranked_and_hold_the_best_agent_each(known: TeamTable) -> None:
    teams = likely_teams(known, most=2)
    assert len(teams) == 4
    assert all(2 in team for team in teams)
    assert teams[0] == chosen_members(known, most=2)


def test_no_more_members_are_taken_than_are_asked_for(known: TeamTable) -> None:
    assert chosen_members(known, most=1) == (2,)
    assert len(chosen_members(known, most=2)) == 2


def test_nobody_joins_who_is_not_worth_the_price(make: Callable[..., TeamTable]) -> None:
    table = make(400).columns((2, 3))
    assert chosen_members(table, usd_price=usual_price(table)) == (0,)


def test_the_same_table_gives_the_same_plan(known: TeamTable) -> None:
    first, second = (TeamFit(known.columns(TEAM)).plan(10.0) for _ in range(2))
    assert first == second


def test_where_the_best_agent_is_free_a_dollar_need_bring_nothing(make: Callable[..., TeamTable]) -> None:
    table = make(20)
    table.cost[:] = 0.0
    assert usual_price(table) == 0.0
    assert np.isfinite(walk(TeamFit(table.columns(TEAM)).plan(0.0), table.columns(TEAM)).quality).all()
