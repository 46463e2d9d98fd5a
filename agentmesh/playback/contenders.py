"""The router that stored tasks are decided by again, in states that have not seen what they are judged on.

Two ways keep a router that learns from being judged on what it has learned:

- **Cross-fitted.** The runs are parted into blocks of time, and each block is decided by a twin that learned the log of
  experiences without those of the block. What is judged is how the router does on about that much experience.
- **Frozen.** A router in a state of its own, such as the version ``kernel@120``, decides all runs, and is judged on
  those recorded after the last thing its state was built from. Where there are none, it is in sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.learning.learner import log_of, seen_by, taught
from agentmesh.learning.pools import pool_of_log
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.learning.tables import table_of
from agentmesh.learning.versions import StoredRouter, fresh_router, only_router, router_at, routers_in
from agentmesh.playback.logged import Log
from agentmesh.records import Experience
from agentmesh.routing.base import Router, ScoringRouter
from agentmesh.routing.named import AUTO, router_named
from agentmesh.store.base import TraceStore
from agentmesh.types import MaskArray

BLOCKS: Final = 5

Mode: TypeAlias = Literal["cross_fitted", "frozen"]


@dataclass(frozen=True, slots=True)
class Contender:
    """One router in one state, and the places of the runs that it decides."""

    router: Router
    places: Sequence[int]


@dataclass(frozen=True, slots=True)
class States:
    """All states of a router that decide a log. ``why`` says why runs are not judged, "" where all are.

    Shapes:
        judged: (m,) True where the state that decides a run has not seen what came of it.
    """

    name: str
    version: str
    mode: Mode
    contenders: Sequence[Contender]
    judged: MaskArray
    why: str = ""


def states_of(store: TraceStore, router: str | Router, log: Log, *, parameters: str | None = None) -> States:
    """Return a router's states for a log.

    Args:
        store: Where the log of experiences and the states of routers are; nothing is written to it.
        router: A name, built as the store's router of this name was, or by its defaults where it has none or several;
            a stored version, ``name@number``; or a router of one's own.
        log: The runs to decide.
        parameters: The hash of the one meant, where routers of one name are stored with several.

    Raises:
        ConfigError: there is no such version, or it is not clear which is meant.
        PluginError: no entry point names it.
        StoreError: what is stored of it cannot be read.
    """
    if isinstance(router, Router):
        return _own(store, router, log)
    name, at_sign, number = router.partition("@")
    name = AUTO if name == "auto" else name
    known = [
        one
        for one in routers_in(store)
        if one.name == name and one.embedder == log.embedder and parameters in (None, one.root, one.parameters)
    ]
    if parameters is not None and not known:
        raise ConfigError(f"no router {name!r} with parameters {parameters!r} is stored in {store.url!r}")
    if at_sign:
        return _stored(store, name, number, known, log)
    return _cross_fitted(store, _fresh(store, name, known), log)


def _own(store: TraceStore, router: Router, log: Log) -> States:
    if router.sequence == 0 and not router.base:
        return _cross_fitted(store, router, log)
    if router.sequence == 0:
        why = f"router {router.name!r} was fitted beforehand, and nobody can tell on what"
        return _frozen(router, log, np.zeros(len(log.runs), dtype=np.bool_), why)
    return _judged_later(store, router, log)


def _stored(store: TraceStore, name: str, number: str, known: Sequence[StoredRouter], log: Log) -> States:
    if not (number.isascii() and number.isdigit()):
        raise ConfigError(f"{f'{name}@{number}'!r} is no version; give a name and a number, such as '{name}@120'")
    if not known:
        raise ConfigError(f"no router {name!r} that learned with embedder {log.embedder!r} is stored in {store.url!r}")
    stored = only_router(known)
    version = f"{stored.held_at(int(number))}@{number}"
    return _judged_later(store, router_at(store, stored, version), log)


def _fresh(store: TraceStore, name: str, known: Sequence[StoredRouter]) -> Router:
    """Return the router as its user builds it, where the store knows of one way alone."""
    if len(known) != 1:
        return router_named(name)
    return _twin(fresh_router(store, known[0]))


def _judged_later(store: TraceStore, router: Router, log: Log) -> States:
    """Judge a router on the runs that were recorded after all it has learned."""
    last = router.sequence
    if last > store.last_experience():
        raise ConfigError(f"router {router.name!r} has learned experience {last}, and {store.url!r} holds fewer")
    learned = [*store.experiences(0, until=last)]
    marks = [
        mark.at for one in routers_in(store) if one.name == router.name for mark in one.marks if mark.sequence <= last
    ]
    until = max([-np.inf, *marks, *(one.at for one in learned)])
    seen = {one.run_id for one in learned}
    judged = np.array([run.started_at > until and run.run_id not in seen for run in log.runs], dtype=np.bool_)
    why = "" if judged.all() else f"router {router.name!r} may have learned from runs up to experience {last}"
    return _frozen(router, log, judged, why)


def _frozen(router: Router, log: Log, judged: MaskArray, why: str) -> States:
    everything = Contender(router, range(len(log.runs)))
    return States(router.name, router.version, "frozen", [everything], judged, why)


def _cross_fitted(store: TraceStore, router: Router, log: Log) -> States:
    embedder = EmbedderOf(log.embedder)
    lessons = list(seen_by(embedder, log_of(store)))
    blocks = [block.tolist() for block in np.array_split(np.arange(len(log.runs)), min(BLOCKS, len(log.runs)))]
    contenders = []
    for places in blocks:
        mine = {log.runs[place].run_id for place in places}
        twin = _twin(router)
        _teach(store, twin, [one for one in lessons if one.run_id not in mine], embedder)
        contenders.append(Contender(twin, places))
    judged = np.ones(len(log.runs), dtype=np.bool_)
    return States(router.name, router.parameters_hash, "cross_fitted", contenders, judged)


def _teach(store: TraceStore, router: Router, lessons: Sequence[Experience], embedder: EmbedderOf) -> None:
    if isinstance(router, ScoringRouter) and router.trains:
        router.fit(table_of(lessons, pool_of_log(store, lessons, embedder)))
        return
    for lesson in lessons:
        taught(router, lesson)


def _twin(router: Router) -> Router:
    try:
        return type(router)(**dict(router.parameters))
    except TypeError as error:
        raise ConfigError(f"router {router.name!r} cannot be built again from its parameters: {error}") from error
