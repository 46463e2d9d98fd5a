"""When two answers count as the same."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.agents import refiner
from agentmesh.judging.equivalence import choice_in, choice_key, json_key, number_in, number_key, text_key

MANY = 300_000


@pytest.mark.parametrize(
    ("one", "other"),
    [("Paris", " paris. "), ("a\t b\n c", "a b c"), ("\uff11\uff12", "12"), ("Straße", "STRASSE"), ("?", " ? ")],
)
def test_texts_that_count_as_the_same(one: str, other: str) -> None:
    assert text_key(one) == text_key(other)


@given(st.text())
def test_the_default_vote_compares_texts_in_the_same_way(text: str) -> None:
    assert text_key(text) == refiner.text_key(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("84", Fraction(84)),
        ("-84", Fraction(-84)),
        ("\u221284", Fraction(-84)),
        ("+3", Fraction(3)),
        ("1,000.0", Fraction(1000)),
        ("1e3", Fraction(1000)),
        ("2.5E-1", Fraction(1, 4)),
        (".5", Fraction(1, 2)),
        ("$1,234,567.89", Fraction(123456789, 100)),
        ("1/3", Fraction(1, 3)),
        ("-1 / 4", Fraction(-1, 4)),
        ("12.5%", Fraction(1, 8)),
        ("25 % of it", Fraction(1, 4)),
        ("12 * 7 = 84.", Fraction(84)),
        ("between 3 and 4", Fraction(4)),
        ("3-4", Fraction(4)),
        ("x = -2", Fraction(-2)),
        ("the answer is 42!", Fraction(42)),
        ("0.1", Fraction(1, 10)),
    ],
)
def test_the_last_number_of_a_text_is_read_exactly(text: str, number: Fraction) -> None:
    assert number_in(text) == number


@pytest.mark.parametrize("text", ["", "none", "Paris", "1/0", "nan", "inf", "-", ".", "GPT4", "9" * 401])
def test_a_text_without_a_usable_number_has_none(text: str) -> None:
    assert number_in(text) is None
    assert number_key(text) == text_key(text)


@given(st.integers())
def test_an_integer_is_read_with_and_without_commas(value: int) -> None:
    assert number_in(f"so it is {value}.") == number_in(f"{value:,}") == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back(value: float) -> None:
    assert number_in(repr(value)) == Fraction(repr(value))


def test_equal_numbers_have_one_key_and_others_do_not() -> None:
    assert number_key("1,000.0") == number_key("1e3") == number_key("It is 1000")
    assert number_key("1000") != number_key("1001")
    assert number_key("1/2") == number_key("0.5") == number_key("50%")


def test_a_number_is_not_taken_for_a_text() -> None:
    assert number_key("x") != number_key("1")


def test_a_megabyte_of_digits_is_answered_at_once() -> None:
    assert number_in("7" * 1_000_000) is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("C", "C"),
        (" c ", "C"),
        ("(C)", "C"),
        ("c)", "C"),
        ("C.", "C"),
        ("The answer is (C).", "C"),
        ("the answer is C", "C"),
        ("Answer: C", "C"),
        ("**Answer:** C", "C"),
        ("The answer is **C**.", "C"),
        ("The correct option is C, because it fits.", "C"),
        ("Final answer = [C]", "C"),
        ("At first A seems right. The answer is B.\nNo: the answer is C", "C"),
        (r"Hence \boxed{C}.", "C"),
        (r"Hence \boxed{\text{(C)}}.", "C"),
        ("C) Paris", "C"),
        ("C. Paris", "C"),
        ("Neither (A) nor (B), so (C)", "C"),
        ("The answer is J.", "J"),
    ],
)
def test_the_chosen_letter_is_found(text: str, letter: str) -> None:
    assert choice_in(text) == letter


@pytest.mark.parametrize(
    "text", ["", "Paris", "I am not sure", "A dog", "the answer is a dog", "The answer is I think so"]
)
def test_a_text_that_chooses_no_letter_has_none(text: str) -> None:
    assert choice_in(text) is None
    assert choice_key(text) == text_key(text)


def test_equal_choices_have_one_key_and_others_do_not() -> None:
    assert choice_key("C") == choice_key("The answer is (C).")
    assert choice_key("C") != choice_key("D")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": [true, null]}', ' {"b":[true,null],"a":1.0} '),
        ("1e2", "100"),
        ('"x"', '"\\u0078"'),
        ('```json\n{"a": 1}\n```', '{"a":1}'),
        ("```\n[1]\n```", "[1]"),
        ('{"a": {"c": [], "b": {}}}', '{"a": {"b": {}, "c": []}}'),
    ],
)
def test_the_same_json_value_has_one_key(one: str, other: str) -> None:
    assert json_key(one) == json_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[1, 2]", "[2, 1]"),
        ("true", "1"),
        ("false", "0"),
        ("null", "[]"),
        ("{}", "[]"),
        ('"1"', "1"),
        ('{"a": 1}', '{"b": 1}'),
    ],
)
def test_different_json_values_have_different_keys(one: str, other: str) -> None:
    assert json_key(one) != json_key(other)


@pytest.mark.parametrize("text", ["", "Paris", "{", "NaN", "Infinity", "[1,]", "[" * 100_000, "1e99999999999999999999"])
def test_what_is_no_json_is_compared_as_text(text: str) -> None:
    assert json_key(text) == text_key(text)


@pytest.mark.parametrize(
    "text",
    [
        "the answer" + " " * MANY + "x",
        "\\boxed{" + " " * MANY + "x",
        "answer A" + "\n" * MANY + "x",
        "answer is " * MANY,
        "answer" + " :" * MANY,
        "(" * MANY,
        "```json\n" + "\n" * MANY + "x",
        "```\n" * MANY,
        "1" + " " * MANY + "x",
        "[" * MANY,
    ],
    ids=range(10),
)
def test_a_megabyte_made_to_be_slow_has_keys_in_bounded_time(text: str) -> None:
    assert choice_in(text) in (None, "A")
    assert len({text_key(text), number_key(text), json_key(text)}) >= 1


@given(st.text())
def test_every_text_has_keys_that_can_be_hashed(text: str) -> None:
    assert len({text_key(text), number_key(text), choice_key(text), json_key(text)}) >= 1
