"""Estimates of what another router would have brought, held against what it would have brought.

On a recorded set every outcome is known. A stochastic router decides train tasks and only the outcome of the agent it
draws is kept, as a log would; from that the value of other routers is estimated, and compared with their true value on
the same tasks. All routers are fitted on val, so that none has seen a task it is judged on. No test row is opened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.bench.material import Material, Part
from agentmesh.learning.resampling import Interval
from agentmesh.playback.estimates import PolicyValue, Table, measured
from agentmesh.playback.expected import cross_fitted
from agentmesh.records import Record
from agentmesh.routing.base import RouteContext, ScoringRouter
from agentmesh.routing.named import router_named
from agentmesh.types import FloatArray, IndexArray, Rng

LOGGING: Final = ("kernel", "softmax:0.1")
EXPLORE: Final = 0.1
ROUNDING: Final = 1e-9  # relative: an interval may be a point
OTHERS: Final[Mapping[str, Mapping[str, str]]] = {"cheapest": {}, "knn": {}, "linear": {"policy": "softmax:0.05"}}


class Coverage(Record):
    """How often intervals of one router, measure and method held the true value, over ``seeds`` logs.

    ``refused`` logs gave no estimate; they count as neither. ``error`` is the mean distance of estimate and truth, and
    ``bias`` its mean with sign; ``effective`` the mean effective sample size.
    """

    router: str
    measure: str
    method: str
    seeds: int
    refused: int
    held: int
    truth: float
    error: float
    bias: float
    width: float
    effective: float


@dataclass(frozen=True, slots=True)
class Policies:
    """What routers do on every task. Shapes: logging, others: (m, n) chances to be drawn first."""

    logging: FloatArray
    others: Mapping[str, FloatArray]


def policies_of(material: Material, *, explore: float = EXPLORE) -> Policies:
    """Fit all routers on val, and have them decide the train tasks."""
    name, policy = LOGGING
    logging = _decided(_fitted(name, {"policy": policy}, material), material, explore=explore)
    others = {
        name: _decided(_fitted(name, parameters, material), material, explore=0.0)
        for name, parameters in OTHERS.items()
    }
    return Policies(logging, others)


def _fitted(name: str, parameters: Mapping[str, str], material: Material) -> ScoringRouter:
    router = router_named(name, parameters)
    if not isinstance(router, ScoringRouter):
        raise TypeError(f"{name!r} is {router!r}; expected a ScoringRouter")
    if router.is_fittable:
        router.fit(material.val.outcomes(material.pool))
    return router


def _decided(router: ScoringRouter, material: Material, *, explore: float) -> FloatArray:
    context = RouteContext(seed=0, explore=explore, top=1)
    part = material.train
    return np.stack(
        [
            router.decide(features, part.pool_at(row, material.pool), context).probability_array()
            for row, features in enumerate(part.features)
        ]
    )


def coverage(part: Part, policies: Policies, *, decisions: int, seeds: Sequence[int]) -> list[Coverage]:
    """Log, hide, estimate and compare, once a seed."""
    found: dict[tuple[str, str, str], list[tuple[PolicyValue | None, float]]] = {}
    for seed in seeds:
        for key, estimate, truth in _one_log(part, policies, decisions, seed):
            found.setdefault(key, []).append((estimate, truth))
    return [_coverage(key, pairs) for key, pairs in found.items()]


def _one_log(
    part: Part, policies: Policies, decisions: int, seed: int
) -> list[tuple[tuple[str, str, str], PolicyValue | None, float]]:
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(part))[:decisions]
    chance = policies.logging[rows]
    done = _drawn(chance, rng)
    told = []
    for name, values in (("quality", part.quality[rows]), ("cost_usd", part.cost[rows])):
        seen = np.full(values.shape, np.nan)
        places = np.arange(len(rows))
        seen[places, done] = values[places, done]
        bounds = (0.0, 1.0) if name == "quality" else None
        expected = cross_fitted(part.vectors[rows], seen, seed=seed)
        for router, policy in policies.others.items():
            table = Table(policy[rows], chance, done)
            truth = float((policy[rows] * np.nan_to_num(values)).sum(axis=1).mean())
            estimates = {one.method: one for one in measured(name, table, seen, expected, bounds=bounds).estimates}
            told += [((router, name, how), estimates.get(how), truth) for how in ("snips", "doubly_robust")]
    return told


def _drawn(chances: FloatArray, rng: Rng) -> IndexArray:
    totals = np.cumsum(chances, axis=1)
    spots = rng.random((len(chances), 1)) * totals[:, -1:]
    drawn: IndexArray = np.minimum((totals <= spots).sum(axis=1), chances.shape[1] - 1).astype(np.int64)
    return drawn


def _holds(interval: Interval, truth: float) -> bool:
    rounding = ROUNDING * abs(truth)
    return interval[0] - rounding <= truth <= interval[1] + rounding


def _coverage(key: tuple[str, str, str], pairs: Sequence[tuple[PolicyValue | None, float]]) -> Coverage:
    router, measure, method = key
    given = [(estimate, truth) for estimate, truth in pairs if estimate is not None]
    off = np.array([estimate.value - truth for estimate, truth in given] or [np.nan])
    return Coverage(
        router=router,
        measure=measure,
        method=method,
        seeds=len(pairs),
        refused=len(pairs) - len(given),
        held=sum(_holds(estimate.interval, truth) for estimate, truth in given),
        truth=float(np.mean([truth for _, truth in pairs])),
        error=float(np.abs(off).mean()),
        bias=float(off.mean()),
        width=float(np.mean([estimate.interval[1] - estimate.interval[0] for estimate, _ in given] or [np.nan])),
        effective=float(np.mean([estimate.effective for estimate, _ in given] or [np.nan])),
    )
