"""Pools, tasks, contexts and outcomes to try routers on; ``hypothesis`` must be installed."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Objective, RouteDecision
from agentmesh.routing.base import AgentPool, Outcomes, RouteContext, Router, TaskFeatures, index_of
from agentmesh.types import IndexArray

DIMENSION = 16
"""How long the vectors of the samples are."""

_UNPRICED = 4  # every fourth sample agent has no price


def sample_pool(count: int = 6, *, seed: int = 0) -> AgentPool:
    """Return a pool of ``count`` agents with random unit vectors, some of unknown price.

    >>> sample_pool(3).ids
    ('agent-00', 'agent-01', 'agent-02')
    """
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    per_call = rng.uniform(0.0001, 0.01, size=count)
    per_call[_UNPRICED - 1 :: _UNPRICED] = np.nan
    ids, unknown = tuple(f"agent-{place:02}" for place in range(count)), np.full(count, np.nan)
    return AgentPool(
        ids=ids,
        vectors=vectors.astype(np.float32),
        price_per_call=per_call,
        price_in_per_m=unknown,
        price_out_per_m=unknown,
        latency_s=unknown,
        versions=np.ones(count, dtype=np.int64),
        mask=np.ones(count, dtype=np.bool_),
        registry_version="sample",
        index=index_of(ids),
    )


def plain_pool(
    *ids: str,
    version: int = 1,
    price: float | Sequence[float] = np.nan,
    latency: float | Sequence[float] = np.nan,
    vectors: npt.ArrayLike | None = None,
    dimension: int = 2,
) -> AgentPool:
    """Return a pool of these agents; cards say nothing unless ``vectors`` are given, prices are US dollars a call.

    >>> plain_pool("a", "b", price=0.1).price_per_call.tolist()
    [0.1, 0.1]
    """
    count = len(ids)
    unknown = np.full(count, np.nan)
    cards = np.zeros((count, dimension)) if vectors is None else vectors
    return AgentPool(
        ids=ids,
        vectors=np.array(cards, np.float32),
        price_per_call=np.broadcast_to(np.asarray(price, np.float64), count).copy(),
        price_in_per_m=unknown,
        price_out_per_m=unknown,
        latency_s=np.broadcast_to(np.asarray(latency, np.float64), count).copy(),
        versions=np.full(count, version, np.int64),
        mask=np.ones(count, np.bool_),
        registry_version="r",
        index=index_of(ids),
    )


def taken(pool: AgentPool, places: Sequence[int] | IndexArray) -> AgentPool:
    """Return the pool with only the agents at ``places``, in that order.

    >>> taken(sample_pool(3), [2, 0]).ids
    ('agent-02', 'agent-00')
    """
    ids = (pool.ids[place] for place in np.asarray(places, dtype=np.int64).tolist())
    return pool.taken(places, registry_version="/".join((pool.registry_version, *ids)))


def sample_features(seed: int = 0, *, text: str | None = None) -> TaskFeatures:
    """Return a task with a random unit vector."""
    vector = np.random.default_rng([7, seed]).normal(size=DIMENSION)
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return TaskFeatures(vector=unit, text=f"sample task {seed}" if text is None else text)


def sample_outcomes(pool: AgentPool, count: int = 40, *, seed: int = 0) -> Outcomes:
    """Return a table of ``count`` tasks in three groups, every fifth outcome unobserved."""
    rng = np.random.default_rng([11, seed])
    tasks = [sample_features(1000 * seed + place) for place in range(count)]
    quality = rng.integers(0, 2, size=(count, len(pool))).astype(np.float64)
    cost = rng.uniform(0.0001, 0.01, size=quality.shape)
    hidden = rng.random(quality.shape) < 0.2
    quality[hidden] = cost[hidden] = np.nan
    return Outcomes(
        agent_ids=pool.ids,
        vectors=np.stack([task.vector for task in tasks]),
        texts=tuple(task.text for task in tasks),
        groups=tuple(f"group-{place % 3}" for place in range(count)),
        quality=quality,
        cost=cost,
    )


def sample_experience(sequence: int, pool: AgentPool, *, seed: int = 0) -> Experience:
    """Return one outcome of one agent of ``pool``."""
    rng = np.random.default_rng([13, seed, sequence])
    features, place = sample_features(sequence), int(rng.integers(len(pool)))
    return Experience(
        sequence=sequence,
        run_id=f"run-{sequence}",
        text=features.text,
        vector=pack_vector(features.vector),
        agent_id=pool.ids[place],
        agent_version=int(pool.versions[place]),
        quality=float(rng.integers(0, 2)),
        cost_usd=Decimal(int(rng.integers(1, 100))) / 10_000,
        latency_s=float(rng.uniform(0.1, 5.0)),
        propensity=0.5,
        at=1000.0 + sequence,
    )


@st.composite
def pools(draw: st.DrawFn, *, most: int = 8) -> AgentPool:
    """Draw a pool of 1 to ``most`` agents of which at least one passes the gates."""
    pool = sample_pool(draw(st.integers(1, most)), seed=draw(st.integers(0, 999)))
    refused = draw(st.sets(st.sampled_from(pool.ids), max_size=len(pool) - 1))
    return pool.gated(dict.fromkeys(sorted(refused), "sample gate"))


def features() -> SearchStrategy[TaskFeatures]:
    """Draw a task: any text, a random vector or zeros."""
    empty = st.just(np.zeros(DIMENSION, dtype=np.float32))
    vectors = st.integers(0, 999).map(lambda seed: sample_features(seed).vector) | empty
    return st.builds(TaskFeatures, vector=vectors, text=st.text(max_size=40))


def contexts() -> SearchStrategy[RouteContext]:
    """Draw a seed, a number of agents, weights and a chance to explore."""
    weights = st.sampled_from([0.0, 0.2, 0.5, 1.0])
    return st.builds(
        RouteContext,
        seed=st.integers(0, 2**63),
        max_agents=st.integers(1, 10),
        objective=st.builds(Objective, quality=st.just(1.0), cost=weights, latency=weights),
        explore=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    )


def decided(router: Router, task: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
    """Return a router's decision without the time it took, so that equal decisions are equal."""
    decision = asyncio.run(router.route(task, pool, context))
    return decision.model_copy(update={"elapsed_ms": 0.0})


def chosen(decision: RouteDecision) -> list[str]:
    """Return the ids of the selected agents, first drawn first."""
    return [selection.agent_id for selection in decision.selected]
