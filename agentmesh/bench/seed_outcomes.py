"""A trained router over several seeds on a set of outcomes: chosen by the bench's rule, scored once, beside others.

The cost weights are chosen once, on folds with the first seed of all, and shared by the seeds: five fits and not five
for each. Then the router is fitted on train with each seed, val chooses the checkpoint, and the split is opened.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from agentmesh.bench.crossed import Crossed
from agentmesh.bench.fits import Fit
from agentmesh.bench.material import Part
from agentmesh.bench.outcome_bench import (
    Score,
    oracle_score,
    reward_scale,
    run_choice,
)
from agentmesh.bench.records import AtBestSingle
from agentmesh.bench.run import ORACLE
from agentmesh.bench.seed_choices import FOLD_SEED, SINGLE, measured_points, other_choices, seed_choices
from agentmesh.bench.seed_records import SeedReport, SeedRow, SeedSummary
from agentmesh.bench.study import Study
from agentmesh.bench.tuning import (
    mean_or_none,
)
from agentmesh.types import SystemClock

LEVEL: Final = " at best single's level"


def study_outcomes(study: Study) -> SeedReport:
    """Measure the router of the plan with each seed beside best single, the opponents and the oracle.

    Raises:
        PluginError: there is no router of such a name.
        ConfigError: a router cannot be benched, or does not take ``seed``.
    """
    plan, material = study.plan, study.material
    measured = measured_points(study)
    choices, others = seed_choices(study, measured), other_choices(study, measured)
    part, scale, clock = study.opened(), reward_scale(material.train), SystemClock()
    scores = []
    for choice in (*choices, *others):
        study.say(f"running {choice.name} on {plan.split}")
        scores.append(asyncio.run(run_choice(choice, part, material.pool, scale=scale, seed=0, clock=clock)))
    own, beside = scores[: len(choices)], [*scores[len(choices) :], oracle_score(part, scale)]
    return SeedReport(
        set=study.name,
        split=plan.split,
        router=plan.router,
        arguments=plan.arguments,
        rows=_Summing(plan.router, own, {score.name: score for score in beside}).rows(),
        seeds=_seed_rows(study, own, measured.trained, beside[0]),
        notes=_notes(study, part),
    )


def _notes(study: Study, part: Part) -> tuple[str, ...]:
    shared = f"Cost weights of {study.plan.router} were chosen on folds with seed {FOLD_SEED} and shared by all seeds."
    timed = f"Fits ran {study.plan.processes} at a time: train seconds are those of a shared machine."
    return (*study.notes(part), shared, timed)


def _seed_rows(study: Study, scores: Sequence[Score], trained: Sequence[Fit], single: Score) -> tuple[SeedRow, ...]:
    rows = []
    for seed, score, fit in zip(study.plan.seeds, scores, trained, strict=True):
        cost, routed = mean_or_none(score.cost), score.routed
        assert routed is not None  # noqa: S101 - run_choice routes
        rows.append(
            SeedRow(
                seed=seed,
                quality=float(score.quality.mean()),
                cost_usd_per_1k=None if cost is None else 1000.0 * cost,
                train_s=fit.seconds,
                p50_ms=routed.percentile_ms(50),
                p99_ms=routed.percentile_ms(99),
                level_quality=None if score.quality_at_best is None else float(score.quality_at_best.mean()),
                level_cost_share=_share([score], single),
                training=fit.router.training,
            )
        )
    return tuple(rows)


def _share(scores: Sequence[Score], single: Score) -> float | None:
    costs = [score.cost_at_best for score in scores if score.cost_at_best is not None]
    return mean_or_none(np.concatenate(costs) / single.cost.mean()) if costs else None


class _Summing:
    """Sums up the scores of all seeds and of the others, over the same draws of seeds and tasks."""

    def __init__(self, router: str, own: Sequence[Score], beside: Mapping[str, Score]) -> None:
        self._router, self._scores = router, {router: own, **{name: [score] for name, score in beside.items()}}
        tables = {name: np.stack([score.quality for score in scores]) for name, scores in self._scores.items()}
        for name, scores in self._scores.items():
            reached = [score.quality_at_best for score in scores if score.quality_at_best is not None]
            if reached:
                tables[name + LEVEL] = np.stack(reached)
        self._tables, self._crossed = tables, Crossed.of(tables)

    def rows(self) -> tuple[SeedSummary, ...]:
        """Return a row for each router, the one under study after those without a task to read."""
        order = sorted(self._scores, key=lambda name: (name == ORACLE, name != SINGLE, name == self._router))
        return tuple(self._row(name) for name in order)

    def _row(self, name: str) -> SeedSummary:
        scores = self._scores[name]
        cost = mean_or_none(np.concatenate([score.cost for score in scores]))
        routed = [score.routed for score in scores if score.routed is not None]
        choice = scores[0].choice
        return SeedSummary(
            router=name,
            quality=float(self._tables[name].mean()),
            quality_ci=self._crossed.own(name),
            lead_ci=self._against(name, self._router),
            vs_knn_ci=self._against(name, "knn"),
            vs_best_single_ci=self._against(name, SINGLE),
            cost_usd_per_1k=None if cost is None else 1000.0 * cost,
            at_best_single=self._level(name),
            p50_ms=float(np.mean([one.percentile_ms(50) for one in routed])) if routed else None,
            p99_ms=float(np.mean([one.percentile_ms(99) for one in routed])) if routed else None,
            chosen={} if choice is None else choice.best.chosen,
        )

    def _against(self, name: str, other: str) -> tuple[float, float] | None:
        return None if name == other or other not in self._tables else self._crossed.lead(name, over=other)

    def _level(self, name: str) -> AtBestSingle | None:
        scores = self._scores[name]
        tuned = None if scores[0].choice is None else scores[0].choice.at_best_single
        if tuned is None:
            return None
        return AtBestSingle(
            cost_weight=tuned.objective.cost,
            quality=float(self._tables[name + LEVEL].mean()),
            quality_diff_ci=self._crossed.lead(name + LEVEL, over=SINGLE),
            cost_share=_share(scores, self._scores[SINGLE][0]),
        )
