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
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmesh.bench.decision_timing import Decider, Timing, bare_product, times_ms, timing
from agentmesh.bench.made_up import TYPES, outcomes_of, pool_of, texts_of
from agentmesh.embed.static import StaticEmbedder
from agentmesh.plugins import names as registered
from agentmesh.routing.base import AgentPool, Router, ScoringRouter
from agentmesh.routing.named import router_named

SIZES = (150, 10_000)
ROUTERS = ("cosine", "pilot", "linear", "knn", "kernel", "category", "linucb", "thompson", "pheromone")
ARGUMENTS: Mapping[str, Mapping[str, int]] = {"thompson": {"clusters": TYPES}, "pheromone": {"types": TYPES}}
PAST_TASKS = 2_000
LINEAR_TASKS = 400  # how it was fitted does not change what a decision costs; training on more takes minutes
MANY_AGENTS = 1_000  # from here on a tenth of the past tasks, so that the table of outcomes stays in memory


def fitted(name: str, pool: AgentPool, rng: np.random.Generator) -> Router:
    """Build a router and fit it, where it learns, on made-up outcomes."""
    router = router_named(name, ARGUMENTS.get(name))
    if isinstance(router, ScoringRouter) and name != "cosine":
        past = LINEAR_TASKS if name == "linear" else PAST_TASKS
        router.fit(outcomes_of(pool, past if len(pool) < MANY_AGENTS else past // 10, rng))
    return router


def measure(names: Sequence[str], *, decisions: int, seed: int) -> tuple[float, list[Timing]]:
    """Return the median of the bare product in milliseconds, and the timings."""
    rng = np.random.default_rng(seed)
    bare = float(np.median(bare_product(5 * decisions, rng)))
    embedder, texts = StaticEmbedder(), texts_of(64, rng)
    vectors = embedder.embed(texts)
    loop = asyncio.new_event_loop()
    timings: list[Timing] = []
    for size in SIZES:
        pool = pool_of(size, rng)
        for name in names:
            decide = Decider(fitted(name, pool, rng), pool, texts, vectors, loop)
            both = (decide, replace(decide, embedder=embedder))
            timings += [timing(given, times_ms(given, decisions), bare) for given in both]
    loop.close()
    return bare, timings


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
        print(
            json.dumps({"bare_product_ms": round(bare, 5), "timings": [one.model_dump() for one in timings]}, indent=2)
        )
    else:
        Console().print(table_of(bare, timings))


if __name__ == "__main__":
    main(sys.argv[1:])
