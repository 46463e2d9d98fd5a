"""What decides at run time: conditions on earlier answers, and the items that a stage is mapped over."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from agentmesh.errors import ConfigError
from agentmesh.frozen import Record
from agentmesh.patterns import compiled_for_all, everywhere
from agentmesh.types import JsonValue

Answers: TypeAlias = Mapping[str, str]
"""The answers so far by stage, and the text of the task under ``"task"``. A stage without an answer is not in it."""

Predicate: TypeAlias = Callable[[Answers], bool]
Itemizer: TypeAlias = Callable[[Answers], Sequence[JsonValue]]

TASK: Final = "task"
_NUMBER: Final = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")


class Condition(Record):
    """Says something of one text; where several things are said, all have to hold.

    Letter case and blanks at the ends do not count. Of a text that is not there nothing holds, negated or not.

    Attributes:
        of: The stage whose answer it is about, or ``"task"``; by default the answer of the stage that loops, or of the
            first stage before the one that waits for it.
        contains: This occurs in it.
        equals: It is this.
        matches: This regular expression occurs in it.
        at_least: The first number in it is no smaller.
        negated: Turns the whole condition round.

    >>> Condition(contains="approved").holds("I have APPROVED it."), Condition(at_least=7).holds("6 of 10")
    (True, False)
    """

    of: str = ""
    contains: str | None = None
    equals: str | None = None
    matches: str | None = None
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    negated: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if all(said is None for said in (self.contains, self.equals, self.matches, self.at_least)):
            raise ConfigError("a condition says nothing; give contains, equals, matches or at_least")
        if self.matches is not None:
            compiled_for_all(self.matches)
        return self

    def holds(self, text: str | None) -> bool:
        """Return whether the condition holds of a text."""
        return text is not None and self._all_hold(text) != self.negated

    def _all_hold(self, text: str) -> bool:
        folded = text.casefold().strip()
        number = first_number(text)
        return (
            (self.contains is None or self.contains.casefold() in folded)
            and (self.equals is None or self.equals.casefold().strip() == folded)
            and (self.matches is None or any(True for _ in everywhere(self.matches, text)))
            and (self.at_least is None or (number is not None and number >= self.at_least))
        )


def first_number(text: str) -> float | None:
    """Return the first number in a text, ``None`` where there is none.

    >>> first_number("about 1,250.5 of them"), first_number("none")
    (1250.5, None)
    """
    found = _NUMBER.search(text)
    return None if found is None else float(found[0].replace(",", ""))


class Over(Record):
    r"""Where the items come from that a stage is mapped over: an input of the task, or the answer of an earlier stage.

    Attributes:
        inputs: The name of the input that holds them: a list, or a text in the ``form``.
        stage: The stage whose answer holds them, in the ``form``.
        form: ``"lines"`` takes each line that is not blank, without bullets and numbers; ``"json"`` takes the first
            list in the text.

    >>> Over(stage="split").items("1. one\n\n2. two", {})
    ('one', 'two')
    """

    inputs: str = ""
    stage: str = ""
    form: Literal["lines", "json"] = "lines"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.inputs) == bool(self.stage):
            raise ConfigError(f"Over has inputs={self.inputs!r} and stage={self.stage!r}; give one of the two")
        return self

    def items(self, answer: str | None, inputs: Mapping[str, JsonValue]) -> tuple[str, ...]:
        """Return the items as texts.

        Args:
            answer: What the stage answered, ``None`` where it gave no answer.
            inputs: The inputs of the task.

        Raises:
            ConfigError: there is no such input or answer, or it holds no list.
        """
        if self.stage:
            return as_texts(self._read(answer or ""))
        if self.inputs not in inputs:
            raise ConfigError(f"the task has no input {self.inputs!r}; it has {sorted(inputs)!r}")
        given = inputs[self.inputs]
        return as_texts(self._read(given) if isinstance(given, str) else given)

    def _read(self, text: str) -> JsonValue:
        if self.form == "json":
            return _first_list(text)
        lines = (re.sub(r"^\s*(?:[-*\u2022]|\d+[.)])\s+", "", line).strip() for line in text.splitlines())
        return [line for line in lines if line]


def as_texts(items: object) -> tuple[str, ...]:
    """Return a list of values as texts: a text as it is, anything else as JSON.

    Raises:
        ConfigError: it is no list, or holds what is no JSON.
    """
    if not isinstance(items, Sequence) or isinstance(items, str | bytes):
        raise ConfigError(f"a stage is mapped over {_shortened(items)} ({type(items).__name__}); a list is accepted")
    try:
        return tuple(item if isinstance(item, str) else json.dumps(item) for item in items)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a stage is mapped over what is no JSON: {error}") from error


def _first_list(text: str) -> JsonValue:
    start = text.find("[")
    try:
        found: JsonValue = json.JSONDecoder().raw_decode(text, start)[0] if start >= 0 else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise ConfigError(f"a stage is mapped over a JSON list, and {_shortened(text)} holds none")
    return found


def _shortened(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
