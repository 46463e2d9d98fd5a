"""Measures routers on a set of labels: the right agent first, among three, and nobody where nobody fits."""

from dataclasses import dataclass

import numpy as np

from agentmesh.bench.material import Material, Part
from agentmesh.bench.records import LabelRow
from agentmesh.bench.routing_run import NOBODY, Routed
from agentmesh.bench.tuning import Fitted, fit_all
from agentmesh.routing.base import ScoringRouter
from agentmesh.types import FloatArray, JsonValue, MaskArray

MOST_NAMED = 3
"""How many agents a router may name."""

MOST_LOST = 0.01
"""How much top-1 in scope abstaining may cost on val."""

_GAPS = 40  # places of the grid of gaps, spread evenly over those seen on val


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """What val chose for one router.

    ``threshold``: below this score of the best agent nobody is chosen; ``gap``: agents this close to the best are
    named too, up to three.
    """

    name: str
    fitted: Fitted
    threshold: float
    gap: float

    @property
    def chosen(self) -> dict[str, JsonValue]:
        """Return what val chose."""
        threshold = None if np.isinf(self.threshold) else round(self.threshold, 4)
        return {**self.fitted.arguments, "threshold": threshold, "gap": round(self.gap, 4)}


def choose_for_labels(name: str, kind: type[ScoringRouter], material: Material) -> LabelChoice:
    """Fit on train and choose on val: arguments by top-1 in scope, then the threshold, then the gap.

    Without a task out of scope on val the router never abstains.
    """
    fitted = max(fit_all(kind, material), key=lambda one: _closed_top1(_scores(one), material.val.quality))
    return label_choice(name, fitted, material.val.quality)


def label_choice(name: str, fitted: Fitted, right: FloatArray) -> LabelChoice:
    """Choose the threshold, then the gap, for a router as it was fitted.

    Shapes:
        right: (m, n) of the val tasks that ``fitted`` has estimates of.
    """
    scores = _scores(fitted)
    threshold = fit_threshold(scores, right)
    return LabelChoice(name, fitted, threshold, fit_gap(scores, right, threshold))


def _scores(fitted: Fitted) -> FloatArray:
    return np.stack([estimate.quality for estimate in fitted.estimates])


def _closed_top1(scores: FloatArray, right: FloatArray) -> float:
    scope = in_scope(right)
    return float(right[scope, np.argmax(scores[scope], axis=1)].mean())


def in_scope(right: FloatArray) -> MaskArray:
    """Return which tasks somebody fits, (m,)."""
    return np.asarray(right.max(axis=1) > 0, dtype=np.bool_)


def fit_threshold(scores: FloatArray, right: FloatArray) -> float:
    """Return the threshold with the highest recall out of scope among those that cost at most a point of top-1.

    The point is counted in scope, against never abstaining: who asks for something that an agent can do is rarely
    turned away. The threshold is ``-inf``, so nobody abstains, when no task is out of scope.

    >>> scores = np.array([[0.9, 0.1], [0.6, 0.2], [0.3, 0.2]])
    >>> round(fit_threshold(scores, np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])), 3)
    0.45

    Shapes:
        scores, right: (m, n).
    """
    scope = in_scope(right)
    if scope.all() or not scope.any():
        return -np.inf
    best = scores.max(axis=1)
    correct = np.sort(best[scope & (right[np.arange(len(right)), scores.argmax(axis=1)] > 0)])
    beyond = np.sort(best[~scope])
    tried = np.unique(best)
    lost = np.searchsorted(correct, tried) / scope.sum()
    recall = np.searchsorted(beyond, tried) / len(beyond)
    place = int(np.argmax(np.where(lost <= MOST_LOST, recall, -1.0)))
    return float(tried[max(0, place - 1) : place + 1].mean())  # midway to the next score below: equal on val, safer


def harmonic(first: float, second: float) -> float:
    """Return the harmonic mean, 0 when both are 0.

    >>> harmonic(0.9, 0.9), harmonic(0.0, 0.0)
    (0.9, 0.0)
    """
    return 2 * first * second / (first + second) if first + second else 0.0


