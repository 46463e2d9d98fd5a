"""How much easier than usual a task was, as the other agents' outcomes on it tell: the same for numpy and torch arrays.

An agent tried on twenty tasks that all agents solve is no good agent yet. So an outcome counts less its task's ease:
with outcomes q of the other agents b on the task, and what each was expected to be worth, e_b::

    ease = sum_b (q_b - e_b) / (number of b + 1)

Nothing changes for agents that were observed on every task, since ease averages to zero there, nor where nobody else
was observed. It is a control variate: it takes out of an agent's mean what it owes to the draw of its tasks.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import numpy as np

from agentmesh.types import FloatArray, IndexArray

STRENGTH: Final = 1.0
SKILL_STRENGTH: Final = 8.0
"""How many outcomes the mean weighs in what an agent, or all of them, are expected to be worth in a skill."""

Array = TypeVar("Array", bound=Any)


def ease_of(quality: Array, seen: Array, expected: Array) -> Array:
    """Return how much easier each task was for the other agents than expected.

    Shapes:
        quality: (m, n) 0 where unknown. seen: (m, n) 1 where known, else 0. expected: (m, n) or (n,).
        Returns (m, n), 0 where unknown.

    >>> known = np.ones((1, 3))
    >>> ease_of(np.array([[1.0, 1.0, 0.0]]), known, np.array([0.5, 0.5, 0.5])).round(2).tolist()
    [[0.0, 0.0, 0.33]]
    """
    above = seen * (quality - expected)
    others = seen.sum(1)[:, None] - seen
    found: Array = seen * (above.sum(1)[:, None] - above) / (others + STRENGTH)
    return found


def eased(quality: FloatArray, skill: IndexArray, skills: int) -> tuple[FloatArray, FloatArray]:
    """Return what each agent owes to easy tasks over all, and its qualities less the ease within the task's skill.

    Shapes:
        quality: (m, n) NaN where unknown; skill: (m,). Returns (n,) and (m, n), NaN where unknown.
    """
    seen = (~np.isnan(quality)).astype(np.float64)
    known = np.nan_to_num(quality)
    mean = known.sum(axis=0) / np.maximum(seen.sum(axis=0), 1.0)
    owed = ease_of(known, seen, mean).sum(axis=0)
    member = np.eye(skills)[skill]
    within = (member.T @ known + SKILL_STRENGTH * mean) / (member.T @ seen + SKILL_STRENGTH)
    return owed, quality - ease_of(known, seen, within[skill])


def eased_one(seen: Sequence[FloatArray], solved: Sequence[FloatArray], expected: FloatArray, column: int) -> float:
    """Return the ease of one task, from tasks like it and from the task itself, without the agent in ``column``.

    Args:
        seen: The weight of each agent's outcomes on tasks like it, then on the task itself.
        solved: Weight x quality of the same.
        expected: What each agent was expected to be worth.
        column: The agent whose outcome it is.

    Shapes:
        each of them (columns,).

    >>> nothing, one = np.zeros(2), np.array([0.0, 1.0])
    >>> eased_one([nothing, one], [nothing, one], np.array([0.5, 0.5]), 0)
    0.25
    """
    ease = 0.0
    for weight, worth in zip(seen, solved, strict=True):
        others = np.arange(len(weight)) != column
        above = float((worth - weight * expected)[others].sum())
        ease = (above + STRENGTH * ease) / (float(weight[others].sum()) + STRENGTH)
    return ease
