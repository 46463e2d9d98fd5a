"""The check of what-if on a recorded set: intervals held against the truth, over logs of several seeds."""

import importlib.util
import json
from pathlib import Path

import pytest

from agentmesh.recorded import AgentLine, OutcomeLine, SetInfo, TaskLine, write_set

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "whatif.py"


@pytest.fixture
def two_topics(tmp_path: Path) -> Path:
    """Write a set of 240 train tasks, on which one agent is always right and the cheap one every other time."""
    tasks, outcomes = [], []
    for number in range(272):
        split = "train" if number < 240 else "val"
        tasks.append(TaskLine(id=f"t{number}", split=split, text=f"a king and number {number % 7}"))
        for agent, quality, cost in (("cheap", number % 2, 0.001), ("good", 1, 0.01)):
            outcomes.append(OutcomeLine(task=f"t{number}", agent=agent, quality=quality, cost_usd=cost))
    agents = [
        AgentLine(id="cheap", description="Knows kings.", price_per_call_usd=0.001),
        AgentLine(id="good", description="Knows numbers.", price_per_call_usd=0.01),
    ]
    folder = tmp_path / "set"
    write_set(folder, SetInfo(name="two", kind="outcomes"), agents=agents, tasks=tasks, outcomes=outcomes)
    return folder


def test_the_script_says_how_often_intervals_held_the_truth(
    two_topics: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("whatif_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    told = tmp_path / "rows.json"
    options = ["--decisions", "200", "--seeds", "3", "--explore", "0.5", "--embedder", "hashing", "--json", str(told)]
    script.main([str(two_topics), *options])
    assert "two: 200 decisions of kernel softmax:0.1" in capsys.readouterr().out
    rows = json.loads(told.read_text(encoding="utf-8"))
    assert len(rows) == 12
    knn = [row for row in rows if row["router"] == "knn"]
    assert [(row["seeds"], row["refused"], row["held"]) for row in knn] == [(3, 0, 3)] * 4
    assert [row["truth"] for row in knn if row["measure"] == "quality"] == pytest.approx([1.0, 1.0])
    with pytest.raises(SystemExit, match="nowhere"):
        script.main([str(tmp_path / "nowhere"), *options])
