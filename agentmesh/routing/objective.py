"""What a call is worth: quality, cost and latency brought to one scale and weighed.

``u = a * quality - b * g * cost~ - c * g * latency~`` with the weights (a, b, c) of an ``Objective``. A cost x becomes
``cost~ = clip((sqrt(x) - p5) / (p95 - p5), 0, 1)``, where p5 and p95 are percentiles of sqrt(cost); 0.5 when all
costs are the same. ``g`` brings the terms to the same standard deviation.

- **Unknown is dear.** An unknown price counts as much as p95 does; it is never 0. So an agent that hides its price
  is not preferred for it, and can still be chosen for its quality.
- **One outlier does not flatten the rest.** Percentiles see to that from 21 values on. In a smaller pool the upper
  end reaches at most four times as far as the second-highest value.
- **Only ratios of costs matter**: the same prices in another currency lead to the same choices.

Reference: the normaliser is that of Router-R1 (arXiv 2506.09033), the aligned deviations those of BudgetMem
(arXiv 2602.06025).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from agentmesh.decisions import Evidence
from agentmesh.records import Objective
from agentmesh.types import FloatArray, MaskArray

SCENARIOS: Final[Mapping[str, Objective]] = MappingProxyType(
    {
        "quality": Objective(quality=1.0, cost=0.0, latency=0.0),
        "balanced": Objective(quality=0.5, cost=0.5, latency=0.0),
        "cheap": Objective(quality=0.2, cost=0.8, latency=0.0),
    }
)
"""The named trade-offs: quality alone, half and half, mostly cost."""

LOW_PERCENT: Final = 0.05
HIGH_PERCENT: Final = 0.95
FLAT: Final = 1e-9  # relative: closer ends than this are rounding, not a difference in price
REACH: Final = 4.0  # how far past the second-highest value the upper end may lie, so that the rest keep a quarter
LEAST_BALANCE: Final = 0.5  # all answers right (deviation 0) must not switch the price off
MOST_BALANCE: Final = 2.0  # nor may equal prices make it everything


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a router expects of each agent on one task.

    Shapes:
        quality: (n,) 0 to 1 from a calibrated router, otherwise an affinity: higher is better, without a unit.
        cost: (n,) US dollars, NaN where unknown.
        latency: (n,) seconds, NaN where unknown.
        factors: name -> (n,), what the estimate was made from, for explanations.
        curiosity: (n,) or one number, added to the quality in the choice alone, so that an agent which was hardly tried
            is tried; it is no part of what is expected.
        votes: (n,) above 0, what each agent's answer weighs beside others'; ``None`` where the quality says it.

    ``intent`` says what kinds of task the router takes this one for: names with weights that sum to at most 1.
    ``evidence`` tells, for the place of an agent, what past tasks, skills and entities its quality rests on.
    """

    quality: FloatArray
    cost: FloatArray
    latency: FloatArray
    factors: Mapping[str, FloatArray] = field(default_factory=dict)
    curiosity: FloatArray | float = 0.0
    intent: Mapping[str, float] = field(default_factory=dict)
    evidence: Callable[[int], tuple[Evidence, ...]] | None = None
    votes: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """The range of sqrt(x) from the 5th to the 95th percentile: what counts as cheap and as dear.

    >>> band = Band.of(np.array([1.0, 4.0, 9.0]))
    >>> [round(float(x), 3) for x in band.place(np.array([1.0, 4.0, np.nan]))]
    [0.0, 0.5, 1.0]
    """

    low: float
    high: float

    @classmethod
    def of(cls, values: FloatArray) -> "Band | None":
        """Return the band of the known ones of ``values``, ``None`` when none is known."""
        roots = np.sort(np.sqrt(values[np.isfinite(values)]))
        if len(roots) == 0:
            return None
        low, high = _quantile(roots, LOW_PERCENT), _quantile(roots, HIGH_PERCENT)
        if len(roots) > 2:
            rest = float(roots[-2])
            reach = low + REACH * max(rest - low, low / REACH)
            high = min(high, reach) if reach > low else high
        return cls(low, high)

    def joined(self, other: "Band | None") -> "Band":
        """Return the band that covers both."""
        return self if other is None else Band(min(self.low, other.low), max(self.high, other.high))

    @property
    def flat(self) -> bool:
        """Return whether the two ends are the same price."""
        return self.high - self.low <= FLAT * self.high

    def place(self, values: FloatArray) -> FloatArray:
        """Return 0 (cheap) to 1 (dear or unknown) for each of ``values``; 0.5 for all when the band is flat."""
        if self.flat:
            return np.full(len(values), 0.5)
        places = np.clip((np.sqrt(values) - self.low) / (self.high - self.low), 0.0, 1.0)
        return np.where(np.isnan(places), 1.0, places)


