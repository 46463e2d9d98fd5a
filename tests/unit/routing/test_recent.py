"""The newest outcomes, kept whole for a while, and the words that tell some of them from the rest."""

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.recent import KEPT, WORDS_A_TASK, Outcome, Recent, telling_words

EAST, NORTH = np.eye(2, dtype=np.float32)


def outcome(column=0, *, at=0.0, hinted=False):
    return Outcome(column, 0.5, 1.0, at, hinted)


def filled(count):
    recent = Recent()
    for place in range(count):
        recent.add(EAST, f"word{place}", outcome(at=float(place)))
    return recent


def test_outcomes_are_kept_in_rows_beside_the_vectors_of_their_tasks():
    recent = Recent()
    recent.add(EAST, "", outcome(3, at=7.0))
    recent.add(NORTH, "", outcome(1, hinted=True))
    assert recent.vectors.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert recent.rows.tolist() == [[3.0, 0.5, 1.0, 7.0, 0.0], [1.0, 0.5, 1.0, 0.0, 1.0]]


def test_the_oldest_makes_room_when_all_places_are_taken():
    recent = filled(KEPT + 3)
    assert len(recent) == KEPT
    assert sorted(recent.rows[:, 3].tolist()) == [float(place) for place in range(3, KEPT + 3)]


def test_the_share_of_tasks_that_came_with_a_type_is_known():
    recent = Recent()
    assert recent.hinted == 0.0
    for hinted in (True, False, False, False):
        recent.add(EAST, "", outcome(hinted=hinted))
    assert recent.hinted == 0.25


def test_dropping_edges_takes_their_evidence_and_leaves_their_tasks():
    recent = Recent()
    for column in (0, 1, 2):
        recent.add(EAST, "", outcome(column))
    recent.drop(np.array([0, 2]))
    assert recent.rows[:, 2].tolist() == [0.0, 1.0, 0.0]
    assert len(recent) == 3


# --- words


def test_short_and_common_words_and_numbers_tell_nothing():
    assert telling_words("Which of THESE 2024 primes_and is a Prime number?") == ("primes", "prime", "number")


def test_a_word_of_another_script_tells_as_much():
    assert telling_words("Что такое интеграл функции?") == ("такое", "интеграл", "функции")


def test_no_more_words_are_read_than_are_kept():
    text = " ".join("abcdefghijklmnopqrstuvwxyz"[place : place + 5] for place in range(20))
    assert telling_words(text) == tuple(text.split()[:WORDS_A_TASK])


def test_words_past_the_beginning_of_a_long_text_are_not_read():
    assert telling_words("integral " + "x" * 2000 + " polynomial")[0] == "integral"
    assert "polynomial" not in telling_words("integral " + "x " * 2000 + " polynomial")


def told(texts):
    recent = Recent()
    for text in texts:
        recent.add(EAST, text, outcome())
    return recent


def test_a_name_is_made_of_the_words_that_members_have_and_others_have_not():
    recent = told(["integral polynomial number", "integral number"] * 5 + ["empire battle number", "empire king"] * 5)
    assert recent.name_of(range(10)) == "integral, number, polynomial"
    assert recent.name_of(range(10, 20)).split(", ")[0] == "empire"


def test_words_of_few_members_are_not_in_the_name():
    recent = told(["integral"] * 30 + ["integral zebra"] * 2)
    assert recent.name_of(range(32)) == "integral"


def test_members_without_a_telling_word_have_no_name():
    assert told(["what is it", "12 * 7"]).name_of([0, 1]) == ""


# --- the state


@pytest.mark.parametrize("count", [0, 5, KEPT, KEPT + 9])
def test_recent_outcomes_are_loaded_as_they_were(count):
    recent = filled(count)
    fresh = Recent.load({name: values.copy() for name, values in recent.arrays().items()}, recent.meta())
    for one in (recent, fresh):
        for place in range(3):
            one.add(NORTH, "later word", outcome(9, at=1000.0 + place))
    assert fresh.vectors.tolist() == recent.vectors.tolist()
    assert fresh.rows.tolist() == recent.rows.tolist()
    assert fresh.meta() == recent.meta()


@pytest.mark.parametrize(
    "damage",
    [
        {"recent_vectors": np.zeros((4, 2), np.float32)},
        {"recent_vectors": np.zeros(5, np.float32)},
        {"recent_rows": np.zeros((4, 5))},
        {"recent_rows": np.zeros((5, 1))},
        {"recent_rows": np.zeros((KEPT + 1, 5))},
        {"words": ["a"] * 4},
        {"words": None},
        {"start": "0"},
        {"start": None},
        {"start": -1},
        {"start": KEPT},
    ],
)
def test_parts_that_do_not_fit_together_are_refused(damage):
    whole = {**filled(5).arrays(), **filled(5).meta(), **damage}
    with pytest.raises(ConfigError, match="do not fit"):
        Recent.load(whole, whole)
