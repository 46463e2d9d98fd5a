"""Calibrates the guard of a cascade, and the thresholds behind it, on tasks that its agents are known to do."""

import json
from collections.abc import Sequence
from typing import Literal

import numpy as np

from agentmesh.addresses import without_password
from agentmesh.errors import ConfigError, StoreError
from agentmesh.learning.learner import log_of, seen_by
from agentmesh.learning.pools import pool_of_cards, pool_of_log
from agentmesh.learning.sets import open_parts
from agentmesh.learning.tables import table_of
from agentmesh.learning.training import outcomes_of
from agentmesh.learning.versions import StoredRouter, put_router_mark
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import load_set
from agentmesh.records import Record, RouterMark
from agentmesh.routing.base import AgentPool, Outcomes, Router, TaskFeatures
from agentmesh.routing.cascade import CascadeRouter
from agentmesh.routing.guard import FEWEST, Guard
from agentmesh.routing.progress import Say, unsaid
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.store.opening import is_database
from agentmesh.types import Clock, FloatArray, SystemClock

WANTED = (0.99, 0.97, 0.95, 0.93, 0.9, 0.85, 0.8)
"""Coverages that a calibration tells of, so that another one can be chosen."""

HELD_BACK = 5
"""Where a source has no val rows, the newest fifth of its tasks is held back."""

MOST_TRIED = 2000
"""Held back tasks that are decided for it, spread evenly; the curve's points move by a point at most beyond that."""


class Answered(Record):
    """What answering a share ``coverage`` of in-domain tasks would be worth: the mean quality of what is answered.

    Tasks less familiar than ``threshold`` are turned away.
    """

    coverage: float
    threshold: float
    quality: float


class Calibration(Record):
    """What a guard was calibrated on, and what it costs: turned away are ``1 - coverage`` of tasks such as these.

    ``tasks`` were learned as familiar; off ``held_back`` others the threshold was read.
    """

    router: str
    source: str
    kind: Literal["outcomes", "labels", "experiences"]
    embedder: str
    tasks: int
    held_back: int
    coverage: float
    threshold: float
    curve: tuple[Answered, ...] = ()


def calibrate_router(
    router: Router, source: str, embedder: Embedder, *, coverage: float | None = None, say: Say = unsaid
) -> Calibration:
    """Calibrate a cascade on a recorded set or on a database; its routers stay as they are.

    Test rows are never read, and the guard learns nothing of tasks that nobody fits. What a set's train rows hold is
    familiar, and the guard's threshold is read off its val rows; of other sources the newest fifth is held back. How
    sure the routers are is read off the same tasks, from a twin that was fitted on the others.

    Args:
        router: A cascade, with what it has learned.
        source: The folder of a recorded set, or the URL of a database.
        embedder: The one whose vectors the router reads.
        coverage: The share of such tasks that are to be answered, above 0 to 1; by default the guard's own.
        say: Told in words what is being done.

    Raises:
        ConfigError: the router is no cascade, or there is too little to calibrate on.
        RecordedSetError: the set is malformed, or has no rows but those for testing.
        StoreError: the database cannot be read, or holds no experience.
    """
    if not isinstance(router, CascadeRouter):
        raise ConfigError(f"router {router.name!r} has no guard to calibrate; expected a 'cascade'")
    shown = without_password(source)
    say(f"reading {shown}")
    kind, parts, pool = _from_database(source, embedder) if is_database(source) else _from_set(source, embedder)
    train, val = parts if len(parts) == 2 else _parted(parts[0], shown)
    say(f"calibrating on {len(train) + len(val)} tasks")
    twin = CascadeRouter(**dict(router.parameters))  # type: ignore[arg-type]  # its own arguments
    twin.fit(train, val=val, say=say)
    router.calibrate(train, val=val, coverage=coverage, thresholds=twin.thresholds)
    keeper = router.gatekeeper
    return Calibration(
        router=router.name,
        source=shown,
        kind=kind,
        embedder=embedder.version,
        tasks=len(train),
        held_back=len(val),
        coverage=keeper.coverage,
        threshold=keeper.threshold,
        curve=_curve(keeper.guard, twin, val, pool),
    )


def publish_calibrated(
    store: TraceStore, stored: StoredRouter, router: Router, found: Calibration, *, clock: Clock | None = None
) -> RouterMark:
    """Store a calibrated router under a mark, so that a mesh which builds the same router serves from it."""
    store.put_router(router.name, router.parameters_hash, json.dumps(dict(router.parameters)))
    mark = RouterMark(
        router=stored.key,
        root=stored.root,
        parameters=router.parameters_hash,
        kind="trained",
        at=(clock or SystemClock()).now(),
        note=f"calibrated on {found.tasks} tasks in {found.source}: {found.coverage:.0%} to be answered",
    )
    return put_router_mark(store, mark, router)


Read = tuple[Literal["outcomes", "labels", "experiences"], Sequence[Outcomes], AgentPool]


def _from_database(source: str, embedder: Embedder) -> Read:
    with open_store(source, read_only=True) as store:
        experiences = list(seen_by(embedder, log_of(store)))
        pool = pool_of_log(store, experiences, embedder)
        table = table_of(experiences, pool)
    if not len(table):
        raise StoreError(
            f"{without_password(source)!r} holds no experience to calibrate on; score some runs, or name a recorded set"
        )
    return "experiences", (table,), pool


def _from_set(source: str, embedder: Embedder) -> Read:
    recorded = load_set(source)
    pool = pool_of_cards(recorded.agents, embedder)
    return recorded.info.kind, tuple(outcomes_of(rows, embedder, pool) for rows in open_parts(recorded)), pool


def _parted(table: Outcomes, source: str) -> tuple[Outcomes, Outcomes]:
    """Return the table without its newest fifth, and these.

    Raises:
        ConfigError: the fifth is too small to calibrate on.
    """
    if len(table) < HELD_BACK * FEWEST:
        raise ConfigError(
            f"{source!r} holds {len(table)} tasks of known outcome, too few to calibrate on; "
            f"expected {HELD_BACK * FEWEST} or more: score more runs, or name a recorded set"
        )
    cut = len(table) - len(table) // HELD_BACK
    return table.rows(np.arange(cut)), table.rows(np.arange(cut, len(table)))


def _curve(guard: Guard, router: CascadeRouter, val: Outcomes, pool: AgentPool) -> tuple[Answered, ...]:
    """Return what is answered at each coverage, over held back tasks that somebody fits, those of known outcome."""
    fits = np.flatnonzero(np.nanmax(np.nan_to_num(val.quality, nan=-1.0), axis=1, initial=-1.0) > 0)
    rows = fits[np.linspace(0, len(fits) - 1, min(len(fits), MOST_TRIED)).astype(np.int64)] if len(fits) else fits
    tasks = [TaskFeatures(vector=val.vectors[row], text=val.texts[row]) for row in rows.tolist()]
    quality = np.array([_came(router, task, val, row, pool) for task, row in zip(tasks, rows.tolist(), strict=True)])
    known = np.flatnonzero(~np.isnan(quality))
    if not len(known):
        return ()
    points = guard.curve([tasks[place] for place in known.tolist()], quality[known], WANTED)
    return tuple(Answered(coverage=one.coverage, threshold=one.threshold, quality=one.quality) for one in points)


def _came(router: CascadeRouter, task: TaskFeatures, val: Outcomes, row: int, pool: AgentPool) -> float:
    """Return what came of the agent that the last router holds to be best, NaN where that is not known."""
    expected: FloatArray = router.estimate(task, pool).quality
    return float(val.quality[row, int(np.argmax(expected))])
