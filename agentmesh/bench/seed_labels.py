"""A trained router over several seeds on a set of labels: the right agent first, with abstaining and without."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agentmesh.bench.crossed import Crossed
from agentmesh.bench.fits import Fit, fit_job, fits
from agentmesh.bench.label_bench import LabelChoice, choose_for_labels, hits_in_scope, label_choice, label_row
from agentmesh.bench.material import Part
from agentmesh.bench.records import LabelRow
from agentmesh.bench.routing_run import Routed, route_all
from agentmesh.bench.run import scoring_router
from agentmesh.bench.seed_records import LabelSeedReport, LabelSeedRow, LabelSeedSummary
from agentmesh.bench.study import Study
from agentmesh.bench.tuning import Fitted, estimate_all
from agentmesh.routing.objective import SCENARIOS
from agentmesh.types import FloatArray, SystemClock


@dataclass(frozen=True, slots=True)
class LabelScore:
    """What came of one choice on the split.

    Shapes:
        hits: (2, tasks in scope) 1 where the first choice was right, with abstaining and without.
    """

    row: LabelRow
    hits: FloatArray
    routed: Routed


def study_labels(study: Study) -> LabelSeedReport:
    """Measure the router of the plan with each seed, its threshold chosen for each, beside the opponents.

    Raises:
        PluginError: there is no router of such a name.
        ConfigError: a router cannot be benched, or does not take ``seed``.
    """
    plan, material = study.plan, study.material
    choices, trained = _chosen(study)
    for name in plan.opponents:
        study.say(f"choosing {name}")
        choices.append(choose_for_labels(name, scoring_router(name), material))
    part = study.opened()
    scores = []
    for choice in choices:
        study.say(f"running {choice.name} on {plan.split}")
        scores.append(_scored(choice, study, part))
    own = scores[: len(trained)]
    return LabelSeedReport(
        set=study.name,
        split=plan.split,
        router=plan.router,
        arguments=plan.arguments,
        rows=_summaries(plan.router, own, scores[len(trained) :]),
        seeds=tuple(_seed_row(seed, score, fit) for seed, score, fit in zip(plan.seeds, own, trained, strict=True)),
        notes=(
            *study.notes(part),
            f"Fits ran {plan.processes} at a time: train seconds are those of a shared machine.",
        ),
    )


def _chosen(study: Study) -> tuple[list[LabelChoice], list[Fit]]:
    plan, material = study.plan, study.material
    jobs = [fit_job(plan.router, plan.with_seed(seed), material, watched=True) for seed in plan.seeds]
    trained = dict(fits(jobs, processes=plan.processes, say=study.say))
    ordered = [trained[place] for place in range(len(jobs))]
    choices = []
    for job, fit in zip(jobs, ordered, strict=True):
        fitted = Fitted(fit.router, job.arguments, estimate_all(fit.router, material.val, material.pool))
        choices.append(label_choice(plan.router, fitted, material.val.quality))
    return choices, ordered


def _scored(choice: LabelChoice, study: Study, part: Part) -> LabelScore:
    routing = route_all(
        choice.fitted.router, part, study.material.pool, SCENARIOS["quality"], seed=0, clock=SystemClock()
    )
    routed = asyncio.run(routing)
    return LabelScore(label_row(choice, routed, part), hits_in_scope(choice, routed, part), routed)


def _seed_row(seed: int, score: LabelScore, fit: Fit) -> LabelSeedRow:
    return LabelSeedRow(
        seed=seed,
        top1=score.row.top1,
        top1_closed=score.row.top1_closed,
        oos_recall=score.row.oos_recall,
        train_s=fit.seconds,
        p50_ms=score.routed.percentile_ms(50),
        p99_ms=score.routed.percentile_ms(99),
        training=fit.router.training,
    )


def _summaries(router: str, own: Sequence[LabelScore], others: Sequence[LabelScore]) -> tuple[LabelSeedSummary, ...]:
    named = {router: own, **{score.row.router: [score] for score in others}}
    hits = {name: np.stack([score.hits for score in scores], axis=1) for name, scores in named.items()}
    top1 = Crossed.of({name: both[0] for name, both in hits.items()})
    closed = Crossed.of({name: both[1] for name, both in hits.items()})
    rows = []
    for name, scores in named.items():
        recalls = [score.row.oos_recall for score in scores if score.row.oos_recall is not None]
        rows.append(
            LabelSeedSummary(
                router=name,
                top1=float(hits[name][0].mean()),
                top1_ci=top1.own(name),
                lead_ci=None if name == router else top1.lead(name, over=router),
                top1_closed=float(hits[name][1].mean()),
                closed_ci=closed.own(name),
                closed_lead_ci=None if name == router else closed.lead(name, over=router),
                oos_recall=float(np.mean(recalls)) if recalls else None,
                p50_ms=float(np.mean([score.routed.percentile_ms(50) for score in scores])),
            )
        )
    return tuple(rows)
