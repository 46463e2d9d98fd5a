"""What the content of a task says about each agent, learned one outcome at a time."""

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.content import CARD_WEIGHT, PRICE_WEIGHT, ContentTerm
from agentmesh.routing.regression import sigmoid

EAST, NORTH = np.eye(2, dtype=np.float32)
BLANK = np.zeros(2)
BOTH = np.array([0, 1])


def logits(term, vector, *, card=BLANK, price=BLANK, columns=BOTH):
    return term.logits(vector, card, price, columns)


def taught(term, lessons, rounds=1):
    """Show (vector, column, quality) in turn, each with the error of the term's own prediction."""
    for _ in range(rounds):
        for vector, column, quality in lessons:
            expected = float(sigmoid(logits(term, vector))[column])
            term.learn(vector, column, error=quality - expected, card=0.0, price=0.0)
    return term


SPECIALISTS = [(EAST, 0, 1.0), (EAST, 1, 0.0), (NORTH, 0, 0.0), (NORTH, 1, 1.0)]


def test_before_any_outcome_the_card_and_the_price_speak():
    told = logits(ContentTerm(1.0), EAST, card=np.array([0.1, -0.1]), price=np.array([0.0, 1.0]))
    assert told.tolist() == [0.1 * CARD_WEIGHT, -0.1 * CARD_WEIGHT + PRICE_WEIGHT]


def test_it_learns_who_is_right_on_which_kind_of_task():
    term = taught(ContentTerm(1.0), SPECIALISTS, rounds=60)
    assert sigmoid(logits(term, EAST)) == pytest.approx([1.0, 0.0], abs=0.1)
    assert sigmoid(logits(term, NORTH)) == pytest.approx([0.0, 1.0], abs=0.1)


def test_with_a_rate_of_nothing_no_agent_gets_weights_of_its_own():
    term = taught(ContentTerm(0.0), SPECIALISTS, rounds=20)
    east = logits(term, EAST)
    assert east[0] == east[1] == logits(term, NORTH)[0]


def test_an_agent_that_is_not_known_is_told_by_what_all_share():
    term = taught(ContentTerm(1.0), [(EAST, 0, 1.0)], rounds=30)
    assert logits(term, NORTH, columns=np.array([5, 1])).tolist() == [float(term.arrays()["content_shared"][2])] * 2


def test_the_steps_of_an_agent_grow_smaller():
    term, moved = ContentTerm(1.0), []
    for _ in range(200):
        before = logits(term, EAST)[0]
        term.learn(EAST, 0, error=0.5, card=0.0, price=0.0)
        moved.append(logits(term, EAST)[0] - before)
    assert moved[-1] < 0.6 * moved[0]


def test_an_agent_that_woke_learns_in_large_steps_again():
    asleep, woken = (taught(ContentTerm(1.0), SPECIALISTS, rounds=100) for _ in range(2))
    woken.wake(0)
    woken.wake(9)  # not known: nothing to wake
    before = float(logits(asleep, EAST)[0])
    for term in (asleep, woken):
        term.learn(EAST, 0, error=-0.5, card=0.0, price=0.0)
    assert before - logits(woken, EAST)[0] > 1.4 * (before - logits(asleep, EAST)[0])


def test_a_dropped_agent_has_no_weights_and_the_others_keep_theirs():
    term = taught(ContentTerm(1.0), SPECIALISTS, rounds=20)
    other = float(logits(term, EAST)[1])
    term.drop(0)
    term.drop(9)
    assert logits(term, EAST)[0] == logits(term, NORTH)[0] == term.arrays()["content_shared"][2]
    assert logits(term, EAST)[1] == other


def test_cards_that_mislead_lose_their_weight():
    term = ContentTerm(0.0)
    for _ in range(300):
        term.learn(EAST, 0, error=-0.5, card=0.2, price=0.0)
        term.learn(EAST, 1, error=0.5, card=-0.2, price=0.0)
    assert term.arrays()["content_shared"][0] < CARD_WEIGHT / 2


def test_a_row_of_outcomes_is_learned_like_its_outcomes_one_by_one():
    row, single = ContentTerm(1.0), ContentTerm(1.0)
    row.learn_row(EAST, BOTH, np.array([0.5, -0.25]))
    single.learn(EAST, 0, error=0.5, card=0.0, price=0.0)
    single.learn(EAST, 1, error=-0.25, card=0.0, price=0.0)
    assert row.arrays()["content"].tolist() == single.arrays()["content"].tolist()
    assert row.arrays()["content_counts"].tolist() == [1.0, 1.0]


def test_a_row_without_outcomes_teaches_nothing():
    term = ContentTerm(1.0)
    term.learn_row(EAST, BOTH[:0], np.zeros(0))
    assert logits(term, EAST).tolist() == [0.0, 0.0]


def test_the_difficulty_of_a_task_is_the_same_for_all_and_learned_apart():
    term = ContentTerm(1.0)
    assert term.difficulty(EAST) == 0.0
    for _ in range(200):
        term.learn_difficulty(EAST, -0.3)
        term.learn_difficulty(NORTH, 0.3)
    assert term.difficulty(EAST) < -1.0
    assert term.difficulty(NORTH) > 1.0
    assert logits(term, EAST).tolist() == [0.0, 0.0]


def test_a_vector_of_another_length_is_refused_once_something_was_learned():
    term = ContentTerm(1.0)
    term.check(np.zeros(7, np.float32))
    term.learn_difficulty(EAST, 0.1)
    term.check(NORTH)
    with pytest.raises(ConfigError, match="length 3, past ones had 2; use the same embedder"):
        term.check(np.zeros(3, np.float32))


def test_a_term_is_loaded_as_it_was():
    term, fresh = taught(ContentTerm(1.0), SPECIALISTS, rounds=5), ContentTerm(1.0)
    term.learn_difficulty(EAST, 0.1)
    fresh.load(term.arrays())
    for one in (term, fresh):
        one.learn(NORTH, 3, error=0.5, card=0.1, price=-0.5)
        one.learn_difficulty(NORTH, 0.1)
    for name, values in term.arrays().items():
        assert fresh.arrays()[name].tolist() == values.tolist()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("content", np.zeros((3, 3), np.float32)),
        ("content", np.zeros((2, 4), np.float32)),
        ("content", np.zeros(2, np.float32)),
        ("content_counts", np.zeros(1)),
        ("content_shared", np.zeros(3)),
        ("difficulty", np.zeros(4, np.float32)),
        ("difficulty", np.zeros((1, 3), np.float32)),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(name, values):
    term = taught(ContentTerm(1.0), SPECIALISTS)
    term.learn_difficulty(EAST, 0.1)
    with pytest.raises(ConfigError, match="do not fit"):
        ContentTerm(1.0).load({**term.arrays(), name: values})
