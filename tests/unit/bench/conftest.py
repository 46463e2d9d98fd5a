"""Made-up sets in which it is known what a router can learn: maths tasks are won by one agent, history by the other."""

from pathlib import Path

import numpy as np
import pytest

from agentmesh.recorded import AgentLine, OutcomeLine, SetInfo, TaskLine, write_set

WORDS = {
    "maths": ("add", "sum", "divide", "equation", "number", "integral", "fraction", "triangle"),
    "history": ("king", "war", "empire", "castle", "century", "revolution", "queen", "treaty"),
    "nonsense": ("banana", "slippers", "lamp", "pillow", "spoon", "biscuit", "sofa", "curtain"),
}
SPLITS = ("train",) * 60 + ("val",) * 30 + ("test",) * 30


def task_lines(topics: tuple[str, ...]) -> list[tuple[TaskLine, str]]:
    rng = np.random.default_rng(0)
    lines = []
    for place, split in enumerate(SPLITS):
        topic = topics[place % len(topics)]
        text = " ".join(rng.choice(WORDS[topic], size=4))
        lines.append((TaskLine(id=f"t{place}", split=split, text=text, group=topic), topic))
    return lines


AGENTS = (
    AgentLine(id="a-cheap", description="Knows history: kings, wars, empires.", price_per_call_usd=0.001),
    AgentLine(id="b-dear", description="Knows maths: sums, equations.", price_per_call_usd=0.01),
    AgentLine(id="c-weak", description="Knows little.", price_per_call_usd=0.0005),
)
QUALITY = {"maths": (0.0, 1.0, 0.0), "history": (1.0, 0.6, 0.0)}
COST = (0.001, 0.01, 0.0005)


def write_outcomes(folder: Path) -> Path:
    lines = task_lines(("maths", "history"))
    outcomes = [
        OutcomeLine(task=line.id, agent=agent.id, quality=QUALITY[topic][place], cost_usd=COST[place])
        for line, topic in lines
        for place, agent in enumerate(AGENTS)
    ]
    tasks = [line for line, _ in lines]
    write_set(folder, SetInfo(name="two-topics", kind="outcomes"), agents=AGENTS, tasks=tasks, outcomes=outcomes)
    return folder


def write_labels(folder: Path, topics: tuple[str, ...]) -> Path:
    owner = {"maths": ("b-dear",), "history": ("a-cheap",), "nonsense": ()}
    tasks = [line.model_copy(update={"labels": owner[topic]}) for line, topic in task_lines(topics)]
    write_set(folder, SetInfo(name="two-labels", kind="labels"), agents=AGENTS, tasks=tasks)
    return folder


@pytest.fixture
def outcome_set(tmp_path: Path) -> Path:
    return write_outcomes(tmp_path / "outcomes")


@pytest.fixture(scope="session")
def kept_outcome_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set that no test changes, for reports that are made once and looked at by several tests."""
    return write_outcomes(tmp_path_factory.mktemp("kept") / "outcomes")


@pytest.fixture
def label_set(tmp_path: Path) -> Path:
    return write_labels(tmp_path / "labels", ("maths", "history", "nonsense"))


@pytest.fixture
def closed_label_set(tmp_path: Path) -> Path:
    return write_labels(tmp_path / "closed", ("maths", "history"))
