"""The order of stages: what comes before what, cycles, layers, and which stages a loop runs again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from agentmesh.errors import ConfigError

After: TypeAlias = Mapping[str, Sequence[str]]
"""For each stage, by name, those that it comes right after."""


def check_order(after: After) -> None:
    """See that every stage comes after stages that exist, and none after itself.

    Raises:
        ConfigError: it does not; the message names the stage, or the stages of the cycle in turn.
    """
    for name, before in after.items():
        for other in before:
            if other not in after:
                raise ConfigError(f"stage {name!r} comes after {other!r}, which is no stage; there are {sorted(after)}")
    cycle = find_cycle(after)
    if cycle:
        path = " -> ".join(map(repr, cycle))
        raise ConfigError(f"stages come after one another in a cycle: {path}; take out one step, or use until=")


def find_cycle(after: After) -> tuple[str, ...]:
    """Return the stages of one cycle in the order in which they would run, the first again at the end; () for none.

    >>> find_cycle({"a": ["c"], "b": ["a"], "c": ["b"], "d": []})
    ('a', 'b', 'c', 'a')
    """
    left = {name: set(before) for name, before in after.items()}
    while free := [name for name, before in left.items() if not before & left.keys()]:
        for name in free:
            del left[name]
    if not left:
        return ()
    path = [min(left)]
    while True:  # each that is left comes after another that is left
        before = min(left[path[-1]] & left.keys())
        if before in path:
            found = path[path.index(before) :][::-1]
            start = found.index(min(found))
            return (*found[start:], *found[:start], found[start])
        path.append(before)


@dataclass(frozen=True)
class Order:
    """What follows from who comes after whom; ``after`` has been checked."""

    after: After

    @cached_property
    def ancestors(self) -> Mapping[str, frozenset[str]]:
        """Return all stages before each, however far."""
        found: dict[str, frozenset[str]] = {}
        for name in self.names:
            before = self.after[name]
            found[name] = frozenset(before).union(*(found[other] for other in before))
        return found

    @cached_property
    def layers(self) -> Mapping[str, int]:
        """Return how many stages stand before each on the longest way, from 0.

        >>> dict(Order({"a": [], "b": ["a"], "c": ["a", "b"], "d": []}).layers)
        {'a': 0, 'd': 0, 'b': 1, 'c': 2}
        """
        found: dict[str, int] = {}
        for name in self.names:
            found[name] = 1 + max((found[other] for other in self.after[name]), default=-1)
        return found

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the stages so that each stands behind those that it comes after, otherwise as they were given."""
        placed: dict[str, None] = {}
        while len(placed) < len(self.after):
            free = [name for name, before in self.after.items() if name not in placed and placed.keys() >= set(before)]
            placed.update(dict.fromkeys(free))
        return tuple(placed)

    def nearest(self, name: str) -> tuple[str, ...]:
        """Return those that a stage comes right after, without any that stands before another of them.

        >>> Order({"a": [], "b": ["a"], "c": ["a", "b"]}).nearest("c")
        ('b',)
        """
        before = dict.fromkeys(self.after[name])
        return tuple(one for one in before if not any(one in self.ancestors[other] for other in before))

    def between(self, head: str, tail: str) -> frozenset[str]:
        """Return the stages of a loop from ``head`` to ``tail``: both, and those on the ways from one to the other."""
        inside = {name for name in self.ancestors[tail] if head in self.ancestors[name]}
        return frozenset({head, tail, *inside})


def check_loop(order: Order, head: str, tail: str) -> frozenset[str]:
    """Return the stages of a loop, if they can be run again by themselves.

    Raises:
        ConfigError: the head does not stand before the tail, or a stage stands half in the loop.
    """
    if head != tail and head not in order.ancestors[tail]:
        raise ConfigError(f"stage {tail!r} goes back to {head!r}, which does not stand before it")
    body = order.between(head, tail)
    for name in body - {head}:
        strange = set(order.after[name]) - body - order.ancestors[head]
        if strange:
            raise ConfigError(
                f"stage {name!r} is in the loop from {head!r} to {tail!r} and comes after {min(strange)!r}, which is "
                f"neither in it nor before it; let {head!r} come after {min(strange)!r} too"
            )
    for name, before in order.after.items():
        inner = set(before) & body - {tail}
        if name not in body and inner:
            raise ConfigError(
                f"stage {name!r} comes after {min(inner)!r}, which the loop up to {tail!r} runs again; let it come "
                f"after {tail!r}: its prompt may name {min(inner)!r} all the same"
            )
    return body
