"""Agents, tasks and outcomes made up from a generator, for timing routers where it does not matter what is decided."""

from typing import Final

import numpy as np

from agentmesh.routing.base import AgentPool, Outcomes, index_of
from agentmesh.types import VectorArray

DIMENSION: Final = 384
TYPES: Final = 20
WORDS: Final = tuple(
    "please could you tell me how to change the date of my bank card".split()  # noqa: SIM905 - reads as text
)


def texts_of(count: int, rng: np.random.Generator) -> list[str]:
    """Make texts of 12 words."""
    return [" ".join(rng.choice(WORDS, size=12)) for _ in range(count)]


def unit_rows(count: int, rng: np.random.Generator) -> VectorArray:
    """Make random unit rows, (count, 384) float32."""
    rows = rng.normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def pool_of(count: int, rng: np.random.Generator) -> AgentPool:
    """Make a pool of ``count`` agents with prices."""
    ids = tuple(f"agent-{number:05d}" for number in range(count))
    prices = rng.uniform(1e-5, 1e-2, size=count)
    unknown = np.full(count, np.nan)
    return AgentPool(
        ids=ids,
        vectors=unit_rows(count, rng),
        price_per_call=prices,
        price_in_per_m=unknown,
        price_out_per_m=unknown,
        latency_s=unknown,
        versions=np.ones(count, dtype=np.int64),
        mask=np.ones(count, dtype=np.bool_),
        registry_version=f"made-up-{count}",
        index=index_of(ids),
    )


def outcomes_of(pool: AgentPool, count: int, rng: np.random.Generator) -> Outcomes:
    """Make past tasks, of 20 types, on each of which every agent was observed."""
    return Outcomes(
        agent_ids=pool.ids,
        vectors=unit_rows(count, rng),
        texts=tuple(texts_of(count, rng)),
        groups=tuple(f"type-{number % TYPES:02d}" for number in range(count)),
        quality=(rng.random((count, len(pool))) < 0.5).astype(np.float64),
        cost=rng.uniform(1e-5, 1e-2, size=(count, len(pool))),
    )
