"""Whether predicted worth comes true: a reliability curve, its expected calibration error, and the Brier score."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.intervals import wilson
from agentmesh.records import Record
from agentmesh.types import FloatArray, IndexArray

BINS: Final = 10


class ReliabilityBin(Record):
    """What came of the predictions from ``low`` up to ``high``, which only the last bin includes.

    ``predicted`` and ``score`` are means, ``None`` where there is no prediction. ``score_low`` and ``score_high`` bound
    the mean score with 95 % confidence, by Wilson's interval.
    """

    low: float
    high: float
    n: int = 0
    predicted: float | None = None
    score: float | None = None
    score_low: float = 0.0
    score_high: float = 1.0


class Reliability(Record):
    """Predictions beside what came of them. ``ece`` and ``brier`` are ``None`` where there are none.

    ``ece`` is the expected calibration error: how far mean prediction and mean score of a bin lie apart, each bin as
    heavy as it has predictions. ``brier`` is the mean squared distance of each prediction from its score.
    """

    bins: tuple[ReliabilityBin, ...]
    n: int = 0
    ece: float | None = None
    brier: float | None = None


def reliability(predicted: Sequence[float], scores: Sequence[float], *, bins: int = BINS) -> Reliability:
    """Compare predictions with what came of them, in bins of the same width.

    References: C. Guo et al., On calibration of modern neural networks, ICML 2017 (the error);
    G. W. Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78, 1950. Scores
    may be graded: then the one compares means, and the other is a mean squared error, which is not 0 for the best
    prediction there is.

    Args:
        predicted: Probabilities or expected qualities, 0 to 1.
        scores: What came of each, 0 to 1.
        bins: How many parts 0 to 1 is cut into, 1 or more.

    Raises:
        ConfigError: there are not as many scores as predictions, or one is not within 0 to 1.

    >>> found = reliability([0.9, 0.9, 0.9, 0.9, 0.2], [1, 1, 1, 0, 0])
    >>> round(found.ece, 3), round(found.brier, 3), found.bins[9].n, found.bins[9].score
    (0.16, 0.176, 4, 0.75)
    """
    if len(predicted) != len(scores):
        raise ConfigError(f"{len(predicted)!r} predictions and {len(scores)!r} scores; expected one score for each")
    told, came = np.asarray(predicted, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    for value in np.concatenate([told, came]).tolist():
        if not 0 <= value <= 1:
            raise ConfigError(f"{value!r} is not within 0 to 1, as predictions and scores must be")
    places = np.minimum((told * bins).astype(np.int64), bins - 1)
    made = tuple(_bin(place, bins, told, came, places) for place in range(bins))
    if not len(told):
        return Reliability(bins=made)
    gaps = [
        one.n * abs(one.predicted - one.score) for one in made if one.predicted is not None and one.score is not None
    ]
    return Reliability(bins=made, n=len(told), ece=sum(gaps) / len(told), brier=float(np.mean((told - came) ** 2)))


def _bin(place: int, bins: int, told: FloatArray, came: FloatArray, places: IndexArray) -> ReliabilityBin:
    within = np.flatnonzero(places == place)
    low, high, n = place / bins, (place + 1) / bins, len(within)
    if not n:
        return ReliabilityBin(low=low, high=high)
    score_low, score_high = wilson(float(came[within].sum()), n)
    means = {"predicted": float(told[within].mean()), "score": float(came[within].mean())}
    return ReliabilityBin(low=low, high=high, n=n, **means, score_low=score_low, score_high=score_high)
