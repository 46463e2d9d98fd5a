"""Texts as a detector reads them: full width made narrow, invisible characters taken out, every place still known."""

import unicodedata
from dataclasses import dataclass
from typing import Final

_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u3164\uffa0")
"""Fillers and joiners that show nothing, beside the class of format characters and the variation selectors."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A text as it is read. ``places`` maps each character to where it stands in the original, ``None`` for the same.

    >>> folded = fold("\uff14\u200b2")
    >>> folded.text, folded.span(0, 2)
    ('42', (0, 3))
    """

    text: str
    places: tuple[int, ...] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the characters from ``start`` to before ``end`` stand in the original; ``end`` is above it."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def fold(text: str) -> Folded:
    """Return ``text`` with every character that stands for one of ASCII replaced by it, and nothing invisible in it."""
    if text.isascii():
        return Folded(text)
    folded = text.translate(_READ)
    if len(folded) == len(text):
        return Folded(folded)
    return Folded(folded, tuple(place for place, character in enumerate(text) if _READ[ord(character)] is not None))


class _Reading(dict[int, int | None]):
    """What each character is read as, worked out when it is first met; ``None`` for one that nobody sees."""

    def __missing__(self, code: int) -> int | None:
        """Work it out, and remember it."""
        return self.setdefault(code, _read(chr(code)))


_READ: Final = _Reading()


def _read(character: str) -> int | None:
    code = ord(character)
    if character.isascii():
        return code
    kind = unicodedata.category(character)
    if kind == "Cf" or character in _INVISIBLE or "VARIATION SELECTOR" in unicodedata.name(character, ""):
        return None
    if kind == "Nd":
        return ord("0") + unicodedata.digit(character)
    if kind in ("Zs", "Pd"):
        return ord(" ") if kind == "Zs" else ord("-")
    narrow = unicodedata.normalize("NFKC", character)
    return ord(narrow) if len(narrow) == 1 and narrow.isascii() else code
