import asyncio
import os
from pathlib import Path

import pytest

from agentmesh.demo.records import DemoResult, Progress
from agentmesh.demo.run import fresh_store_url, run_demo
from agentmesh.demo.stream import GOLD
from agentmesh.demo.team import load_team
from agentmesh.errors import ConfigError
from agentmesh.events import FeedbackGiven
from agentmesh.store import open_store

LIMIT = 12


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoResult, list[Progress]]:
    told: list[Progress] = []
    url = fresh_store_url(tmp_path_factory.mktemp("demo"))
    return asyncio.run(run_demo(url, limit=LIMIT, progress=told.append)), told


@pytest.fixture
def result(finished: tuple[DemoResult, list[Progress]]) -> DemoResult:
    return finished[0]


def test_every_question_is_a_run_in_the_named_database(result: DemoResult) -> None:
    assert result.tasks == LIMIT
    with open_store(result.db) as store:
        assert store.count_runs() == LIMIT
        assert store.last_experience() == LIMIT
        assert store.check() == []


def test_the_json_has_the_keys_that_the_plan_lays_down(result: DemoResult) -> None:
    shape = result.model_dump(mode="json")
    assert list(shape) == ["tasks", "quality", "cost_usd_per_1k", "share_of_best_single_cost", "baselines", "db"]
    assert list(shape["baselines"]) == ["random", "cheapest", "best_single", "knn", "pheromone", "gnn", "oracle"]
    assert all(list(figure) == ["quality", "cost_usd_per_1k"] for figure in shape["baselines"].values())


def test_figures_are_those_of_the_answers_that_were_paid_for(result: DemoResult) -> None:
    team = load_team(LIMIT)
    quality, cost = 0.0, 0.0
    with open_store(result.db) as store:
        for row, summary in enumerate(reversed(store.runs(limit=LIMIT))):
            run = store.run(summary.id)
            column = [agent.id for agent in team.agents].index(run.answered_by[0])
            assert run.task.id == team.tasks[row].id
            assert len(run.calls) == 1
            quality += team.quality[row, column] / LIMIT
            cost += 1000 * team.cost[row, column] / LIMIT
    assert result.quality == pytest.approx(quality)
    assert result.cost_usd_per_1k == pytest.approx(cost)
    best = result.baselines.best_single.cost_usd_per_1k
    assert result.share_of_best_single_cost == pytest.approx(cost / best)


def test_the_router_is_shown_one_outcome_a_question_and_no_gold(result: DemoResult) -> None:
    team = load_team(LIMIT)
    with open_store(result.db) as store:
        experiences = store.experiences()
        assert [(one.run_id, one.source) for one in experiences] == [
            (f"demo-{n:04d}", GOLD) for n in range(1, LIMIT + 1)
        ]
        for row, one in enumerate(experiences):
            assert one.quality == team.quality_of(row, one.agent_id)
        events = store.events("demo-0001")
    assert sum(isinstance(event, FeedbackGiven) for event in events) == 1


async def test_the_same_questions_give_the_same_decisions(result: DemoResult, tmp_path: Path) -> None:
    again = await run_demo(fresh_store_url(tmp_path), limit=LIMIT)
    with open_store(result.db) as first, open_store(again.db) as second:
        for run_id in (summary.id for summary in first.runs(limit=LIMIT)):
            one, other = first.run(run_id), second.run(run_id)
            assert (one.answered_by, one.answer, one.cost_usd) == (other.answered_by, other.answer, other.cost_usd)
    assert again.model_dump(exclude={"db"}) == result.model_dump(exclude={"db"})


def test_progress_is_told_after_every_question_of_the_router_alone(
    finished: tuple[DemoResult, list[Progress]],
) -> None:
    result, told = finished
    assert [(one.done, one.total) for one in told] == [(n, LIMIT) for n in range(1, LIMIT + 1)]
    assert told[-1].quality == result.quality


def test_decisions_are_explained_in_words(result: DemoResult) -> None:
    assert result.explained[0].title.startswith("The first decision")
    assert result.explained[0].words.startswith("Chosen by router cascade")
    assert len({explained.run_id for explained in result.explained}) == len(result.explained)


async def test_a_store_with_runs_is_refused_and_left_alone(result: DemoResult) -> None:
    with pytest.raises(ConfigError, match=f"holds {LIMIT} runs"):
        await run_demo(result.db, limit=2)
    with open_store(result.db) as store:
        assert store.count_runs() == LIMIT


async def test_less_than_one_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="limit is 0; give 1 or more"):
        await run_demo(fresh_store_url(tmp_path), limit=0)
    assert os.listdir(tmp_path) == []


def test_a_fresh_name_is_one_that_is_not_taken(tmp_path: Path) -> None:
    assert fresh_store_url(tmp_path) == f"sqlite:///{tmp_path / 'agentmesh-demo.db'}"
    for name in ("agentmesh-demo.db", "agentmesh-demo-2.db"):
        (tmp_path / name).touch()
    assert fresh_store_url(tmp_path) == f"sqlite:///{tmp_path / 'agentmesh-demo-3.db'}"
