"""Finds what opens doors: keys by their make, private keys, passwords by their name, and long random tokens."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from math import log2
from typing import Final

from agentmesh.judging.secret_numbers import Span

LONGEST_KEY: Final = 512
"""Characters: what is longer is a file, not a key."""

LEAST_BITS: Final = 3.0
LEAST_TURNS: Final = 0.2
"""Of a random token: entropy in bits a character, and how often letter, capital and digit take turns. Both chosen on
train and val of clinc150, hwu64 and mmlu_pro, where they take nothing, and on tokens drawn by chance: of 32 characters
they take 96 in 100 (base64, letters and digits), all of hexadecimal, and 79 of base32; of 40 it is 99, 100 and 90."""

_BODY: Final = r"[A-Za-z0-9_-]"
_MADE: Final = re.compile(
    rf"(?<![A-Za-z0-9])(?:sk-{_BODY}{{16,512}}|[spr]k_(?:live|test)_\w{{10,256}}|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{{16}}(?!\w)"
    r"|gh[pousr]_\w{20,256}|github_pat_\w{20,256}|xox[abeoprs]-[A-Za-z0-9-]{10,256}|xapp-[A-Za-z0-9-]{10,256}"
    rf"|glpat-{_BODY}{{16,256}}|AIza{_BODY}{{35}}|ya29\.{_BODY}{{20,512}}|hf_\w{{20,256}}|npm_\w{{30,256}}"
    rf"|pypi-{_BODY}{{32,512}}|SG\.{_BODY}{{16,64}}\.{_BODY}{{16,64}}|dop_v1_\w{{32,128}}|AGE-SECRET-KEY-1\w{{40,80}})"
)
_JWT: Final = re.compile(rf"(?<![A-Za-z0-9])eyJ{_BODY}{{5,}}+\.{_BODY}{{4,}}+(?:\.{_BODY}*+){{0,3}}")
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:(?!-----)[\s\S])*+-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"|(?:(?:\s|\\n)*+[A-Za-z0-9+/=]{16,}+)++)"
)
_URL_PASSWORD: Final = re.compile(r"(?<=://)[^\s/:@]{0,128}:([^\s/@]{1,256})@")
_BEARER: Final = re.compile(r"\b(?:bearer|authorization: *basic) +(?![a-z]++\b)([a-z0-9._~+/=-]{16,}+)")
_NAMES: Final = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|passwort|kennwort|contrase\u00f1a|secret|token|credentials?"
    r"|(?:api|access|auth|private|encryption|signing|account|storage|master|session|license)[_ -]?key)"
    r"(?![_-](?:count|limit|type|name|length|size|usage|budget|expir|url|policy|reset))(?:[_-][\w-]{0,24}+|\d{0,3})(?!\w)"
)
SECRET_NAME: Final = re.compile(_NAMES, re.IGNORECASE)
_VALUE: Final = r"\"([^\"\n]{1,256})\"|'([^'\n]{1,256})'|`([^`\n]{1,256})`|([^\s\"'`][^\s\"'`]{1,511}+)"
_ASSIGNED: Final = re.compile(rf"{_NAMES}[\"'`]?[ \t]{{0,4}}(?:=>|:=|={{1,2}}|:)[ \t]{{0,4}}(?:{_VALUE})")
_SAID: Final = re.compile(
    rf"(?:pass(?:word|code|phrase)|\bpin(?: code| number)?) (?:is|was)(?: set to)?:? +(?:{_VALUE})"
)
_NO_VALUE: Final = re.compile(
    r"(?:str|string|text|int|integer|bytes|bool|boolean|none|null|nil|true|false|undefined|required|optional|any|empty"
    r"|missing|wrong|invalid|incorrect)\b.?"
    r"|[$<{%*\[(].*|\w*(?:getenv|environ|\[).*|[a-z_.]+\(.*",
    re.IGNORECASE | re.DOTALL,
)
_LONG: Final = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{24,}+=*+")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_JOINTS: Final = re.compile(r"[+/=_-]")
_HEX: Final = re.compile(r"[0-9a-f]{32,128}|[0-9A-F]{32,128}")
_TRAILING: Final = ".,;:!?)]}>"


def keys(text: str) -> Iterator[Span]:
    """Yield keys, tokens and passwords.

    >>> text = "password=hunter2, key sk-abcdefghij0123456789"
    >>> [text[start:end] for start, end in keys(text)]
    ['sk-abcdefghij0123456789', 'hunter2']
    """
    for shape in (_MADE, _JWT, _PEM):
        yield from (found.span() for found in shape.finditer(text))
    yield from (found.span(1) for found in _URL_PASSWORD.finditer(text))
    lowered = _lowered(text)  # without a flag for case the matcher skips to where a name may begin
    yield from (found.span(1) for found in _BEARER.finditer(lowered))
    for shape in (_ASSIGNED, _SAID):
        for found in shape.finditer(lowered):
            yield from _value(found, said=shape is _SAID)
    yield from (found.span() for found in _LONG.finditer(text) if is_random(found.group()))


def is_named(name: str) -> bool:
    """Return whether what stands under a name is a secret.

    >>> is_named("DB_PASSWORD"), is_named("city")
    (True, False)
    """
    return SECRET_NAME.search(name) is not None


def is_value(text: str) -> bool:
    """Return whether a text under the name of a secret is one: not a type, a variable or an empty word.

    >>> is_value("hunter2"), is_value("str"), is_value("${PASSWORD}")
    (True, False, False)
    """
    return 1 < len(text) <= LONGEST_KEY and bool(text.strip()) and _NO_VALUE.fullmatch(text) is None


def _value(found: re.Match[str], *, said: bool) -> Iterator[Span]:
    which = found.lastindex or 0
    start, end = found.span(which)
    written = found[which]
    if which == 4:  # without quotes
        written = written.rstrip(_TRAILING)
        end = start + len(written)
    if is_value(written) and (not said or (len(written) >= 4 and not written.isalpha())):
        yield start, end


def is_random(token: str) -> bool:
    """Return whether a long token looks drawn by chance: a hash or a key, no word, no path, no number, no UUID.

    >>> is_random("f3Zx9QpL2vT7mKc4RwYb8N"), is_random("counter-revolutionary-1917-movements")
    (True, False)
    """
    if len(token) > LONGEST_KEY or _UUID.fullmatch(token) is not None:
        return False
    token = _JOINTS.sub("", token)
    turns = sum(_class(one) != _class(other) for one, other in pairwise(token))
    digits = sum(character.isdigit() for character in token)
    if digits < 2 or digits == len(token) or _bits(token) < LEAST_BITS:
        return False
    return _HEX.fullmatch(token) is not None or turns >= LEAST_TURNS * len(token)


def _class(character: str) -> int:
    return 0 if character.isdigit() else 1 if character.islower() else 2


def _bits(token: str) -> float:
    return -sum(count / len(token) * log2(count / len(token)) for count in Counter(token).values())


def _lowered(text: str) -> str:
    """Return a text in lower case, character by character: a few grow when they are lowered."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(one.lower()[:1] for one in text)
