"""What the guard is tried on: in-domain tasks to fit and calibrate on, and tasks to score of which nobody fits some.

For choosing, no task that a set calls out of scope is looked at. Strangers take their place: the agents of some domains
are left out of what is learned, and their tasks are those that nobody fits.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from agentmesh.bench.folding import chosen_rows, inner
from agentmesh.bench.guard_records import GuardSplit
from agentmesh.bench.label_bench import in_scope
from agentmesh.bench.material import Material, Part, part_of, prepare
from agentmesh.bench.opening import open_outcomes
from agentmesh.errors import RecordedSetError
from agentmesh.protocols import Embedder
from agentmesh.recorded import load_set
from agentmesh.routing.base import AgentPool, Outcomes, TaskFeatures
from agentmesh.types import FloatArray, IndexArray

STRANGER_FOLDS: Final = 3
ORDER_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class GuardTrial:
    """One fit and what is scored by it: ``known`` is learned, ``held_back`` calibrates, ``tasks`` are scored.

    Shapes:
        right: (m, n) 1 for the right agents of each task, a row of zeros where nobody fits.
    """

    pool: AgentPool
    known: Outcomes
    held_back: Outcomes
    tasks: tuple[TaskFeatures, ...]
    right: FloatArray


def guard_trials(folder: str | os.PathLike[str], embedder: Embedder, split: GuardSplit) -> tuple[GuardTrial, ...]:
    """Make the trials of a set of labels; tasks of train and val that nobody fits are left out of all that is fitted.

    Scored on ``"test"`` the guard is calibrated on val; on ``"val"`` and ``"strangers"`` a tenth of train stands in for
    it, and with strangers val's tasks out of scope are not scored either.

    Raises:
        RecordedSetError: the set holds outcomes, not labels, or lacks a split.
    """
    recorded = load_set(folder)
    if recorded.info.kind != "labels":
        raise RecordedSetError(f"{recorded.info.name!r} holds {recorded.info.kind!r}; strangers need a set of 'labels'")
    material = closed(prepare(recorded, embedder))
    if split == "test":
        return (_trial(material, part_of(open_outcomes(recorded, "test"), embedder)),)
    if split == "val":
        return (_trial(inner(material), part_of(open_outcomes(recorded, "val"), embedder)),)
    return tuple(_with_strangers(inner(material), material.val))


def closed(material: Material) -> Material:
    """Return train and val with only the tasks in scope."""
    return replace(material, train=_in_scope(material.train), val=_in_scope(material.val))


def _in_scope(part: Part) -> Part:
    return chosen_rows(part, np.flatnonzero(in_scope(part.quality)))


def _trial(material: Material, scored: Part) -> GuardTrial:
    known, held_back = material.train.outcomes(material.pool), material.val.outcomes(material.pool)
    return GuardTrial(material.pool, known, held_back, scored.features, scored.quality)


def _with_strangers(material: Material, scored: Part) -> Iterator[GuardTrial]:
    """Leave the agents of each third of the domains out in turn: first whole domains, then agents one by one."""
    whole = _trial(material, scored)
    for fold_of in (_domain_folds(material.pool), _agent_folds(material.pool)):
        for fold in range(STRANGER_FOLDS):
            kept = np.flatnonzero(fold_of != fold)
            yield replace(
                whole,
                pool=whole.pool.taken(kept, registry_version=f"without fold {fold}"),
                known=_among(whole.known, kept),
                held_back=_among(whole.held_back, kept),
                right=whole.right[:, kept],
            )


def _domain_folds(pool: AgentPool) -> IndexArray:
    domains = [card.group or card.id for card in pool.cards]
    names = sorted(set(domains))
    fold = _folds(len(names))
    return np.array([fold[names.index(domain)] for domain in domains])


def _agent_folds(pool: AgentPool) -> IndexArray:
    return _folds(len(pool))


def _folds(count: int) -> IndexArray:
    return np.random.default_rng(ORDER_SEED).permutation(count) % STRANGER_FOLDS


def _among(outcomes: Outcomes, kept: IndexArray) -> Outcomes:
    taken = outcomes.taken(kept)
    return taken.rows(np.flatnonzero(in_scope(taken.quality)))
