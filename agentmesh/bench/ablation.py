"""What each part of the GNN brings: the same folds of train and val, with one part changed at a time; no test."""

from collections.abc import Mapping
from itertools import accumulate, product
from typing import Final

import numpy as np

from agentmesh.bench.crossed import Crossed
from agentmesh.bench.fits import fit_job, fits
from agentmesh.bench.folding import FOLDS, folds
from agentmesh.bench.material import Material
from agentmesh.bench.resampling import Interval
from agentmesh.bench.study import Study
from agentmesh.bench.tuning import Fitted, estimate_all, greedy_choice
from agentmesh.bench.yardsticks import taken
from agentmesh.errors import ConfigError
from agentmesh.records import Record
from agentmesh.routing.objective import SCENARIOS
from agentmesh.types import FloatArray, JsonValue

DEFAULT: Final = "default"
ABLATIONS: Final[Mapping[str, Mapping[str, JsonValue]]] = {
    DEFAULT: {},
    "with entities": {"entities": True},
    "outcomes untyped": {"typed": False},
    "no edges between tasks": {"like": False},
    "one-hot targets": {"soft": False},
    "no network": {"deep": False},
}
"""Names of variants and the arguments that each changes."""

LEAST: Final = 1e-6
"""Chances are kept this far from 0 and 1 before their logarithm is taken."""


class AblationRow(Record):
    """One variant on the held out tasks. Intervals are 95 %, by bootstrap over tasks and seeds.

    ``quality_diff_ci`` and ``loss_diff_ci`` are of the variant minus the default, paired; ``None`` for the default.
    """

    variant: str
    arguments: Mapping[str, JsonValue]
    quality: float
    quality_ci: Interval
    quality_diff_ci: Interval | None
    loss: float
    loss_ci: Interval
    loss_diff_ci: Interval | None


class AblationReport(Record):
    """All variants on one set."""

    set: str
    router: str
    arguments: Mapping[str, JsonValue]
    rows: tuple[AblationRow, ...]
    notes: tuple[str, ...]


def ablate(
    study: Study, variants: Mapping[str, Mapping[str, JsonValue]] = ABLATIONS, *, most_folds: int = FOLDS
) -> AblationReport:
    """Fit every variant with every seed on folds of train and val, and measure it on what they hold out.

    The choices are greedy in the quality scenario; on labels a task out of scope counts as wrong.

    Args:
        study: The set and the plan.
        variants: What to change; ``default`` among them.
        most_folds: So many of the folds are used, to save time.

    Raises:
        ConfigError: no fold is left.
    """
    if most_folds < 1:
        raise ConfigError(f"folds are {most_folds!r}; accepted: 1 to {FOLDS}")
    parted = folds(study.material)[:most_folds]
    tables = _measured(study, variants, parted)
    quality = Crossed.of({name: both[0] for name, both in tables.items()})
    loss = Crossed.of({name: both[1] for name, both in tables.items()})
    rows = [
        AblationRow(
            variant=name,
            arguments=variants[name],
            quality=float(both[0].mean()),
            quality_ci=quality.own(name),
            quality_diff_ci=None if name == DEFAULT else quality.lead(name, over=DEFAULT),
            loss=float(both[1].mean()),
            loss_ci=loss.own(name),
            loss_diff_ci=None if name == DEFAULT else loss.lead(name, over=DEFAULT),
        )
        for name, both in tables.items()
    ]
    plan = study.plan
    return AblationReport(
        set=study.name, router=plan.router, arguments=plan.arguments, rows=tuple(rows), notes=_notes(study, parted)
    )


def _notes(study: Study, parted: tuple[Material, ...]) -> tuple[str, ...]:
    held = sum(len(fold.val) for fold in parted)
    seeds = ", ".join(map(str, study.plan.seeds))
    return (
        f"Opened: no split; {held} held out tasks of {len(parted)} folds of train and val, seeds {seeds}.",
        "Checkpoints were chosen on a tenth of what each fold fits on.",
    )


def _measured(
    study: Study, variants: Mapping[str, Mapping[str, JsonValue]], parted: tuple[Material, ...]
) -> dict[str, FloatArray]:
    """Return quality and log loss of each variant by seed and held out task, (2, s, m)."""
    plan = study.plan
    ends = list(accumulate(len(fold.val) for fold in parted))
    tables = {name: np.zeros((2, len(plan.seeds), ends[-1])) for name in variants}
    places = list(product(variants, range(len(plan.seeds)), range(len(parted))))
    jobs = [
        fit_job(plan.router, {**plan.with_seed(plan.seeds[line]), **variants[name]}, parted[fold])
        for name, line, fold in places
    ]
    for place, fit in fits(jobs, processes=plan.processes, say=study.say):
        (name, line, fold), material = places[place], parted[places[place][2]]
        fitted = Fitted(fit.router, jobs[place].arguments, estimate_all(fit.router, material.val, material.pool))
        tables[name][:, line, ends[fold] - len(material.val) : ends[fold]] = _both(fitted, material)
    return tables


def _both(fitted: Fitted, material: Material) -> FloatArray:
    right = material.val.quality
    choice = greedy_choice(fitted, material, SCENARIOS["quality"])
    expected = np.stack([estimate.quality for estimate in fitted.estimates])
    return np.stack([taken(right, choice), log_loss(expected, right)])


def log_loss(expected: FloatArray, right: FloatArray) -> FloatArray:
    """Return the mean log loss of each task over the agents observed on it.

    Where every task has at most one right agent and all were observed, as on labels, it is that of the one right
    answer, nobody being one more.

    Shapes:
        expected: (m, n) chances; right: (m, n) 0 to 1, NaN where not observed. Returns (m,).

    >>> log_loss(np.array([[0.5, 0.5]]), np.array([[1.0, 1.0]])).round(3).tolist()
    [0.693]
    >>> log_loss(np.array([[0.75, 0.0]]), np.array([[0.0, 0.0]])).round(3).tolist()
    [1.386]
    """
    if bool((right.sum(axis=1) <= 1.0).all()):  # a sum with NaN in it is not
        chances = np.column_stack([expected, 1.0 - expected.sum(axis=1)])
        wanted = np.column_stack([right, 1.0 - right.sum(axis=1)])
        return np.asarray(-(wanted * np.log(np.clip(chances, LEAST, 1.0))).sum(axis=1))
    kept = np.clip(expected, LEAST, 1.0 - LEAST)
    each = -(right * np.log(kept) + (1.0 - right) * np.log1p(-kept))
    return np.asarray(np.nanmean(each, axis=1))
