"""The nearest earlier tasks: exact ties, the window, and vectors that cannot be compared."""

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.knowledge.likeness import TaskWindow, on_grid

ROWS = np.array([[1, 0], [0.6, 0.8], [0, 1], [1, 0]], dtype=np.float32)


def held(rows=ROWS, *, limit=100):
    window = TaskWindow(limit)
    found = window.extend([f"t{place}" for place in range(len(rows))], rows, k=2)
    return window, found


def test_each_task_is_linked_with_the_nearest_before_it():
    _, found = held()
    assert [[name for name, _ in row] for row in found] == [[], ["t0"], ["t1"], ["t0", "t1"]]
    assert found[3][0][1] == 1.0
    assert found[3][1][1] == pytest.approx(0.6, abs=1e-3)


def test_of_equally_near_tasks_the_newest_comes_first():
    window, _ = held()
    assert [name for name, _ in window.nearest(ROWS[0], k=2)] == ["t3", "t0"]


def test_only_the_newest_are_looked_at():
    window, found = held(np.tile(ROWS[:1], (5, 1)), limit=2)
    assert [[name for name, _ in row] for row in found] == [[], ["t0"], ["t1", "t0"], ["t2", "t1"], ["t3", "t2"]]
    assert len(window) == 2
    assert [name for name, _ in window.nearest(ROWS[0], k=9)] == ["t4", "t3"]


def test_tasks_that_are_not_alike_are_not_linked():
    _, found = held(np.array([[1, 0], [0, 1], [-1, 0], [0, 0], [0, 0]], dtype=np.float32))
    assert found == [[], [], [], [], []]


def test_an_empty_window_and_no_neighbours_give_nothing():
    assert TaskWindow(3).nearest(ROWS[0], k=2) == []
    window, _ = held()
    assert window.nearest(ROWS[0], k=0) == []


def test_rows_are_kept_when_the_array_grows_and_moves():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((500, 8)).astype(np.float32)
    window = TaskWindow(70)
    for place, row in enumerate(rows):
        window.extend([f"t{place}"], row[None], k=1)
    grid = on_grid(rows[430:])
    for row in rows[480:]:
        best = int(np.argmax(grid @ on_grid(row[None])[0]))
        assert window.nearest(row, k=1)[0][0] == f"t{430 + best}"


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_length_of_a_vector_does_not_count(scale):
    assert on_grid(ROWS * np.float32(scale)).tolist() == on_grid(ROWS).tolist()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([1.0], "of 1 numbers was given; the graph's vectors have 2"),
        ([np.nan, 0.0], "NaN"),
        ([np.inf, 0.0], "infinity"),
    ],
)
def test_a_vector_that_cannot_be_compared_is_refused(row, said):
    window, _ = held()
    with pytest.raises(ConfigError, match=said):
        window.nearest(np.array(row, dtype=np.float32), k=1)


def test_an_empty_vector_is_refused():
    with pytest.raises(ConfigError, match="an empty vector"):
        TaskWindow(1).extend(["t"], np.zeros((1, 0), np.float32), k=1)
