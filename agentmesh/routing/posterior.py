"""The chance of each agent to be the best one, when what it is worth is known up to a Beta distribution."""

from dataclasses import dataclass
from math import lgamma
from typing import ClassVar, Final

import numpy as np

from agentmesh.routing.policy import Draw, Policy, Softmax
from agentmesh.types import FloatArray, MaskArray, Rng

CELLS: Final = 128  # of the grid: chances are within 0.001 of those of 2,048 cells, at a twentieth of the time
REACH: Final = 8.0  # standard deviations that the grid covers; beyond lies at most exp(-8) of a Beta
LEAST: Final = 1e-12  # no chance is smaller, so that its logarithm is a number


def chances_to_be_best(
    mean: FloatArray, evidence: FloatArray, *, weight: float = 1.0, offset: FloatArray | None = None
) -> FloatArray:
    """Return the chance of each agent that its worth is the highest.

    Rule: the worth of agent a is u = weight * q + offset_a with q ~ Beta(mean * evidence, (1 - mean) * evidence), all
    independent, so its chance is the integral of f_a(u) * (product of F_b(u) over all b but a) du, taken by the
    midpoint rule on 128 cells between the highest of the lower ends and the highest of the upper ends.

    Reference: Thompson, On the likelihood that one unknown probability exceeds another, Biometrika, 1933.

    Args:
        mean: (n,) expected quality, n >= 1.
        evidence: (n,) the sum of both Beta parameters, so large that each of them is at least 1.
        weight: What quality is worth, 0 and up; at 0 the highest offset is the best for certain.
        offset: (n,) what is added whatever the quality, zeros unless given.

    Shapes:
        returns (n,), sums to 1.

    >>> chances_to_be_best(np.array([0.5, 0.75]), np.array([2.0, 4.0])).round(4).tolist()  # 1/4 exactly
    [0.25, 0.75]
    """
    added = np.zeros(len(mean)) if offset is None else offset
    reach = REACH * np.sqrt(mean * (1.0 - mean) / (evidence + 1.0))
    low = weight * np.maximum(mean - reach, 0.0) + added
    high = weight * np.minimum(mean + reach, 1.0) + added
    floor, top = float(low.max()), float(high.max())
    chances = np.zeros(len(mean))
    if top <= floor:  # nothing is uncertain
        chances[int(np.argmax(added))] = 1.0
        return chances
    running = np.flatnonzero(high > floor)
    width = (top - floor) / CELLS
    middles = floor + width * (np.arange(CELLS) + 0.5)
    parameters = mean[running] * evidence[running], (1.0 - mean[running]) * evidence[running]
    masses = _masses((middles - added[running, None]) / weight, *parameters, width / weight)
    below = np.maximum(1.0 - masses.sum(axis=1, keepdims=True), 0.0)
    won = (masses * _product_of_others(below + masses.cumsum(axis=1) - masses / 2.0)).sum(axis=1)
    chances[running] = won / won.sum()
    return chances


def _masses(quality: FloatArray, alpha: FloatArray, beta: FloatArray, width: float) -> FloatArray:
    """Return the mass of each Beta distribution in cells of ``width`` around ``quality``, (r, cells)."""
    inside = (quality > 0.0) & (quality < 1.0)
    kept = np.where(inside, quality, 0.5)
    total = [lgamma(a + b) - lgamma(a) - lgamma(b) for a, b in zip(alpha.tolist(), beta.tolist(), strict=True)]
    logs = (alpha[:, None] - 1.0) * np.log(kept) + (beta[:, None] - 1.0) * np.log1p(-kept) + np.array(total)[:, None]
    masses = np.where(inside, np.exp(logs) * width, 0.0)
    return np.asarray(masses / np.maximum(masses.sum(axis=1, keepdims=True), 1.0))


def _product_of_others(values: FloatArray) -> FloatArray:
    """Return for each row the product of all other rows, without dividing by what may be 0."""
    before, after = np.ones_like(values), np.ones_like(values)
    np.cumprod(values[:-1], axis=0, out=before[1:])
    after[:-1] = np.cumprod(values[:0:-1], axis=0)[::-1]
    return before * after


@dataclass(frozen=True, slots=True)
class PosteriorSampling(Policy):
    """Draws each agent with the chance that it is the best one, which is what Thompson sampling does.

    Places after the first go to those left, in proportion to the same chances. With chance ``epsilon`` (0 to 1) the
    whole draw is uniform instead. Utilities say what the agents are worth at their expected quality, so what is not
    ``weight`` times that quality (cost, latency, preferences) shifts the distribution and does not widen it.

    Shapes:
        mean, evidence: (n,) as in :func:`chances_to_be_best`, in the order of the utilities.

    >>> policy = PosteriorSampling(np.array([0.5, 0.75]), np.array([2.0, 4.0]))
    >>> draw = policy.draw(np.array([0.5, 0.75]), np.array([True, True]), k=1, rng=np.random.default_rng(0))
    >>> draw.probabilities.round(4).tolist()
    [0.25, 0.75]
    """

    mean: FloatArray
    evidence: FloatArray
    weight: float = 1.0
    epsilon: float = 0.0
    name: ClassVar[str] = "thompson"

    def draw(self, utilities: FloatArray, mask: MaskArray, *, k: int, rng: Rng) -> Draw:
        """Draw up to ``k`` agents."""
        logits, allowed = np.zeros(len(mask)), np.flatnonzero(mask)
        if len(allowed):
            mean = self.mean[allowed]
            offset = utilities[allowed] - self.weight * mean
            chances = chances_to_be_best(mean, self.evidence[allowed], weight=self.weight, offset=offset)
            logits[allowed] = np.log(np.maximum(chances, LEAST))
        return Softmax(1.0, self.epsilon).draw(logits, mask, k=k, rng=rng)
