"""What a model replied, read as the JSON object it was asked for, whatever stands around it."""

import json
from collections.abc import Mapping
from typing import Final

from agentmesh.llm.quoting import unfence
from agentmesh.types import JsonValue

LONGEST: Final = 100_000
"""Characters of a reply that are read: more than models write."""
_TRIES: Final = 64  # opening braces in a reply that are tried; one reply holds one object and what the model quotes


def object_in(text: str, key: str) -> Mapping[str, JsonValue] | None:
    r"""Return the last JSON object in a reply that has the field ``key``, ``None`` where there is none.

    The last, since a model that thinks aloud ends with what it was asked for. Half characters, which nothing could
    store, become question marks.

    >>> object_in('I think so.\n```json\n{"passed": true, "reason": ""}\n```', "passed")
    {'passed': True, 'reason': ''}
    >>> object_in("Yes!", "passed") is None
    True
    """
    read = unfence(text[:LONGEST])
    decoder, found, place = json.JSONDecoder(), None, read.find("{")
    for _ in range(_TRIES):
        if place < 0:
            break
        try:
            value, end = decoder.raw_decode(read, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            found = value if key in value else found
        place = read.find("{", end)
    return None if found is None else _whole(found)


def told(value: JsonValue, most: int) -> str:
    r"""Return a text of a reply in one line of at most ``most`` characters, "" for what is no text.

    >>> told(" the date\n decides ", 8), told(None, 8)
    ('the dat…', '')
    """
    if not isinstance(value, str):
        return ""
    line = " ".join(value.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _whole(found: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        mended = json.dumps(found, ensure_ascii=False).encode("utf-8", "replace").decode()
        return json.loads(mended)  # type: ignore[no-any-return]  # an object stays one
    return found
