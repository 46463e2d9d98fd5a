"""Teams on a set of which it is known what they are worth: two cheap agents, right where they agree, and a dear one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from agentmesh.bench.material import part_of
from agentmesh.bench.report import render, to_json
from agentmesh.bench.team_bench import bench_team
from agentmesh.bench.team_choice import choose_team
from agentmesh.bench.team_points import TeamPoint, as_table, cheapest_as_good, within_cost
from agentmesh.bench.team_records import TeamReport
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import RecordedSetError
from agentmesh.graphs.equality import of_form
from agentmesh.recorded import AgentLine, OutcomeLine, SetInfo, TaskLine, load_set, write_set

WORDS = HashingEmbedder(dimension=32)
AGENTS = tuple(
    AgentLine(id=name, description=f"Answers: {name}.", price_per_call_usd=price)
    for name, price in (("ann", 0.001), ("bob", 0.001), ("chief", 0.02), ("dunce", 0.001))
)
COSTS = (0.001, 0.001, 0.02, 0.001)
CHANCES = (0.8, 0.8, 0.9, 0.1)


def write_answers(folder: Path, *, answered: bool = True, priced: bool = True) -> Path:
    rng = np.random.default_rng(0)
    tasks, outcomes = list[TaskLine](), list[OutcomeLine]()
    for number in range(240):
        split = ("train", "train", "train", "val", "test")[number % 5]
        tasks.append(TaskLine(id=f"t{number}", split=split, text=" ".join(rng.choice(["sum", "king", "sea"], 3))))
        for agent, chance, cost in zip(AGENTS, CHANCES, COSTS, strict=True):
            right = bool(rng.random() < chance)
            text = "A" if right else str(rng.choice(["B", "C", "D", "E"]))
            outcomes.append(
                OutcomeLine(
                    task=f"t{number}",
                    agent=agent.id,
                    quality=float(right),
                    cost_usd=cost if priced else None,
                    answer=text if answered else None,
                )
            )
    write_set(folder, SetInfo(name="votes", kind="outcomes"), agents=AGENTS, tasks=tasks, outcomes=outcomes)
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> TeamReport:
    return bench_team(write_answers(tmp_path_factory.mktemp("answers") / "votes"), embedder=WORDS)


@pytest.fixture(scope="module")
def rows(report: TeamReport) -> dict[str, Any]:
    return {row.router: row for row in report.rows}


def test_teams_stand_between_the_routers_and_the_oracle(report: TeamReport) -> None:
    names = [row.router for row in report.rows]
    assert names[-5:] == ["team", "team_fixed", "team_first_fixed", "stacked_all", "oracle"]


def test_a_team_is_held_to_the_quality_of_the_best_agent_for_a_part_of_its_cost(rows: dict[str, Any]) -> None:
    level = rows["team"].at_best_single
    assert level.quality > rows["best_single"].quality - 0.1
    assert level.cost_share < 0.8


def test_a_team_costs_no_more_than_the_best_agent_and_is_no_worse(rows: dict[str, Any]) -> None:
    team, single = rows["team"], rows["best_single"]
    assert team.cost_usd_per_1k < 1.15 * single.cost_usd_per_1k  # chosen on other tasks
    assert team.quality > single.quality - 0.05  # of 48 tasks, two or three


def test_a_fixed_team_pays_all_its_members_on_every_task(report: TeamReport, rows: dict[str, Any]) -> None:
    prices = {agent.id: cost for agent, cost in zip(AGENTS, COSTS, strict=True)}
    assert rows["team_fixed"].cost_usd_per_1k == pytest.approx(1000 * sum(prices[name] for name in report.team))
    assert rows["stacked_all"].cost_usd_per_1k == pytest.approx(1000 * sum(COSTS))


def test_the_curve_goes_from_thrifty_to_generous(report: TeamReport) -> None:
    thresholds = [point.threshold for point in report.team_curve]
    costs = [point.cost_usd_per_1k for point in report.team_curve]
    assert thresholds == sorted(thresholds, reverse=True)
    assert (costs[0], report.team_curve[0].mean_agents) < (costs[-1], report.team_curve[-1].mean_agents)


def test_what_the_first_wave_is_worth_is_told(report: TeamReport) -> None:
    wave = report.first_wave
    assert sum(wave.begins_with.values()) == pytest.approx(1.0)
    assert wave.fixed in {agent.id for agent in AGENTS}
    assert wave.quality_diff_ci[0] <= wave.quality_diff_ci[1]


def test_the_json_adds_the_team_to_the_shape_of_every_bench(report: TeamReport) -> None:
    shape = json.loads(to_json([report]))
    assert list(shape) == ["set", "kind", "split", "rows", "team", "team_curve", "first_wave"]
    assert list(shape["team_curve"][0]) == ["threshold", "quality", "cost_usd_per_1k", "mean_agents"]


def test_the_table_names_the_members_and_tells_the_curve(report: TeamReport) -> None:
    console = Console(width=400, record=True, file=None)
    with console.capture() as captured:
        console.print(render(report))
    assert "team: agents " in captured.get()
    assert "team begins with " in captured.get()
    assert "team's curve, quality at USD / 1k: " in captured.get()


def test_what_is_scored_on_val_has_learned_nothing_of_val(tmp_path: Path) -> None:
    report = bench_team(write_answers(tmp_path / "votes"), embedder=WORDS, split="val")
    assert report.notes[-1].startswith("Teams: fitted and chosen on 144 tasks")


def test_the_same_tasks_give_the_same_choice(tmp_path: Path) -> None:
    rows = load_set(write_answers(tmp_path / "votes")).open("train")
    known, costs = np.full((len(rows), 4), 0.7), np.tile(COSTS, (len(rows), 1))
    table = as_table(part_of(rows, WORDS), of_form("text"), known, costs)
    first, second = choose_team(table), choose_team(table)
    assert (first.best.members, first.best.usd_price) == (second.best.members, second.best.usd_price)
    assert first.best.quality.tolist() == second.best.quality.tolist()


@pytest.mark.parametrize(
    ("lacking", "message"),
    [({"answered": False}, "no answer is recorded"), ({"priced": False}, "quality and cost is recorded")],
)
def test_a_set_that_a_team_cannot_be_measured_on_is_refused(
    tmp_path: Path, lacking: dict[str, bool], message: str
) -> None:
    with pytest.raises(RecordedSetError, match=message):
        bench_team(write_answers(tmp_path / "votes", **lacking), embedder=WORDS)


def test_a_set_of_labels_is_refused(label_set: Path) -> None:
    with pytest.raises(RecordedSetError, match="is a set of labels; a team needs 'outcomes'"):
        bench_team(label_set, embedder=WORDS)


def point(quality: float, cost: float) -> TeamPoint:
    return TeamPoint((0,), 1.0, np.array([quality]), np.array([cost]))


def test_the_best_point_within_a_cost_is_taken_and_the_cheapest_where_none_is() -> None:
    points = [point(0.7, 1.0), point(0.8, 2.0), point(0.8, 1.5), point(0.9, 5.0)]
    assert within_cost(points, 2.0) is points[2]
    assert within_cost(points, 0.5) is points[0]


def test_the_cheapest_point_that_is_as_good_is_taken_if_there_is_one() -> None:
    points = [point(0.7, 1.0), point(0.8, 2.0)]
    assert cheapest_as_good(points, 0.75) is points[1]
    assert cheapest_as_good(points, 0.95) is None
