"""Points that answers share although they differ as a whole."""

import json

import pytest

from agentmesh.agents.points import MOST_POINTS, shared_points, statements
from agentmesh.agents.refiner import text_key


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("It is hot. It is 30 degrees.", "It is cold; no.\n* It is 30 degrees", ("It is 30 degrees.",)),
        ("1. **Petra** is old\n2) Romans", "Petra is old! Greeks", ("Petra is old",)),
        ("It is hot.", "It is not hot.", ()),
        ("Sure!\nIt rains", "Sure!\nIt snows", ()),
        ('{"city": "Petra", "year": 312}', "City:  petra\nYear: 106", ("city: Petra",)),
        ('```json\n{"a": {"b": [1, 2]}, "c": 1}\n```', '{"c": 2, "a": {"b": [1,2]}}', ("a.b: [1, 2]",)),
        ("[1, 2]", "[1, 2] or so", ()),
        (
            "\u5f7c\u5f97\u62c9\u3002\u7f57\u9a6c\u4eba",
            "\u5f7c\u5f97\u62c9\u3002\u5e0c\u814a\u4eba",
            ("\u5f7c\u5f97\u62c9\u3002",),
        ),
        ("", "   \n", ()),
    ],
)
def test_statements_of_several_groups_are_shared(one: str, other: str, shared: tuple[str, ...]) -> None:
    assert shared_points([[one], [other]], text_key) == shared


def test_what_one_group_says_twice_is_not_shared() -> None:
    assert shared_points([["It is hot.", "It is hot."], ["It is cold."]], text_key) == ()


def test_what_most_groups_share_comes_first_and_there_is_an_end() -> None:
    groups = [["one two. three four."], ["three four. one two."], ["three four."]]
    assert shared_points(groups, text_key) == ("three four.", "one two.")
    long = ". ".join(f"this is number {place}" for place in range(2 * MOST_POINTS))
    assert len(shared_points([[long + " a"], [long + " b"]], text_key)) == MOST_POINTS


@pytest.mark.parametrize(
    "text",
    ["a b. " * 300_000, "\n" * 10**6, "#" * 10**6, '{"a":' * 3000 + "1" + "}" * 3000, json.dumps({"a": ["b"] * 9**6})],
)
def test_a_long_answer_is_read_in_part(text: str) -> None:
    assert len(list(statements(text))) <= 400
