"""The trails as one decision reads them: lined up with a pool, bounded, and smoothed towards what is expected."""

from dataclasses import dataclass

import numpy as np

from agentmesh.routing.inputs import AgentPool, TaskFeatures
from agentmesh.routing.ledger import Ledger, Means
from agentmesh.routing.priors import own_latency
from agentmesh.routing.trails import Trails
from agentmesh.types import AgentId, FloatArray, IndexArray


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How trails are read.

    ``within`` is how many outcomes an agent's mean over all types weighs beside those of one type, ``own`` how many the
    guess from its card and price weighs beside all its outcomes. ``low`` and ``high`` are the MAX-MIN bounds.
    """

    within: float
    own: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TrailView:
    """What is known of the edges to the agents of a pool.

    With good evidence s and evidence n of a type, and their sums over types S and N, an agent whose guess is c has the
    mean ``m = (S + own c) / (N + own)`` and the trail ``(s + within m) / (n + within)``. Both are linear in c, which
    alone depends on the task: so a view serves until something is learned.

    Shapes:
        base, slope: (types, n) the trail is base + slope * c. evidence: (types, n); total: (n,) over all types.
    """

    base: FloatArray
    slope: FloatArray
    evidence: FloatArray
    total: FloatArray
    low: float
    high: float

    @classmethod
    def of(cls, good: FloatArray, evidence: FloatArray, overall: FloatArray, smoothing: Smoothing) -> "TrailView":
        """Build a view.

        Shapes:
            good, evidence: (types, n) of the edges; overall: (2, n) good evidence and evidence of the agents over all
            types and all edges of the stage.
        """
        total = overall[1] + smoothing.own
        weight = evidence + smoothing.within
        return cls(
            base=(good + smoothing.within * overall[0] / total) / weight,
            slope=smoothing.within * (smoothing.own / total) / weight,
            evidence=evidence,
            total=overall[1],
            low=smoothing.low,
            high=smoothing.high,
        )

    def fused(self, share: FloatArray, guess: FloatArray) -> FloatArray:
        """Return each agent's trail on a task that is of each type by ``share``, (n,), within the bounds.

        Shapes:
            share: (types,) summing to 1; guess: (n,).
        """
        trail: FloatArray = share @ self.base + (share @ self.slope) * guess
        np.clip(trail, self.low, self.high, out=trail)
        return trail


def trail_of(
    good: FloatArray,
    evidence: FloatArray,
    overall: tuple[float, float],
    share: FloatArray,
    guess: float,
    smoothing: Smoothing,
) -> float:
    """Return the fused trail of one edge, as :meth:`TrailView.fused` does of many.

    Shapes:
        good, evidence, share: (types,); ``overall`` as in :meth:`TrailView.of`.
    """
    mean = (overall[0] + smoothing.own * guess) / (overall[1] + smoothing.own)
    trail = float(share @ ((good + smoothing.within * mean) / (evidence + smoothing.within)))
    return min(max(trail, smoothing.low), smoothing.high)


def view_of(
    trails: Trails, ledger: Ledger, pool: AgentPool, *, stage: int, previous: AgentId, smoothing: Smoothing
) -> TrailView:
    """Line the trails up with a pool; nothing counts that was learned of another version of an agent."""
    known = ledger.columns(pool) < len(ledger.ids)
    edges, count = len(trails), len(pool)
    columns = np.where(known, trails.columns(stage, previous, pool.ids), edges)
    padded = np.concatenate([trails.sums, np.zeros((*trails.sums.shape[:2], 1))], axis=2)
    good, evidence = padded[:, :, columns]
    overall = np.zeros((2, count + 1))
    place = {agent_id: spot for spot, agent_id in enumerate(pool.ids) if known[spot]}
    owner = [place.get(edge.agent_id, count) if edge.stage == stage else count for edge in trails.edges]
    np.add.at(overall.T, np.array(owner, dtype=np.int64), trails.sums.sum(axis=1).T)
    return TrailView.of(good, evidence, overall[:, :count], smoothing)


@dataclass(frozen=True, slots=True)
class Standpoint:
    """What a decision needs that depends on pool and state alone: it serves until something is learned.

    Shapes:
        columns, latency, unsure: (n,); ``unsure`` is how little is known of each agent over all types.
    """

    key: tuple[object, ...]
    view: TrailView
    columns: IndexArray
    means: Means
    latency: FloatArray
    unsure: FloatArray

    @classmethod
    def of(
        cls,
        trails: Trails,
        ledger: Ledger,
        pool: AgentPool,
        features: TaskFeatures,
        *,
        key: tuple[object, ...],
        smoothing: Smoothing,
    ) -> "Standpoint":
        """Take up the standpoint of a task's stage; ``key`` says for what it serves."""
        view = view_of(trails, ledger, pool, stage=features.stage, previous=features.previous, smoothing=smoothing)
        means = ledger.means(pool)
        return cls(
            key=key,
            view=view,
            columns=ledger.columns(pool),
            means=means,
            latency=own_latency(means, pool.latency_s),
            unsure=np.sqrt(np.log(view.total.sum() + np.e) / (view.total + 1.0)),
        )
