"""Two predictions made one, each weighing as much as it has proved right so far."""

from typing import Final

import numpy as np

from agentmesh.types import FloatArray

FORGET: Final = 0.999
"""Of the losses with each outcome: what was learned a few thousand outcomes ago says little about who is right now."""
EDGE: Final = 0.01


class LogPool:
    """Keeps the log losses of two predictors and weighs them as Bayes' rule would.

    Rule: ``weight_i ~ exp(-loss_i)``, where loss_i is the sum of ``-log p(outcome)`` so far, forgotten at a rate of
    0.999 an outcome. Pooled odds are ``(odds of the first)^a * (odds of the second)^b`` with these weights as exponents
    a + b = 1.

    Reference: Genest and Zidek, Combining probability distributions, 1986, for the logarithmic pool; Vovk, Aggregating
    strategies, 1990, for the weights.

    >>> pool = LogPool()
    >>> pool.observe(first=0.9, second=0.5, quality=1.0)
    >>> round(pool.second, 3)
    0.357
    """

    def __init__(self) -> None:
        """Start with both weighing the same."""
        self.losses: FloatArray = np.zeros(2)

    @property
    def second(self) -> float:
        """Return the weight of the second predictor, 0 to 1."""
        gap = float(np.clip(self.losses[1] - self.losses[0], -700.0, 700.0))
        return float(1.0 / (1.0 + np.exp(gap)))

    def observe(self, *, first: float, second: float, quality: float, weight: float = 1.0) -> None:
        """Take in what both predicted, and what came."""
        predicted = np.clip(np.array([first, second]), EDGE, 1.0 - EDGE)
        self.losses *= FORGET
        self.losses -= weight * (quality * np.log(predicted) + (1.0 - quality) * np.log1p(-predicted))
