import io

import pytest
from rich.console import Console

from agentmesh.demo.explaining import three_decisions
from agentmesh.demo.records import Baselines, DemoResult, Explained, Figure
from agentmesh.demo.report import render
from agentmesh.demo.stream import Answered
from agentmesh.records import RouteDecision, Run, RunStatus, Task

FIGURE = Figure(quality=0.5, cost_usd_per_1k=0.2)
RESULT = DemoResult(
    tasks=700,
    quality=0.72,
    cost_usd_per_1k=0.3,
    share_of_best_single_cost=0.6,
    baselines=Baselines(
        random=FIGURE,
        cheapest=FIGURE,
        best_single=Figure(quality=0.73, cost_usd_per_1k=0.5),
        knn=Figure(quality=0.61, cost_usd_per_1k=0.2),
        pheromone=Figure(quality=0.62, cost_usd_per_1k=0.25),
        gnn=Figure(quality=0.7, cost_usd_per_1k=0.45),
        oracle=FIGURE,
    ),
    db="sqlite:///demo.db",
    router="kernel",
    best_single="dear",
    cheapest="cheap",
    gnn_tasks=7650,
    explained=(
        Explained(
            run_id="demo-0001", title="First", question="Why [x]?", words="Because.", quality=1.0, cost_usd=0.001
        ),
    ),
    elapsed_s=12.3,
)


def answered(
    row: int, agent: str, quality: float, cost: float, *, text: str = "Why?", explored: bool | None = None
) -> Answered:
    run = Run(
        id=f"demo-{row + 1:04d}",
        task=Task(text=text),
        status=RunStatus.COMPLETED,
        decision=None if explored is None else decision(explored=explored),
        started_at=0.0,
    )
    return Answered(row, run, agent, quality, cost)


def decision(*, explored: bool) -> RouteDecision:
    return RouteDecision(
        router="kernel",
        router_version="abc@1",
        registry_version="r1",
        seed=0,
        selected=(),
        candidates=(),
        scores=b"",
        probabilities=b"",
        explored=explored,
    )


def printed(result: DemoResult) -> str:
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(render(result))
    return console.export_text()


def test_the_table_marks_what_only_hindsight_knows() -> None:
    text = printed(RESULT)
    assert "always the best single: dear (in hindsight)" in text
    assert "always the cheapest: cheap (in hindsight)" in text
    assert "oracle (has seen every answer)" in text
    assert "700 questions, 12 recorded models, one call each, in 12 s" in text


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("kNN router, learning as it goes", ("0.610", "0.200", "40%")),
        ("pheromone router, learning as it goes", ("0.620", "0.250", "50%")),
        ("gnn router, trained on 7,650 other questions, learning on", ("0.700", "0.450", "90%")),
        ("kernel router (the default), learning as it goes", ("0.720", "0.300", "60%")),
    ],
)
def test_each_router_that_learns_has_a_row_that_names_it(row: str, cells: tuple[str, ...]) -> None:
    (line,) = (line for line in printed(RESULT).splitlines() if row in line)
    assert tuple(line.replace("│", " ").split()[-3:]) == cells


def test_the_verdict_gives_points_and_share_of_cost() -> None:
    assert "-1.0 points of quality against the best single model in hindsight, at 60% of its cost" in " ".join(
        printed(RESULT).split()
    )


def test_decisions_and_next_commands_are_printed_literally() -> None:
    text = printed(RESULT)
    assert "Why [x]?" in text
    assert "Because." in text
    assert "agentmesh runs list --db sqlite:///demo.db" in text
    assert "agentmesh explain demo-0700 --db sqlite:///demo.db" in text
    assert "agentmesh replay demo-0700 --db sqlite:///demo.db" in text


def test_three_kinds_of_decision_are_picked() -> None:
    rows = [
        answered(0, "a", 0.0, 0.1),
        answered(1, "a", 1.0, 0.1),
        answered(2, "a", 1.0, 0.3),
        answered(3, "b", 1.0, 0.2),
        answered(4, "best", 1.0, 0.9),
        answered(5, "best", 0.0, 0.9),
    ]
    picked = three_decisions(rows, "best")
    assert [one.run_id for one in picked] == ["demo-0001", "demo-0004", "demo-0006"]


def test_kinds_that_never_came_up_are_left_out_and_long_questions_cut() -> None:
    picked = three_decisions([answered(0, "a", 0.0, 0.1, text="long " * 100)], "best")
    assert len(picked) == 1
    assert len(picked[0].question) == 200
    assert picked[0].question.endswith("...")
    assert picked[0].words == ""


def test_what_was_drawn_to_explore_is_not_held_up_as_a_cheap_choice() -> None:
    rows = [
        answered(0, "best", 1.0, 0.9),
        answered(1, "best", 1.0, 0.9),
        answered(2, "a", 1.0, 0.1, explored=True),
        answered(3, "b", 1.0, 0.2, explored=False),
    ]
    assert [one.run_id for one in three_decisions(rows, "best")] == ["demo-0001", "demo-0004", "demo-0002"]


def test_a_draw_of_the_best_single_agent_is_no_question_worth_its_price() -> None:
    rows = [answered(0, "a", 1.0, 0.1), answered(1, "best", 1.0, 0.9, explored=True)]
    assert [one.run_id for one in three_decisions(rows, "best")] == ["demo-0001"]
