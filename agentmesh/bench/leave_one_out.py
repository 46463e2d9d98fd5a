"""An agent that was not there when a router was trained: it enters with its card and a few outcomes, untrained on.

For each agent the router is trained on the others' outcomes only. Then the agent joins the pool with its card, k train
tasks drawn by the seed tell what it did on them, one by one, and the router decides on the split as it is. Beside it:
the same router trained on everything, the same without the agent, cosine, and pilot and kernel with the same outcomes.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from agentmesh.bench.entering import first_outcomes, others_only
from agentmesh.bench.fits import FitJob, fits
from agentmesh.bench.leave_one_out_rows import Decided, LeaveOneOutReport, agent_rows, summaries
from agentmesh.bench.material import Part
from agentmesh.bench.routing_run import route_all
from agentmesh.bench.run import scoring_router
from agentmesh.bench.study import Study
from agentmesh.bench.tuning import best_point, points
from agentmesh.errors import ConfigError
from agentmesh.records import Experience, RouterState
from agentmesh.routing.base import AgentPool, Router, ScoringRouter
from agentmesh.routing.named import router_named
from agentmesh.routing.objective import SCENARIOS
from agentmesh.types import JsonValue, SystemClock

KERNEL: Final = "kernel"
LEARNERS: Final = ("pilot", KERNEL)
"""Fitted on the others' outcomes and told the same k outcomes."""

CURIOSITY: Final = "curiosity"
"""0 unless the plan's arguments say otherwise, for kernel too: what is known counts, not what would be tried."""

COSINE: Final = "cosine"
RETRAINED: Final = "retrained"
ABSENT: Final = "without it"


def leave_one_out(study: Study, counts: Sequence[int]) -> LeaveOneOutReport:
    """Let each agent enter late with each count of outcomes, and score what is then decided.

    Raises:
        ConfigError: the set is one of labels, has one agent only, or a count is below 0.
    """
    _check(study, counts)
    study = replace(study, plan=replace(study.plan, arguments={CURIOSITY: 0.0, **study.plan.arguments}))
    fitted = _fitted(study)
    scene = _Scene(study, study.opened(), fitted, tuple(counts))
    shared = {seed: scene.shared(seed) for seed in study.plan.seeds}
    decided = [one for column in range(len(study.material.pool)) for one in scene.entering(column, shared)]
    return LeaveOneOutReport(
        set=study.name,
        split=study.plan.split,
        router=study.plan.router,
        arguments=study.plan.arguments,
        rows=summaries(study.plan.router, decided),
        agents=agent_rows(decided, study.material.pool.ids),
        notes=(*study.notes(scene.part), _note(fitted)),
    )


def _check(study: Study, counts: Sequence[int]) -> None:
    agents = len(study.material.pool)
    if study.is_labels:
        raise ConfigError(f"{study.name!r} is a set of labels; leaving agents out needs a set of outcomes")
    if agents < 2:
        raise ConfigError(f"{study.name!r} has {agents!r} agent; leaving one out needs two or more")
    if not counts or min(counts) < 0:
        raise ConfigError(f"counts of outcomes are {tuple(counts)!r}; accepted: one or more from 0 up")


@dataclass(frozen=True, slots=True)
class _Fitted:
    """All that was fitted and chosen before the split was opened.

    ``whole`` by seed, trained on everything; ``others`` by seed and the agent left out, as states, so that every
    entering starts from the same one; ``tuned`` the arguments of the learners beside it.
    """

    whole: Mapping[int, ScoringRouter]
    others: Mapping[tuple[int, int], RouterState]
    tuned: Mapping[str, Mapping[str, JsonValue]]


def _fitted(study: Study) -> _Fitted:
    plan, columns = study.plan, range(len(study.material.pool))
    whole_jobs = {seed: _job(study, seed) for seed in plan.seeds}
    other_jobs = {(seed, column): _without(_job(study, seed), column) for seed in plan.seeds for column in columns}
    places, seeds = list(other_jobs), list(whole_jobs)
    whole: dict[int, ScoringRouter] = {}
    others: dict[tuple[int, int], RouterState] = {}
    jobs = [*whole_jobs.values(), *other_jobs.values()]
    for place, fit in fits(jobs, processes=plan.processes, say=study.say):
        if place < len(seeds):
            whole[seeds[place]] = fit.router
        else:
            others[places[place - len(seeds)]] = fit.router.snapshot()
    return _Fitted(whole, others, {name: _tuned(name, study) for name in LEARNERS})


