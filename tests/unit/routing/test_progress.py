"""What a long training says of how far it is."""

import pytest

from agentmesh.routing.progress import bar, lasting, unsaid


def test_before_anything_is_done_nothing_is_known_of_the_time_left():
    assert bar("training", 0, 4, 3.0) == f"training {' ' * 20}0 of 4 passes"


def test_the_time_left_is_that_of_the_passes_so_far():
    assert bar("training", 1, 4, 3.0) == f"training {'━' * 5}{' ' * 15}1 of 4 passes, about 9 s left"


def test_the_bar_is_full_in_the_end():
    assert bar("training", 4, 4, 3.0) == f"training {'━' * 20}4 of 4 passes, about 0 s left"


def test_nothing_to_do_is_a_bar_too():
    assert bar("training", 0, 0, 0.0).endswith("0 of 0 passes")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (61.0, "1 min 1 s"), (3600.0, "60 min 0 s")],
)
def test_a_time_is_told_in_seconds_and_minutes(seconds, words):
    assert lasting(seconds) == words


def test_nobody_need_be_told():
    assert unsaid("training") is None
