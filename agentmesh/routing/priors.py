"""What to expect of an agent before, and beside, evidence near the task: its card, its price, its own record."""

from functools import lru_cache

import numpy as np

from agentmesh.routing.base import AgentPool, TaskFeatures
from agentmesh.routing.ledger import Means
from agentmesh.types import FloatArray

MIDDLE = 0.5
"""The quality expected of an agent of which nothing at all is known."""
EDGE = 0.05
"""A guess stays this far from 0 and 1: only outcomes may be certain."""
CARD_GAIN = 1.0
"""How much quality one unit of cosine between card and task is worth in a guess."""
PRICE_GAIN = 0.15
"""How much quality one standard deviation of log price is worth in a guess; chosen on streams of mmlu_pro's train."""
OWN_STRENGTH = 4.0
"""How many outcomes a guess is worth beside an agent's own; chosen as PRICE_GAIN was."""


def cold_quality(features: TaskFeatures, pool: AgentPool, priced: FloatArray) -> FloatArray:
    """Guess each agent's quality from its card and its price alone.

    The guess is 0.5, plus CARD_GAIN x how much nearer the card is to the task than the average card (cosine), plus
    PRICE_GAIN x how many standard deviations its log price lies above the average: dear agents are tried first,
    until outcomes say otherwise. An unknown price counts as average.

    Shapes:
        priced: (n,) expected US dollars a call, NaN where unknown. Returns (n,) within 0.05 to 0.95.
    """
    return guessed(card_nearness(features, pool), price_standing(priced))


def guessed(nearness: FloatArray, standing: FloatArray) -> FloatArray:
    """Guess each agent's quality from what :func:`card_nearness` and :func:`price_standing` returned."""
    guess: FloatArray = MIDDLE + CARD_GAIN * nearness + PRICE_GAIN * standing
    np.clip(guess, EDGE, 1.0 - EDGE, out=guess)
    return guess


def guessed_of(nearness: float, standing: float) -> float:
    """Guess the quality of one agent, as :func:`guessed` does of many."""
    return min(max(MIDDLE + CARD_GAIN * nearness + PRICE_GAIN * standing, EDGE), 1.0 - EDGE)


def card_nearness(features: TaskFeatures, pool: AgentPool) -> FloatArray:
    """Return how much nearer each agent's card is to the task than the average card: cosines less their mean, (n,)."""
    near = (pool.vectors @ features.vector).astype(np.float64)
    beside: FloatArray = near - near.mean()
    return beside


def price_standing(priced: FloatArray) -> FloatArray:
    """Return by how many standard deviations each log price lies above the average, (n,); 0 where it is unknown."""
    return _standing(priced.tobytes())


@lru_cache(maxsize=64)
def _standing(raw: bytes) -> FloatArray:
    """Stand prices beside one another; they repeat from task to task, where they are by the call."""
    priced = np.frombuffer(raw)
    known = np.isfinite(priced) & (priced > 0)
    standing = np.zeros(len(priced))
    if known.any():
        logs = np.log(priced[known])
        spread = float(logs.std())
        if spread > 1e-9:  # equal prices tell nothing
            standing[known] = (logs - logs.mean()) / spread
    standing.flags.writeable = False
    return standing


def own_quality(means: Means, cold: FloatArray) -> FloatArray:
    """Return each agent's mean quality over all its life, smoothed as if OWN_STRENGTH outcomes had been ``cold``."""
    mean: FloatArray = (means.quality + OWN_STRENGTH * cold) / (means.count + OWN_STRENGTH)
    return mean


def blended(predicted: FloatArray, means: Means, cold: FloatArray) -> FloatArray:
    """Return a model's prediction, weighing as many outcomes as it has of the agent, and ``cold`` OWN_STRENGTH."""
    mean: FloatArray = (means.count * predicted + OWN_STRENGTH * cold) / (means.count + OWN_STRENGTH)
    return mean


def own_cost(means: Means, priced: FloatArray) -> FloatArray:
    """Return each agent's mean cost, its price weighing as much as one call; NaN when both are unknown."""
    known = np.isfinite(priced)
    total = means.cost + np.where(known, priced, 0.0)
    count = means.cost_count + known
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def own_latency(means: Means, declared: FloatArray) -> FloatArray:
    """Return each agent's mean latency in seconds, the declared one where none was measured."""
    return np.where(means.latency_count > 0, means.latency / np.maximum(means.latency_count, 1.0), declared)


def curiosity_of(means: Means, bonus: float) -> FloatArray:
    """Return what trying an agent is worth beside its answer: ``bonus * sqrt(log(all outcomes + e) / (its own + 1))``.

    The logarithm grows while an agent is left alone, so one that was given up after bad luck is tried again.

    Reference: UCB1 of Auer, Cesa-Bianchi and Fischer, Finite-time analysis of the multiarmed bandit problem, 2002.
    """
    worth: FloatArray = bonus * np.sqrt(np.log(means.count.sum() + np.e) / (means.count + 1.0))
    return worth
