"""Teams that are fitted for a goal, on a set and on a log."""

from pathlib import Path

import numpy as np
import pytest

from agentmesh import Limits, Mesh, Task, Team, open_store
from agentmesh.bench.team_fit import FittedTeam, Goal, fit_team_on_log, fit_team_on_set
from agentmesh.bench.team_log import logged_answers
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, RecordedSetError, StoreError
from agentmesh.judging import CallableVerifier
from agentmesh.learning.settings import Learning
from agentmesh.recorded import AgentLine, OutcomeLine, SetInfo, TaskLine, write_set
from agentmesh.store import TraceStore
from agentmesh.testing.agents import CannedAgent

WORDS = HashingEmbedder()
PRICES = {"ann": "0.001", "bob": "0.001", "chief": "0.02"}
CHANCES = {"ann": 0.8, "bob": 0.8, "chief": 0.95}


def said(rng: np.random.Generator, name: str) -> str:
    return "(A)" if rng.random() < CHANCES[name] else str(rng.choice(["B", "C.", "(D)"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("sets") / "letters"
    agents = [AgentLine(id=name, description=name, price_per_call_usd=float(price)) for name, price in PRICES.items()]
    tasks = [TaskLine(id=f"t{n}", split=("train", "val", "test")[n % 3], text=f"task {n % 7}") for n in range(360)]
    outcomes = []
    for task in tasks:
        for name, price in PRICES.items():
            text = said(rng, name)
            right = float(text == "(A)")
            outcomes.append(OutcomeLine(task=task.id, agent=name, quality=right, cost_usd=float(price), answer=text))
    write_set(path, SetInfo(name="letters", kind="outcomes"), agents=agents, tasks=tasks, outcomes=outcomes)
    return path


@pytest.fixture(scope="module")
def fitted(folder: Path) -> FittedTeam:
    return fit_team_on_set(folder, WORDS, goal=Goal(quality=0.85), equivalence="auto")


def test_a_team_for_a_quality_is_cheaper_than_the_best_agent(fitted: FittedTeam) -> None:
    assert fitted.best_single == "chief"
    assert fitted.tasks == 240  # none of test
    assert fitted.planned.quality >= 0.85
    assert fitted.planned.cost_usd_per_1k < fitted.single.cost_usd_per_1k
    assert fitted.unplanned.quality >= 0.85
    assert (fitted.team.equivalence, fitted.team.plan is not None) == ("auto", True)
    assert {(one.first, one.stop) for one in fitted.curve} >= {(fitted.team.first, fitted.team.stop)}


def test_a_team_for_a_cost_keeps_to_it(folder: Path) -> None:
    found = fit_team_on_set(folder, WORDS, goal=Goal(usd_per_1k=8.0))
    assert found.planned.cost_usd_per_1k <= 8.0
    assert found.unplanned.cost_usd_per_1k <= 8.0


@pytest.mark.parametrize(
    ("goal", "told"),
    [({"quality": 1.0}, "no team reaches a quality of 1"), ({"usd_per_1k": 0.1}, "costs 0.1 USD for 1,000 tasks or")],
)
def test_a_goal_that_no_team_reaches_is_told(folder: Path, goal: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        fit_team_on_set(folder, WORDS, goal=Goal(**goal))


def test_two_goals_and_a_set_of_labels_are_refused(label_set: Path) -> None:
    with pytest.raises(ConfigError, match="give one of them"):
        Goal(quality=0.5, usd_per_1k=1.0)
    with pytest.raises(RecordedSetError, match="is a set of labels"):
        fit_team_on_set(label_set, WORDS, goal=Goal())


async def work(store: TraceStore, runs: int, team: Team | None = None) -> None:
    """Have three agents answer, each scored by whether it said A."""
    rng = np.random.default_rng(1)
    agents = [
        CannedAgent([said(rng, name) for _ in range(runs)], id=name, price_per_call_usd=price)
        for name, price in PRICES.items()
    ]
    right = CallableVerifier(lambda task, answer: float("A" in answer), name="letter")
    learning = Learning(mode="loop")
    async with Mesh(
        agents, router="cosine", store=store, verifiers=[right], embedder=WORDS, learning=learning, team=team
    ) as mesh:
        for number in range(runs):
            await mesh.run(Task(text=f"task {number % 7}"), limits=Limits(max_agents=3))


async def test_a_team_is_fitted_on_the_runs_in_which_all_were_asked_and_scored() -> None:
    with open_store(None) as store:
        await work(store, 40)
        await work(store, 10, Team(most=3, first=3, stop=0.0))
        await work(store, 10, Team(most=3, stop=1.0))
        assert len(logged_answers(store, needed=50).tasks) == 60
        await work(store, 10, Team(most=3))  # the others were asked because of what the first one said
        found = logged_answers(store, needed=50)
        assert len(found.tasks) == 60
        assert found.tasks.rows.agent_ids == found.pool.ids == ("ann", "bob", "chief")
        assert set(found.tasks.rows.table.answers.ravel()) == {"(A)", "B", "C.", "(D)"}
        assert set(found.tasks.cost[0]) == {0.001, 0.02}


async def test_a_log_that_is_long_enough_gives_a_team_and_one_that_is_not_says_what_it_needs() -> None:
    with open_store(None) as store:
        with pytest.raises(StoreError, match=r"holds 0 runs in which two agents answered .*; a team needs 100: let"):
            fit_team_on_log(store, goal=Goal())
        await work(store, 99)
        with pytest.raises(StoreError, match="holds 99 runs"):
            fit_team_on_log(store, goal=Goal())
        await work(store, 1)
        found = fit_team_on_log(store, goal=Goal(), equivalence="auto")
    assert (found.tasks, found.source) == (100, "memory://")
    assert found.team.plan is not None
    assert set(found.agents) <= set(PRICES)
