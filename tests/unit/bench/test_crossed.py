"""Means over seeds and tasks, and their differences."""

import numpy as np
import pytest

from agentmesh.bench.crossed import Crossed

RNG = np.random.default_rng(0)


def test_a_table_of_one_row_stands_for_every_seed() -> None:
    row = RNG.random((1, 30))
    found = Crossed.of({"one": row, "many": np.repeat(row, 4, axis=0)}, resamples=50)
    assert found.lead("one", over="many") == pytest.approx((0.0, 0.0), abs=1e-9)


def test_a_difference_is_paired() -> None:
    table = RNG.random((3, 40))
    found = Crossed.of({"a": table, "b": table + 0.25}, resamples=50)
    assert found.lead("b", over="a") == pytest.approx((0.25, 0.25))
    assert found.own("a")[0] < table.mean() < found.own("a")[1]


def test_the_spread_between_seeds_widens_the_interval() -> None:
    tasks = RNG.random((1, 40))
    found = Crossed.of({"alike": np.repeat(tasks, 5, axis=0), "apart": tasks + np.arange(5.0)[:, None]})
    widths = {name: np.diff(found.own(name))[0] for name in ("alike", "apart")}
    assert widths["apart"] > 3 * widths["alike"]
