"""The bench of a cascade: its scripted model, its streams, its script."""

import asyncio
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from agentmesh.bench.cascade_bench import OracleAsker, cascade_report, ordered
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.protocols import ChatRequest
from agentmesh.recorded import AgentLine, SetInfo, TaskLine, write_set

WORDS = {"sums": "add number total", "rhymes": "poem moon verse", "maps": "river border town"}
SCRIPT = Path(__file__).parents[3] / "benchmarks" / "cascade.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    everything = " ".join(WORDS.values()).split()
    tasks = [
        TaskLine(
            id=f"{split}{kind}{n}",
            split=split,
            text=f"{kind} {' '.join(rng.choice(words.split(), 2))} {' '.join(rng.choice(everything, 3))} {n}",
            group=kind,
            labels=(kind,),
        )
        for split, count in (("train", 12), ("val", 12), ("test", 40))
        for kind, words in WORDS.items()
        for n in range(count)
    ]
    tasks.append(TaskLine(id="none", split="test", text="nothing of this", labels=()))
    agents = [AgentLine(id=kind, description=f"Does {kind}.") for kind in WORDS]
    write_set(tmp_path / "set", SetInfo(name="tiny", kind="labels"), agents=agents, tasks=tasks)
    return tmp_path / "set"


def test_the_scripted_model_names_the_right_agent():
    reply = asyncio.run(OracleAsker("maps").ask(ChatRequest(messages=())))
    assert json.loads(reply.text)["agents"] == ["maps"]


def test_a_changing_stream_has_one_half_of_the_agents_first():
    right = np.arange(60) % 4
    mixed, changing = ordered(right, "mixed", 1), ordered(right, "changing", 1)
    assert sorted(mixed.tolist()) == sorted(changing.tolist()) == list(range(60))
    assert not set(right[changing[:30]]) & set(right[changing[30:]])
    assert set(right[mixed[:30]]) == {0, 1, 2, 3}


def test_questions_keep_to_their_budget_and_buy_back_errors(folder: Path):
    said: list[str] = []
    report = cascade_report(folder, HashingEmbedder(), "test", budget=0.2, seeds=range(2), say=said.append)
    assert (report.tasks, report.stage, [stream.order for stream in report.streams]) == (
        120,
        "linear",
        ["mixed", "changing"],
    )
    for stream in report.streams:
        assert stream.asked == pytest.approx(0.2, abs=0.05)
        assert stream.top1 >= report.top1_cheap
        assert stream.spoilt == 0.0
    assert min(report.times[0].embed_ms, report.times[0].stage_ms, report.times[0].cascade_ms) > 0
    assert said[0] == "reading tiny"


def test_the_script_prints_a_table_and_writes_the_report(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    written = tmp_path / "report.json"
    arguments = [str(folder), "--embedder", "hashing", "--seeds", "1", "--json", str(written)]
    monkeypatch.setattr(sys, "argv", ["cascade.py", *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "errors made right" in capsys.readouterr().out
    assert json.loads(written.read_text())[0]["split"] == "val"


def test_a_set_that_is_not_there_is_an_error_in_a_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["cascade.py", "nowhere"])
    with pytest.raises(SystemExit, match="error: recorded set"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
