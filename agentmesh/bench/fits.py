"""Fits several routers, each in a process of its own where several may run, and hands each back from its state."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeAlias

from agentmesh.bench.material import Material
from agentmesh.bench.run import scoring_router
from agentmesh.records import RouterState
from agentmesh.routing.base import Outcomes, ScoringRouter
from agentmesh.routing.named import router_named
from agentmesh.routing.progress import Say
from agentmesh.types import Clock, JsonValue, SystemClock


@dataclass(frozen=True, slots=True)
class FitJob:
    """A router to fit: its registered name and arguments, what it learns, and what may choose its checkpoint."""

    name: str
    arguments: Mapping[str, JsonValue]
    train: Outcomes
    val: Outcomes | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted router and how long fitting took, in seconds."""

    router: ScoringRouter
    seconds: float


Fitting: TypeAlias = tuple[RouterState, float]
"""What comes back from another process: a state, no router, and the seconds."""


def fit_job(name: str, arguments: Mapping[str, JsonValue], material: Material, *, watched: bool = False) -> FitJob:
    """Return the job of fitting on train; ``watched`` as in :func:`~agentmesh.bench.tuning.fit_one`."""
    pool = material.pool
    return FitJob(name, arguments, material.train.outcomes(pool), material.val.outcomes(pool) if watched else None)


def fits(jobs: Sequence[FitJob], *, processes: int, say: Say, apart: bool = False) -> Iterator[tuple[int, Fit]]:
    """Fit all and yield the place of each job with what came of it, as they are done.

    With one process everything is done in this one; with several, or ``apart``, in others, so that this one loads
    nothing that only training needs.

    Raises:
        PluginError: there is no router of such a name.
        ConfigError: its arguments do not fit it, or it does not score agents.
    """
    done = _here(jobs) if processes == 1 and not apart else _apart(jobs, processes)
    for count, (place, fit) in enumerate(done, start=1):
        say(f"{count} of {len(jobs)} fitted: {jobs[place].name}, {fit.seconds:.0f} s")
        yield place, fit


def _here(jobs: Sequence[FitJob]) -> Iterator[tuple[int, Fit]]:
    for place, job in enumerate(jobs):
        yield place, _fit(job, SystemClock())


def _apart(jobs: Sequence[FitJob], processes: int) -> Iterator[tuple[int, Fit]]:
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(fitted_state, job): place for place, job in enumerate(jobs)}
        for future in as_completed(list(waiting)):
            place = waiting.pop(future)  # a state is large: once restored, nothing keeps it
            state, seconds = future.result()
            yield place, Fit(restored(jobs[place], state), seconds)


def fitted_state(job: FitJob) -> Fitting:
    """Fit a router and return its state, and the seconds it took."""
    fit = _fit(job, SystemClock())
    return fit.router.snapshot(), fit.seconds


def restored(job: FitJob, state: RouterState) -> ScoringRouter:
    """Return the router of a job as ``state`` has it."""
    router = _built(job)
    router.restore(state)
    return router


def _fit(job: FitJob, clock: Clock) -> Fit:
    router = _built(job)
    begin = clock.monotonic()
    router.fit(job.train, val=job.val)
    return Fit(router, round(clock.monotonic() - begin, 2))


def _built(job: FitJob) -> ScoringRouter:
    scoring_router(job.name)
    router = router_named(job.name, job.arguments)
    assert isinstance(router, ScoringRouter)  # noqa: S101 - the line above made sure
    return router
