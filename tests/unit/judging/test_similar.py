"""Answers that mean the same by their vectors."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.judging.similar import linked


def at(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_a_chain_of_near_answers_is_one_group() -> None:
    assert linked(at(0, 40, 10, 20, 90), 0.98) == [0, 1, 0, 0, 2]


def test_an_answer_without_a_known_word_stands_alone() -> None:
    assert linked(np.zeros((2, 3), np.float32), 0.5) == [0, 1]
    assert linked(np.zeros((0, 3), np.float32)) == []


@settings(max_examples=40)
@given(st.lists(st.floats(0, 180), min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_the_groups_do_not_depend_on_the_order_of_the_answers(degrees: list[float], chance) -> None:
    places = list(range(len(degrees)))
    chance.shuffle(places)
    before, after = linked(at(*degrees), 0.9), linked(at(*(degrees[place] for place in places)), 0.9)
    for one in range(len(places)):
        for other in range(one):
            assert (after[one] == after[other]) == (before[places[one]] == before[places[other]])
