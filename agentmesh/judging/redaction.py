"""Puts placeholders in the place of secrets, and the secrets back.

A placeholder is ``[[email-1-3f09ac]]``: a kind, a number, and a mark that stands in no text of the run, so that nothing
a text already holds, and nothing that another run had, is taken for one.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from typing import Final, Literal, TypeAlias, get_args

from pydantic import field_validator

from agentmesh.errors import ConfigError
from agentmesh.judging.folding import fold
from agentmesh.judging.secret_keys import is_named, is_value, keys
from agentmesh.judging.secret_numbers import Span, cards, ibans, phones
from agentmesh.patterns import compiled_for_all, everywhere
from agentmesh.records import Record
from agentmesh.types import JsonValue

SecretKind: TypeAlias = Literal["email", "key", "card", "phone", "iban"]
KINDS: Final[tuple[SecretKind, ...]] = get_args(SecretKind)
PLACEHOLDER: Final = re.compile(r"\[\[([a-z][a-z0-9_]{0,29})-\d{1,7}-[0-9a-f]{6}\]\]")
"""What a placeholder of any run looks like."""

SHORTEST_REPEATED: Final = 4
"""Characters of a secret that is also looked for where nothing around it gives it away."""

MOST_LOOKED_FOR: Final = 200
"""Beginnings of secrets that are looked for one by one; of more, every place of a text is tried."""

_MARK: Final = re.compile(r"-([0-9a-f]{6})\]\]")

_EMAIL: Final = re.compile(r"(?<![\w.%+&~-])(?:[\w.%+&~-]++'){0,2}+[\w.%+&~-]++@[\w-]++(?:\.[\w-]++)++")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,29}")


def emails(text: str) -> Iterator[Span]:
    """Yield addresses of mail.

    >>> list(emails("Write to ann.lee+shop@example.com."))
    [(9, 33)]
    """
    return (found.span() for found in _EMAIL.finditer(text))


_DETECTORS: Final[Mapping[SecretKind, Callable[[str], Iterator[Span]]]] = {
    "email": emails,
    "key": keys,
    "card": cards,
    "phone": phones,
    "iban": ibans,
}


class Secrets(Record):
    r"""What a mesh hides from agents, models and its store.

    ``kinds`` are the built-in ones that are looked for. ``patterns`` maps a name of your own (lower case) to a regular
    expression; case is ignored. It is searched for in whole texts, so that at most one repeat may be open. ``keep``
    holds texts that are no secrets though they look it, compared without regard to case.

    >>> secrets = Secrets(patterns={"customer": r"\bC-\d{6}\b"}, keep=("help@shop.example",))
    >>> [(found.kind, found.start, found.end) for found in secrets.find("C-123456 wrote to help@shop.example")]
    [('customer', 0, 8)]

    Raises:
        ConfigError: a pattern cannot be used, or has the name of a built-in kind or no name.
    """

    kinds: tuple[SecretKind, ...] = KINDS
    patterns: Mapping[str, str] = {}
    keep: tuple[str, ...] = ()

    @field_validator("patterns")
    @classmethod
    def _check(cls, patterns: Mapping[str, str]) -> Mapping[str, str]:
        for name, pattern in patterns.items():
            if _NAME.fullmatch(name) is None or name in KINDS:
                raise ConfigError(
                    f"a pattern is named {name!r}; expected a name of your own of at most 30 characters, such as "
                    "'customer': lower case, digits and _"
                )
            compiled_for_all(pattern)
        return patterns

    def find(self, text: str) -> tuple["Found", ...]:
        """Return the secrets in a text, in order. Where several overlap, they are one of the kind of the longest."""
        folded = fold(text)
        found = [
            Found(*folded.span(start, end), kind) for kind in self.kinds for start, end in _DETECTORS[kind](folded.text)
        ]
        for name, pattern in self.patterns.items():
            found += [Found(*folded.span(start, end), name) for start, end in everywhere(pattern, folded.text)]
            if folded.text != text:  # a pattern may name what reading it narrow takes away
                found += [Found(start, end, name) for start, end in everywhere(pattern, text)]
        return tuple(_joined(one for one in found if not self.keeps(text[one.start : one.end])))

    def keeps(self, secret: str) -> bool:
        """Return whether a text is no secret though it looks it."""
        return bool(self.keep) and secret.casefold() in {kept.casefold() for kept in self.keep}


@dataclass(frozen=True, slots=True)
class Found:
    """A secret in a text: the characters from ``start`` to before ``end``, and its kind."""

    start: int
    end: int
    kind: str


def _joined(found: Iterable[Found]) -> Iterator[Found]:
    """Yield spans that do not overlap and cover the same: dropping the shorter of two would leave some of it behind."""
    whole: Found | None = None
    longest = 0
    for one in sorted(found, key=lambda one: (one.start, -one.end, one.kind)):
        if whole is None or one.start >= whole.end:
            if whole is not None:
                yield whole
            whole, longest = one, one.end - one.start
            continue
        kind = one.kind if one.end - one.start > longest else whole.kind
        whole, longest = Found(whole.start, max(whole.end, one.end), kind), max(longest, one.end - one.start)
    if whole is not None:
        yield whole


@dataclass(slots=True)
class Placeholders:
    """The secrets of one run and what stands for them. It lives in memory, as long as the run, and is never stored.

    >>> held = Placeholders.for_run(Secrets(), "run-1", ["Mail ann@example.com"])
    >>> hidden = held.redact("Mail ann@example.com")
    >>> "ann" in hidden, held.restore(hidden)
    (False, 'Mail ann@example.com')
    """

    secrets: Secrets
    mark: str
    by_secret: dict[str, str] = field(default_factory=dict, repr=False)
    by_placeholder: dict[str, str] = field(default_factory=dict, repr=False)
    _numbers: dict[str, int] = field(default_factory=dict)
    _found: dict[str, tuple[Found, ...]] = field(default_factory=dict, repr=False)
    _lengths: dict[str, set[int]] = field(default_factory=dict, repr=False)  # of secrets, by how they begin

    @classmethod
    def for_run(cls, secrets: Secrets, run_id: str, texts: Iterable[str]) -> "Placeholders":
        """Return an empty set of placeholders whose mark stands in none of the run's ``texts``."""
        taken = {mark for text in texts for mark in _MARK.findall(text)}
        marks = (blake2b(f"{run_id}/{attempt}".encode(), digest_size=3).hexdigest() for attempt in count())
        return cls(secrets, next(mark for mark in marks if mark not in taken))

    def learn(self, text: str) -> str:
        """Take note of the secrets in ``text`` and return it as it is."""
        if text not in self._found:
            self._found[text] = self.secrets.find(text)
            for found in self._found[text]:
                self.hide(text[found.start : found.end], found.kind)
        return text

    def redact(self, text: str) -> str:
        """Return ``text`` with a placeholder for each secret in it, and for each that is known already."""
        self.learn(text)
        parts, place = [], 0
        for found in _joined([*self._found[text], *self._repeated(text)]):
            parts += [text[place : found.start], self.hide(text[found.start : found.end], found.kind)]
            place = found.end
        return "".join([*parts, text[place:]]) if parts else text

    def hide(self, secret: str, kind: str) -> str:
        """Return the placeholder of a secret; ``kind`` names it when it is new."""
        known = self.by_secret.get(secret)
        if known is not None:
            return known
        number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
        placeholder = f"[[{kind}-{number}-{self.mark}]]"
        self.by_secret[secret] = placeholder
        self.by_placeholder[placeholder] = secret
        if len(secret) >= SHORTEST_REPEATED:
            self._lengths.setdefault(secret[:SHORTEST_REPEATED], set()).add(len(secret))
        return placeholder

    def _repeated(self, text: str) -> Iterator[Found]:
        """Yield where known secrets stand in ``text``."""
        for start in self._places(text):
            for length in self._lengths.get(text[start : start + SHORTEST_REPEATED], ()):
                placeholder = self.by_secret.get(text[start : start + length])
                if placeholder is not None and start + length <= len(text):
                    yield Found(start, start + length, placeholder[2:].partition("-")[0])

    def _places(self, text: str) -> Iterable[int]:
        """Return where a known secret may begin in ``text``."""
        if len(self._lengths) > MOST_LOOKED_FOR:
            return range(len(text) - SHORTEST_REPEATED + 1)
        return [place for beginning in self._lengths for place in _places_of(beginning, text)]

    def restore(self, text: str) -> str:
        """Return ``text`` with this run's secrets back in it; what is no placeholder of this run stays as it is."""
        if not self.by_placeholder or "[[" not in text:
            return text
        return PLACEHOLDER.sub(lambda found: self.by_placeholder.get(found[0], found[0]), text)

    def redact_json(self, value: JsonValue, *, name: str = "") -> JsonValue:
        """Return a JSON value with placeholders in all its texts, keys among them.

        What stands under a name such as "password" is a secret, whatever it looks like, if ``key`` is among the kinds.
        A whole number that is a secret becomes the text of its placeholder.
        """
        return self._changed(value, name, self.redact)

    def learn_json(self, value: JsonValue) -> None:
        """Take note of the secrets in a JSON value."""
        self._changed(value, "", self.learn)

    def _changed(self, value: JsonValue, name: str, change: Callable[[str], str]) -> JsonValue:
        if isinstance(value, dict):
            return {change(key): self._changed(item, key, change) for key, item in value.items()}
        if isinstance(value, list):
            return [self._changed(item, name, change) for item in value]
        if isinstance(value, bool) or not isinstance(value, str | int):
            return value
        text = str(value)
        if "key" in self.secrets.kinds and is_named(name) and is_value(text) and not self.secrets.keeps(text):
            return self.hide(text, "key")
        changed = change(text)
        return value if changed == text else changed


