"""What a team is learned from and decides on: tasks x agents, with the answers as numbers of their groups."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from agentmesh.types import AgentId, FloatArray, IndexArray

NO_ANSWER = -1
"""Stands in ``keys`` where an agent gave no answer, or was not asked."""


@dataclass(frozen=True, slots=True)
class TeamTable:
    """One row a task, one column an agent. What is not known yet, in a run, is NaN.

    Shapes:
        quality: (m, k) what each answer was worth, 0 to 1.
        cost: (m, k) what each answer cost, US dollars.
        expected: (m, k) the quality that a router expected, 0 to 1.
        price: (m, k) the cost that it expected, US dollars.
        keys: (m, k) answers of one task that count as the same have the same number; ``NO_ANSWER`` for none.
    """

    agent_ids: tuple[AgentId, ...]
    quality: FloatArray
    cost: FloatArray
    expected: FloatArray
    price: FloatArray
    keys: IndexArray

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.keys)

    def rows(self, places: IndexArray) -> "TeamTable":
        """Return some of the tasks."""
        return TeamTable(
            self.agent_ids,
            self.quality[places],
            self.cost[places],
            self.expected[places],
            self.price[places],
            self.keys[places],
        )

    def columns(self, places: Sequence[int]) -> "TeamTable":
        """Return the table of some of the agents, in the order of ``places``."""
        chosen = list(places)
        return TeamTable(
            tuple(self.agent_ids[place] for place in chosen),
            self.quality[:, chosen],
            self.cost[:, chosen],
            self.expected[:, chosen],
            self.price[:, chosen],
            self.keys[:, chosen],
        )


def numbered(answers: Sequence[Sequence[Hashable]]) -> IndexArray:
    """Return the answers of each task as numbers, equal where the keys are equal; ``None`` has no number.

    >>> numbered([["b", None, "a", "b"]]).tolist()
    [[0, -1, 1, 0]]
    """
    return np.array([_numbered(row) for row in answers], dtype=np.int64)


def _numbered(row: Sequence[Hashable]) -> list[int]:
    known: dict[Hashable, int] = {}
    return [NO_ANSWER if key is None else known.setdefault(key, len(known)) for key in row]
