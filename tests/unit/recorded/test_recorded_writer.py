import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.errors import RecordedSetError
from agentmesh.recorded import AgentLine, OutcomeLine, SetInfo, TaskLine, load_set, write_set

INFO = SetInfo(name="tiny", kind="outcomes")
AGENTS = [AgentLine(id="a", description="Answers.")]
TASKS = [TaskLine(id="t1", split="all", text="?")]


@settings(deadline=None)  # it writes and reads files, and how long a disk takes is not what is tested
@given(
    text=st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    answer=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    quality=st.floats(0, 1),
    cost=st.none() | st.floats(0, 1e6),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, text: str, answer: str, quality: float, cost: float | None
) -> None:
    folder = tmp_path_factory.mktemp("sets") / "one"
    tasks = [TaskLine(id="t1", split="all", text=text)]
    outcomes = [OutcomeLine(task="t1", agent="a", quality=quality, cost_usd=cost, answer=answer)]
    write_set(folder, INFO, agents=AGENTS, tasks=tasks, outcomes=outcomes)
    rows = load_set(folder).open("all")
    assert rows.texts == (text,)
    assert rows.table.quality[0, 0] == quality
    np.testing.assert_array_equal(rows.table.cost[0, 0], np.nan if cost is None else cost)
    assert rows.table.answers[0, 0] == answer


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    names = [tmp_path / "one", tmp_path / "two"]
    for folder in names:
        write_set(folder, INFO, agents=AGENTS, tasks=TASKS)
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in names)
    assert first == second


def test_a_folder_that_holds_something_is_left_alone(outcome_set: Path) -> None:
    before = (outcome_set / "set.json").read_bytes()
    with pytest.raises(RecordedSetError, match="holds something"):
        write_set(outcome_set, INFO, agents=AGENTS, tasks=TASKS)
    assert (outcome_set / "set.json").read_bytes() == before


def test_a_failure_half_way_leaves_nothing(tmp_path: Path) -> None:
    def tasks() -> Iterator[TaskLine]:
        yield TASKS[0]
        raise KeyError("no more")

    with pytest.raises(KeyError):
        write_set(tmp_path / "one", INFO, agents=AGENTS, tasks=tasks())
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordedSetError, match="cannot be written"):
        write_set(tmp_path / "file" / "set", INFO, agents=AGENTS, tasks=TASKS)


def test_a_set_of_labels_gets_no_outcomes_file(label_set: Path) -> None:
    assert sorted(path.name for path in label_set.iterdir()) == ["agents.jsonl", "set.json", "tasks.jsonl.gz"]
    assert b'"labels":[]' in gzip.decompress((label_set / "tasks.jsonl.gz").read_bytes())
