"""A team without a plan, followed on a table, and its stops."""

import numpy as np
import pytest

from agentmesh.graphs.team import Team, next_wave
from agentmesh.packing import pack_floats
from agentmesh.records import AgentCall, Answer, CallStatus, Candidate, RouteDecision, Selection
from agentmesh.routing.team.stopping import STOPS, climb, stop_points
from agentmesh.routing.team.table import NO_ANSWER, TeamTable


def decided(table: TeamTable, row: int, most: int) -> RouteDecision:
    best = np.argsort(-table.expected[row], kind="stable")[:most]
    return RouteDecision(
        router="rated",
        router_version="a@0",
        registry_version="r",
        seed=0,
        selected=tuple(Selection(agent_id=table.agent_ids[place], weight=1.0) for place in best),
        candidates=tuple(
            Candidate(
                agent_id=name,
                score=0.0,
                probability=0.0,
                inclusion=0.0,
                expected_quality=table.expected[row, place],
                expected_cost_usd=None if np.isnan(table.price[row, place]) else table.price[row, place],
            )
            for place, name in enumerate(table.agent_ids)
        ),
        scores=pack_floats(np.zeros(0)),
        probabilities=pack_floats(np.zeros(0)),
    )


def run(team: Team, table: TeamTable, row: int) -> list[str]:
    """Ask as a mesh does, and return who was asked."""
    decision, calls = decided(table, row, team.most), list[AgentCall]()
    while True:
        numbers = {name: int(key) for name, key in zip(table.agent_ids, table.keys[row], strict=True)}
        groups = {call.agent_id: numbers[call.agent_id] for call in calls if numbers[call.agent_id] != NO_ANSWER}
        wave = next_wave(team, decision, calls, groups)
        if not wave.agents:
            return [call.agent_id for call in calls]
        calls += [AgentCall(agent_id=name, status=CallStatus.OK, answer=Answer(text="-")) for name in wave.agents]


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("stop", [0.0, 0.8, 0.95, 1.0])
def test_a_table_is_followed_as_a_mesh_asks(known: TeamTable, stop: float, first: int) -> None:
    table = known.rows(np.arange(60))
    price, keys = table.price.copy(), table.keys.copy()
    price[::3, 2] = np.nan
    keys[::7, 1] = NO_ANSWER
    table = TeamTable(table.agent_ids, table.quality, table.cost, table.expected, price, keys)
    _, cost = climb(table, most=3, first=first).at(stop)
    team = Team(most=3, first=first, stop=stop)
    for row in range(60):
        asked = [table.agent_ids.index(name) for name in run(team, table, row)]
        assert cost[row] == pytest.approx(table.cost[row, asked].sum())


def test_the_answer_with_the_most_weight_is_the_one_that_counts() -> None:
    half = np.full((1, 3), 0.5)
    table = TeamTable(
        ("a", "b", "c"), np.array([[0.0, 1.0, 0.8]]), half, np.array([[0.7, 0.6, 0.6]]), half, np.array([[0, 1, 1]])
    )
    quality, cost = climb(table, most=3).at(1.0)
    assert (quality.tolist(), cost.tolist()) == ([0.9], [1.5])


def test_where_nobody_answered_nothing_is_worth_anything() -> None:
    half = np.full((1, 2), 0.5)
    followed = climb(TeamTable(("a", "b"), half, half, half, half, np.full((1, 2), NO_ANSWER)), most=2)
    assert followed.agreement.tolist() == [[0.0, 0.0]]
    assert followed.at(0.9)[0].tolist() == [0.0]


def test_a_higher_stop_costs_more(known: TeamTable) -> None:
    points = stop_points(known, most=3)
    costs = [[point.cost_usd for point in points if point.first == first] for first in (1, 2)]
    assert costs == [sorted(one) for one in costs]
    assert costs[0][0] < costs[1][0] < costs[0][-1] == pytest.approx(costs[1][-1])
    assert len(points) == 2 * len(STOPS)
