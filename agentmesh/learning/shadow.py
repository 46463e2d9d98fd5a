"""What the choices of two routers would have been worth on tasks that neither has seen, by what was logged of them.

Rule: each router decides every task, frozen, without exploring, by the task's own objective. Where its choice is an
agent that was called, with a known chance p, and scored q, the task counts with weight w = min(1 / p, 50); where it is
another, nothing is known of it and the task does not count. The value of a router is sum(w q) / sum(w), its effective
sample size sum(w)^2 / sum(w^2). An abstention is known for certain: p is 1 and q is 0. Where every agent was called on
every task, all p are 1, and the value is the plain mean of what the router chose. The tasks are drawn again with
replacement for the interval of the difference, the same draws for both routers.

Quality alone is compared: a router that only saves money is no better here. The estimate leans towards what the log
holds: it trusts that scores are missing by chance, and the bound on w takes weight from choices that were called very
rarely.

Reference: Swaminathan and Joachims, The self-normalized estimator for counterfactual learning, NIPS 2015; effective
sample size as in Kish, Survey sampling, 1965.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.errors import NoCandidateError
from agentmesh.learning.pools import Considered
from agentmesh.learning.resampling import Interval, interval, resampled_means
from agentmesh.records import Record
from agentmesh.routing.base import Outcomes, RouteContext, ScoringRouter, index_of
from agentmesh.types import FloatArray

MOST_WEIGHT: Final = 50.0
"""What one task counts at most: as an agent drawn by 2 % of exploration does. One lucky draw must not decide alone."""


class Estimated(Record):
    """What a router's choices would have been worth; ``value`` is ``None`` where nothing is known of them.

    ``known`` is how many tasks count, ``effective`` how many equally weighted ones they are worth.
    """

    version: str
    value: float | None = None
    known: int = 0
    effective: float = 0.0


class Comparison(Record):
    """A candidate beside the router that serves. ``interval`` is the 95 % interval of the difference of their values.

    It is ``None`` where not every draw of the tasks holds something that is known of both.
    """

    tasks: int
    serving: Estimated
    candidate: Estimated
    difference: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Tasks that no router has seen: what they were routed on, and what came of them.

    Shapes:
        tasks: length m, in the order of the rows of ``outcomes``.
    """

    tasks: Sequence[Considered]
    outcomes: Outcomes


@dataclass(frozen=True, slots=True)
class _Weighed:
    """What a router's choices came to. Shapes: both (m,); ``weight`` is 0 where nothing is known of the choice."""

    weight: FloatArray
    quality: FloatArray


def compare(serving: ScoringRouter, candidate: ScoringRouter, held_back: HeldBack, *, seed: int = 0) -> Comparison:
    """Let two routers decide the same tasks, and estimate what the choices of each are worth."""
    pair = [_weighed(router, held_back) for router in (serving, candidate)]
    old, new = (_estimated(router, one) for router, one in zip((serving, candidate), pair, strict=True))
    difference = None if old.value is None or new.value is None else round(new.value - old.value, 6)
    return Comparison(
        tasks=len(held_back.tasks),
        serving=old,
        candidate=new,
        difference=difference,
        interval=None if difference is None else _interval(*pair, seed=seed),
    )


def _weighed(router: ScoringRouter, held_back: HeldBack) -> _Weighed:
    rows = [_outcome(router, held_back, row) for row in range(len(held_back.tasks))]
    weight, quality = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return _Weighed(weight, quality)


def _outcome(router: ScoringRouter, held_back: HeldBack, row: int) -> tuple[float, float]:
    """Return the weight and the quality of what a router chooses on a task, zeros where that is not known."""
    task, outcomes = held_back.tasks[row], held_back.outcomes
    context = RouteContext(seed=task.seed, objective=task.objective, bonus=task.bonus, load=task.load)
    try:
        decision = router.decide(task.features, task.pool, context)
    except NoCandidateError:
        return 0.0, 0.0
    if not decision.selected:
        return 1.0, 0.0
    column = index_of(outcomes.agent_ids).get(decision.selected[0].agent_id)
    if column is None or outcomes.propensity is None:
        return 0.0, 0.0
    quality, chance = float(outcomes.quality[row, column]), float(outcomes.propensity[row, column])
    if np.isnan(quality) or not chance > 0.0:
        return 0.0, 0.0
    return min(1.0 / chance, MOST_WEIGHT), quality


def _estimated(router: ScoringRouter, chosen: _Weighed) -> Estimated:
    total = float(chosen.weight.sum())
    if not total:
        return Estimated(version=router.version)
    return Estimated(
        version=router.version,
        value=round(float(chosen.weight @ chosen.quality) / total, 6),
        known=int((chosen.weight > 0).sum()),
        effective=round(total**2 / float(chosen.weight @ chosen.weight), 3),
    )


def _interval(serving: _Weighed, candidate: _Weighed, *, seed: int) -> Interval | None:
    columns = [part for one in (serving, candidate) for part in (one.weight * one.quality, one.weight)]
    old_worth, old, new_worth, new = resampled_means(np.stack(columns, axis=1), seed=seed).T
    if not (old.all() and new.all()):
        return None
    return interval(new_worth / new - old_worth / old)
