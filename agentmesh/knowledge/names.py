"""Capitalised words in a row: the names in a text that is read without a model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from agentmesh.knowledge.words import COMMON_WORDS, SENTENCE_END

MOST_WORDS: Final = 6
"""What is longer is a headline, not a name."""

_WORD: Final = re.compile(r"(?:[A-Z]\.){2,}|[^\W\d_]\w*(?:[-&]\w+|['\u2019](?!s\b)\w+)*")
_JOINING: Final = frozenset(
    ("al", "bin", "de", "del", "den", "der", "di", "du", "el", "ibn", "la", "le", "of", "the", "van", "von")
)


@dataclass(slots=True)
class _Run:
    """Capitalised words in a row, and the joining words behind them that count only before another capital."""

    words: list[tuple[int, int]] = field(default_factory=list)
    joining: list[tuple[int, int]] = field(default_factory=list)
    opens_sentence: bool = False


def name_spans(text: str, taken: Sequence[tuple[int, int, str]]) -> list[tuple[int, int]]:
    """Return where names stand in ``text``, none of them within a span that is ``taken``, which are in order.

    >>> text = "Did the Bank of England exist when Newton did?"
    >>> [text[start:end] for start, end in name_spans(text, ())]
    ['Bank of England', 'Newton']
    """
    if not any(map(str.islower, text)):
        return []
    spans: list[tuple[int, int]] = []
    run, end, place = _Run(), 0, 0
    opening = True
    for match in _WORD.finditer(text):
        word = match.span()
        while place < len(taken) and taken[place][1] <= word[0]:
            place += 1
        gap = text[end : word[0]]
        opening = end == 0 or SENTENCE_END.search(gap) is not None
        inside = place < len(taken) and taken[place][0] < word[1]
        if gap != " " or inside or opening or not _taken_into(run, word, text):
            spans += _closed(run, text)
            run = _Run(opens_sentence=opening)
            if not inside:
                _taken_into(run, word, text)
        end = word[1]
    return spans + _closed(run, text)


def _taken_into(run: _Run, word: tuple[int, int], text: str) -> bool:
    """Lengthen ``run`` by a word, if it is one that can stand in a name after those there are."""
    if text[word[0]].isupper():
        run.words += [*run.joining, word]
        run.joining.clear()
        return True
    if run.words and text[slice(*word)] in _JOINING:
        run.joining.append(word)
        return True
    return False


def _closed(run: _Run, text: str) -> list[tuple[int, int]]:
    words = run.words
    while words and (run.opens_sentence or len(words) == 1) and text[slice(*words[0])].casefold() in COMMON_WORDS:
        words = words[1:]
        while words and text[slice(*words[0])] in _JOINING:
            words = words[1:]
    if not words or len(words) > MOST_WORDS:
        return []
    start, end = words[0][0], words[-1][1]
    return [(start, end)] if end - start > 1 else []
