"""The script that gathers the evidence for the GNN router, on made-up sets."""

import json
import subprocess
import sys
import warnings
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentmesh.bench.ablation import ABLATIONS
from agentmesh.bench.training_time import TimeReport
from agentmesh.errors import ConfigError
from agentmesh.routing.gnn.router import trainer

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # torch-geometric's own, while it is imported
    trainer()  # here, so that no test pays for it

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "gnn.py"
QUICK = ("--router", "category", "--embedder", "hashing")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("gnn_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def called(*arguments: str) -> dict[str, Any]:
        out = tmp_path / "report.json"
        script.main([*arguments, "--json", str(out)])
        shape: dict[str, Any] = json.loads(out.read_text())
        return shape

    return called


def test_seeds_prints_a_table_says_what_was_opened_and_writes_json(
    run: Any, outcome_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = run("seeds", str(outcome_set), *QUICK, "--seeds", "0-1", "--jobs", "1", "--opponents", "knn")
    printed = capsys.readouterr()
    assert (shape["split"], shape["router"]) == ("val", "category")
    assert [row["seed"] for row in shape["seeds"]] == [0, 1]
    assert "two-topics, val, 2 seeds" in printed.out
    assert "Opened: val (30 tasks)" in printed.out
    assert "category does not beat kNN" in printed.out
    assert "opening the outcomes of val" in printed.err


def test_seeds_takes_sets_of_labels(run: Any, label_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = run("seeds", str(label_set), *QUICK, "--seeds", "0", "--jobs", "1", "--opponents", "knn")
    assert (shape["kind"], [row["router"] for row in shape["rows"]]) == ("labels", ["category", "knn"])
    assert "top-1 if it may not abstain" in capsys.readouterr().out


def test_agents_are_left_out(run: Any, outcome_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = run("leave-one-out", str(outcome_set), *QUICK, "--k", "0,5", "--jobs", "1", "--limit", "40")
    assert {row["count"] for row in shape["rows"]} == {0, 5}
    assert "each agent enters untrained on" in capsys.readouterr().out


def test_arguments_are_read_as_json_and_reach_the_router(run: Any, outcome_set: Path) -> None:
    given = ("--arguments", 'clusters=4,mixture="hard"')
    shape = run("seeds", str(outcome_set), *QUICK, *given, "--seeds", "0", "--jobs", "1", "--opponents", "")
    assert shape["arguments"] == {"clusters": 4, "mixture": "hard"}


def test_the_gnn_itself_is_ablated(run: Any, outcome_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ("--arguments", "passes=1,hidden=8,clusters=2", "--embedder", "hashing")
    shape = run("ablations", str(outcome_set), *small, "--seeds", "0", "--folds", "1", "--jobs", "1")
    assert [row["variant"] for row in shape["rows"]] == list(ABLATIONS)
    assert "Opened: no split" in capsys.readouterr().out


@pytest.mark.timeout(120)  # to load torch may take half a minute on a busy machine
def test_the_gnn_is_timed_by_a_process_that_never_loads_torch(outcome_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "time.json"
    small = ("--arguments", "hidden=8", "--agents", "5", "--past", "40", "--decisions", "20")
    done = subprocess.run(
        [sys.executable, SCRIPT, "time", outcome_set, *small, "--json", out], capture_output=True, text=True, check=True
    )
    shape = json.loads(out.read_text())
    assert shape["trainer_loaded"] is False
    assert shape["decisions"][0]["router"] == "gnn"
    assert "x kernel" in done.stdout


def test_a_process_that_loaded_torch_is_no_proof(script: ModuleType) -> None:
    report = TimeReport(
        set="none",
        router="gnn",
        tasks=1,
        agents=1,
        training=(),
        decisions=(),
        kernel_p50_ms=1.0,
        bare_product_ms=1.0,
        trainer_loaded=True,
        notes=(),
    )
    with pytest.raises(ConfigError, match="torch was loaded by the process that decided"):
        script.served_without_torch(report)


def test_what_is_wrong_is_said_in_a_line(script: ModuleType, outcome_set: Path) -> None:
    with pytest.raises(SystemExit, match="error: numbers are 'x'; accepted: a list such as '0,5,20'"):
        script.main(["seeds", str(outcome_set), "--seeds", "x"])


@pytest.mark.parametrize(("text", "numbers"), [("0-2", (0, 1, 2)), ("0,5, 20", (0, 5, 20)), ("1,3-4", (1, 3, 4))])
def test_numbers_are_lists_and_ranges(script: ModuleType, text: str, numbers: tuple[int, ...]) -> None:
    assert script.whole_numbers(text) == numbers
    with pytest.raises(ConfigError, match="numbers are"):
        script.whole_numbers(f"{text},")
