"""Two predictions made one, each weighing as much as it has proved right so far."""

import math
from typing import Final

import numpy as np

from agentmesh.types import FloatArray

FORGET: Final = 0.999
"""Of the losses with each outcome: what was learned a few thousand outcomes ago says little about who is right now."""
TRUST: Final = 0.1
"""Of a difference in loss: outcomes come from whom the pool itself chose, so they prove less than independent ones.
On train streams of llmrouter9 and mmlu_pro, quality changes by a tenth of a point from 0.05 to 1."""
EDGE: Final = 0.01


class LogPool:
    """Keeps the log losses of two predictors and weighs them as a cautious Bayes' rule would.

    Rule: ``weight_i ~ exp(-loss_i / 10)``, where loss_i is the sum of ``-log p(outcome)`` so far, forgotten at a rate
    of 0.999 an outcome. Pooled odds are ``(odds of the first)^a * (odds of the second)^b`` with these weights as
    exponents a + b = 1.

    Reference: Genest and Zidek, Combining probability distributions, 1986, for the logarithmic pool; Vovk, Aggregating
    strategies, 1990, for the weights.

    >>> pool = LogPool()
    >>> pool.observe(first=0.9, second=0.5, quality=1.0)
    >>> round(pool.second, 3)
    0.485
    """

    def __init__(self) -> None:
        """Start with both weighing the same."""
        self._first = self._second = 0.0

    @property
    def losses(self) -> FloatArray:
        """Return both losses so far, for a router's state; :meth:`load` takes them back."""
        return np.array([self._first, self._second])

    def load(self, losses: FloatArray) -> None:
        """Take over what :attr:`losses` returned."""
        self._first, self._second = losses.tolist()

    @property
    def second(self) -> float:
        """Return the weight of the second predictor, 0 to 1."""
        gap = TRUST * (self._second - self._first)
        return 1.0 / (1.0 + math.exp(min(max(gap, -700.0), 700.0)))

    def observe(self, *, first: float, second: float, quality: float, weight: float = 1.0) -> None:
        """Take in what both predicted, and what came."""
        self._first = FORGET * self._first + weight * _loss(first, quality)
        self._second = FORGET * self._second + weight * _loss(second, quality)


def _loss(predicted: float, quality: float) -> float:
    sure = min(max(predicted, EDGE), 1.0 - EDGE)
    return -quality * math.log(sure) - (1.0 - quality) * math.log1p(-sure)
