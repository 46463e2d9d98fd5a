"""Pheromone trails: what agents were worth on each type of task, as sums that do not depend on their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.routing.ledger import part
from agentmesh.types import AgentId, FloatArray, IndexArray, JsonValue, MaskArray

SOURCE: Final[AgentId] = ""
"""The virtual node before the first stage."""

SUMS: Final = 2  # good evidence, all evidence


class Edge(NamedTuple):
    """A step from the agent of the stage before, or from the source, to an agent of ``stage``."""

    stage: int
    previous: AgentId
    agent_id: AgentId


class Trails:
    """Deposits summed over time, by type of task and edge.

    A deposit of weight w and quality q, made at time s, counts ``w * q * d`` as good evidence and
    ``w * (q + penalty * (1 - q)) * d`` as evidence, with ``d = exp(-(t - s) * ln 2 / half_life_s)`` at a later time t.
    The sums are kept as of the latest time seen; so it does not matter in which order deposits arrive, nor how many
    processes made them. Bounds are applied when trails are read, never to the sums.

    Reference: the deposits and evaporation of AMRO-S, arXiv 2603.12933, made additive.

    Args:
        half_life_s: Seconds after which a deposit counts half, above 0; infinity keeps it whole.
        penalty: How much evidence against an agent the missing quality is, 0 (as in AMRO-S, good evidence alone) to 1.

    >>> trails = Trails(half_life_s=10.0, penalty=1.0)
    >>> for at, quality in ((10.0, 1.0), (0.0, 0.0)):
    ...     _ = trails.deposit(Edge(0, "", "a"), np.ones(1), quality, at=at)
    >>> trails.sums[:, 0, 0].tolist()  # good evidence 1, evidence 1 + 1/2
    [1.0, 1.5]
    """

    def __init__(self, *, half_life_s: float, penalty: float) -> None:
        self._rate = np.log(2.0) / half_life_s
        self._penalty = penalty
        self.edges: list[Edge] = []
        self._index: dict[Edge, int] = {}
        self._alike: dict[tuple[int, AgentId], list[int]] = {}  # the columns of an agent at a stage
        self.sums: FloatArray = np.zeros((SUMS, 1, 0))  # (2, types, edges)
        self.at: float | None = None

    def __len__(self) -> int:
        """Return the number of edges."""
        return len(self.edges)

    def deposit(self, edge: Edge, weights: FloatArray, quality: float, *, at: float) -> int:
        """Add evidence on an edge, and return its column.

        Shapes:
            weights: (types,) how much this deposit counts for each type.
        """
        column = self.column(edge)
        share = self.decayed_to(at) * weights
        self.sums[0, :, column] += share * quality
        self.sums[1, :, column] += share * (quality + self._penalty * (1.0 - quality))
        return column

    def evidence_of(self, quality: FloatArray, known: MaskArray) -> FloatArray:
        """Return how much evidence outcomes are, 0 where nothing is known; good evidence is the quality itself."""
        return np.where(known, quality + self._penalty * (1.0 - quality), 0.0)

    def decayed_to(self, at: float) -> float:
        """Let all deposits evaporate until ``at``, and return what one made at ``at`` counts: below 1 if it is late."""
        if self.at is None:
            self.at = at
        age = at - self.at
        if age > 0:
            self.sums *= np.exp(-self._rate * age)
            self.at = at
            return 1.0
        return float(np.exp(self._rate * age))

    def column(self, edge: Edge) -> int:
        """Return the column of an edge, a new one if need be."""
        place = self._index.get(edge)
        if place is None:
            place = self._index[edge] = len(self.edges)
            self.edges.append(edge)
            self._alike.setdefault((edge.stage, edge.agent_id), []).append(place)
            self.sums = np.pad(self.sums, ((0, 0), (0, 0), (0, 1)))
        return place

    def overall(self, column: int) -> tuple[float, float]:
        """Return good evidence and evidence of an edge's agent at its stage, over all types and whoever came before."""
        edge = self.edges[column]
        alike = self._alike[edge.stage, edge.agent_id]
        sums = self.sums[:, :, alike[0] if len(alike) == 1 else alike].reshape(SUMS, -1).sum(axis=1)
        return float(sums[0]), float(sums[1])

    def columns(self, stage: int, previous: AgentId, ids: Sequence[AgentId]) -> IndexArray:
        """Return the column of the edge to each agent, (n,); ``len(self)`` where nothing was ever deposited."""
        unknown = len(self.edges)
        found = (self._index.get(Edge(stage, previous, agent_id), unknown) for agent_id in ids)
        return np.fromiter(found, np.int64, len(ids))

    def drop(self, agent_id: AgentId) -> IndexArray:
        """Forget all evidence on the edges to and from an agent, and return their columns."""
        ours = [place for place, edge in enumerate(self.edges) if agent_id in (edge.agent_id, edge.previous)]
        gone = np.array(ours, np.int64)
        self.sums[:, :, gone] = 0.0
        return gone

    def book(self, table: FloatArray, first: int) -> None:
        """Add whole sums to the columns from ``first`` on.

        Shapes:
            table: (2, types, k) good evidence and evidence.
        """
        self.sums[:, :, first : first + table.shape[2]] += table

    def reshape(self, sources: Sequence[Mapping[int, float]]) -> None:
        """Make the types anew: type i gets the given shares of the old types' sums."""
        mixed = np.zeros((len(sources), self.sums.shape[1]))
        for place, shares in enumerate(sources):
            for source, share in shares.items():
                mixed[place, source] = share
        self.sums = np.einsum("nt,ste->sne", mixed, self.sums)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the sums, for a router's state."""
        return {"trails": self.sums, "trails_at": np.array([np.nan if self.at is None else self.at])}

    def meta(self) -> dict[str, JsonValue]:
        """Return the edges, for a router's state."""
        return {"edges": [list(edge) for edge in self.edges]}

    def load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        """Take over what :meth:`arrays` and :meth:`meta` returned.

        Raises:
            ConfigError: they do not fit together.
        """
        sums, at, listed = part(arrays, "trails"), part(arrays, "trails_at"), meta.get("edges")
        edges = [_edge(item) for item in listed] if isinstance(listed, list) else []
        if not isinstance(listed, list) or sums.ndim != 3 or sums.shape[0] != SUMS or sums.shape[2] != len(edges):
            raise ConfigError(f"trails of shape {sums.shape!r} do not fit {len(edges)} edges")
        self.edges, self.sums = edges, sums.copy()
        self._index, self._alike = {edge: place for place, edge in enumerate(edges)}, {}
        for place, edge in enumerate(edges):
            self._alike.setdefault((edge.stage, edge.agent_id), []).append(place)
        self.at = None if np.isnan(at[0]) else float(at[0])


