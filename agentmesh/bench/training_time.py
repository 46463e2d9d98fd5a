"""Times what a trained router costs: its training on recorded tasks, and a decision, beside routers that train little.

Training is done in a process apart and comes back as a state. So the process that decides shows whether serving loads
what only training needs.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from agentmesh.bench.decision_timing import Decider, Timing, bare_product, times_ms, timing
from agentmesh.bench.fits import FitJob, fit_job, fits
from agentmesh.bench.made_up import TYPES, outcomes_of, pool_of, texts_of
from agentmesh.bench.study import Study
from agentmesh.records import Record
from agentmesh.routing.base import AgentPool, Outcomes, Router, ScoringRouter
from agentmesh.routing.named import router_named
from agentmesh.types import FloatArray, JsonValue

TRAINED_BESIDE: Final = ("linear", "kernel")
LINEAR: Final = "linear"
DECIDED_BESIDE: Final = ("kernel", "knn", "cosine")
ROUNDS: Final = 5
"""Routers are timed in turns, so that a busy moment of the machine falls on all of them."""

TRAINER: Final = "torch"
SHORTEST_S: Final = 0.01  # what the clock of a fit tells apart


@dataclass(frozen=True, slots=True)
class TimePlan:
    """How many agents and past tasks are made up for deciding, and how many decisions are timed.

    ``briefly`` are the arguments of the router for that: how well it was trained does not change what a decision costs.
    """

    agents: int = 150
    past_tasks: int = 2_000
    decisions: int = 1_000
    briefly: Mapping[str, JsonValue] = field(default_factory=lambda: {"passes": 1})


class TrainingTime(Record):
    """How long a router took to fit, and how that stands to linear regression in the same run."""

    router: str
    seconds: float
    ratio: float


class TimeReport(Record):
    """What a trained router costs in time. ``trainer_loaded`` says whether the process that decided loaded torch."""

    set: str
    router: str
    tasks: int
    agents: int
    training: tuple[TrainingTime, ...]
    decisions: tuple[Timing, ...]
    kernel_p50_ms: float
    bare_product_ms: float
    trainer_loaded: bool
    notes: tuple[str, ...]


def time_router(study: Study, plan: TimePlan) -> TimeReport:
    """Time the training on the train tasks of the study, then decisions of the router restored from a state.

    Raises:
        PluginError: there is no router of such a name.
        MissingExtraError: what its training needs is not installed.
    """
    router, material = study.plan.router, study.material
    rng = np.random.default_rng(study.plan.seeds[0])
    pool = pool_of(plan.agents, rng)
    past = outcomes_of(pool, plan.past_tasks, rng)
    seconds, restored = _trained(study, plan, past)
    bare, decisions = _decided(study, plan, [restored, *_beside(past)], pool, rng)
    return TimeReport(
        set=study.name,
        router=router,
        tasks=len(material.train),
        agents=len(material.pool),
        training=tuple(
            TrainingTime(router=name, seconds=taken, ratio=round(taken / seconds[LINEAR], 3))
            for name, taken in seconds.items()
        ),
        decisions=decisions,
        kernel_p50_ms=next(one.p50_ms for one in decisions if one.router == "kernel"),
        bare_product_ms=round(bare, 5),
        trainer_loaded=TRAINER in sys.modules,
        notes=(
            "Opened: no split; trained on train tasks, the checkpoint chosen on val.",
            f"Decisions: {plan.past_tasks:,} made-up past tasks of {TYPES} types, in {ROUNDS} turns.",
        ),
    )


def _trained(study: Study, plan: TimePlan, past: Outcomes) -> tuple[dict[str, float], Router]:
    """Return the seconds that each router takes to fit, and the one under study fitted briefly on made-up tasks.

    One after the other in one process apart, the brief fit first: it pays for loading what training needs.
    """
    own = study.plan
    arguments: dict[str, Mapping[str, JsonValue]] = {name: {} for name in TRAINED_BESIDE}
    arguments = {own.router: own.with_seed(own.seeds[0]), **arguments}
    jobs = [FitJob(own.router, {**own.arguments, **plan.briefly}, past)]
    jobs += [fit_job(name, given, study.material, watched=True) for name, given in arguments.items()]
    done = dict(fits(jobs, processes=1, say=study.say, apart=True))
    seconds = {name: max(done[place].seconds, SHORTEST_S) for place, name in enumerate(arguments, start=1)}
    return seconds, done[0].router


def _beside(past: Outcomes) -> Iterator[Router]:
    for name in DECIDED_BESIDE:
        router = router_named(name)
        if isinstance(router, ScoringRouter):
            router.fit(past)
        yield router


def _decided(
    study: Study, plan: TimePlan, routers: Sequence[Router], pool: AgentPool, rng: np.random.Generator
) -> tuple[float, tuple[Timing, ...]]:
    texts = texts_of(64, rng)
    vectors = study.material.embedder.embed(texts)
    bare = float(np.median(bare_product(plan.decisions, rng)))
    loop = asyncio.new_event_loop()
    deciders = [Decider(router, pool, texts, vectors, loop) for router in routers]
    elapsed: list[list[FloatArray]] = [[] for _ in deciders]
    for _ in range(ROUNDS):
        for decide, taken in zip(deciders, elapsed, strict=True):
            taken.append(times_ms(decide, max(1, plan.decisions // ROUNDS)))
    loop.close()
    each = zip(deciders, elapsed, strict=True)
    return bare, tuple(timing(decide, np.concatenate(taken), bare) for decide, taken in each)
