"""Times single decisions, in milliseconds and as ratios to a bare matrix product timed in the same run.

The product, 150 rows of 384 numbers times a vector, is the least that a decision over vectors can cost; a ratio to it
says more of the code and less of the machine than milliseconds do.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agentmesh.bench.made_up import unit_rows
from agentmesh.protocols import Embedder
from agentmesh.records import Record, RouteDecision
from agentmesh.routing.base import AgentPool, RouteContext, Router, TaskFeatures
from agentmesh.types import FloatArray, VectorArray


class Timing(Record):
    """Decision times of one router among ``agents`` agents; ``given`` is the vector of the task, or its text."""

    router: str
    agents: int
    given: str
    p50_ms: float
    p99_ms: float
    ratio: float


def times_ms(step: Callable[[int], object], count: int) -> FloatArray:
    """Time ``count`` steps, after ten that are not counted."""
    for number in range(10):
        step(number)
    elapsed = np.zeros(count)
    for number in range(count):
        begin = time.perf_counter()
        step(number)
        elapsed[number] = 1000.0 * (time.perf_counter() - begin)
    return elapsed


def bare_product(count: int, rng: np.random.Generator) -> FloatArray:
    """Time the product of 150 rows of 384 numbers with a vector."""
    rows, vectors = unit_rows(150, rng), unit_rows(64, rng)
    return times_ms(lambda number: rows @ vectors[number % 64], count)


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides on made-up texts, from their vectors or, with an embedder, from the texts themselves."""

    router: Router
    pool: AgentPool
    texts: Sequence[str]
    vectors: VectorArray
    loop: asyncio.AbstractEventLoop
    embedder: Embedder | None = None

    def __call__(self, number: int) -> RouteDecision:
        """Make decision ``number``."""
        place = number % len(self.texts)
        vector = self.vectors[place] if self.embedder is None else self.embedder.embed([self.texts[place]])[0]
        features = TaskFeatures(vector=vector, text=self.texts[place])
        return self.loop.run_until_complete(self.router.route(features, self.pool, RouteContext(seed=number)))


def timing(decide: Decider, elapsed: FloatArray, bare: float) -> Timing:
    """Sum up the times of one decider, ``bare`` being the median of the bare product in milliseconds."""
    p50, p99 = (round(float(value), 4) for value in np.percentile(elapsed, (50, 99)))
    return Timing(
        router=decide.router.name,
        agents=len(decide.pool),
        given="vector" if decide.embedder is None else "text",
        p50_ms=p50,
        p99_ms=p99,
        ratio=round(p50 / bare, 1),
    )
