"""Verifiers: scores by rule. What is expected is given to the verifier, by task id; a task never carries it."""

import math
import re
from collections.abc import Callable, Hashable, Mapping
from decimal import Decimal
from fractions import Fraction

from agentmesh.errors import ConfigError
from agentmesh.judging.equivalence import number_in, text_key
from agentmesh.judging.score import checked_score
from agentmesh.records import Task


class ExactVerifier:
    """Scores 1 if an answer is the same as the expected one, else 0.

    >>> verifier = ExactVerifier({"t1": "Paris"})
    >>> verifier.verify(Task(id="t1", text="Capital of France?"), " paris. ")
    1.0

    Args:
        expected: The expected answer of each task, by task id. Other tasks get no score.
        equivalence: What maps an answer to a key; equal keys are the same answer.
        name: The name under which scores are recorded.
    """

    def __init__(
        self, expected: Mapping[str, str], *, equivalence: Callable[[str], Hashable] = text_key, name: str = "exact"
    ) -> None:
        self.name = name
        self._equivalence = equivalence
        self._expected = {task_id: equivalence(answer) for task_id, answer in expected.items()}

    def verify(self, task: Task, answer: str) -> float | None:
        """Return 1 or 0, or ``None`` for a task without an expected answer."""
        if task.id is None or task.id not in self._expected:
            return None
        return float(self._equivalence(answer) == self._expected[task.id])


class NumericVerifier:
    """Scores 1 if the last number in an answer is the expected one, within a tolerance; 0 otherwise.

    >>> verifier = NumericVerifier({"t1": 84}, relative=0.01)
    >>> verifier.verify(Task(id="t1", text="12 * 7?"), "12 times 7 is 84.3.")
    1.0

    Args:
        expected: The expected number of each task, by task id: a finite number, or text that holds one.
        relative: Accepted distance as a share of the expected number, from 0.
        absolute: Accepted distance, from 0. The larger of the two holds.
        name: The name under which scores are recorded.

    Raises:
        ConfigError: an expected value holds no number, or a tolerance is negative or not finite.
    """

    def __init__(
        self,
        expected: Mapping[str, float | Decimal | str],
        *,
        relative: float = 1e-6,
        absolute: float = 0.0,
        name: str = "numeric",
    ) -> None:
        for label, tolerance in (("relative", relative), ("absolute", absolute)):
            if not (math.isfinite(tolerance) and tolerance >= 0):
                raise ConfigError(f"{label} is {tolerance!r}; accepted is a finite number from 0")
        self.name = name
        self._relative = Fraction(relative)
        self._absolute = Fraction(absolute)
        self._expected = {task_id: _number(task_id, value) for task_id, value in expected.items()}

    def verify(self, task: Task, answer: str) -> float | None:
        """Return 1 or 0, or ``None`` for a task without an expected number."""
        if task.id is None or task.id not in self._expected:
            return None
        given = number_in(answer)
        if given is None:
            return 0.0
        expected = self._expected[task.id]
        accepted = max(self._absolute, self._relative * abs(expected))
        return float(abs(given - expected) <= accepted)


def _number(task_id: str, value: float | Decimal | str) -> Fraction:
    found = number_in(str(value))
    if found is None:
        raise ConfigError(f"task {task_id!r} expects {value!r}; accepted is a finite number, or text that holds one")
    return found


SEARCHED = 20_000
"""Characters at the end of an answer in which a pattern is looked for: more than most models write at once."""


class RegexVerifier:
    r"""Scores 1 if a pattern is found in an answer, else 0.

    >>> verifier = RegexVerifier({"t1": r"\b18(89|90)\b"})
    >>> verifier.verify(Task(id="t1", text="When was the Eiffel Tower opened?"), "In 1889.")
    1.0

    Args:
        patterns: The regular expression of each task, by task id. They are the caller's own: a pattern that
            backtracks without end is not stopped. Of an answer longer than 20,000 characters the end is searched, where
            answers name their result, so that a pattern of quadratic time ends too.
        name: The name under which scores are recorded.

    Raises:
        ConfigError: a pattern is no regular expression.
    """

    def __init__(self, patterns: Mapping[str, str], *, name: str = "regex") -> None:
        self.name = name
        self._patterns = {task_id: _compiled(task_id, pattern) for task_id, pattern in patterns.items()}

    def verify(self, task: Task, answer: str) -> float | None:
        """Return 1 or 0, or ``None`` for a task without a pattern."""
        pattern = self._patterns.get(task.id) if task.id is not None else None
        return None if pattern is None else float(pattern.search(answer, max(len(answer) - SEARCHED, 0)) is not None)


def _compiled(task_id: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"the pattern {pattern!r} of task {task_id!r} is no regular expression: {error}") from error


class CallableVerifier:
    """Scores by a function of the task and the answer.

    >>> CallableVerifier(lambda task, answer: len(answer) < 10, name="short").verify(Task(text="?"), "yes")
    1.0

    Args:
        check: Returns 0 to 1, True or False, or ``None`` when it has nothing to say on a task.
        name: The name under which scores are recorded.
    """

    def __init__(self, check: Callable[[Task, str], float | bool | None], *, name: str) -> None:
        self.name = name
        self._check = check

    def verify(self, task: Task, answer: str) -> float | None:
        """Return what the function returns, checked.

        Raises:
            ConfigError: the function returned something that is no score.
        """
        return checked_score(self._check(task, answer), f"verifier {self.name!r}", takes_bool=True)
