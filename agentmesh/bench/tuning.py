"""Chooses everything tunable without the test tasks: a router's arguments, and the weight of cost in its utility.

One rule for every router: part train and val together into folds; fit each combination of the ``tunables`` on all folds
but one, let it decide on that one with each cost weight, and keep the point with the highest mean quality over all held
out tasks, the cheaper one of those that are equal, then the first tried. The chosen arguments are fitted on train.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from agentmesh.bench.folding import folds
from agentmesh.bench.material import Material, Part
from agentmesh.bench.yardsticks import single_choice, taken
from agentmesh.records import Objective
from agentmesh.routing.base import AgentPool, ScoringRouter
from agentmesh.routing.objective import Estimate, Scale, utility
from agentmesh.routing.window import OutcomeWindow
from agentmesh.types import FloatArray, IndexArray, JsonValue

COST_WEIGHTS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 4.0)
"""What is tried as ``Objective(quality=1, cost=w)``: from quality alone to mostly cost."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A router fitted on train, and what it expects on each val task.

    Shapes:
        estimates: one for each val task, over the agents of the pool.
    """

    router: ScoringRouter
    arguments: Mapping[str, JsonValue]
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A router's arguments and a cost weight, and how they do on held out tasks (cost NaN when one is unknown)."""

    arguments: Mapping[str, JsonValue]
    cost_weight: float
    quality: float
    cost: float

    @property
    def objective(self) -> Objective:
        """Return the objective that this point decides under."""
        return Objective(quality=1.0, cost=self.cost_weight)

    @property
    def chosen(self) -> dict[str, JsonValue]:
        """Return what was chosen."""
        return {**self.arguments, "cost_weight": self.cost_weight}


def combinations(tunables: Mapping[str, Sequence[JsonValue]]) -> Iterator[dict[str, JsonValue]]:
    """Yield every combination of the values to try, the first value of each first.

    >>> list(combinations({"k": (5, 10), "weighting": ("rank",)}))
    [{'k': 5, 'weighting': 'rank'}, {'k': 10, 'weighting': 'rank'}]
    """
    for values in product(*tunables.values()):
        yield dict(zip(tunables, values, strict=True))


def fit_one(
    kind: type[ScoringRouter], arguments: Mapping[str, JsonValue], material: Material, *, watched: bool = False
) -> ScoringRouter:
    """Return a router with these arguments, fitted on train.

    ``watched``: one that trains for long chooses its checkpoint on val; otherwise on a part of train, as inside folds,
    whose val is what is measured.
    """
    build: Callable[..., ScoringRouter] = kind
    router = build(**arguments)
    pool = material.pool
    router.fit(material.train.outcomes(pool), val=material.val.outcomes(pool) if watched else None)
    return router


def fit_all(kind: type[ScoringRouter], material: Material) -> Iterator[Fitted]:
    """Fit a router on train once for each combination of its tunables, and estimate val with it."""
    for arguments in combinations(kind.tunables):
        yield _fitted(kind, arguments, material, watched=True)


def _fitted(
    kind: type[ScoringRouter], arguments: Mapping[str, JsonValue], material: Material, *, watched: bool = False
) -> Fitted:
    router = fit_one(kind, arguments, material, watched=watched)
    return Fitted(router=router, arguments=arguments, estimates=estimate_all(router, material.val, material.pool))


def estimate_all(router: ScoringRouter, part: Part, pool: AgentPool) -> tuple[Estimate, ...]:
    """Return what ``router`` expects on each task of a split."""
    return tuple(router.estimate(features, part.pool_at(row, pool)) for row, features in enumerate(part.features))


def greedy_choice(fitted: Fitted, material: Material, objective: Objective) -> IndexArray:
    """Return the agent that ``fitted`` would call on each val task, without exploring.

    It weighs as the router's own ``route`` does, on estimates that are made once for all cost weights.

    Shapes:
        returns (m,).
    """
    val, scale = material.val, fitted_scale(material)
    choice = np.zeros(len(val), dtype=np.int64)
    for row, estimate in enumerate(fitted.estimates):
        seen = val.pool_at(row, material.pool)
        worth = utility(estimate, objective, seen.mask, scale=scale, calibrated=fitted.router.calibrated)
        choice[row] = np.argmax(np.where(seen.mask, worth, -np.inf))
    return choice


def fitted_scale(material: Material) -> Scale:
    """Return the scale of costs that every router holds after it was fitted on train."""
    window = OutcomeWindow()
    window.fill(material.train.quality, material.train.cost)
    return window.scale()


def points(
    kind: type[ScoringRouter], material: Material, cost_weights: Sequence[float] = COST_WEIGHTS
) -> Iterator[Point]:
    """Yield how each combination of arguments does at each cost weight, over the held out tasks of all folds."""
    parted = folds(material)
    for arguments in combinations(kind.tunables):
        parts = [held_out(_fitted(kind, arguments, fold), fold, cost_weights) for fold in parted]
        yield from averaged(arguments, parts, cost_weights)


def averaged(
    arguments: Mapping[str, JsonValue], parts: Sequence[FloatArray], cost_weights: Sequence[float] = COST_WEIGHTS
) -> Iterator[Point]:
    """Yield how one router does at each cost weight, from what :func:`held_out` returned of each fold."""
    means = np.concatenate(parts, axis=2).mean(axis=2)
    for weight, quality, cost in zip(cost_weights, *means.tolist(), strict=True):
        yield Point(arguments, weight, quality, cost)


def held_out(fitted: Fitted, material: Material, cost_weights: Sequence[float]) -> FloatArray:
    """Return quality and cost of each decision on val at each cost weight.

    Shapes:
        returns (2, len(cost_weights), m).
    """
    val = material.val
    choices = [greedy_choice(fitted, material, Objective(quality=1.0, cost=weight)) for weight in cost_weights]
    return np.stack([[taken(table, choice) for choice in choices] for table in (val.quality, val.cost)])


def single_level(material: Material) -> float:
    """Return the mean held out quality of the agent that is best on the rest, over all folds."""
    parts = [fold.val.quality[:, single_choice(fold.train.quality)] for fold in folds(material)]
    return float(np.nanmean(np.concatenate(parts)))


def best_point(candidates: Sequence[Point]) -> Point:
    """Return the point with the highest held out quality, the cheaper one of those that are equal."""
    return min(candidates, key=lambda point: (-round(point.quality, 12), _known(point.cost)))


def cheapest_point(candidates: Sequence[Point], *, at_least: float) -> Point | None:
    """Return the cheapest point with held out quality ``at_least``, ``None`` when there is none or no cost is known."""
    good = [point for point in candidates if point.quality >= at_least and not np.isnan(point.cost)]
    return min(good, key=lambda point: (point.cost, -point.quality), default=None)


def _known(cost: float) -> float:
    return float("inf") if np.isnan(cost) else cost


def mean_or_none(values: FloatArray) -> float | None:
    """Return the mean, ``None`` as soon as one value is unknown.

    >>> mean_or_none(np.array([1.0, np.nan])) is None
    True
    """
    mean = float(values.mean())
    return None if np.isnan(mean) else mean
