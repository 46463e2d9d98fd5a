"""Scores by rule."""

from decimal import Decimal
from fractions import Fraction

import pytest

from agentmesh.errors import ConfigError
from agentmesh.judging import CallableVerifier, ExactVerifier, NumericVerifier, RegexVerifier, choice_key
from agentmesh.judging.verifiers import SEARCHED
from agentmesh.protocols import Verifier
from agentmesh.records import Task

KNOWN = Task(id="t1", text="?")
UNKNOWN = Task(id="t2", text="?")
NAMELESS = Task(text="?")
MANY = 500_000


@pytest.mark.parametrize(
    ("verifier", "name"),
    [
        (ExactVerifier({"t1": "x"}), "exact"),
        (NumericVerifier({"t1": 1}), "numeric"),
        (RegexVerifier({"t1": "x"}), "regex"),
        (ExactVerifier({}, name="mine"), "mine"),
    ],
)
def test_a_task_without_an_expectation_gets_no_score(verifier: Verifier, name: str) -> None:
    assert verifier.verify(UNKNOWN, "x") is None
    assert verifier.verify(NAMELESS, "x") is None
    assert verifier.name == name
    assert isinstance(verifier, Verifier)


@pytest.mark.parametrize(("answer", "score"), [("Paris", 1.0), (" paris. ", 1.0), ("London", 0.0), ("", 0.0)])
def test_exact_compares_normalised_text(answer: str, score: float) -> None:
    assert ExactVerifier({"t1": "Paris"}).verify(KNOWN, answer) == score


def test_exact_may_be_told_what_counts_as_the_same() -> None:
    verifier = ExactVerifier({"t1": "C"}, equivalence=choice_key)
    assert verifier.verify(KNOWN, "The answer is (C).") == 1.0
    assert verifier.verify(KNOWN, "The answer is (D).") == 0.0


@pytest.mark.parametrize(
    ("answer", "score"), [("84", 1.0), ("It is 84.0", 1.0), ("84.00001", 1.0), ("84.1", 0.0), ("-84", 0.0), ("?", 0.0)]
)
def test_numeric_compares_the_last_number(answer: str, score: float) -> None:
    assert NumericVerifier({"t1": 84}).verify(KNOWN, answer) == score


@pytest.mark.parametrize("expected", [0.5, Decimal("0.5"), "1/2", "50%", ".5"])
def test_the_expected_number_may_be_written_in_many_ways(expected: float | Decimal | str) -> None:
    assert NumericVerifier({"t1": expected}).verify(KNOWN, "0.5") == 1.0


def test_the_larger_tolerance_holds() -> None:
    assert NumericVerifier({"t1": 100}, relative=0.01, absolute=0.5).verify(KNOWN, "101") == 1.0
    assert NumericVerifier({"t1": 100}, relative=0.001, absolute=2).verify(KNOWN, "102") == 1.0
    assert NumericVerifier({"t1": 100}, relative=0.001, absolute=0.5).verify(KNOWN, "101") == 0.0


def test_zero_is_met_by_zero_alone_unless_an_absolute_tolerance_is_given() -> None:
    assert NumericVerifier({"t1": 0}).verify(KNOWN, "0.0001") == 0.0
    assert NumericVerifier({"t1": 0}, absolute=0.001).verify(KNOWN, "0.0001") == 1.0


def test_a_tolerance_is_exact_at_its_edge() -> None:
    assert NumericVerifier({"t1": "0.3"}, relative=0, absolute=0.5).verify(KNOWN, "0.8") == 1.0
    assert Fraction("0.8") - Fraction("0.3") == Fraction(1, 2)


@pytest.mark.parametrize("expected", [float("nan"), float("inf"), "many", ""])
def test_an_expectation_that_is_no_number_is_refused(expected: float | str) -> None:
    with pytest.raises(ConfigError, match=r"task 't1' expects .*; accepted is a finite number"):
        NumericVerifier({"t1": expected})


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("which", ["relative", "absolute"])
def test_a_tolerance_that_is_no_distance_is_refused(which: str, tolerance: float) -> None:
    with pytest.raises(ConfigError, match=f"{which} is {tolerance!r}"):
        NumericVerifier({"t1": 1}, **{which: tolerance})


