"""What a stored router has learned, as records: for people to read, for programs to load."""

import numpy as np
from pydantic import Field

from agentmesh.errors import AgentMeshError
from agentmesh.learning.cascade_record import CascadeRecord
from agentmesh.learning.changes import TrailChanges, changes, trails_of
from agentmesh.learning.versions import StoredRouter, place_of, router_at
from agentmesh.records import LearningFault, Record
from agentmesh.routing.base import Router
from agentmesh.routing.trails import Edge, TrailMap
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, JsonValue

STRONGEST = 10
FAULTS = 5


class Step(Record):
    """An edge of the layered graph, as a record."""

    stage: int
    previous: AgentId
    agent_id: AgentId


class TrailsRecord(Record):
    """A map of trails in plain lists: ``trail`` and ``evidence`` have a row for each type, a column for each edge."""

    types: tuple[str, ...]
    share: tuple[float, ...]
    edges: tuple[Step, ...]
    trail: tuple[tuple[float, ...], ...]
    evidence: tuple[tuple[float, ...], ...]
    low: float
    high: float
    at: float

    @classmethod
    def of(cls, trails: TrailMap) -> "TrailsRecord":
        """Return the record of a map."""
        return cls(
            types=trails.types,
            share=tuple(trails.share.tolist()),
            edges=tuple(Step(**edge._asdict()) for edge in trails.edges),
            trail=tuple(map(tuple, trails.trail.tolist())),
            evidence=tuple(map(tuple, trails.evidence.tolist())),
            low=trails.low,
            high=trails.high,
            at=trails.at,
        )

    def as_map(self) -> TrailMap:
        """Undo :meth:`of`."""
        shape = (len(self.types), len(self.edges))
        return TrailMap(
            types=self.types,
            edges=tuple(Edge(step.stage, step.previous, step.agent_id) for step in self.edges),
            trail=np.array(self.trail, dtype=np.float64).reshape(shape),
            evidence=np.array(self.evidence, dtype=np.float64).reshape(shape),
            share=np.array(self.share, dtype=np.float64),
            low=self.low,
            high=self.high,
            at=self.at,
        )


class StrongTrail(Record):
    """One of the strongest trails."""

    type: str
    edge: Step
    trail: float
    evidence: float


class RouterReport(Record):
    """What is known of a stored router. ``error`` says why its state could not be rebuilt; the rest holds all the same.

    ``version`` is the one that was rebuilt; ``since`` the one that ``changes`` compares it with. ``training`` is what
    the router says of its training, {} where it was not trained; ``cascade`` what a cascade holds. ``passed_over``
    names stored states that could not be read and were not needed.
    """

    stored: StoredRouter
    version: str | None
    arguments: dict[str, JsonValue] | None = None
    training: dict[str, JsonValue] = Field(default_factory=dict)
    cascade: CascadeRecord | None = None
    trails: TrailsRecord | None = None
    strongest: tuple[StrongTrail, ...] = ()
    since: str | None = None
    changes: TrailChanges | None = None
    faults: tuple[LearningFault, ...] = ()
    passed_over: tuple[str, ...] = ()
    error: str | None = None


class RouterExport(Record):
    """A router at a version, for programs: how it is built and was trained, its trails or stages if it has any."""

    router: str
    embedder: str
    version: str
    sequence: int
    at: float
    arguments: dict[str, JsonValue]
    training: dict[str, JsonValue] = Field(default_factory=dict)
    cascade: CascadeRecord | None = None
    trails: TrailsRecord | None = None


def inspect_router(
    store: TraceStore, stored: StoredRouter, *, version: str | None = None, since: str | None = None
) -> RouterReport:
    """Return what is known of a router at ``version``, the newest by default, and what changed after ``since``.

    Raises:
        ConfigError: the router never was at one of these versions.
    """
    for named in (version, since):
        place_of(store, stored, named)
    base = RouterReport(stored=stored, version=version, since=since, faults=tuple(store.faults(limit=FAULTS)))
    passed_over: list[str] = []
    try:
        router = router_at(store, stored, version, on_fault=passed_over.append)
        known = {
            "version": router.version,
            "arguments": dict(router.parameters),
            "training": dict(router.training),
            "cascade": CascadeRecord.of(router),
            "passed_over": tuple(passed_over),
        }
        found = base.model_copy(update=known)
        return _with_trails(found, router, None if since is None else router_at(store, stored, since))
    except AgentMeshError as error:
        return base.model_copy(update={"error": str(error)})


def _with_trails(report: RouterReport, router: Router, earlier: Router | None) -> RouterReport:
    trails, before = trails_of(router), trails_of(earlier)
    if trails is None:
        return report
    strongest = tuple(
        StrongTrail(type=name, edge=Step(**edge._asdict()), trail=trail, evidence=evidence)
        for name, edge, trail, evidence in trails.strongest(STRONGEST)
    )
    changed = None if before is None else changes(before, trails)
    return report.model_copy(update={"trails": TrailsRecord.of(trails), "strongest": strongest, "changes": changed})


def export_router(store: TraceStore, stored: StoredRouter, version: str | None = None) -> RouterExport:
    """Return a router at ``version``, the newest by default, as a record.

    Raises:
        ConfigError, PluginError, StoreError: as for :func:`agentmesh.learning.versions.router_at`.
    """
    router = router_at(store, stored, version)
    trails = trails_of(router)
    return RouterExport(
        router=router.name,
        embedder=stored.embedder,
        version=router.version,
        sequence=router.sequence,
        at=router.snapshot().at,
        arguments=dict(router.parameters),
        training=dict(router.training),
        cascade=CascadeRecord.of(router),
        trails=None if trails is None else TrailsRecord.of(trails),
    )
