"""Fits a router anew on what a store has learned, and lets it serve only if it is better than what serves now.

Rule: the newest part of the log is held back. A candidate is fitted on the rest, and the serving version is rebuilt as
it was at the same place, so that neither has seen the part held back. There both decide every task, and
:mod:`agentmesh.learning.shadow` estimates from the logged outcomes what their choices are worth: quality, by the
self-normalised inverse propensity estimate. The candidate is promoted where the lower end of the 95 % interval of the
difference lies above a margin and both estimates rest on enough outcomes. Then it learns what was held back one by one,
so that what was judged is what serves, and a mark puts it in place.

Until that mark nothing is written, so whatever goes wrong leaves the serving version as it is.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Final

from agentmesh.errors import AgentMeshError, ConfigError, RoutingError
from agentmesh.learning.faults import told
from agentmesh.learning.learner import log_of, seen_by
from agentmesh.learning.pools import RecordedTasks, pool_of_log
from agentmesh.learning.promotion import promote
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.learning.shadow import Comparison, HeldBack, compare
from agentmesh.learning.tables import table_of, task_key, tasks_of, usable
from agentmesh.learning.trial import Reason, Retraining, Trial, noted, reason_against
from agentmesh.learning.versions import StoredRouter, fresh_router, router_at
from agentmesh.records import Experience, RouterMark
from agentmesh.routing.base import AgentPool, Router, ScoringRouter
from agentmesh.routing.progress import Say, unsaid
from agentmesh.store.base import TraceStore
from agentmesh.types import Clock, SystemClock

LEAST: Final = 30
"""Outcomes that must be held back, and as many to fit on: below, an interval says nothing."""

MOST_OUTCOMES: Final = 200_000
"""Outcomes that are read, the newest: some 300 MB."""


@dataclass(frozen=True, slots=True)
class Parted:
    """A log in two: what a candidate is fitted on, up to number ``cut``, and the newest outcomes, of other tasks."""

    older: Sequence[Experience]
    newer: Sequence[Experience]
    cut: int


def retrain(
    store: TraceStore,
    stored: StoredRouter,
    *,
    trial: Trial | None = None,
    fresh: Router | None = None,
    clock: Clock | None = None,
    say: Say | None = None,
) -> Retraining:
    """Fit a router anew on the log of a store, and promote it if it is better than what serves.

    Args:
        store: Where the log is, and where a promoted router is put.
        stored: The router, as :func:`agentmesh.learning.versions.find_routers` returns it.
        trial: How it is tried.
        fresh: The router as its user builds it, before it learned anything; by default made by its entry point.
        clock: What stamps the mark; the machine's by default.
        say: Told in words what is being done.

    Raises:
        ConfigError: the router cannot be fitted in one go, or has learned nothing yet.
        MissingExtraError: what it is fitted by is not installed.
        RoutingError: fitting it or deciding by it failed, for want of memory too.
        StoreError: the store cannot be read or written, or what serves cannot be rebuilt.
    """
    if not stored.embedder:
        raise ConfigError(f"router {stored.name!r} has learned nothing yet, so there is nothing to train it on")
    with _translated(f"retraining router {stored.name!r}"):
        built = fittable(fresh or fresh_router(store, stored))
        attempt = _Attempt.begun(store, stored, trial=trial or Trial(), fresh=built, say=say or unsaid)
        return attempt.run(clock or SystemClock())


def fittable(router: Router) -> ScoringRouter:
    """Return ``router``, if it can be fitted in one go.

    Raises:
        ConfigError: it cannot.
    """
    if not isinstance(router, ScoringRouter) or not router.is_fittable:
        raise ConfigError(f"router {router.name!r} is not fitted on outcomes; retrain one that is, such as 'category'")
    return router


def parted(experiences: Sequence[Experience], *, share: float, not_before: int = 0) -> Parted | None:
    """Hold back the newest outcomes of a log, ``None`` where there are too few of them or of the others.

    A task with a score on either side of the cut has been seen, so it is not held back.

    Args:
        experiences: In the order of the log.
        share: What share of them to hold back; at least 30.
        not_before: What serves has learned everything up to this number, so the cut is there or later.
    """
    first = len(experiences) - max(LEAST, ceil(share * len(experiences)))
    older = [one for place, one in enumerate(experiences) if place < first or one.sequence <= not_before]
    seen = {task_key(one) for one in older}
    newer = [one for one in experiences[len(older) :] if task_key(one) not in seen]
    if min(len(older), len(newer)) < LEAST:
        return None
    return Parted(older, newer, max(older[-1].sequence, not_before))


def log_begins(marks: Sequence[RouterMark]) -> int:
    """Return the number after which a router's log counts: that of its last reset, unless a rollback undid it."""
    begins = [(0, 0)]
    for mark in marks:
        since = begins[-1][1]
        if mark.kind == "reset":
            since = mark.sequence
        elif mark.target is not None:
            since = next(begin for number, begin in reversed(begins) if number <= mark.target)
        begins.append((mark.sequence, since))
    return begins[-1][1]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One retraining, its log read and its agents known."""

    store: TraceStore
    stored: StoredRouter
    trial: Trial
    fresh: ScoringRouter
    say: Say
    log: Sequence[Experience]
    pool: AgentPool

    @classmethod
    def begun(
        cls, store: TraceStore, stored: StoredRouter, *, trial: Trial, fresh: ScoringRouter, say: Say
    ) -> "_Attempt":
        """Read what the store holds now."""
        say(f"reading {store.url}")
        marks = tuple(store.marks(stored.key, stored.root))
        embedder = EmbedderOf(stored.embedder)
        log = list(deque(seen_by(embedder, log_of(store, log_begins(marks))), maxlen=MOST_OUTCOMES))
        pool = pool_of_log(store, log, embedder)
        current = stored.model_copy(update={"marks": marks})
        return cls(store, current, trial, fresh, say, usable(log, pool), pool)

    def run(self, clock: Clock) -> Retraining:
        last = max([0, *(mark.sequence for mark in self.stored.marks)])
        parts = parted(self.log, share=self.trial.held_back, not_before=last)
        if parts is None and self.trial.force and self.log:
            parts = Parted(self.log, (), max(self.log[-1].sequence, last))
        if parts is None:
            return self._told(None, "too few outcomes")
        candidate = self._fitted(parts)
        serving = self._serving_at(parts.cut)
        candidate.inherit(serving)
        comparison = self._compared(serving, candidate, parts) if parts.newer else None
        reason = "too few outcomes" if comparison is None else reason_against(comparison, self.trial)
        if not reason or self.trial.force:
            return self._promoted(candidate, self._told(parts, reason, comparison), clock)
        return self._told(parts, reason, comparison)

    def _fitted(self, parts: Parted) -> ScoringRouter:
        table = table_of(parts.older, self.pool, max_tasks=self.trial.max_tasks)
        self.say(f"fitting {self.fresh.name} on {len(table)} tasks")
        candidate = _twin(self.fresh)
        candidate.fit(table, say=self.say)
        candidate.skip(parts.cut, parts.older[-1].at)
        return candidate

    def _serving_at(self, cut: int) -> ScoringRouter:
        version = f"{self.stored.held_at(cut)}@{cut}"
        return fittable(router_at(self.store, self.stored, version, fresh=_twin(self.fresh)))

    def _compared(self, serving: ScoringRouter, candidate: ScoringRouter, parts: Parted) -> Comparison:
        self.say(f"comparing on {len(parts.newer)} outcomes that were held back")
        embedder = EmbedderOf(self.stored.embedder)
        recorded = RecordedTasks(self.store, self.pool, embedder)
        tasks = [recorded.of(first) for first in tasks_of(parts.newer).values()]
        held_back = HeldBack(tasks, table_of(parts.newer, self.pool))
        return compare(serving, candidate, held_back, seed=self.trial.seed)

    def _promoted(self, candidate: ScoringRouter, found: Retraining, clock: Clock) -> Retraining:
        self.say(f"learning what came after {found.cut}")
        done = promote(self.store, self.stored, candidate, note=noted(found), clock=clock)
        if done is None:
            return found.model_copy(update={"reason": "set back meanwhile"})
        version = f"{done.mark.parameters}@{done.mark.sequence}"
        return found.model_copy(
            update={"promoted": True, "version": version, "replaced": done.replaced, "mark": done.mark}
        )

    def _told(self, parts: Parted | None, reason: Reason, comparison: Comparison | None = None) -> Retraining:
        return Retraining(
            router=self.stored.name,
            embedder=self.stored.embedder,
            promoted=False,
            reason=reason,
            cut=0 if parts is None else parts.cut,
            outcomes=len(self.log),
            fitted=0 if parts is None else len(parts.older),
            held_back=0 if parts is None else len(parts.newer),
            margin=self.trial.margin,
            comparison=comparison,
        )


def _twin(router: ScoringRouter) -> ScoringRouter:
    build: Callable[..., ScoringRouter] = type(router)
    return build(**router.parameters)


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Raise whatever goes wrong in a router, ours or somebody's own, as an error of ours."""
    try:
        yield
    except AgentMeshError:
        raise
    except MemoryError as error:
        why = f"{doing} ran out of memory, and nothing was changed"
        raise RoutingError(f"{why}; let it use more, or fit it on fewer tasks") from error
    except Exception as error:  # a router may be somebody's own and raise anything; it is told as one of our errors
        raise RoutingError(f"{doing} failed, and nothing was changed: {told(error)}") from error
