"""Runs one router over one stream: decide, see what the called agent brought, learn, next."""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing import get_context
from typing import TypeAlias

import numpy as np

from agentmesh.bench.online_plan import OnlinePlan, RouterSpec
from agentmesh.bench.online_stream import Arrival, Drift, Stream, Workload, pool_without, stream_of
from agentmesh.bench.routing_run import NOBODY
from agentmesh.graphs.nodes import draw_seed
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, RouteDecision
from agentmesh.routing.base import AgentPool, RouteContext, Router, TaskFeatures
from agentmesh.routing.named import router_named
from agentmesh.routing.objective import SCENARIOS
from agentmesh.types import Clock, FloatArray, IndexArray, SystemClock

Say: TypeAlias = Callable[[str], None]

SECONDS_A_TASK = 60.0
"""How far apart tasks arrive: one a minute, for routers that forget with time."""


@dataclass(frozen=True, slots=True)
class Job:
    """One router on one stream."""

    workload: Workload
    plan: OnlinePlan
    router: RouterSpec
    seed: int
    steps: int
    drift: Drift | None = None
    arrival: Arrival | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """What a router did on a stream.

    Shapes:
        chosen: (T,) columns of the whole pool, ``NOBODY`` where it abstained; quality, cost: (T,) what they brought, 0
        for nobody; decide_ms, learn_ms: (T,) times, ``learn_ms`` over all that one task taught, NaN where nothing did.
    """

    label: str
    seed: int
    chosen: IndexArray
    quality: FloatArray
    cost: FloatArray
    decide_ms: FloatArray
    learn_ms: FloatArray


def run_jobs(jobs: Sequence[Job], *, processes: int, say: Say) -> list[Trace]:
    """Run all, in this process or spread over several, and return their traces in the order of ``jobs``."""
    if processes == 1:
        return [_told(run_job(job), say, place, len(jobs)) for place, job in enumerate(jobs, start=1)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(run_job, job): place for place, job in enumerate(jobs)}
        done: dict[int, Trace] = {}
        for future in as_completed(waiting):
            done[waiting[future]] = _told(future.result(), say, len(done) + 1, len(jobs))
    return [done[place] for place in range(len(jobs))]


def _told(trace: Trace, say: Say, count: int, total: int) -> Trace:
    say(f"{count} of {total} done: {trace.label}, seed {trace.seed}")
    return trace


def run_job(job: Job) -> Trace:
    """Run one router over one stream."""
    stream = stream_of(job.workload, seed=job.seed, steps=job.steps, drift=job.drift)
    router = router_named(job.router.name, job.router.arguments)
    return asyncio.run(_run(job, stream, router, SystemClock()))


async def _run(job: Job, stream: Stream, router: Router, clock: Clock) -> Trace:
    count = len(stream)
    chosen = np.full(count, NOBODY, dtype=np.int64)
    decide_ms, learn_ms = np.zeros(count), np.full(count, np.nan)
    tasks, school, index = ShownTasks(job), School(job, stream), job.workload.pool.index
    objective, explore = SCENARIOS[job.plan.scenario], job.plan.explore
    for step, pool in enumerate(_pools(job, stream)):
        context = RouteContext(seed=draw_seed(job.seed, str(step)), objective=objective, explore=explore)
        features = tasks.features[int(stream.rows[step])]
        begin = clock.monotonic()
        decision = await router.route(features, pool, context)
        decided = clock.monotonic()
        decide_ms[step] = decided - begin
        if not decision.selected:
            continue
        chosen[step] = index[decision.selected[0].agent_id]
        lessons = school.lessons(step, int(chosen[step]), decision, tasks)
        begin = clock.monotonic()
        for lesson in lessons:
            router.learn(lesson)
        learn_ms[step] = clock.monotonic() - begin
    quality, cost = (_taken(table, chosen) for table in (stream.quality, stream.cost))
    return Trace(job.router.label, job.seed, chosen, quality, cost, 1000.0 * decide_ms, 1000.0 * learn_ms)


def _taken(table: FloatArray, chosen: IndexArray) -> FloatArray:
    return np.where(chosen == NOBODY, 0.0, table[np.arange(len(chosen)), chosen])


def _pools(job: Job, stream: Stream) -> Iterator[AgentPool]:
    """Yield the pool of each step: without the agent that has not come yet, agents without an outcome masked out."""
    whole, arrival = job.workload.pool, job.arrival
    early = whole if arrival is None else pool_without(whole, arrival.agent)
    missing = np.isnan(stream.quality)
    partial = set(np.flatnonzero(missing.any(axis=1)).tolist())
    for step in range(len(stream)):
        pool = early if arrival is not None and step < arrival.step else whole
        if step in partial:
            gone = [whole.ids[place] for place in np.flatnonzero(missing[step]).tolist()]
            pool = pool.gated({agent_id: "not recorded" for agent_id in gone if agent_id in pool.index})
        yield pool


class ShownTasks:
    """What is shown of each task, made once."""

    def __init__(self, job: Job) -> None:
        load, given = job.workload, job.plan.types == "given"
        self.hints = [(group,) if given and group else () for group in load.groups]
        self.features = [
            TaskFeatures(vector=vector, text=text, type_hints=hints)
            for vector, text, hints in zip(load.vectors, load.texts, self.hints, strict=True)
        ]
        self.packed = [pack_vector(vector) for vector in load.vectors]


class School:
    """Turns what may be revealed of a step into numbered experiences."""

    def __init__(self, job: Job, stream: Stream) -> None:
        self._job, self._stream, self._last = job, stream, 0
        self._versions = job.workload.pool.versions.tolist()

    def lessons(self, step: int, chosen: int, decision: RouteDecision, tasks: ShownTasks) -> list[Experience]:
        """Return the outcome of the agent that was called, or with full feedback those of all that were in the pool."""
        if self._job.plan.feedback == "bandit":
            return [self._experience(step, chosen, math.exp(decision.log_propensity), decision, tasks)]
        arrival = self._job.arrival
        known = np.flatnonzero(~np.isnan(self._stream.quality[step])).tolist()
        seen = [place for place in known if arrival is None or step >= arrival.step or place != arrival.agent]
        return [self._experience(step, place, 1.0, decision, tasks) for place in seen]  # revealed whoever was called

    def _experience(
        self, step: int, agent: int, propensity: float, decision: RouteDecision, tasks: ShownTasks
    ) -> Experience:
        self._last += 1
        agent_id = self._job.workload.pool.ids[agent]
        shown = next((one for one in decision.candidates if one.agent_id == agent_id), None)
        row, cost = int(self._stream.rows[step]), float(self._stream.cost[step, agent])
        # validating would take longer than most routers learn, and what is recorded was validated when it was read
        return Experience.model_construct(
            sequence=self._last,
            run_id=f"step-{step}",
            text=tasks.features[row].text,
            vector=tasks.packed[row],
            embedder=self._job.workload.embedder,
            agent_id=agent_id,
            agent_version=self._versions[agent],
            quality=float(self._stream.quality[step, agent]),
            cost_usd=None if math.isnan(cost) else Decimal(repr(cost)),
            latency_s=None,
            propensity=propensity,
            type_hints=tasks.hints[row],
            factors={} if shown is None else shown.factors,
            at=step * SECONDS_A_TASK,
        )
