"""The bench of the guard on made-up sets: what is scored, what is opened, the table, the plot and the script."""

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from agentmesh.bench.guard_bench import GuardScores, auroc, guard_report, scored_at
from agentmesh.bench.guard_plot import coverage_svg
from agentmesh.bench.guard_records import GuardReport
from agentmesh.bench.guard_trials import guard_trials
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import RecordedSetError
from agentmesh.recorded import AgentLine, SetInfo, TaskLine, write_set
from agentmesh.routing.guard import COVERAGES

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "guard.py"
TOPICS = {
    "maths": ("add", "sum", "divide", "equation", "number", "integral", "fraction", "triangle"),
    "history": ("king", "war", "empire", "castle", "century", "revolution", "queen", "treaty"),
    "kitchen": ("bake", "bread", "pasta", "onion", "soup", "oven", "butter", "knife"),
    "nonsense": ("banana", "slippers", "lamp", "pillow", "spoon", "biscuit", "sofa", "curtain"),
}
SPLITS = ("train",) * 240 + ("val",) * 40 + ("test",) * 40


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of labels in which every topic but nonsense has an agent, each in a domain of its own."""
    folder = tmp_path_factory.mktemp("guard") / "domains"
    rng = np.random.default_rng(0)
    agents = [AgentLine(id=name, description=f"Knows {name}.", group=name) for name in TOPICS if name != "nonsense"]
    tasks = []
    for place, split in enumerate(SPLITS):
        topic = list(TOPICS)[place % len(TOPICS)]
        text = " ".join(rng.choice(TOPICS[topic], size=4))
        tasks.append(TaskLine(id=f"t{place}", split=split, text=text, labels=() if topic == "nonsense" else (topic,)))
    write_set(folder, SetInfo(name="domains", kind="labels"), agents=agents, tasks=tasks)
    return folder


@pytest.fixture(scope="module")
def report(domains: Path) -> GuardReport:
    return guard_report(domains, HashingEmbedder(), "test")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("guard_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_strangers_are_turned_away_and_tasks_in_scope_are_not(report: GuardReport) -> None:
    row = next(row for row in report.rows if row.coverage == 0.95)
    assert (report.in_scope, report.out_of_scope) == (30, 10)
    assert row.oos_recall is not None
    assert row.oos_recall >= 0.9
    assert row.top1 >= 0.8
    assert report.auroc is not None
    assert report.auroc > 0.95


def test_a_row_counts_an_abstention_in_scope_as_wrong() -> None:
    scores = GuardScores(np.array([0.9, 0.5, 0.1, 0.05]), np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 0]))
    row = scored_at(scores, 0.8, 0.2)
    assert (row.answered, row.quality, row.oos_recall) == (pytest.approx(2 / 3), 0.5, 1.0)
    assert row.top1 == pytest.approx(1 / 3)
    assert row.gqr == pytest.approx(0.5)


def test_where_nothing_is_answered_top_1_is_0() -> None:
    scores = GuardScores(np.array([0.1]), np.array([1.0]), np.array([1.0]))
    row = scored_at(scores, 0.5, 0.5)
    assert (row.top1, row.answered, row.oos_recall, row.gqr) == (0.0, 0.0, None, None)


def test_the_area_is_a_half_for_scores_that_say_nothing_and_unknown_without_strangers() -> None:
    assert auroc(np.ones(3), np.ones(2)) == 0.5
    assert auroc(np.ones(3), np.ones(0)) is None


def test_what_is_fitted_holds_no_task_out_of_scope(domains: Path) -> None:
    for split in ("test", "val", "strangers"):
        for trial in guard_trials(domains, HashingEmbedder(), split):
            assert (trial.known.quality.sum(axis=1) == 1.0).all()
            assert (trial.held_back.quality.sum(axis=1) == 1.0).all()


def test_strangers_are_val_tasks_of_agents_left_out_and_none_that_the_set_calls_out_of_scope(domains: Path) -> None:
    trials = guard_trials(domains, HashingEmbedder(), "strangers")
    nonsense = set(TOPICS["nonsense"])
    assert len(trials) == 6
    for trial in trials:
        assert len(trial.pool) == 2
        assert trial.right.shape == (30, 2)
        assert (trial.right.sum(axis=1) == 0).sum() == 10
        assert not any(nonsense & set(task.text.split()) for task in trial.tasks)


def test_val_is_scored_by_a_guard_calibrated_on_a_part_of_train(domains: Path) -> None:
    (trial,) = guard_trials(domains, HashingEmbedder(), "val")
    assert len(trial.known) + len(trial.held_back) == 180
    assert len(trial.tasks) == 40


def test_a_set_of_outcomes_is_refused(kept_outcome_set: Path) -> None:
    with pytest.raises(RecordedSetError, match="labels"):
        guard_trials(kept_outcome_set, HashingEmbedder(), "val")


def test_the_plot_is_an_svg_with_two_lines_an_embedder(report: GuardReport) -> None:
    lines = re.findall(r'<polyline [^>]*points="([^"]*)"', coverage_svg([report, report]))
    assert len(lines) == 4
    assert all(len(line.split()) == len(COVERAGES) for line in lines)


def test_the_plot_of_a_closed_set_has_no_line_for_recall(report: GuardReport) -> None:
    rows = tuple(row.model_copy(update={"oos_recall": None, "quality": 1.0}) for row in report.rows)
    assert coverage_svg([report.model_copy(update={"rows": rows})]).count("<polyline") == 1


def test_a_guard_with_too_little_to_calibrate_on_turns_nobody_away_and_the_report_says_so(label_set: Path) -> None:
    report = guard_report(label_set, HashingEmbedder(), "strangers")
    assert "too few" in report.notes[1]
    assert {row.oos_recall for row in report.rows} == {0.0}
    assert coverage_svg([report]).count("<polyline") == 2


def test_the_script_prints_a_table_and_writes_json_and_plot(
    script: ModuleType, domains: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, plot = tmp_path / "report.json", tmp_path / "plot.svg"
    arguments = ("--embedder", "hashing", "--guard", "nearness=1.0", "--json", str(out), "--plot", str(plot))
    script.main([str(domains), *arguments])
    (shape,) = json.loads(out.read_text())
    assert (shape["split"], shape["out_of_scope"]) == ("strangers", 60)
    assert "domains, strangers" in capsys.readouterr().out
    assert plot.read_text().startswith("<svg")


def test_the_script_says_what_is_wrong(
    script: ModuleType, kept_outcome_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="labels"):
        script.main([str(kept_outcome_set), "--embedder", "hashing"])
    assert capsys.readouterr().out == ""
