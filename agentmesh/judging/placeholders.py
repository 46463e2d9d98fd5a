"""Puts placeholders in the place of secrets, and the secrets back.

A placeholder is ``[[email-1-3f09ac]]``: a kind, a number, and a mark that stands in no text of the run, so that nothing
a text already holds, and nothing that another run had, is taken for one.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from typing import Final

from agentmesh.judging.redaction import Found, Secrets, joined
from agentmesh.judging.secret_keys import is_named, is_value
from agentmesh.types import JsonValue

PLACEHOLDER: Final = re.compile(r"\[\[([a-z][a-z0-9_]{0,29})-\d{1,7}-[0-9a-f]{6}\]\]")
"""What a placeholder of any run looks like."""

SHORTEST_REPEATED: Final = 4
"""Characters of a secret that is also looked for where nothing around it gives it away."""

MOST_LOOKED_FOR: Final = 200
"""Beginnings of secrets that are looked for one by one; of more, every place of a text is tried."""

_MARK: Final = re.compile(r"-([0-9a-f]{6})\]\]")


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
        marks = (
            blake2b(f"{run_id}/{attempt}".encode(errors="surrogatepass"), digest_size=3).hexdigest()
            for attempt in count()
        )
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
        for found in joined([*self._found[text], *self._repeated(text)]):
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
