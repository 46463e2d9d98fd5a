"""A small recorded set of outcomes, and one of labels, written with the package's own writer."""

from pathlib import Path

import pytest

from agentmesh.recorded import AgentLine, OutcomeLine, ResponseLine, SetInfo, TaskLine, write_set

AGENTS = (
    AgentLine(id="a", description="Answers questions on maths.", price_in_per_M=0.1, price_out_per_M=0.2),
    AgentLine(id="b", description="Answers questions on history.", group="arts", examples=("Who built Petra?",)),
)
TASKS = (
    TaskLine(id="t1", split="train", text="What is 2 + 2?", group="maths", gold="4"),
    TaskLine(id="t2", split="test", text="Who built Rome?", group="SEALED-GROUP", gold="SEALED-GOLD"),
    TaskLine(id="t3", split="val", text="What is 3 + 3?", group="maths", gold="6"),
)
OUTCOMES = (
    OutcomeLine(task="t1", agent="a", quality=1.0, cost_usd=0.002, input_tokens=5, output_tokens=1, answer="4"),
    OutcomeLine(task="t2", agent="a", quality=0.123456, cost_usd=0.654321, answer="SEALED-ANSWER"),
    OutcomeLine(task="t1", agent="b", quality=0.25, latency_s=0.5),
    OutcomeLine(task="t3", agent="b", quality=0.0, cost_usd=0.001),
)
RESPONSES = (
    ResponseLine(task="t1", agent="a", text="It is 4.\n"),
    ResponseLine(task="t2", agent="a", text="SEALED-RESPONSE"),
)


@pytest.fixture
def outcome_set(tmp_path: Path) -> Path:
    folder = tmp_path / "outcomes"
    info = SetInfo(name="tiny", kind="outcomes", source="made up", licence="none")
    write_set(folder, info, agents=AGENTS, tasks=TASKS, outcomes=OUTCOMES, responses=RESPONSES)
    return folder


@pytest.fixture
def label_set(tmp_path: Path) -> Path:
    folder = tmp_path / "labels"
    tasks = (
        TaskLine(id="t1", split="train", text="add", labels=("a",)),
        TaskLine(id="t2", split="val", text="either", labels=("a",), acceptable=("b",)),
        TaskLine(id="t3", split="test", text="neither", labels=()),
    )
    write_set(folder, SetInfo(name="tiny", kind="labels"), agents=AGENTS, tasks=tasks)
    return folder
