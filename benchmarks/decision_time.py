"""Times one routing decision among 150 and 10,000 agents, as milliseconds and as ratios to a bare matrix product.

The product, 150 rows of 384 numbers times a vector, is timed in the same run: it is the least a decision over vectors
can cost, and its ratio says more of the code and less of the machine than milliseconds do. Everything is made up from a
seed; knn and kernel look back at 2,000 past tasks, which are of 20 types for the routers that know types.

    OMP_NUM_THREADS=1 python benchmarks/decision_time.py [--json] [--decisions 300] [--routers cosine,knn]
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmesh.embed.static import StaticEmbedder
from agentmesh.plugins import names as registered
from agentmesh.records import RouteDecision
from agentmesh.routing.base import AgentPool, Outcomes, RouteContext, Router, ScoringRouter, TaskFeatures, index_of
from agentmesh.routing.named import router_named
from agentmesh.types import FloatArray, VectorArray

DIMENSION = 384
SIZES = (150, 10_000)
ROUTERS = ("cosine", "pilot", "linear", "knn", "kernel", "category", "linucb", "thompson", "pheromone")
TYPES = 20
ARGUMENTS: Mapping[str, Mapping[str, int]] = {"thompson": {"clusters": TYPES}, "pheromone": {"types": TYPES}}
PAST_TASKS = 2_000
LINEAR_TASKS = 400  # how it was fitted does not change what a decision costs; training on more takes minutes
MANY_AGENTS = 1_000  # from here on a tenth of the past tasks, so that the table of outcomes stays in memory
WORDS = tuple("please could you tell me how to change the date of my bank card".split())  # noqa: SIM905 - reads as text


@dataclass(frozen=True, slots=True)
class Timing:
    """Decision times of one router among ``agents`` agents."""

    router: str
    agents: int
    given: str
    p50_ms: float
    p99_ms: float
    ratio: float


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
    """Make past tasks on each of which every agent was observed."""
    return Outcomes(
        agent_ids=pool.ids,
        vectors=unit_rows(count, rng),
        texts=tuple(texts_of(count, rng)),
        groups=tuple(f"type-{number % TYPES:02d}" for number in range(count)),
        quality=(rng.random((count, len(pool))) < 0.5).astype(np.float64),
        cost=rng.uniform(1e-5, 1e-2, size=(count, len(pool))),
    )


def fitted(name: str, pool: AgentPool, rng: np.random.Generator) -> Router:
    """Build a router and fit it, where it learns, on made-up outcomes."""
    router = router_named(name, ARGUMENTS.get(name))
    if isinstance(router, ScoringRouter) and name != "cosine":
        past = LINEAR_TASKS if name == "linear" else PAST_TASKS
        router.fit(outcomes_of(pool, past if len(pool) < MANY_AGENTS else past // 10, rng))
    return router


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
    embedder: StaticEmbedder | None = None

    def __call__(self, number: int) -> RouteDecision:
        """Make decision ``number``."""
        place = number % len(self.texts)
        vector = self.vectors[place] if self.embedder is None else self.embedder.embed([self.texts[place]])[0]
        features = TaskFeatures(vector=vector, text=self.texts[place])
        return self.loop.run_until_complete(self.router.route(features, self.pool, RouteContext(seed=number)))


def measure(names: Sequence[str], *, decisions: int, seed: int) -> tuple[float, list[Timing]]:
    """Return the median of the bare product in milliseconds, and the timings."""
    rng = np.random.default_rng(seed)
    bare = float(np.median(bare_product(5 * decisions, rng)))
    embedder, texts = StaticEmbedder(), texts_of(64, rng)
    vectors = embedder.embed(texts)
    loop = asyncio.new_event_loop()
    timings = []
    for size in SIZES:
        pool = pool_of(size, rng)
        for name in names:
            decide = Decider(fitted(name, pool, rng), pool, texts, vectors, loop)
            timings.append(timing(name, size, "vector", times_ms(decide, decisions), bare))
            whole = times_ms(replace(decide, embedder=embedder), decisions)
            timings.append(timing(name, size, "text", whole, bare))
    loop.close()
    return bare, timings


def timing(router: str, agents: int, given: str, elapsed: FloatArray, bare: float) -> Timing:
    """Sum up some decision times."""
    p50, p99 = (round(float(value), 4) for value in np.percentile(elapsed, (50, 99)))
    return Timing(router, agents, given, p50, p99, round(p50 / bare, 1))


def table_of(bare: float, timings: Sequence[Timing]) -> Table:
    """Lay the timings out."""
    table = Table(title=f"one decision, {TYPES} types; bare product 150 x 384: {1000 * bare:.1f} us")
    for name in ("router", "agents", "given", "p50 ms", "p99 ms", "x bare product"):
        table.add_column(name, justify="left" if name == "router" else "right")
    for one in timings:
        table.add_row(
            one.router, f"{one.agents:,}", one.given, f"{one.p50_ms:.3f}", f"{one.p99_ms:.3f}", f"{one.ratio:.0f}"
        )
    return table


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    installed = [name for name in ROUTERS if name in registered("agentmesh.routers")]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--decisions", type=int, default=300, help="decisions timed for each line")
    parser.add_argument("--routers", default=",".join(installed), help="names, separated by commas")
    parser.add_argument("--seed", type=int, default=0, help="what everything is made up from")
    options = parser.parse_args(arguments)
    bare, timings = measure(options.routers.split(","), decisions=options.decisions, seed=options.seed)
    if options.json:
        print(json.dumps({"bare_product_ms": round(bare, 5), "timings": [asdict(one) for one in timings]}, indent=2))
    else:
        Console().print(table_of(bare, timings))


if __name__ == "__main__":
    main(sys.argv[1:])
