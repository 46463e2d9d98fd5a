"""Training times and decision times; a quick router stands for the trained one."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from agentmesh.bench.study import StudyPlan, whole_study
from agentmesh.bench.study_report import render
from agentmesh.bench.training_time import TimePlan, TimeReport, time_router
from agentmesh.embed.hashing import HashingEmbedder


def drawn(report: TimeReport) -> str:
    console = Console(width=120, file=StringIO(), record=True)
    console.print(render(report))
    return console.export_text()


def test_training_and_deciding_are_timed_beside_others(outcome_set: Path) -> None:
    plan = StudyPlan(router="category", arguments={"clusters": 4}, seeds=(0,))
    study = whole_study(outcome_set, plan, HashingEmbedder(dimension=384))
    report = time_router(study, TimePlan(agents=5, past_tasks=40, decisions=20, briefly={}))
    assert [row.router for row in report.training] == ["category", "linear", "kernel"]
    assert [row.router for row in report.decisions] == ["category", "kernel", "knn", "cosine"]
    assert {row.agents for row in report.decisions} == {5}
    assert all(0 < row.p50_ms <= row.p99_ms for row in report.decisions)
    assert report.training[1].ratio == pytest.approx(1.0)
    assert report.kernel_p50_ms == report.decisions[1].p50_ms
    assert (report.tasks, report.agents) == (60, 3)
    assert report.notes[0].startswith("Opened: no split")
    printed = drawn(report)
    assert "two-topics: 60 tasks x 3 agents" in printed
    assert "x bare product" in printed
