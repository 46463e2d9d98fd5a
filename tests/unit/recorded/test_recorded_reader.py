import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from agentmesh.errors import RecordedSetError
from agentmesh.recorded import load_set
from agentmesh.recorded.sealed import read_test_rows

SETS = Path(__file__).parents[3] / "benchmarks" / "sets"


def rewrite(path: Path, text: str) -> None:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def contents(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


def test_cards_carry_prices_examples_and_groups(outcome_set: Path) -> None:
    first, second = load_set(outcome_set).agents
    assert (str(first.price_in_per_m_usd), str(first.price_out_per_m_usd)) == ("0.1", "0.2")
    assert first.price_per_call_usd is None
    assert (second.group, second.examples) == ("arts", ("Who built Petra?",))


def test_tasks_keep_file_order_and_show_only_what_a_router_may_see(outcome_set: Path) -> None:
    recorded = load_set(outcome_set)
    assert [task.id for task in recorded.tasks] == ["t1", "t2", "t3"]
    assert not {"gold", "labels", "group", "acceptable"} & set(type(recorded.tasks[0]).__slots__)
    assert recorded.count("train") == 1


def test_the_fit_view_holds_train_and_val_as_arrays(outcome_set: Path) -> None:
    view = load_set(outcome_set).fit_view()
    assert view.train.texts == ("What is 2 + 2?",)
    assert view.train.groups == ("maths",)
    assert view.train.gold == ("4",)
    np.testing.assert_array_equal(view.train.table.quality, [[1.0, 0.25]])
    np.testing.assert_array_equal(view.train.table.cost, [[0.002, np.nan]])
    np.testing.assert_array_equal(view.train.table.latency_s, [[np.nan, 0.5]])
    np.testing.assert_array_equal(view.val.table.quality, [[np.nan, 0.0]])
    assert view.train.table.answers.tolist() == [["4", None]]
    assert (len(view.val), view.val.split) == (1, "val")


def test_labels_become_a_table_of_ones_and_zeros(label_set: Path) -> None:
    view = load_set(label_set).fit_view()
    np.testing.assert_array_equal(view.train.table.quality, [[1.0, 0.0]])
    np.testing.assert_array_equal(view.val.table.quality, [[1.0, 1.0]])
    assert view.val.labels == (("a",),)


def test_a_task_out_of_scope_is_a_row_of_zeros(label_set: Path) -> None:
    rows = read_test_rows(load_set(label_set))
    assert rows.labels == ((),)
    np.testing.assert_array_equal(rows.table.quality, [[0.0, 0.0]])


@pytest.mark.parametrize("split", ["test", "tset", ""])
def test_no_other_split_can_be_opened(outcome_set: Path, split: str) -> None:
    recorded = load_set(outcome_set)
    with pytest.raises(RecordedSetError, match=re.escape(repr(split))):
        recorded.open(split)  # type: ignore[arg-type]
    with pytest.raises(RecordedSetError, match=re.escape(repr(split))):
        recorded.responses(split)  # type: ignore[arg-type]


def test_responses_hold_the_asked_split_only(outcome_set: Path) -> None:
    assert load_set(outcome_set).responses("train") == {("t1", "a"): "It is 4.\n"}


def test_a_set_of_one_split_has_no_fit_view(outcome_set: Path) -> None:
    tasks = outcome_set / "tasks.jsonl.gz"
    rewrite(tasks, contents(tasks).replace('"train"', '"all"'))
    with pytest.raises(RecordedSetError, match="'tiny' has no 'train' tasks"):
        load_set(outcome_set).fit_view()
    assert len(load_set(outcome_set).open("all")) == 1


@pytest.mark.parametrize("name", ["set.json", "agents.jsonl", "tasks.jsonl.gz", "outcomes.csv.gz"])
def test_a_missing_file_is_named(outcome_set: Path, name: str) -> None:
    (outcome_set / name).unlink()
    with pytest.raises(RecordedSetError, match=re.escape(name) + ".*missing"):
        load_set(outcome_set)


def test_missing_responses_are_named(outcome_set: Path) -> None:
    (outcome_set / "responses.jsonl.gz").unlink()
    with pytest.raises(RecordedSetError, match=re.escape("responses.jsonl.gz") + ".*missing"):
        load_set(outcome_set).responses("train")


@pytest.mark.parametrize(
    "raw",
    [b"no gzip at all", gzip.compress(b'{"id": "t1"}' * 99)[:-12], gzip.compress(b"\xff")],
    ids=["no gzip", "cut", "no text"],
)
def test_a_file_that_is_cut_or_no_text_is_named(outcome_set: Path, raw: bytes) -> None:
    (outcome_set / "tasks.jsonl.gz").write_bytes(raw)
    with pytest.raises(RecordedSetError, match=re.escape("tasks.jsonl.gz") + ".*cannot be read"):
        load_set(outcome_set)


@pytest.mark.parametrize(
    ("name", "line", "text", "says"),
    [
        ("agents.jsonl", 2, "{", "Invalid JSON"),
        ("agents.jsonl", 2, '{"id": "c"}', "description"),
        ("agents.jsonl", 2, '{"id": "c", "description": "", "wins": 3}', "wins"),
        ("agents.jsonl", 2, '{"id": "a", "description": "again"}', "'a' stands here twice"),
        ("agents.jsonl", 2, '{"id": "c", "description": "", "price_in_per_M": -1}', "price_in_per_M"),
        ("tasks.jsonl.gz", 2, '{"id": "t1", "split": "val", "text": "again"}', "'t1' stands here twice"),
        ("tasks.jsonl.gz", 3, '{"id": "t9", "split": "dev", "text": "?"}', "'dev'"),
        ("tasks.jsonl.gz", 3, '{"id": "t9", "split": "val", "text": "?", "labels": ["z"]}', "unknown agent 'z'"),
    ],
)
def test_a_malformed_line_is_named_with_its_file_and_number(
    outcome_set: Path, name: str, line: int, text: str, says: str
) -> None:
    lines = contents(outcome_set / name).splitlines()
    lines[line - 1] = text
    rewrite(outcome_set / name, "\n".join(lines) + "\n")
    with pytest.raises(RecordedSetError, match=rf"{re.escape(name)}:{line}: .*{re.escape(says)}"):
        load_set(outcome_set)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("t1,a,1.5,,,,,", "quality is '1.5'; accepted: a number from 0 to 1"),
        ("t1,a,nan,,,,,", "quality is 'nan'"),
        ("t1,a,good,,,,,", "quality is 'good'"),
        ("t1,a,,,,,,", "quality is empty"),
        ("t1,a,1,,,-0.1,,", "cost_usd is '-0.1'"),
        ("t1,a,1,,,inf,,", "cost_usd is 'inf'"),
        ("t7,a,1,,,,,", "unknown task 't7'"),
        ("t1,z,1,,,,,", "unknown agent 'z'"),
        ("t1,a,1", "3 cells, expected 8"),
        ('t1,a,1,,,,,"x"y', "expected after"),
    ],
)
def test_a_malformed_outcome_is_named_with_its_file_and_line(outcome_set: Path, row: str, says: str) -> None:
    path = outcome_set / "outcomes.csv.gz"
    lines = contents(path).splitlines()
    lines[1] = row
    rewrite(path, "\n".join(lines) + "\n")
    recorded = load_set(outcome_set)
    with pytest.raises(RecordedSetError, match=rf"outcomes.csv.gz:2: .*{re.escape(says)}"):
        recorded.fit_view()


