"""Triples of a text: two neighbouring entities of one sentence, and the few words between them as their relation."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from agentmesh.knowledge.entities import Entity
from agentmesh.knowledge.words import SENTENCE_END, read_part

MOST_WORDS: Final = 3
_FURTHEST: Final = 60
"""Characters between two entities; three words of usual length are well within it."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_SAYS_NOTHING: Final = frozenset(("a", "an", "and", "or", "the"))


class Triple(NamedTuple):
    """The keys of two entities and the words that stand between them."""

    head: str
    relation: str
    tail: str


def triples_of(text: str, entities: Sequence[Entity]) -> tuple[Triple, ...]:
    """Return the triples of a text, each once, by the places where its entities stand first.

    >>> from agentmesh.knowledge.entities import RuleExtractor
    >>> text = "The Eiffel Tower was built in 1889."
    >>> triples_of(text, RuleExtractor().extract(text))
    (Triple(head='eiffel tower', relation='was built in', tail='1889'),)
    """
    read = read_part(text)
    found: dict[Triple, None] = {}
    for head, tail in pairwise(sorted(entities, key=lambda entity: entity.start)):
        between = read[head.start + len(head.surface) : tail.start]
        relation = _relation(between) if 0 < len(between) <= _FURTHEST else ""
        if relation and head.key != tail.key:
            found[Triple(head.key, relation, tail.key)] = None
    return tuple(found)


def _relation(between: str) -> str:
    if SENTENCE_END.search(between):
        return ""
    words = _WORD.findall(between.casefold())
    if not 0 < len(words) <= MOST_WORDS or _SAYS_NOTHING.issuperset(words):
        return ""
    return " ".join(words)