@pytest.mark.parametrize(("answer", "score"), [("In 1889.", 1.0), ("in 1890", 1.0), ("18890", 0.0)])
def test_regex_looks_for_the_pattern_anywhere(answer: str, score: float) -> None:
    assert RegexVerifier({"t1": r"\b18(89|90)\b"}).verify(KNOWN, answer) == score


def test_a_pattern_that_is_none_is_refused_with_its_task() -> None:
    with pytest.raises(ConfigError, match=r"the pattern '\(' of task 't1' is no regular expression"):
        RegexVerifier({"t1": "("})


@pytest.mark.parametrize(("returned", "score"), [(True, 1.0), (False, 0.0), (0, 0.0), (0.25, 0.25), (None, None)])
def test_a_function_may_score(returned: float | bool | None, score: float | None) -> None:
    assert CallableVerifier(lambda _task, _answer: returned, name="mine").verify(KNOWN, "x") == score


def test_a_function_sees_the_task_and_the_answer() -> None:
    verifier = CallableVerifier(lambda task, answer: task.id == answer, name="mine")
    assert verifier.verify(KNOWN, "t1") == 1.0
    assert verifier.name == "mine"


@pytest.mark.parametrize("returned", [1.5, -0.1, float("nan"), "1", [1]])
def test_a_function_that_returns_no_score_is_named(returned: object) -> None:
    verifier = CallableVerifier(lambda _task, _answer: returned, name="mine")  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigError, match=r"the verifier 'mine' returned .*; accepted is a number from 0 to 1"):
        verifier.verify(KNOWN, "x")


SLOW_TEXTS = ["", " " * MANY, "a" * MANY, "\n" * MANY, "\x00", "\ud800", "((" * MANY]


@pytest.mark.parametrize("answer", SLOW_TEXTS, ids=range(len(SLOW_TEXTS)))
@pytest.mark.parametrize("pattern", [r"\s+$", r"a*b", r"(\w+\s*)*!$", "^x"])
def test_regex_answers_on_a_hostile_answer_in_bounded_time(pattern: str, answer: str) -> None:
    if pattern.startswith("(") and answer[:1] in ("a", " "):
        answer = answer[:20]  # this pattern backtracks without end, which is its author's own
    assert RegexVerifier({"t1": pattern}).verify(KNOWN, answer) in (0.0, 1.0)


def test_regex_searches_the_end_of_a_long_answer() -> None:
    verifier = RegexVerifier({"t1": r"\b84\b"})
    assert verifier.verify(KNOWN, "x " * MANY + "84") == 1.0
    assert verifier.verify(KNOWN, "84" + " x" * MANY) == 0.0
    assert verifier.verify(KNOWN, "84" + "." * (SEARCHED - 2)) == 1.0


def test_the_start_of_a_pattern_is_the_start_of_the_answer_however_long() -> None:
    assert RegexVerifier({"t1": "^x"}).verify(KNOWN, "x" * MANY) == 0.0
    assert RegexVerifier({"t1": "x$"}).verify(KNOWN, "x" * MANY) == 1.0


SLOW_NUMBERS = ["9" * MANY, "1/" * MANY, "1," + "111," * MANY, "1e" * MANY, "1 " * MANY, "\ud800", ""]


@pytest.mark.parametrize("answer", SLOW_NUMBERS, ids=range(len(SLOW_NUMBERS)))
def test_numeric_and_exact_answer_on_a_hostile_answer_in_bounded_time(answer: str) -> None:
    assert NumericVerifier({"t1": 84}).verify(KNOWN, answer) == 0.0
    assert ExactVerifier({"t1": "84"}).verify(KNOWN, answer) == 0.0


def test_a_huge_exponent_is_no_number() -> None:
    assert NumericVerifier({"t1": 84}).verify(KNOWN, "84e999999999") == 0.0
