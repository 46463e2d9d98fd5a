"""Which form answers to one task have, so that they can be compared by it: letters, numbers, JSON, else texts.

Told from the task and its answers alone, so that whoever has both, a replay among them, tells the same.
"""

import json
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from agentmesh.judging.equivalence import choice_in, choice_key, json_key, number_in, number_key, text_key
from agentmesh.llm.quoting import unfence
from agentmesh.records import Task

Form: TypeAlias = Literal["text", "number", "choice", "json"]

FORM_KEYS: Final[Mapping[str, Callable[[str], Hashable]]] = {
    "text": text_key,
    "number": number_key,
    "choice": choice_key,
    "json": json_key,
}
"""What maps an answer of each form to a key; answers of one key are the same."""

_OPTION = re.compile(r"^[ \t]*[(\[]?([A-Z])[)\].:]\s", re.MULTILINE)
_ONE_LETTER = re.compile(r"[(\[]?[A-Za-z][)\].:]?")
_NAMED = re.compile(r"\b(?:answer|choice|option|result|total)\b|\\boxed|####|=", re.IGNORECASE)
_BARE = re.compile(r"[-+$\u20ac\u00a3\u2212]*[\d.,/%eE+-]*\d[\d.,/%eE+-]*")


def keys_of_form(task: Task, texts: Sequence[str]) -> list[Hashable]:
    """Return a key for each answer, by the form that most of them have.

    >>> keys_of_form(Task(text="12 * 7?"), ["84.", "The answer is 84.0"])
    [('number', Fraction(84, 1)), ('number', Fraction(84, 1))]
    """
    key = FORM_KEYS[form_of(task, texts)]
    return [key(text) for text in texts]


def form_of(task: Task, texts: Sequence[str]) -> Form:
    """Return the form of the answers to a task, whatever their order.

    A type hint of the task that names a form settles it. Where the task lists options, answers choose a letter if more
    than half of them do. Otherwise more than half must be JSON objects or arrays, or nothing but a letter, or end with
    a number that is named as the result; a number on the way, or a letter in a sentence, is none. All others are texts.

    >>> form_of(Task(text="Who built Petra?"), ["The Nabataeans, in 312 BC", "Romans"])
    'text'
    """
    forms: tuple[Form, ...] = ("choice", "number", "json", "text")
    hinted = [form for form in forms if form in {hint.casefold() for hint in task.type_hints}]
    if hinted:
        return hinted[0]
    if _lists_options(task.text) and _most(texts, lambda text: choice_in(text) is not None):
        return "choice"
    if _most(texts, _is_json):
        return "json"
    if _most(texts, _is_letter):
        return "choice"
    return "number" if _most(texts, _is_number) else "text"


def _most(texts: Sequence[str], has: Callable[[str], bool]) -> bool:
    said = [text for text in texts if text.strip()]
    return 2 * sum(map(has, said)) > len(said)


def _lists_options(text: str) -> bool:
    return {"A", "B"} <= set(_OPTION.findall(text))


def _is_letter(text: str) -> bool:
    """Return whether an answer is a letter, or its last line names one."""
    last = _last_line(text)
    named = _NAMED.search(last) is not None and "=" not in last
    return _ONE_LETTER.fullmatch(text.strip()) is not None or (named and choice_in(last) is not None)


def _is_number(text: str) -> bool:
    """Return whether the last line of an answer is a number, or names one."""
    last = _last_line(text)
    return number_in(last) is not None and (_BARE.fullmatch(last.strip("*. ")) is not None or bool(_NAMED.search(last)))


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2].strip()


def _is_json(text: str) -> bool:
    bare = unfence(text).strip()
    if not bare.startswith(("{", "[")):
        return False
    try:
        return isinstance(json.loads(bare), dict | list)
    except (ValueError, RecursionError):
        return False
