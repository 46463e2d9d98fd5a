"""When two answers count as the same: keys for text, numbers, choice letters and JSON.

Each key function maps an answer to a hashable value; answers of one key are the same answer. An answer that is not of
the kind (no number in it, no letter, no JSON) gets its text key, so that every answer has a key.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Hashable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from agentmesh.llm.quoting import unfence

_LONGEST = 400  # characters: more digits than any answer has, few enough to be exact about in microseconds

_NUMBER = re.compile(
    r"(?<![\w.])(?:"
    r"[-+]?(?P<over>\d{1,15})\s*/\s*(?P<under>\d{1,15})(?![\w.]*\d)"
    r"|(?P<decimal>[-+]?(?>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?![eE][-+]?\d{4})(?:[eE][-+]?\d{1,3})?)"
    r"(?P<percent>\s*%)?)",
    re.ASCII,
)

# no two quantifiers that take the same character stand side by side: a long answer is read in linear time
_LETTER = r"[(\[{*\s]*([A-Z])(?=\s*(?:[)\]}.,:;*]|$))"
_CHOICES = (
    re.compile(r"^[(\[]?([A-Za-z])[)\].:]?$"),  # the whole answer: C   (c)   C.
    re.compile(r"\\boxed\{\s*+(?:\\text\{\s*+)?\(?([A-Z])\)?\s*\}"),
    re.compile(r"(?i:\b(?:answer|choice|option)\b)(?i:\s*(?:is|:|=))*" + _LETTER, re.MULTILINE),
    re.compile(r"^\s*[(\[]?([A-Z])[)\].:]\s"),  # begins with the letter: C) Paris
    re.compile(r"\(([A-Z])\)"),
)


def text_key(text: str) -> Hashable:
    """Return a key that has no regard to case, width, spacing and final punctuation.

    >>> text_key("  The  ANSWER is 42. ")
    'the answer is 42'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", folded).strip().rstrip(".,;:!?\u3002 ") or folded.strip()


def number_in(text: str) -> Fraction | None:
    """Return the last number in a text, exact, ``None`` if there is none: answers name their result at the end.

    Commas between groups of three digits, exponents, fractions and percent are understood.

    >>> number_in("First 3, so the answer is 1,000.5."), number_in("-1/4"), number_in("25 %")
    (Fraction(2001, 2), Fraction(-1, 4), Fraction(1, 4))
    """
    last = None
    for last in _NUMBER.finditer(text.replace("\u2212", "-")):  # noqa: B007 - the last one is wanted
        pass
    return None if last is None else _value(last)


def _value(found: re.Match[str]) -> Fraction | None:
    if found["over"] is not None:
        sign = -1 if found[0].startswith("-") else 1
        return sign * Fraction(int(found["over"]), int(found["under"])) if int(found["under"]) else None
    if len(found["decimal"]) > _LONGEST:
        return None
    value = Fraction(Decimal(found["decimal"].replace(",", "")))
    return value if found["percent"] is None else value / 100


def number_key(text: str) -> Hashable:
    """Return a key by which answers with the same final number are the same.

    >>> number_key("1,000.0") == number_key("The answer is 1e3.") == number_key("$1000")
    True
    """
    value = number_in(text)
    return text_key(text) if value is None else ("number", value)


def choice_in(text: str) -> str | None:
    """Return the letter that an answer to a multiple-choice task chooses, ``None`` if there is none.

    Looked for, in this order: an answer that is nothing but the letter, a boxed letter, "answer is C", a letter at the
    start, a letter in parentheses. Of several of one kind the last counts.

    >>> choice_in("The answer is (C)."), choice_in("b"), choice_in("I am not sure")
    ('C', 'B', None)
    """
    stripped = text.strip()
    for pattern in _CHOICES:
        letters = pattern.findall(stripped)
        if letters:
            return str(letters[-1]).upper()
    return None


def choice_key(text: str) -> Hashable:
    """Return a key by which answers that choose the same letter are the same.

    >>> choice_key("The answer is (C).") == choice_key("C) Paris")
    True
    """
    letter = choice_in(text)
    return text_key(text) if letter is None else ("choice", letter)


def json_key(text: str) -> Hashable:
    """Return a key by which the same JSON value is the same, however it is spaced, ordered and fenced.

    >>> json_key('{"a": 1, "b": [2]}') == json_key('{"b":[2.0],"a":1.0}')
    True
    """
    try:
        value = json.loads(unfence(text), parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
        return ("json", _frozen(value))
    except (ValueError, ArithmeticError, RecursionError):
        return text_key(text)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant!r} is no JSON value")


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        return ("object", frozenset((key, _frozen(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(_frozen(item) for item in value))
    # the type goes along because True == 1 in Python and not in JSON
    return (type(value).__name__, value)


def key_for(expected: str) -> Callable[[str], Hashable]:
    """Return the key by which answers are compared with an expected one: by letter, number or text, as that is.

    >>> key_for("C") is choice_key, key_for("1,000.5") is number_key, key_for("Paris") is text_key
    (True, True, True)
    """
    stripped = expected.strip()
    if _CHOICES[0].fullmatch(stripped):
        return choice_key
    found = _NUMBER.fullmatch(stripped)
    return text_key if found is None else number_key
