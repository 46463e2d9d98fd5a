"""Chooses for a study over seeds, on folds: what every router reaches at each point, and the choice of each.

All fits, those of the seeds and those on folds, are one row of jobs that shares the processes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from agentmesh.bench.fits import Fit, fit_job, fits
from agentmesh.bench.folding import folds
from agentmesh.bench.material import Material
from agentmesh.bench.outcome_bench import UNTUNED, Choice, Tuned, choice_of, choose
from agentmesh.bench.run import scoring_router
from agentmesh.bench.study import Study
from agentmesh.bench.tuning import (
    COST_WEIGHTS,
    Fitted,
    Point,
    averaged,
    best_point,
    cheapest_point,
    combinations,
    estimate_all,
    held_out,
    single_level,
)
from agentmesh.types import FloatArray, JsonValue

FOLD_SEED: Final = 0
SINGLE: Final = "best_single"


@dataclass(frozen=True, slots=True)
class Measured:
    """The router under study by seed, and what every router reaches on folds at each point."""

    trained: Sequence[Fit]
    points: Mapping[str, Sequence[Point]]


def measured_points(study: Study) -> Measured:
    """Fit all there is to fit, in one row of jobs that shares the processes: seeds first, as they take longest."""
    plan, material = study.plan, study.material
    parted, tried = folds(material), _tried(study)
    places = list(product(range(len(tried)), range(len(parted))))
    jobs = [fit_job(plan.router, plan.with_seed(seed), material, watched=True) for seed in plan.seeds]
    jobs += [fit_job(*tried[one], parted[fold]) for one, fold in places]
    trained: dict[int, Fit] = {}
    parts: dict[tuple[int, int], FloatArray] = {}
    for place, fit in fits(jobs, processes=plan.processes, say=study.say):
        if place < len(plan.seeds):
            trained[place] = fit
        else:
            one, number = places[place - len(plan.seeds)]
            parts[one, number] = _held_out(fit, jobs[place].arguments, parted[number])
    found: dict[str, list[Point]] = {}
    for one, (name, arguments) in enumerate(tried):
        each = [parts[one, number] for number in range(len(parted))]
        found.setdefault(name, []).extend(averaged(arguments, each))
    return Measured([trained[place] for place in range(len(plan.seeds))], found)


def _tried(study: Study) -> list[tuple[str, Mapping[str, JsonValue]]]:
    """Return each router with each combination of its tunables; the one under study with one seed alone."""
    plan = study.plan
    tuned = [name for name in plan.opponents if name not in UNTUNED]
    others = [(name, given) for name in tuned for given in combinations(scoring_router(name).tunables)]
    return [(plan.router, plan.with_seed(FOLD_SEED)), *others]


def _held_out(fit: Fit, arguments: Mapping[str, JsonValue], fold: Material) -> FloatArray:
    fitted = Fitted(fit.router, arguments, estimate_all(fit.router, fold.val, fold.pool))
    return held_out(fitted, fold, COST_WEIGHTS)


def seed_choices(study: Study, measured: Measured) -> list[Choice]:
    """Return the choice of each seed: the points are shared, the fit is its own."""
    found = measured.points[study.plan.router]
    best, level = best_point(found), cheapest_point(found, at_least=single_level(study.material))
    return [
        Choice(
            study.plan.router,
            Tuned(fit.router, best.objective, {**study.plan.arguments, "cost_weight": best.cost_weight}),
            None if level is None else Tuned(fit.router, level.objective, level.chosen),
        )
        for fit in measured.trained
    ]


def other_choices(study: Study, measured: Measured) -> list[Choice]:
    """Return the choices of best single and the opponents, fitted on train; baselines are taken as they are."""
    choices = []
    for name in (SINGLE, *study.plan.opponents):
        study.say(f"fitting {name} as chosen")
        kind, found = scoring_router(name), measured.points.get(name)
        material = study.material
        choices.append(choose(name, kind, material) if found is None else choice_of(name, kind, found, material))
    return choices