def _quantile(ordered: FloatArray, share: float) -> float:
    """Return the linearly interpolated quantile of sorted values; np.percentile takes ten times as long."""
    spot = share * (len(ordered) - 1)
    below = int(spot)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (spot - below) * (ordered[above] - ordered[below]))


@dataclass(frozen=True, slots=True)
class Scale:
    """What was observed so far of cost and latency, and how wide qualities spread beside them.

    ``None`` means nothing was observed: the pool's own estimates serve alone. ``balance`` is the standard deviation
    of quality over that of cost~, kept within 0.5 to 2.
    """

    cost: Band | None = None
    latency: Band | None = None
    balance: float = 1.0

    @classmethod
    def of(cls, cost: FloatArray, *, quality: FloatArray | None = None, latency: FloatArray | None = None) -> "Scale":
        """Return the scale of a table of observations; without ``quality`` the terms are not aligned.

        Shapes:
            cost, quality, latency: (m,), NaN where unknown.

        >>> Scale.of(np.array([0.01, 0.04, 0.09]), quality=np.array([0.0, 1.0, 1.0])).balance
        1.1547005383792515
        """
        band = Band.of(cost)
        return cls(band, None if latency is None else Band.of(latency), _balance(cost, quality, band))


def _balance(cost: FloatArray, quality: FloatArray | None, band: Band | None) -> float:
    if quality is None or band is None or band.flat:
        return 1.0
    spread = float(np.std(band.place(cost[np.isfinite(cost)])))  # above 0, since the band is not flat
    return float(np.clip(np.std(quality[np.isfinite(quality)]) / spread, LEAST_BALANCE, MOST_BALANCE))


def utility(
    estimate: Estimate,
    objective: Objective,
    mask: MaskArray,
    *,
    scale: Scale | None = None,
    calibrated: bool = True,
) -> FloatArray:
    """Return the utility of each agent, higher is better.

    The bands cover what ``scale`` holds and what ``estimate`` expects of the agents that ``mask`` lets through, so a
    price that nobody has paid yet still counts. An affinity has no unit to weigh against money: without
    ``calibrated`` the cost term gets the standard deviation of this decision's affinities.

    Shapes:
        mask: (n,) True where an agent may be chosen. Returns (n,).

    >>> estimate = Estimate(np.array([0.9, 0.8]), cost=np.array([0.04, 0.01]), latency=np.array([np.nan, np.nan]))
    >>> utility(estimate, SCENARIOS["balanced"], np.array([True, True])).round(3).tolist()
    [-0.05, 0.4]
    """
    known = scale or Scale()
    hoped = estimate.quality + estimate.curiosity
    total = objective.quality * hoped
    for weight, values, band in (
        (objective.cost, estimate.cost, known.cost),
        (objective.latency, estimate.latency, known.latency),
    ):
        if weight > 0:
            places = _places(values, mask, band)
            total = total - weight * _gain(hoped, places, mask, known, calibrated=calibrated) * places
    return np.asarray(total, dtype=np.float64)


def _places(values: FloatArray, mask: MaskArray, observed: Band | None) -> FloatArray:
    expected = Band.of(values[mask])
    band = observed if expected is None else expected.joined(observed)
    return np.full(len(values), 0.5) if band is None else band.place(values)


def _gain(quality: FloatArray, places: FloatArray, mask: MaskArray, scale: Scale, *, calibrated: bool) -> float:
    if calibrated:
        return scale.balance
    spread = float(np.std(places[mask]))
    return float(np.std(quality[mask])) / spread if spread > FLAT else 1.0


def reward(
    quality: npt.ArrayLike,
    cost: npt.ArrayLike,
    objective: Objective,
    scale: Scale,
    *,
    latency: npt.ArrayLike | None = None,
) -> FloatArray:
    """Return what observed outcomes were worth under ``objective``: the utility with facts in place of estimates.

    Shapes:
        quality, cost, latency: (m,), cost and latency NaN where unknown. Returns (m,).

    >>> scale = Scale.of(np.array([0.01, 0.04, 0.09]))
    >>> reward([1.0, 1.0], [0.01, 0.09], SCENARIOS["balanced"], scale).round(3).tolist()
    [0.5, 0.0]
    """
    total = objective.quality * np.asarray(quality, dtype=np.float64)
    for weight, values, band in ((objective.cost, cost, scale.cost), (objective.latency, latency, scale.latency)):
        if weight > 0:
            places = np.full(len(total), np.nan) if values is None else np.asarray(values, dtype=np.float64)
            total = total - weight * scale.balance * (band.place(places) if band else 0.5)
    return np.asarray(total, dtype=np.float64)
