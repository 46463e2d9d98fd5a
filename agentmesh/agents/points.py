"""Points that answers share although they differ as a whole: found by comparing statements, with no model."""

import json
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from agentmesh.llm.quoting import unfence

MOST_POINTS: Final = 20
LONGEST_POINT: Final = 300
"""Characters: what is longer is a paragraph, and nobody reads it as one point."""

_READ: Final = 20_000  # characters of one answer; most models write less
_STATEMENTS: Final = 400  # of one answer
_BULLET: Final = re.compile(r"\A[ \t]*(?:[-*\u2022+>#]+|\d{1,3}[.)])[ \t]+")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])\s*")
_EMPHASIS: Final = re.compile(r"\*\*|__|`")


def shared_points(groups: Sequence[Sequence[str]], key: Callable[[str], Hashable]) -> tuple[str, ...]:
    r"""Return the statements that answers of at least two groups have, those that most groups share first.

    A statement is a sentence, an item of a list, a line, or a field of a JSON object as "name: value". Only as it is
    written does it count as shared, but for what ``key`` has no regard to: "it is hot" and "it is not hot" differ.

    Args:
        groups: The answers of each group that counts as one answer; points are quoted from the first.
        key: What maps a statement to a value that equal statements share.

    >>> shared_points([["Petra is old. Romans built it."], ["It is in Jordan.\n- Petra is old"]], str.casefold)
    ()
    >>> from agentmesh.agents.refiner import text_key
    >>> shared_points([["Petra is old. Romans built it."], ["It is in Jordan.\n- Petra is old"]], text_key)
    ('Petra is old.',)
    """
    quoted: dict[Hashable, str] = {}
    holders: dict[Hashable, set[int]] = {}
    for place, texts in enumerate(groups):
        for statement in (statement for text in texts for statement in statements(text)):
            found = key(statement)
            quoted.setdefault(found, statement)
            holders.setdefault(found, set()).add(place)
    shared = [found for found in quoted if len(holders[found]) > 1]
    shared.sort(key=lambda found: -len(holders[found]))  # stable: as they stand in the heaviest answer
    return tuple(quoted[found] for found in shared[:MOST_POINTS])


def statements(text: str) -> Iterator[str]:
    """Yield what a text says, statement by statement, in its order; of a very long one the beginning.

    >>> list(statements('{"city": "Petra", "built": {"by": "Nabataeans"}}'))
    ['city: Petra', 'built.by: Nabataeans']
    """
    read = text[:_READ]
    fields = _fields(read)
    found = _sentences(read) if fields is None else fields
    return islice((one for one in found if _says_something(one)), _STATEMENTS)


def _fields(text: str) -> Iterator[str] | None:
    """Return the fields of a text that is a JSON object, ``None`` for any other text."""
    try:
        value = json.loads(unfence(text))
        return iter(list(_flat(value, ""))) if isinstance(value, dict) else None
    except (ValueError, RecursionError):
        return None


def _flat(value: dict[str, Any], path: str) -> Iterator[str]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{path}{name}.")
        else:
            shown = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, sort_keys=True)
            yield f"{path}{name}: {shown}"


def _sentences(text: str) -> Iterator[str]:
    for line in text.splitlines():
        bare = _EMPHASIS.sub("", _BULLET.sub("", line, count=1))
        for sentence in _SENTENCE.split(bare):
            yield sentence.strip()


def _says_something(statement: str) -> bool:
    """Return whether a statement is more than a word of courtesy, and short enough to be a point."""
    if len(statement) > LONGEST_POINT:
        return False
    return " " in statement or any(sign.isdigit() for sign in statement) or not statement.isascii()