def test_a_pair_that_stands_twice_is_refused(outcome_set: Path) -> None:
    path = outcome_set / "outcomes.csv.gz"
    text = contents(path)
    rewrite(path, text + text.splitlines()[1] + "\n")
    with pytest.raises(RecordedSetError, match=r":6: task 't1' and agent 'a' stand here twice"):
        load_set(outcome_set).fit_view()


@pytest.mark.parametrize("header", ["task,agent", "task,agent,quality,quality", "task,agent,quality,colour", ""])
def test_wrong_columns_are_refused(outcome_set: Path, header: str) -> None:
    rewrite(outcome_set / "outcomes.csv.gz", header + "\n")
    with pytest.raises(RecordedSetError, match=r"outcomes.csv.gz:1: columns"):
        load_set(outcome_set).fit_view()


def test_a_malformed_test_row_is_found_when_it_is_opened(outcome_set: Path) -> None:
    path = outcome_set / "outcomes.csv.gz"
    rewrite(path, contents(path).replace("0.123456", "7"))
    recorded = load_set(outcome_set)
    recorded.fit_view()
    with pytest.raises(RecordedSetError, match=r":3: quality is '7'"):
        read_test_rows(recorded)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"task": "t8", "agent": "a", "text": ""}', "unknown task 't8'"),
        ('{"task": "t1", "agent": "z", "text": ""}', "unknown agent 'z'"),
        ('{"task": "t1", "agent": "a", "text": ""}', "stand here twice"),
        ('{"task": "t1", "agent": "a"}', "text"),
    ],
)
def test_a_malformed_response_is_named(outcome_set: Path, line: str, says: str) -> None:
    path = outcome_set / "responses.jsonl.gz"
    rewrite(path, contents(path) + line + "\n")
    with pytest.raises(RecordedSetError, match=rf"responses.jsonl.gz:3: .*{re.escape(says)}"):
        load_set(outcome_set).responses("train")


def test_a_task_without_labels_is_refused_in_a_set_of_labels(label_set: Path) -> None:
    rewrite(label_set / "tasks.jsonl.gz", '{"id": "t1", "split": "train", "text": "?"}\n')
    with pytest.raises(RecordedSetError, match=r"tasks.jsonl.gz:1: task 't1' has no labels"):
        load_set(label_set)


@pytest.mark.parametrize(("name", "says"), [("agents.jsonl", "no agents"), ("tasks.jsonl.gz", "no tasks")])
def test_an_empty_set_is_refused(outcome_set: Path, name: str, says: str) -> None:
    rewrite(outcome_set / name, "")
    with pytest.raises(RecordedSetError, match=says):
        load_set(outcome_set)


def test_a_long_value_is_cut_in_the_message(outcome_set: Path) -> None:
    rewrite(outcome_set / "agents.jsonl", '{"id": 7, "description": "' + "x" * 500 + '"}\n')
    with pytest.raises(RecordedSetError) as caught:
        load_set(outcome_set)
    assert len(str(caught.value)) < 400 + len(str(outcome_set))


@pytest.mark.parametrize(
    ("name", "agents", "counts"),
    [
        ("clinc150", 150, {"train": 15100, "val": 3100, "test": 5500}),
        ("hwu64", 64, {"train": 8954, "val": 1076, "test": 1076}),
        ("mmlu_pro", 12, {"train": 8350, "val": 1201, "test": 2292}),
    ],
)
def test_the_shipped_sets_have_the_sizes_their_source_states(name: str, agents: int, counts: dict[str, int]) -> None:
    recorded = load_set(SETS / name)
    assert len(recorded.agents) == agents
    assert {split: recorded.count(split) for split in counts} == counts  # type: ignore[arg-type]
