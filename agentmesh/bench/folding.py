"""Parts train and val together into folds, so that what is tunable is chosen on thousands of tasks, not on hundreds."""

from dataclasses import fields, replace
from typing import Final

import numpy as np

from agentmesh.bench.material import Material, Part
from agentmesh.recorded.outcomes import OutcomeTable
from agentmesh.types import IndexArray

FOLDS: Final = 5
MOST_HELD_OUT: Final = 1_000  # tasks of a fold: 5,000 in all leave a paired difference about half a point uncertain
ORDER_SEED: Final = 0
TENTH: Final = 10


def folds(material: Material) -> tuple[Material, ...]:
    """Return ``material`` parted five times: a fifth of train and val held out as ``val``, the rest as ``train``.

    Every task is held out once, in a fold that a seeded shuffle gave it; of a fold with more than 1,000 tasks, 1,000
    are held out and the others left aside. Fewer than five tasks give as many folds as tasks.

    Reference: Stone, Cross-validatory choice and assessment of statistical predictions, 1974.
    """
    tasks = joined(material.train, material.val)
    count = min(FOLDS, len(tasks))
    fold = np.random.default_rng(ORDER_SEED).permutation(len(tasks)) % count
    return tuple(
        replace(
            material,
            train=chosen_rows(tasks, np.flatnonzero(fold != place)),
            val=chosen_rows(tasks, np.flatnonzero(fold == place)[:MOST_HELD_OUT]),
        )
        for place in range(count)
    )


def joined(first: Part, second: Part) -> Part:
    """Return the rows of both, named after the first."""
    left, right = first.rows, second.rows
    tables = {
        field.name: np.concatenate([getattr(left.table, field.name), getattr(right.table, field.name)])
        for field in fields(OutcomeTable)
    }
    rows = replace(
        left,
        tasks=left.tasks + right.tasks,
        groups=left.groups + right.groups,
        labels=left.labels + right.labels,
        gold=left.gold + right.gold,
        table=OutcomeTable(**tables),
    )
    return Part(rows, first.features + second.features, np.concatenate([first.vectors, second.vectors]))


def chosen_rows(part: Part, places: IndexArray) -> Part:
    """Return some rows of ``part``, in the order of ``places``."""
    rows, listed = part.rows, places.tolist()
    tables = {field.name: getattr(rows.table, field.name)[places] for field in fields(OutcomeTable)}
    kept = replace(
        rows,
        tasks=tuple(rows.tasks[place] for place in listed),
        groups=tuple(rows.groups[place] for place in listed),
        labels=tuple(rows.labels[place] for place in listed),
        gold=tuple(rows.gold[place] for place in listed),
        table=OutcomeTable(**tables),
    )
    return Part(kept, tuple(part.features[place] for place in listed), part.vectors[places])


def inner(material: Material) -> Material:
    """Return ``material`` with a tenth of train, drawn by a seeded shuffle, in the place of val.

    What is fitted and chosen on it has seen nothing of val, which can then be scored.
    """
    train = material.train
    order = np.random.default_rng(ORDER_SEED).permutation(len(train))
    held = max(1, len(train) // TENTH)
    return replace(
        material, train=chosen_rows(train, np.sort(order[held:])), val=chosen_rows(train, np.sort(order[:held]))
    )


def drawn(part: Part, most: int | None) -> Part:
    """Return at most so many rows of ``part``, drawn by a seeded shuffle, in their order; all of them for ``None``."""
    if most is None or most >= len(part):
        return part
    return chosen_rows(part, np.sort(np.random.default_rng(ORDER_SEED).permutation(len(part))[:most]))