def _places_of(part: str, text: str) -> Iterator[int]:
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + 1)


def texts_of(value: JsonValue) -> Iterator[str]:
    """Yield all texts in a JSON value, keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)


class StreamRestorer:
    """Restores a text that comes in pieces: what may be the beginning of a placeholder waits for the rest of it.

    >>> held = Placeholders.for_run(Secrets(), "run-1", [])
    >>> hidden, stream = held.redact("to ann@example.com!"), StreamRestorer(held)
    >>> [stream.feed(hidden[:9]), stream.feed(hidden[9:]), stream.flush()]
    ['to ', 'ann@example.com!', '']
    """

    def __init__(self, held: Placeholders) -> None:
        """Restore what ``held`` knows now."""
        self._held = held
        self._known = sorted(held.by_placeholder)
        self._longest = max(map(len, self._known), default=0)
        self._waiting = ""

    def feed(self, piece: str) -> str:
        """Take a piece and return what can be said so far."""
        text = self._waiting + piece
        begun = text.find("[", max(len(text) - self._longest + 1, 0))
        while begun >= 0 and not self._begins(text[begun:]):
            begun = text.find("[", begun + 1)
        cut = len(text) if begun < 0 else begun
        self._waiting = text[cut:]
        return self._held.restore(text[:cut])

    def flush(self) -> str:
        """Return what was waiting: nothing more comes."""
        waiting, self._waiting = self._waiting, ""
        return self._held.restore(waiting)

    def _begins(self, text: str) -> bool:
        place = bisect_left(self._known, text)
        return place < len(self._known) and self._known[place] != text and self._known[place].startswith(text)