def _edge(item: JsonValue) -> Edge:
    match item:
        case [int(stage), str(previous), str(agent_id)]:
            return Edge(stage, previous, agent_id)
    raise ConfigError(f"{item!r} is no edge; expected a stage, the agent before and the agent")


@dataclass(frozen=True, slots=True)
class TrailMap:
    """The trails as people read them: bounded, one row for each type of task, one column for each edge.

    Shapes:
        trail: (types, edges) between ``low`` and ``high``: the smoothed share of good evidence.
        evidence: (types, edges) how many outcomes, evaporated until ``at``, stand behind it.
        share: (types,) how much of the recent evidence each type has; it sums to 1 unless there is none.
    """

    types: tuple[str, ...]
    edges: tuple[Edge, ...]
    trail: FloatArray
    evidence: FloatArray
    share: FloatArray
    low: float
    high: float
    at: float

    def strongest(self, count: int) -> list[tuple[str, Edge, float, float]]:
        """Return the ``count`` strongest trails that have evidence: type, edge, trail and evidence."""
        flat = np.where(self.evidence > 0, self.trail, -np.inf).ravel()
        order = np.argsort(-flat, kind="stable")[:count]
        return [
            (
                self.types[place // len(self.edges)],
                self.edges[place % len(self.edges)],
                float(self.trail.flat[place]),
                float(self.evidence.flat[place]),
            )
            for place in order.tolist()
            if np.isfinite(flat[place])
        ]
