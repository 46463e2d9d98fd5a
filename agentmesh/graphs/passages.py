"""Long texts in passages, so that a slice of a context may take a part, and what a text has in tokens."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final, TypeAlias

from agentmesh.graphs.limits import CHARACTERS_PER_TOKEN

CountTokens: TypeAlias = Callable[[str], int]
"""Takes a text and returns how many tokens it has."""

Span: TypeAlias = tuple[int, int]
"""Where a passage stands in its text: from the first character to the one after the last."""

PASSAGE_CHARACTERS: Final = 240
FEW_CHARACTERS: Final = 20
GAP: Final = " … "
"""Stands where a slice leaves something out between two passages of one text."""

_END: Final = re.compile(r"\n+\s*|[.!?]+[\"')\]\u201d\u2019]*\s+|[\u3002\uff01\uff1f]\s*")
"""The end of a line or of a sentence, with the space behind it."""
_LEANING: Final = re.compile(
    r"(?:and|also|but|he|her|his|however|it|its|she|so|that|their|then|there|these|they|this|those)\b", re.IGNORECASE
)
"""How a sentence begins that does not stand by itself."""
_SPACE: Final = re.compile(r"\s+")


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has: a quarter of its characters, rounded up.

    >>> estimated_tokens(""), estimated_tokens("Who handles it?")
    (0, 4)
    """
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def passages(text: str, *, most: int = PASSAGE_CHARACTERS) -> list[Span]:
    """Return where the passages of a text stand: each is a sentence or a line. Together they are the text.

    One that leans on the sentence before ("It is ...") stays with it, and a few words ("Numbers:") with what follows,
    as long as both are within ``most`` characters. What is longer by itself is cut between words.

    >>> text = "The first is for Ann. It is old. The second is for Bob."
    >>> [text[start:end] for start, end in passages(text)]
    ['The first is for Ann. It is old. ', 'The second is for Bob.']
    """
    found: list[Span] = []
    start = 0
    for end in _ends(text, most):
        before = found[-1] if found else (start, start)
        goes_on = _LEANING.match(text, start) is not None or len(text[slice(*before)].strip()) < FEW_CHARACTERS
        if found and goes_on and end - before[0] <= most:
            found[-1] = (before[0], end)
        else:
            found.append((start, end))
        start = end
    return found or [(0, 0)]


def _ends(text: str, most: int) -> Iterator[int]:
    """Yield where sentences and lines end, in order, the end of the text last; none is longer than ``most``."""
    before = 0
    for end in chain((match.end() for match in _END.finditer(text)), (len(text),)):
        while end - before > most:
            spaces = [match.end() for match in _SPACE.finditer(text, before + 1, before + most)]
            before = spaces[-1] if spaces else before + most
            yield before
        if end > before:
            yield end
        before = end


def joined(text: str, spans: Sequence[Span]) -> str:
    """Return passages of a text, in order, with a mark where something between them is left out.

    >>> joined("One. Two. Three.", [(0, 5), (10, 16)])
    'One. … Three.'
    """
    parts: list[str] = []
    place = 0
    for start, end in spans:
        if parts and start > place:
            parts.append(GAP.lstrip() if parts[-1][-1:].isspace() else GAP)
        parts.append(text[start:end])
        place = end
    return "".join(parts)
