"""What every store does alike when runs and learning are carried from one store to another."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from agentmesh.records import Experience, RouterMark
from agentmesh.store.refusals import number_taken
from agentmesh.types import RunId

Numbered: TypeAlias = Experience | RouterMark
"""What has a number in the log of learning."""


def with_those_started(chosen: set[RunId], started_by: Mapping[RunId, RunId]) -> set[RunId]:
    """Return ``chosen`` and the runs that these started, and those that these started, and so on.

    >>> sorted(with_those_started({"a"}, {"a/1": "a", "a/1/1": "a/1", "b/1": "b"}))
    ['a', 'a/1', 'a/1/1']
    """
    found = set(chosen)
    while more := {child for child, parent in started_by.items() if parent in found and child not in found}:
        found |= more
    return found


def new_ones(asked: Sequence[Numbered], stored: Mapping[int, Numbered], *, last: int, url: str) -> set[int]:
    """Return the numbers that are not stored.

    Args:
        asked: What is to be stored.
        stored: What its numbers stand for already.
        last: The highest number that is taken.
        url: What to call the store.

    Raises:
        StoreError: a number stands for something else, comes twice, or the log has passed it.
    """
    seen = dict(stored)
    for item in asked:
        if seen.setdefault(item.sequence, item) != item or (item.sequence not in stored and item.sequence <= last):
            raise number_taken(item.sequence, last, url)
    return {item.sequence for item in asked} - set(stored)