def fit_gap(scores: FloatArray, right: FloatArray, threshold: float) -> float:
    """Return the gap with the highest mean of precision and recall of the named agents, in scope.

    Shapes:
        scores, right: (m, n).
    """
    scope = in_scope(right)
    scores, right = scores[scope], right[scope]
    ordered = -np.sort(-scores, axis=1)[:, :MOST_NAMED]
    seen = (ordered[:, :1] - ordered[:, 1:]).ravel()
    tried = np.unique(np.concatenate([[0.0], np.quantile(seen, np.linspace(0, 1, _GAPS)) if len(seen) else [0.0]]))
    values = [_set_value(named(scores, threshold, gap), right) for gap in tried]
    return float(tried[int(np.argmax(values))])


def named(scores: FloatArray, threshold: float, gap: float) -> MaskArray:
    """Return who is named: up to three agents within ``gap`` of the best, nobody when the best is below ``threshold``.

    >>> named(np.array([[0.9, 0.8, 0.1], [0.2, 0.2, 0.1]]), 0.5, 0.15).tolist()
    [[True, True, False], [False, False, False]]

    Shapes:
        scores: (m, n); returns (m, n).
    """
    best = scores.max(axis=1, keepdims=True)
    places = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    mask: MaskArray = (scores >= best - gap) & (places < MOST_NAMED) & (best >= threshold)
    return mask


def _set_value(chosen: MaskArray, right: FloatArray) -> float:
    hits = (chosen & (right > 0)).sum(axis=1)
    precision = hits / np.maximum(1, chosen.sum(axis=1))
    recall = hits / np.maximum(1, right.sum(axis=1))
    return float((precision + recall).mean() / 2)


def label_row(choice: LabelChoice, routed: Routed, part: Part) -> LabelRow:
    """Score decisions on the split."""
    right, scope = part.quality, in_scope(part.quality)
    scores = _choice_first(routed)
    answered = _answered(choice, routed)
    hits = hits_in_scope(choice, routed, part)
    sets: MaskArray = named(scores, choice.threshold, choice.gap) & answered[:, None]
    top1 = float(hits[0].mean())
    recall = float((~answered[~scope]).mean()) if not scope.all() else None
    return LabelRow(
        router=choice.name,
        top1=top1,
        hit_at_set=float((sets & (right > 0))[scope].any(axis=1).mean()),
        mean_agents=_mean_named(sets[scope]),
        oos_recall=recall,
        gqr=None if recall is None else harmonic(top1, recall),
        p50_ms=routed.percentile_ms(50),
        top1_closed=float(hits[1].mean()),
        chosen=choice.chosen,
    )


def hits_in_scope(choice: LabelChoice, routed: Routed, part: Part) -> FloatArray:
    """Return 1 for each task in scope where the first choice was right, with abstaining and without, else 0.

    Shapes:
        returns (2, tasks in scope).
    """
    correct = np.asarray(routed.taken(part.quality) > 0, dtype=np.float64)
    scope = in_scope(part.quality)
    return np.stack([(correct * _answered(choice, routed))[scope], correct[scope]])


def _answered(choice: LabelChoice, routed: Routed) -> MaskArray:
    answered: MaskArray = (_choice_first(routed).max(axis=1) >= choice.threshold) & (routed.choice != NOBODY)
    return answered


def _mean_named(sets: MaskArray) -> float:
    counts = sets.sum(axis=1)
    return float(counts[counts > 0].mean()) if counts.any() else 0.0


def _choice_first(routed: Routed) -> FloatArray:
    """Return the scores with ties broken in favour of the agent that the router drew, (m, n)."""
    scores = np.nan_to_num(routed.scores, nan=-np.inf)
    rows = np.flatnonzero(routed.choice != NOBODY)
    scores[rows, routed.choice[rows]] = np.nextafter(scores[rows].max(axis=1), np.inf)
    return scores


def oracle_label_row(part: Part) -> LabelRow:
    """Return the row of a router that has seen the labels."""
    beyond = None if in_scope(part.quality).all() else 1.0
    return LabelRow(
        router="oracle",
        top1=1.0,
        hit_at_set=1.0,
        mean_agents=1.0,
        oos_recall=beyond,
        gqr=beyond,
        p50_ms=None,
        top1_closed=1.0,
    )
