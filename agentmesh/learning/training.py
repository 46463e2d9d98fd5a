"""Trains a router before its first task: on a recorded set, or on what another database has learned from.

Test rows are never read. A set with train and val rows is fitted on both, after a twin that was fitted on train alone
has shown on val what its choices are worth.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from agentmesh.addresses import without_password
from agentmesh.errors import ConfigError, StoreError
from agentmesh.learning.learner import BATCH, log_of, seen_by, state_key, taught
from agentmesh.learning.pools import pool_of_cards, pool_of_log
from agentmesh.learning.sets import open_parts, texts_of
from agentmesh.learning.tables import table_of
from agentmesh.learning.versions import put_router_mark
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import RecordedSet, Rows, load_set
from agentmesh.records import Record, RouterMark
from agentmesh.routing.base import (
    AgentPool,
    Outcomes,
    RouteContext,
    Router,
    ScoringRouter,
    TaskFeatures,
    hash_parameters,
)
from agentmesh.routing.progress import Say, unsaid
from agentmesh.routing.state import unpack_state
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.store.opening import is_database
from agentmesh.types import AgentId, Clock, FloatArray, JsonValue, SystemClock


class HeldOut(Record):
    """What a router fitted on train alone chose on the val tasks, beside the one agent that was best on train."""

    tasks: int
    quality: float
    best_single: AgentId
    best_single_quality: float


class Training(Record):
    """What a router was trained on, and what that is worth where it could be checked.

    ``refused`` counts experiences that the router could not learn, such as one whose vector has another length.
    ``seconds`` is how long all of it took; ``card`` what the router says of its training, {} where it says nothing.
    """

    router: str
    source: str
    kind: Literal["outcomes", "labels", "experiences"]
    embedder: str
    tasks: int
    agents: int
    outcomes: int
    refused: int = 0
    held_out: HeldOut | None = None
    seconds: float = 0.0
    card: Mapping[str, JsonValue] = Field(default_factory=dict)


def train_router(
    router: Router, source: str, embedder: Embedder, *, say: Say | None = None, clock: Clock | None = None
) -> Training:
    """Teach a fresh router what a recorded set or a database holds.

    Args:
        router: Just built. From a set it must be a :class:`ScoringRouter`.
        source: The folder of a recorded set, or the URL of a database, whose experiences it learns.
        embedder: What embeds tasks: the one of the mesh that the router is to serve.
        say: Told in words what is being done.
        clock: What times it; the machine's by default.

    Raises:
        ConfigError: the router has learned already, or learns nothing from outcomes.
        MissingExtraError: it needs a package to be trained that is not installed.
        RecordedSetError: the set is malformed, or has no rows but those for testing.
        StoreError: the database cannot be read, or holds no experience.
    """
    if router.sequence or router.base:
        raise ConfigError(f"router {router.name!r} has learned already ({router.version!r}); give a fresh one")
    tell = say or unsaid
    if isinstance(router, ScoringRouter) and set(unpack_state(router.snapshot().payload)[0]) == {"_window"}:
        raise ConfigError(f"router {router.name!r} learns nothing from outcomes; train one that does")
    monotonic = (clock or SystemClock()).monotonic
    begun = monotonic()
    found = _trained(router, source, embedder, tell)
    return found.model_copy(update={"seconds": round(monotonic() - begun, 3), "card": dict(router.training)})


def _trained(router: Router, source: str, embedder: Embedder, tell: Say) -> Training:
    if is_database(source):
        return _from_database(router, source, embedder, tell)
    if not isinstance(router, ScoringRouter):
        raise ConfigError(f"router {router.name!r} cannot be fitted on a set; train it from a database")
    return _from_set(router, load_set(source), embedder, tell)


def publish_router(store: TraceStore, router: Router, training: Training, *, clock: Clock | None = None) -> RouterMark:
    """Store a trained router under a mark, so that a mesh which builds the same router serves from it when it opens."""
    parameters = dict(router.parameters)
    root = hash_parameters(router.name, parameters)
    for parameters_hash in dict.fromkeys((root, router.parameters_hash)):
        store.put_router(router.name, parameters_hash, json.dumps(parameters))
    mark = RouterMark(
        router=state_key(router.name, training.embedder),
        root=root,
        parameters=router.parameters_hash,
        kind="trained",
        at=(clock or SystemClock()).now(),
        note=f"{training.outcomes} outcomes of {training.tasks} tasks in {training.source}",
    )
    return put_router_mark(store, mark, router)


def _from_database(router: Router, source: str, embedder: Embedder, say: Say) -> Training:
    shown = without_password(source)
    say(f"learning from {shown}")
    if isinstance(router, ScoringRouter) and router.trains:
        return _fitted_on_log(router, source, embedder, say)
    tasks: set[str] = set()
    agents: set[AgentId] = set()
    learned = refused = last = 0
    with open_store(source, read_only=True) as store:
        while batch := store.experiences(last, limit=BATCH):
            last = batch[-1].sequence
            for experience in seen_by(embedder, batch):
                if taught(router, experience):
                    refused += 1
                    continue
                learned += 1
                tasks.add(experience.run_id)
                agents.add(experience.agent_id)
    if not learned:
        raise StoreError(f"{shown!r} holds no experience that router {router.name!r} can learn ({refused} refused)")
    return Training(
        router=router.name,
        source=shown,
        kind="experiences",
        embedder=embedder.version,
        tasks=len(tasks),
        agents=len(agents),
        outcomes=learned,
        refused=refused,
    )


def _fitted_on_log(router: ScoringRouter, source: str, embedder: Embedder, say: Say) -> Training:
    with open_store(source, read_only=True) as store:
        experiences = list(seen_by(embedder, log_of(store)))
        table = table_of(experiences, pool_of_log(store, experiences, embedder))
    if not len(table):
        raise StoreError(f"{without_password(source)!r} holds no experience that router {router.name!r} can learn")
    say(f"fitting {router.name}")
    router.fit(table, say=say)
    seen = ~np.isnan(table.quality)
    return Training(
        router=router.name,
        source=without_password(source),
        kind="experiences",
        embedder=embedder.version,
        tasks=len(table),
        agents=int(seen.any(axis=0).sum()),
        outcomes=int(seen.sum()),
    )


def _from_set(router: ScoringRouter, recorded: RecordedSet, embedder: Embedder, say: Say) -> Training:
    parts = open_parts(recorded)
    say(f"embedding {sum(map(len, parts))} tasks of {recorded.info.name}")
    pool = pool_of_cards(recorded.agents, embedder)
    tables = [outcomes_of(rows, embedder, pool) for rows in parts]
    held_out = None
    if len(parts) > 1:
        say(f"checking {router.name} on val")
        build: Callable[..., ScoringRouter] = type(router)
        held_out = _check(build(**router.parameters), tables[0], tables[1], pool, say)
    table = _joined(tables)
    say(f"fitting {router.name}")
    router.fit(table, say=say)
    seen = ~np.isnan(table.quality)
    return Training(
        router=router.name,
        source=str(recorded.folder),
        kind=recorded.info.kind,
        embedder=embedder.version,
        tasks=len(table),
        agents=int(seen.any(axis=0).sum()),
        outcomes=int(seen.sum()),
        held_out=held_out,
    )


def outcomes_of(rows: Rows, embedder: Embedder, pool: AgentPool) -> Outcomes:
    """Return the rows of a recorded set as a table to fit on; those of test are sealed in it."""
    texts = texts_of(rows)
    return Outcomes(
        agent_ids=rows.agent_ids,
        vectors=embedder.embed(texts),
        texts=texts,
        groups=rows.groups,
        quality=rows.table.quality,
        cost=rows.table.cost,
        pool=pool,
    )


def _joined(tables: Sequence[Outcomes]) -> Outcomes:
    if len(tables) == 1:
        return tables[0]
    return Outcomes(
        agent_ids=tables[0].agent_ids,
        vectors=np.concatenate([table.vectors for table in tables]),
        texts=tuple(text for table in tables for text in table.texts),
        groups=tuple(group for table in tables for group in table.groups),
        quality=np.concatenate([table.quality for table in tables]),
        cost=np.concatenate([table.cost for table in tables]),
        pool=tables[0].pool,
    )


def _check(twin: ScoringRouter, train: Outcomes, val: Outcomes, pool: AgentPool, say: Say) -> HeldOut | None:
    """Fit ``twin`` on train and let it choose on val, among the agents whose outcome there is known."""
    twin.fit(train, say=say)
    single = int(np.argmax(_means(train.quality)))
    rows = np.flatnonzero(~np.isnan(val.quality[:, single]))
    if not len(rows):
        return None
    chosen = [_choice(twin, val, row, pool) for row in rows.tolist()]
    return HeldOut(
        tasks=len(rows),
        quality=float(val.quality[rows, chosen].mean()),
        best_single=val.agent_ids[single],
        best_single_quality=float(val.quality[rows, single].mean()),
    )


def _choice(router: ScoringRouter, val: Outcomes, row: int, pool: AgentPool) -> int:
    missing = np.flatnonzero(np.isnan(val.quality[row])).tolist()
    known = pool.gated({pool.ids[place]: "not recorded" for place in missing})
    features = TaskFeatures(vector=val.vectors[row], text=val.texts[row])
    decision = router.decide(features, known, RouteContext(seed=row))
    return pool.index[decision.selected[0].agent_id] if decision.selected else int(known.mask.argmax())


def _means(quality: FloatArray) -> FloatArray:
    """Return each agent's mean observed quality, below 0 where nothing was observed."""
    seen = ~np.isnan(quality)
    count = seen.sum(axis=0)
    total = np.where(seen, quality, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), -1.0)
