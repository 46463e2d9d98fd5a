"""The script that measures routing by descriptions alone, on a made-up set."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentmesh.errors import ConfigError

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "cards.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("cards_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(script: ModuleType, tmp_path: Path) -> Any:
    def called(folder: Path, *arguments: str) -> list[dict[str, Any]]:
        out = tmp_path / "figures.json"
        script.main([str(folder), "--embedders", "hashing", *arguments, "--json", str(out)])
        figures: list[dict[str, Any]] = json.loads(out.read_text())
        return figures

    return called


def test_cards_stands_beside_plain_cosine_with_a_paired_interval(
    run: Any, label_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (report,) = run(label_set)
    assert (report["set"], report["split"], report["examples"]) == ("two-labels", "val", False)
    assert report["tasks"] == 20  # a third of the 30 fits nobody
    plain, cards = report["rows"]
    assert (plain["router"], plain["vs_cosine_ci"]) == ("cosine", None)
    assert cards["router"] == "cards"
    low, high = cards["vs_cosine_ci"]
    assert low <= cards["top1"] - plain["top1"] <= high
    printed = capsys.readouterr().out
    assert "descriptions" in printed
    assert "two-labels, val" in printed


def test_parts_and_examples_and_test_are_there_when_asked_for(run: Any, closed_label_set: Path) -> None:
    (report,) = run(closed_label_set, "--parts", "--examples", "--split", "test")
    assert (report["split"], report["examples"], report["tasks"]) == ("test", True, 30)
    assert [row["arguments"] for row in report["rows"]] == [{}, {"overlap": 0.0}, {"senses": 0.0}, {}]


def test_a_set_of_outcomes_is_refused(run: Any, outcome_set: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of 'labels'"):
        run(outcome_set)