def _job(study: Study, seed: int) -> FitJob:
    material = study.material
    train, val = material.train.outcomes(material.pool), material.val.outcomes(material.pool)
    return FitJob(study.plan.router, study.plan.with_seed(seed), train, val)


def _without(job: FitJob, column: int) -> FitJob:
    return replace(
        job, train=others_only(job.train, column), val=None if job.val is None else others_only(job.val, column)
    )


def _tuned(name: str, study: Study) -> Mapping[str, JsonValue]:
    """Return the arguments that are best on folds with all agents there, in the quality scenario."""
    study.say(f"choosing {name} on folds")
    chosen = best_point(list(points(scoring_router(name), study.material, (0.0,)))).arguments
    return {**chosen, CURIOSITY: study.plan.arguments[CURIOSITY]} if name == KERNEL else chosen


def _note(fitted: _Fitted) -> str:
    chosen = "; ".join(f"{name} {dict(arguments)!r}" for name, arguments in fitted.tuned.items())
    return f"Quality scenario, no retraining. Chosen on folds with every agent there, which favours them: {chosen}."


@dataclass(frozen=True, slots=True)
class _Scene:
    """The opened split and all that decides on it."""

    study: Study
    part: Part
    fitted: _Fitted
    counts: tuple[int, ...]

    def shared(self, seed: int) -> tuple[Decided, Decided]:
        """Return what is decided whoever is left out: by the router trained on everything, and by cosine."""
        whole = self._decided(self.fitted.whole[seed], RETRAINED, 0)
        return whole, self._decided(router_named(COSINE), COSINE, 0)

    def entering(self, column: int, shared: Mapping[int, tuple[Decided, Decided]]) -> Iterator[Decided]:
        """Yield what is decided when the agent in ``column`` is the one left out, by way, seed and count."""
        material = self.study.material
        self.study.say(f"{material.pool.ids[column]} enters, {column + 1} of {len(material.pool)}")
        for seed in self.study.plan.seeds:
            told = list(first_outcomes(material, column, max(self.counts), seed=seed))
            for count in self.counts:
                yield self._decided(self._late(seed, column, told[:count]), self.study.plan.router, column, count)
                for name in LEARNERS:
                    yield self._decided(self._learner(name, column, told[:count]), name, column, count)
            gone = material.pool.gated({material.pool.ids[column]: "left out"})
            absent = self._decided(self._late(seed, column, ()), ABSENT, column, pool=gone)
            for one, count in product((*shared[seed], absent), self.counts):
                yield replace(one, agent=column, count=count)

    def _late(self, seed: int, column: int, told: Sequence[Experience]) -> Router:
        router = router_named(self.study.plan.router, self.study.plan.with_seed(seed))
        router.restore(self.fitted.others[seed, column])
        return _taught(router, told)

    def _learner(self, name: str, column: int, told: Sequence[Experience]) -> Router:
        router = router_named(name, self.fitted.tuned[name])
        assert isinstance(router, ScoringRouter)  # noqa: S101 - it was tuned as one
        material = self.study.material
        router.fit(others_only(material.train.outcomes(material.pool), column))
        return _taught(router, told)

    def _decided(
        self, router: Router, method: str, column: int, count: int = 0, *, pool: AgentPool | None = None
    ) -> Decided:
        agents = pool or self.study.material.pool
        routing = route_all(router, self.part, agents, SCENARIOS["quality"], seed=0, clock=SystemClock())
        routed = asyncio.run(routing)
        return Decided(method, column, count, routed.taken(self.part.quality), routed.choice)


def _taught(router: Router, told: Sequence[Experience]) -> Router:
    for experience in told:
        router.learn(experience)
    return router
