"""The tool that trains the demo's GNN router: on no question of the demo, and on nothing of test."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from agentmesh.demo.team import load_team
from agentmesh.demo.trained import shipped_gnn, trained_on
from agentmesh.recorded import AgentLine, OutcomeLine, SetInfo, TaskLine, write_set
from agentmesh.recorded.reader import load_set
from agentmesh.routing.gnn.router import GnnRouter

pytestmark = pytest.mark.timeout(60)  # the training loads torch

TOOL = Path(__file__).parents[3] / "tools" / "train_demo_gnn.py"
AGENTS = (AgentLine(id="adder", description="Adds."), AgentLine(id="poet", description="Rhymes."))
OTHERS = ("train",) * 30 + ("val",) * 6 + ("test",) * 4


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_demo_gnn", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a set that holds the demo's questions among its train rows, and some others of each split."""
    folder = tmp_path_factory.mktemp("source") / "set"
    shown = [TaskLine(id=task.id, split="train", text=task.text, group="shown") for task in load_team().tasks]
    others = [
        TaskLine(id=f"t{row}", split=split, text=f"other question {row}", group=("sums", "rhymes")[row % 2])
        for row, split in enumerate(OTHERS)
    ]
    outcomes = [
        OutcomeLine(task=line.id, agent=agent.id, quality=0.75 * (line.group == group), cost_usd=0.1)
        for line in (*shown, *others)
        for agent, group in zip(AGENTS, ("sums", "rhymes"), strict=True)
    ]
    write_set(folder, SetInfo(name="other", kind="outcomes"), agents=AGENTS, tasks=[*shown, *others], outcomes=outcomes)
    return folder


def test_it_trains_on_other_questions_alone_and_val_chooses(tool: ModuleType, source: Path, tmp_path: Path) -> None:
    card = tool.train_into(tmp_path, GnnRouter(hidden=4, passes=1), source=source)
    assert (card.training["tasks"], card.training["outcomes"], card.training["validated"]) == (30, 60, "val")
    assert card.base.endswith("without its tasks")
    assert trained_on(shipped_gnn(tmp_path)) == 30


def test_a_set_that_lacks_a_question_of_the_demo_is_refused(tool: ModuleType, source: Path) -> None:
    shown = {task.text for task in load_team().tasks} | {"a question that is not in the set"}
    with pytest.raises(AssertionError):
        tool.tables_of(load_set(source), shown, tool.StaticEmbedder())


def test_it_says_on_stderr_what_it_does(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tool.tell("training gnn")
    assert capsys.readouterr().err == "training gnn\n"


def test_what_ships_was_trained_on_as_many_questions_as_are_in_train_and_not_in_the_demo() -> None:
    recorded = load_set(TOOL.parents[1] / "benchmarks" / "sets" / "mmlu_pro")
    assert trained_on(shipped_gnn()) == recorded.count("train") - len(load_team().tasks)
