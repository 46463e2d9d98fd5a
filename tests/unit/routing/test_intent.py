"""Types of task: named, fitted or found, and how sure a task is of one."""

import json
from itertools import pairwise

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.intent import OTHER, TaskTypes
from agentmesh.routing.recent import Outcome, Recent

DIMENSION = 8
AXES = np.eye(DIMENSION, dtype=np.float32)
WORDS = ("integral polynomial", "empire battle", "molecule reaction", "sonnet rhyme", "contract tort", "enzyme cell")
NOWHERE = np.zeros(DIMENSION, np.float32)


def near(direction, *, spread, seed):
    vector = direction + spread * np.random.default_rng([3, seed]).normal(size=DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def around(*kinds, count, spread=0.05, hinted=False, seed=0):
    """Return recent outcomes of tasks in turn near the axes named by ``kinds``, with their telling words."""
    recent = Recent()
    for place in range(count):
        kind = kinds[place % len(kinds)]
        vector = near(AXES[kind], spread=spread, seed=1000 * seed + place)
        recent.add(vector, WORDS[kind], Outcome(0, 1.0, 1.0, 0.0, hinted))
    return recent


def found(*kinds, most=6, count=128):
    types = TaskTypes(most)
    assert types.review(around(*kinds, count=count)).found
    return types


def followed(types, kinds, count, *, seed=9):
    for vector in around(*kinds, count=min(count, 200), seed=seed).vectors if count else ():
        types.follow(vector, types.membership(vector))
    for place in range(200, count):
        vector = AXES[kinds[place % len(kinds)]]
        types.follow(vector, types.membership(vector))
    return types


def type_of(types, kind):
    return types.names[int(np.argmax(types.membership(AXES[kind])))]


def handed_on(remaking, before):
    """Return how much of each old type's evidence the new types take over together."""
    return [sum(shares.get(old, 0.0) for shares in remaking.sources) for old in range(before)]


# --- named by hints


def test_before_there_are_types_every_task_is_of_the_catch_all():
    types = TaskTypes(4)
    assert types.names == [OTHER]
    assert types.membership(AXES[0]).tolist() == types.membership(NOWHERE).tolist() == [1.0]


def test_a_hint_makes_a_type_once():
    types = TaskTypes(0)
    assert types.admit(("maths", "law", "maths"), AXES[0]) == 2
    assert types.admit(("law",), AXES[1]) == 0
    assert types.names == [OTHER, "maths", "law"]


def test_a_task_that_comes_with_a_known_hint_is_wholly_of_that_type():
    types = TaskTypes(0)
    types.admit(("maths",), AXES[0])
    types.admit(("law",), AXES[1])
    assert types.membership(AXES[0], ("law",)).tolist() == [0.0, 0.0, 1.0]
    assert types.membership(AXES[0], ("law", "unheard of", "maths")).tolist() == [0.0, 0.5, 0.5]


def test_a_hint_given_twice_counts_once():
    types = TaskTypes(0)
    types.admit(("maths",), AXES[0])
    assert types.membership(AXES[1], ("maths", "maths")).tolist() == [0.0, 1.0]


def test_a_task_without_a_hint_is_of_the_type_whose_tasks_it_is_like():
    types = TaskTypes(0)
    types.admit(("maths",), AXES[0])
    types.admit(("law",), AXES[1])
    share = types.membership(near(AXES[1], spread=0.1, seed=1))
    assert share[2] > 0.95
    assert float(share.sum()) == pytest.approx(1.0)


def test_a_hint_may_be_called_what_any_word_is():
    types = TaskTypes(0)
    assert types.admit(("other",), AXES[0]) == 1
    assert types.membership(AXES[3], ("other",)).tolist() == [0.0, 1.0]


def test_a_hint_called_as_the_catch_all_or_nothing_names_no_type():
    types = TaskTypes(0)
    assert types.admit((OTHER, "", "law"), AXES[0]) == 1
    assert types.names == [OTHER, "law"]
    assert types.membership(AXES[0], (OTHER, "")).tolist() == types.membership(AXES[0]).tolist()
    assert types.membership(AXES[3], (OTHER, "law")).tolist() == [0.0, 1.0]


def test_centres_follow_the_tasks_of_their_type():
    types = TaskTypes(0)
    types.admit(("maths",), AXES[0])
    types.admit(("law",), AXES[1])
    for _ in range(60):
        types.follow(AXES[2], types.membership(AXES[2], ("law",)))
    assert type_of(types, 2) == "law"
    assert type_of(types, 0) == "maths"


# --- strange tasks


def test_a_task_unlike_all_and_one_of_which_no_word_is_known_are_of_the_catch_all():
    types = found(0, 1)
    for vector in (-AXES[0], NOWHERE):
        assert types.membership(vector)[0] > 0.85
    assert types.membership(AXES[0])[0] < 0.01


def test_the_share_of_types_says_how_common_they_are_nowadays():
    types = found(0, 1)
    assert types.share.tolist() == [0.0] * len(types)
    followed(types, (0, 0, 0, 1), 200)
    assert float(types.share.sum()) == pytest.approx(1.0)
    common = {name: float(share) for name, share in zip(types.names, types.share, strict=True)}
    assert common[type_of(types, 0)] > common[type_of(types, 1)] > 0


# --- found


def test_types_are_found_among_tasks_that_nobody_named_and_called_by_their_words():
    types = found(0, 1, 2, most=4)
    assert len(types) == 4
    assert {type_of(types, kind).partition(": ")[2] for kind in range(3)} == {
        "integral, polynomial",
        "battle, empire",
        "molecule, reaction",
    }
    assert [name.partition(":")[0] for name in types.names[1:]] == ["type 1", "type 2", "type 3"]


def test_room_is_left_for_types_that_appear_later():
    assert len(found(0, 1, 2, 3, 4, 5, most=6)) - 1 < 6


def test_what_tasks_are_found_among_must_be_enough():
    assert TaskTypes(6).review(around(0, 1, count=10)) is None


@pytest.mark.parametrize("most", [0, 1])
def test_no_types_are_found_where_there_is_no_room_for_two(most):
    assert TaskTypes(most).review(around(0, 1, count=128)) is None


def test_no_types_are_found_where_tasks_come_with_theirs():
    assert TaskTypes(6).review(around(0, 1, count=128, hinted=True)) is None


def test_found_types_share_out_what_the_catch_all_had():
    remaking = TaskTypes(4).review(around(0, 1, 2, count=128))
    assert remaking.found
    assert handed_on(remaking, 1) == [1.0]


def test_tasks_unlike_every_type_become_a_new_one():
    types = followed(found(0, 1, most=6), (0, 1), 100)
    before = len(types)
    remaking = types.review(around(0, 1, 4, count=90))
    assert len(types) == before + 1 == len(remaking.sources)
    assert type_of(types, 4) == types.names[-1] == f"type {before}: contract, tort"
    assert remaking.sources[-1] == {}
    assert handed_on(remaking, before) == [1.0] * before


def test_texts_of_which_no_word_is_known_become_no_type():
    types = followed(found(0, 1, most=2), (0, 1), 100)
    recent = around(0, 1, count=100)
    for _ in range(40):
        recent.add(NOWHERE, "", Outcome(0, 1.0, 1.0, 0.0, False))
    names = list(types.names)
    types.review(recent)
    assert not [name for name in types.names if name not in names and type_of(types, 0) != name]
    assert types.membership(NOWHERE)[0] > 0.85


def test_a_type_of_two_kinds_of_task_is_parted_and_its_evidence_with_it():
    types = TaskTypes(6)
    types.admit(("mixed",), (AXES[0] + AXES[1]) / np.sqrt(2, dtype=np.float32))
    types.admit(("law",), AXES[4])
    followed(types, (0, 0, 1, 4), 100)
    remaking = types.review(around(0, 0, 1, 4, count=200))
    assert len(types) == 4
    assert type_of(types, 0) != type_of(types, 1)
    assert "mixed" not in types.names
    assert handed_on(remaking, 3) == pytest.approx([1.0] * 3)
    shares = sorted(share for source in remaking.sources for old, share in source.items() if old == 1)
    assert shares == pytest.approx([1 / 3, 2 / 3], abs=0.02)


def test_a_type_whose_tasks_are_alike_is_not_parted():
    types = followed(found(0, 1, most=6), (0, 1), 100)
    names = list(types.names)
    assert types.review(around(0, 1, count=200)) is None
    assert types.names == names


def test_there_are_never_more_types_than_wanted():
    types = followed(found(0, 1, most=2), (0, 1), 100)
    assert types.review(around(0, 1, 2, 3, 4, 5, count=240)) is None
    assert len(types) == 3


def test_a_type_that_tasks_no_longer_have_is_retired_into_the_nearest_one():
    types = followed(found(0, 1, 2, most=4), (0, 1, 2), 60)
    gone = type_of(types, 2)
    followed(types, (0, 1), 6000)
    before, place = len(types), types.names.index(gone)
    remaking = types.review(around(0, 1, count=128))
    assert gone not in types.names
    assert len(types) == before - 1 == len(remaking.sources)
    assert handed_on(remaking, before) == [1.0] * before
    heirs = [types.names[new] for new, source in enumerate(remaking.sources) if place in source]
    assert len(heirs) == 1
    assert heirs[0] != OTHER


def test_the_last_type_but_the_catch_all_is_never_retired():
    types = TaskTypes(1)
    types.admit(("rare",), AXES[0])
    for _ in range(6000):
        types.follow(NOWHERE, np.array([1.0, 0.0]))
    assert types.review(around(0, count=128)) is None
    assert types.names == [OTHER, "rare"]


def test_numbers_of_found_types_are_never_used_again():
    types = followed(found(0, 1, 2, most=4), (0, 1, 2), 60)
    followed(types, (0, 1), 6000)
    types.review(around(0, 1, count=128))
    types.review(around(0, 1, 4, count=128))
    numbers = [int(name.split()[1].rstrip(":")) for name in types.names[1:]]
    assert all(one < two for one, two in pairwise(sorted(numbers)))
    assert max(numbers) == 4


# --- fitted


def fitted(groups, *, most=4, count=30, weights=None):
    vectors = np.stack([near(AXES[place % len(groups)], spread=0.05, seed=place) for place in range(count)])
    named = [groups[place % len(groups)] for place in range(count)]
    types = TaskTypes(most)
    return types, types.fit(vectors, named, lambda: weights)


def separating(kinds):
    """Return a regression that tells the first axes apart."""
    return np.vstack([30.0 * AXES[:, :kinds], np.zeros((1, kinds))]).astype(np.float32)


def test_the_groups_of_a_table_are_the_types_and_tasks_are_wholly_of_theirs():
    types, member = fitted(["maths", "law"], weights=separating(2)[:, ::-1])
    assert types.names == [OTHER, "law", "maths"]
    assert types.is_fitted
    assert member[:2].tolist() == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def test_a_task_that_was_not_in_the_table_is_told_by_the_regression():
    types, _ = fitted(["a", "b"], weights=separating(2)[:, ::-1])  # it says the contrary of the centres
    share = types.membership(near(AXES[0], spread=0.05, seed=99))
    assert types.names[int(np.argmax(share))] == "b"
    assert float(share.sum()) == pytest.approx(1.0)


def test_tasks_of_unknown_group_are_shared_out_by_what_they_are_like():
    _, member = fitted(["a", "", "b"], weights=np.vstack([30.0 * AXES[:, [0, 2]], np.zeros((1, 2))], dtype=np.float32))
    assert member.sum(axis=1) == pytest.approx(np.ones(30))
    assert member[0].tolist() == [0.0, 1.0, 0.0]
    assert 0.0 < member[1][0] < 1.0


def test_without_groups_the_types_are_clusters_of_the_table():
    types, member = fitted([""] * 3, most=3)
    assert types.names == [OTHER, "type 1", "type 2", "type 3"]
    assert not types.is_fitted
    assert len({int(np.argmax(row)) for row in member[:3]}) == 3


def test_one_type_for_all_is_all_that_a_table_gives_where_none_are_wanted():
    types, member = fitted([""] * 3, most=0)
    assert types.names == [OTHER]
    assert member.tolist() == [[1.0]] * 30


def test_fitted_types_stay_as_they_are():
    types, _ = fitted(["a", "b"], weights=separating(2))
    centres = types.arrays()["type_centres"].copy()
    followed(types, (4, 5), 100)
    assert types.review(around(4, 5, count=128)) is None
    assert types.arrays()["type_centres"].tolist() == centres.tolist()


def test_a_hint_that_the_table_did_not_have_is_known_by_its_hint_alone():
    types, _ = fitted(["a", "b"], weights=separating(2))
    assert types.admit(("new",), AXES[5]) == 1
    assert types.membership(AXES[5], ("new",)).tolist() == [0.0, 0.0, 0.0, 1.0]
    assert types.membership(AXES[5])[3] == 0.0


def test_a_group_may_be_called_what_any_word_is():
    types, member = fitted(["other", "law"], weights=separating(2)[:, ::-1])
    assert len(set(types.names)) == 3
    share = types.membership(AXES[0])
    assert int(np.argmax(share)) == int(np.argmax(member[0])) == types.names.index("other")


def test_a_group_called_as_the_catch_all_is_of_unknown_type():
    types, member = fitted([OTHER, "law", "maths"], weights=separating(2))
    assert types.names == [OTHER, "law", "maths"]
    assert 0.0 < member[0][0] < 1.0
    assert member[1].tolist() == [0.0, 1.0, 0.0]


# --- the state


def loaded(types, most=6):
    fresh = TaskTypes(most)
    fresh.load(types.arrays(), json.loads(json.dumps(types.meta())))
    return fresh


@pytest.mark.parametrize("kind", ["empty", "found", "fitted and hinted"])
def test_types_are_loaded_as_they_were(kind):
    types = TaskTypes(6)
    if kind == "found":
        types = followed(found(0, 1, 2), (0, 1, 2), 50)
    elif kind == "fitted and hinted":
        types, _ = fitted(["a", "b"], most=6, weights=separating(2))
        types.admit(("new",), AXES[5])
    fresh, recent = loaded(types), around(0, 1, 4, count=128)
    for one in (types, fresh):
        followed(one, (0, 4), 20)
        one.review(recent)
    assert fresh.names == types.names
    for kind_of in range(6):
        assert fresh.membership(AXES[kind_of]).tolist() == types.membership(AXES[kind_of]).tolist()
    assert fresh.share.tolist() == types.share.tolist()


@pytest.mark.parametrize(
    "damage",
    [
        {"types": None},
        {"types": [OTHER]},
        {"numbered": "2"},
        {"type_mass": np.zeros(2)},
        {"type_mass": np.zeros((3, 1))},
        {"type_centres": np.zeros((2, DIMENSION), np.float32)},
        {"type_centres": np.zeros(3, np.float32)},
        {"recogniser": np.zeros((DIMENSION + 1, 3), np.float32)},
        {"recogniser": np.zeros((DIMENSION, 2), np.float32)},
        {"recogniser": np.zeros(2, np.float32)},
    ],
)
def test_parts_that_do_not_fit_together_are_refused(damage):
    types, _ = fitted(["a", "b"], weights=separating(2))
    whole = {**types.arrays(), **types.meta(), **damage}
    with pytest.raises(ConfigError, match="fit"):
        TaskTypes(4).load(whole, whole)
