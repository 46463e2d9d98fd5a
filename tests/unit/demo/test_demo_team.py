import numpy as np
import pytest

from agentmesh.demo.baselines import table_baselines
from agentmesh.demo.team import Team, load_team
from agentmesh.records import Task


@pytest.fixture(scope="module")
def team() -> Team:
    return load_team()


def test_the_package_ships_700_questions_and_12_agents(team: Team) -> None:
    assert len(team.tasks) == 700
    assert len(team.agents) == 12
    assert team.quality.shape == team.cost.shape == (700, 12)
    assert np.isfinite(team.quality).all()


async def test_an_agent_gives_its_recorded_answer_with_its_recorded_usage_and_cost(team: Team) -> None:
    question = team.tasks[0]
    for column, agent in enumerate(team.agents):
        answer = await agent.run(Task(id=question.id, text=question.text))
        assert answer.text
        assert answer.usage is not None
        assert answer.usage.input_tokens > 0
        assert float(answer.cost_usd or -1) == team.cost[0, column]


def test_questions_carry_nothing_that_tells_the_answer(team: Team) -> None:
    assert not {"gold", "group", "labels"} & set(type(team.tasks[0]).__slots__)


def test_fewer_questions_are_the_first_ones(team: Team) -> None:
    assert load_team(7).tasks == team.tasks[:7]


def test_the_table_baselines_agree_with_the_recorded_means(team: Team) -> None:
    base = table_baselines(team)
    assert base.best_single.quality == pytest.approx(team.quality.mean(axis=0).max())
    assert base.cheapest.cost_usd_per_1k == pytest.approx(1000 * team.cost.mean(axis=0).min())
    assert base.oracle.quality == pytest.approx(team.quality.max(axis=1).mean())
    assert base.oracle.cost_usd_per_1k < base.best_single.cost_usd_per_1k
    assert base.random.quality == pytest.approx(team.quality.mean())
    assert (base.best_single_id, base.cheapest_id) == ("gemini-1.5-pro-002", "Phi-3-mini-4k-instruct")
