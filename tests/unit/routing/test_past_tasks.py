"""The past tasks that a router looks back at: which are kept, which are near, and what agents were worth on them."""

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.past_tasks import PastTasks, shortened

EAST, NORTH = np.eye(2, dtype=np.float32)
NOTHING = np.zeros(0, np.float32)


def filled(count=3, *, most=10, columns=2):
    tasks = PastTasks(most, 1)
    angles = np.linspace(0.0, 1.0, count)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    states = np.arange(count, dtype=np.float32)[:, None]
    tasks.fill([f"t{row}" for row in range(count)], [f"text {row}" for row in range(count)], vectors, states)
    tasks.fill_outcomes(np.linspace(0.0, 1.0, count * columns).reshape(count, columns))
    return tasks


def added(names, *, most=10):
    tasks = PastTasks(most, 0)
    for name in names:
        row = tasks.add(name, name, EAST, NOTHING)
        tasks.put(row, 0, 1.0, 1.0)
    return tasks


def kept(tasks):
    return [tasks.named(row)[0] for row in range(len(tasks))]


def test_no_task_is_near_where_there_is_none():
    tasks = PastTasks(10, 3)
    rows, cosines = tasks.nearest(EAST, 5)
    assert (len(tasks), rows.tolist(), cosines.tolist()) == (0, [], [])
    assert tasks.sums(rows, cosines).shape == (2, 0)


def test_the_most_similar_tasks_are_the_nearest():
    rows, cosines = filled(5).nearest(EAST, 2)
    assert sorted(rows.tolist()) == [0, 1]
    assert sorted(cosines.tolist()) == pytest.approx([np.cos(0.25), 1.0])
    assert sorted(filled(5).nearest(NORTH, 9)[0].tolist()) == [0, 1, 2, 3, 4]


def test_outcomes_of_one_agent_on_one_task_are_averaged_by_weight():
    tasks = PastTasks(10, 0)
    row = tasks.add("t", "text", EAST, NOTHING)
    tasks.put(row, 3, 1.0, 1.0)
    tasks.put(row, 3, 0.0, 0.5)
    assert tasks.outcomes(np.array([row]), 3).ravel().tolist() == [1.5, 1.0]
    assert tasks.outcomes(np.array([row]), 0).ravel().tolist() == [0.0, 0.0]


def test_what_is_unknown_in_a_table_has_no_weight():
    tasks = filled(2)
    tasks.fill_outcomes(np.array([[np.nan, 0.5], [np.nan, np.nan]]))
    assert tasks.outcomes(np.array([0, 1]), 1).tolist() == [[1.0, 0.0], [0.5, 0.0]]
    assert tasks.known(np.array([0, 1])).tolist() == [1.0, 0.0]


def test_an_agent_forgotten_leaves_its_tasks():
    tasks = filled(2)
    tasks.forget(0)
    tasks.forget(9)  # nothing was known of it
    assert tasks.outcomes(np.array([0, 1]), 0).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert len(tasks) == 2
    assert tasks.known(np.array([0, 1])).tolist() == [1.0, 1.0]
    tasks.forget(1)
    assert tasks.known(np.array([0, 1])).tolist() == [0.0, 0.0]


def test_the_oldest_go_when_there_are_a_quarter_too_many():
    names = [str(number) for number in range(12)]
    tasks = added(names[:10], most=8)
    assert kept(tasks) == names[:10]
    tasks.add("10", "10", EAST, NOTHING)
    assert kept(tasks) == names[2:11]
    assert (tasks.row_of("1"), tasks.row_of("2"), tasks.row_of("10")) == (None, 0, 8)
    assert tasks.known(np.arange(9)).tolist() == [1.0] * 8 + [0.0]


def test_only_the_newest_of_a_table_are_taken():
    tasks = filled(5, most=3)
    assert kept(tasks) == ["t2", "t3", "t4"]
    assert tasks.states.ravel().tolist() == [2.0, 3.0, 4.0]
    assert tasks.outcomes(np.array([2]), 1).ravel().tolist() == [1.0, 1.0]


def test_a_task_may_follow_a_table():
    tasks = filled(3)
    row = tasks.add("new", "a new one", NORTH, np.ones(1, np.float32))
    assert (row, len(tasks), tasks.row_of("new")) == (3, 4, 3)
    assert tasks.vectors[3].tolist() == [0.0, 1.0]
    assert tasks.outcomes(np.array([3]), 1).ravel().tolist() == [0.0, 0.0]


def test_a_table_of_no_task_is_followed_by_tasks():
    tasks = PastTasks(10, 0)
    tasks.fill([], [], np.zeros((0, 2), np.float32), np.zeros((0, 0), np.float32))
    tasks.fill_outcomes(np.zeros((0, 2)))
    tasks.put(tasks.add("t", "t", EAST, NOTHING), 2, 1.0, 1.0)
    assert tasks.sums(np.array([0]), np.ones(1, np.float32)).tolist() == [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ConfigError, match="length 3, past tasks have 2; use the same embedder"):
        filled().nearest(np.ones(3, np.float32), 1)


def test_the_beginning_of_a_text_is_kept_on_one_line():
    assert shortened("a\n\tb  c") == "a b c"
    assert shortened("x" * 80) == "x" * 80
    assert shortened("x" * 81) == "x" * 79 + "…"
    assert len(shortened("word " * 10_000)) <= 80


def test_tasks_come_back_from_their_arrays_and_names():
    tasks = filled()
    tasks.add("new", "text", NORTH, np.ones(1, np.float32))
    back = PastTasks.load(10, tasks.arrays(), tasks.meta())
    assert (back.meta(), kept(back), back.row_of("new")) == (tasks.meta(), kept(tasks), 3)
    for name, array in tasks.arrays().items():
        assert back.arrays()[name].tobytes() == array.tobytes()
    assert back.known(np.arange(4)).tolist() == [1.0, 1.0, 1.0, 0.0]
    back.put(back.add("more", "", EAST, np.zeros(1, np.float32)), 5, 1.0, 1.0)
    assert len(tasks) == 4


@pytest.mark.parametrize(
    ("arrays", "meta"),
    [
        ({"task_vectors": np.zeros((2, 2), np.float32)}, {}),
        ({"task_states": np.zeros((2, 1), np.float32)}, {}),
        ({"task_outcomes": np.zeros((2, 2, 2), np.float32)}, {}),
        ({"task_outcomes": np.zeros((3, 3, 2), np.float32)}, {}),
        ({"task_outcomes": np.zeros((3, 2), np.float32)}, {}),
        ({}, {"task_ids": ["a"]}),
        ({}, {"task_texts": ["a"]}),
        ({}, {"task_texts": None}),
        ({}, {"task_ids": "t0"}),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(arrays, meta):
    tasks = filled()
    with pytest.raises(ConfigError):
        PastTasks.load(10, {**tasks.arrays(), **arrays}, {**tasks.meta(), **meta})


def test_a_part_that_is_missing_is_named():
    tasks = filled()
    arrays = {name: array for name, array in tasks.arrays().items() if name != "task_states"}
    with pytest.raises(ConfigError, match="'task_states'"):
        PastTasks.load(10, arrays, tasks.meta())
