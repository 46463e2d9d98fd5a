"""Terms of a domain: the noun phrases that tell a task from others, by tf-idf and without a model.

Reference: Sparck Jones, A statistical interpretation of term specificity and its application in retrieval, 1972.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from math import log
from typing import Final

from agentmesh.errors import ConfigError
from agentmesh.knowledge.entities import Entity
from agentmesh.knowledge.words import COMMON_WORDS, read_part

MOST_WORDS: Final = 3
TERMS_A_TASK: Final = 4
READ_WORDS: Final = 400
LEAST_TASKS: Final = 2
MOST_SHARE: Final = 0.1
"""What stands in more than a tenth of all tasks tells none of them from others."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LENGTHS: Final = range(3, 31)
_VERB_ENDS: Final = ("ed", "ing", "ly")
_LONG: Final = 6
"""From this length on, a word on -ed, -ing or -ly is taken for a verb or an adverb; "bed", "ring" and "fly" are not."""


class TermStatistics:
    """Counts in how many tasks each term stood, within bounds.

    At most ``capacity`` terms are counted; when there are more, the rarest half is forgotten, of equally rare ones
    those that came first. A forgotten term starts again at 0, so a count is a lower bound.

    >>> seen = TermStatistics()
    >>> for text in ("the prime number theorem", "is this a prime number", "bake a cake"):
    ...     seen.add(candidate_terms(text))
    >>> seen.best(candidate_terms("explain the prime number theorem"))
    ['prime number']
    """

    def __init__(self, capacity: int = 50_000) -> None:
        """Start with nothing counted."""
        if capacity < 1:
            raise ConfigError(f"capacity is {capacity!r}; it must be a number of terms from 1 up")
        self.capacity = capacity
        self.tasks = 0
        self.counts: dict[str, int] = {}

    def add(self, terms: Mapping[str, int]) -> None:
        """Count one task with these candidate terms."""
        self.tasks += 1
        for term in terms:
            self.counts[term] = self.counts.get(term, 0) + 1
        if len(self.counts) > self.capacity:
            # sorted() keeps the order of those that tie, which is the order in which they came
            kept = sorted(self.counts, key=self.counts.__getitem__)[-max(self.capacity // 2, 1) :]
            chosen = set(kept)
            self.counts = {term: count for term, count in self.counts.items() if term in chosen}

    def best(self, terms: Mapping[str, int], *, most: int = TERMS_A_TASK) -> list[str]:
        """Return a task's terms of the highest tf-idf that stand in at least 2 tasks and at most a tenth of them.

        A term that stands within another one chosen is left out.
        """
        highest = max(LEAST_TASKS, MOST_SHARE * self.tasks)
        scores = {
            term: times * log((self.tasks + 1) / self.counts[term])
            for term, times in terms.items()
            if LEAST_TASKS <= self.counts.get(term, 0) <= highest
        }
        chosen: list[str] = []
        for term in sorted(scores, key=lambda term: (-scores[term], -len(term), term)):
            if len(chosen) == most:
                break
            if not any(f" {term} " in f" {other} " for other in chosen):
                chosen.append(term)
        return chosen


def candidate_terms(text: str) -> Counter[str]:
    """Return the runs of 1 to 3 lower-case content words of a text, with how often each stands in it.

    >>> sorted(candidate_terms("Compute the derivative of a rational function."))
    ['derivative', 'function', 'rational', 'rational function']
    """
    found: Counter[str] = Counter()
    for run in _runs(text):
        for length in range(1, MOST_WORDS + 1):
            for start in range(len(run) - length + 1):
                words = run[start : start + length]
                if not _is_verb(words[-1]):
                    found[" ".join(words)] += 1
    return found


def term_entities(terms: list[str], counts: Mapping[str, int]) -> list[Entity]:
    """Return terms as entities of a task."""
    return [Entity(term, term, "term", count=counts[term]) for term in terms]


def _runs(text: str) -> Iterator[list[str]]:
    read = read_part(text)
    run: list[str] = []
    end = 0
    for number, match in enumerate(_WORD.finditer(read)):
        if number == READ_WORDS:
            break
        word = match.group()
        if read[end : match.start()].strip() or not _has_content(word):
            yield run
            run = []
        if _has_content(word):
            run.append(word)
        end = match.end()
    yield run


def _has_content(word: str) -> bool:
    return len(word) in _LENGTHS and word == word.lower() and word not in COMMON_WORDS


def _is_verb(word: str) -> bool:
    return len(word) >= _LONG and word.endswith(_VERB_ENDS)
