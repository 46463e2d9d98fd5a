"""Measures the guard: what is lost in scope, and what is turned away of that which nobody fits."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.bench.decision_timing import times_ms
from agentmesh.bench.guard_records import GuardReport, GuardRow, GuardSplit
from agentmesh.bench.guard_trials import GuardTrial, guard_trials
from agentmesh.bench.label_bench import harmonic, in_scope
from agentmesh.protocols import Embedder
from agentmesh.recorded import load_set
from agentmesh.routing.base import RouteContext
from agentmesh.routing.guard import COVERAGES, Guard, coverage_point
from agentmesh.routing.linear import LinearRouter
from agentmesh.routing.progress import Say, unsaid
from agentmesh.routing.state import pack_state
from agentmesh.types import FloatArray

TIMED: Final = 300  # tasks


@dataclass(frozen=True, slots=True)
class GuardScores:
    """What guard and router said of the scored tasks of one trial.

    Shapes:
        familiar: (m,) familiarity. correct: (m,) 1 where the router's first choice is right, else 0. scope: (m,) True
        where somebody fits.
    """

    familiar: FloatArray
    correct: FloatArray
    scope: FloatArray


def guard_report(
    folder: str | os.PathLike[str],
    embedder: Embedder,
    split: GuardSplit,
    *,
    make: Callable[[], Guard] = Guard,
    say: Say = unsaid,
) -> GuardReport:
    """Fit guard and linear router on in-domain tasks, and score them on ``split``.

    Rows of several trials (``"strangers"``) are the means of theirs.

    Raises:
        RecordedSetError: the set holds outcomes, not labels, or lacks a split.
    """
    trials = guard_trials(folder, embedder, split)
    guard, router = make(), LinearRouter()
    scores = []
    for place, trial in enumerate(trials, start=1):
        say(f"fitting {place} of {len(trials)}")
        guard.fit(trial.known, val=trial.held_back)
        router.fit(trial.known)
        scores.append(scored(trial, guard, router))
    areas = [auroc(one.familiar[one.scope > 0], one.familiar[one.scope == 0]) for one in scores]
    return GuardReport(
        set=load_set(folder).info.name,
        split=split,
        embedder=embedder.version,
        router=router.name,
        in_scope=int(sum(one.scope.sum() for one in scores)),
        out_of_scope=int(sum((one.scope == 0).sum() for one in scores)),
        default_coverage=guard.coverage,
        top1_closed=float(np.mean([one.correct[one.scope > 0].mean() for one in scores])),
        auroc=_mean(areas),
        p50_ms=_p50(trials[-1], embedder, guard, router),
        guard_ms=_p50(trials[-1], None, guard, None),
        bytes=len(pack_state(guard.arrays(), guard.meta())),
        rows=tuple(_row(scores, guard, coverage) for coverage in COVERAGES),
        notes=(_note(split, len(trials)), *([f"The guard turns nobody away: {guard.reason}."] if guard.reason else [])),
    )


def scored(trial: GuardTrial, guard: Guard, router: LinearRouter) -> GuardScores:
    """Ask guard and router about every scored task."""
    choice = [int(router.estimate(task, trial.pool).quality.argmax()) for task in trial.tasks]
    return GuardScores(
        familiar=np.array([guard.familiarity(task) for task in trial.tasks]),
        correct=(trial.right[np.arange(len(choice)), choice] > 0).astype(np.float64),
        scope=in_scope(trial.right).astype(np.float64),
    )


def _row(scores: Sequence[GuardScores], guard: Guard, coverage: float) -> GuardRow:
    rows = [scored_at(one, coverage, guard.at_coverage(coverage)) for one in scores]
    return GuardRow(
        coverage=coverage,
        answered=float(np.mean([row.answered for row in rows])),
        quality=float(np.mean([row.quality for row in rows])),
        top1=float(np.mean([row.top1 for row in rows])),
        oos_recall=_mean([row.oos_recall for row in rows]),
        gqr=_mean([row.gqr for row in rows]),
    )


def scored_at(scores: GuardScores, coverage: float, threshold: float) -> GuardRow:
    """Score one threshold."""
    scope = scores.scope > 0
    point = coverage_point(scores.familiar[scope], scores.correct[scope], threshold)
    top1 = point.coverage * point.quality if point.coverage else 0.0
    recall = None if scope.all() else float((scores.familiar[~scope] < threshold).mean())
    return GuardRow(
        coverage=coverage,
        answered=point.coverage,
        quality=point.quality,
        top1=top1,
        oos_recall=recall,
        gqr=None if recall is None else harmonic(top1, recall),
    )


def auroc(higher: FloatArray, lower: FloatArray) -> float | None:
    """Return the chance that one of ``higher`` exceeds one of ``lower``, ties as half; ``None`` without any of one.

    >>> auroc(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
    0.875

    Reference: Hanley and McNeil, The meaning and use of the area under a ROC curve, 1982.
    """
    if not len(higher) or not len(lower):
        return None
    ranked = np.sort(lower)
    below = np.searchsorted(ranked, higher, "left") + np.searchsorted(ranked, higher, "right")
    return float(below.mean() / 2 / len(lower))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _p50(trial: GuardTrial, embedder: Embedder | None, guard: Guard, router: LinearRouter | None) -> float:
    """Return the median milliseconds of a task, with its embedding and the decision where these are given."""
    context = RouteContext(seed=0)

    def step(number: int) -> None:
        task = trial.tasks[number % len(trial.tasks)]
        if embedder is not None:
            embedder.embed([task.text])
        guard.familiarity(task)
        if router is not None:
            router.decide(task, trial.pool, context)

    return round(float(np.median(times_ms(step, min(TIMED, len(trial.tasks))))), 3)


def _note(split: GuardSplit, trials: int) -> str:
    if split == "strangers":
        return f"Means of {trials} fits, each without some agents; their val tasks are those that nobody fits."
    return f"Opened: {split}. Guard and router saw no task out of scope of train and val."
