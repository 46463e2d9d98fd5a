"""Times learning off the serving path: outcomes learned a second, and what a busy learner does to serving.

The first table: how many experiences a second a learner applies, as it does it (a log in SQLite is read, decoded and
learned, snapshots are stored on the way), and learned alone, from memory. The second: the median time of ``mesh.route``
while the learning process has nothing to do and while it works through a backlog, in turns, and the ratio of the two.
Everything is made up from a seed; nothing is pinned to a core, so the second table wants one core free.

    OMP_NUM_THREADS=1 python benchmarks/learning_speed.py [--json] [--experiences 5000] [--routers linucb,thompson]
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmesh import Agent, Learning, Mesh, Task
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.learning.learner import LogFollower
from agentmesh.packing import pack_vector
from agentmesh.plugins import names
from agentmesh.records import Experience, Feedback
from agentmesh.routing.named import router_named
from agentmesh.routing.serving import ServingRouter
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.types import Rng

AGENTS = 150
DIMENSION = 384
TYPES = 20
BATCH = 1_000  # as the learner reads
WARM = 20  # decisions of an idle period that are not timed
DECISIONS = 300  # timed in each idle period
ROUTERS = ("best_single", "knn", "kernel", "linear", "category", "linucb", "thompson", "pheromone")


@dataclass(frozen=True, slots=True)
class Speed:
    """How many experiences a second one router learns."""

    router: str
    from_log_per_s: float
    alone_per_s: float


@dataclass(frozen=True, slots=True)
class Serving:
    """Median times of ``mesh.route`` with one router. ``busy_decisions`` is how many were timed under a backlog."""

    router: str
    idle_p50_ms: float
    busy_p50_ms: float
    ratio: float
    busy_decisions: int


class Noop(Agent):
    """Answers at once."""

    price_per_call_usd = 0

    def __init__(self, number: int) -> None:
        """Tell this agent from the others."""
        self.id = f"agent-{number:03d}"
        self.description = f"Answers questions of kind {number}."

    async def run(self, task: Task) -> str:  # noqa: ARG002 - it does nothing
        """Return a constant."""
        return "done"


def experiences_of(count: int, rng: Rng, *, label: str) -> Iterator[Experience]:
    """Make outcomes of tasks around 20 centres, each agent good at some of them."""
    centres = rng.normal(size=(TYPES, DIMENSION))
    for number in range(count):
        kind, agent = int(rng.integers(TYPES)), int(rng.integers(AGENTS))
        vector = centres[kind] + rng.normal(size=DIMENSION)
        yield Experience(
            run_id=f"{label}-{number}",
            text=f"question number {number} of kind {kind}",
            vector=pack_vector((vector / np.linalg.norm(vector)).astype(np.float32)),
            agent_id=f"agent-{agent:03d}",
            quality=float(rng.random() < (0.9 if agent % TYPES == kind else 0.3)),
            cost_usd=Decimal(int(rng.integers(1, 1000))) / 1_000_000,
            at=1_000.0 + number,
        )


def deposit(store: TraceStore, run_id: str, experiences: Sequence[Experience], *, label: str) -> None:
    """Store experiences, as scores of one finished run."""
    for start in range(0, len(experiences), BATCH):
        feedback = Feedback(run_id=run_id, score=1.0, source=f"{label}-{start}", at=1_000.0)
        store.add_feedback(feedback, experiences[start : start + BATCH])


async def finished_run(url: str) -> str:
    """Make one run to hang scores on."""
    async with Mesh([Noop(0)], store=url) as mesh:
        return (await mesh.run("warm up")).id


def learned_from_log(name: str, url: str, last: int) -> float:
    """Follow the whole log as a learner does, and return the seconds it took."""
    serving = ServingRouter(router_named(name))
    with open_store(url) as store:
        follower = LogFollower(store, serving, HashingEmbedder())
        begin = time.perf_counter()
        while follower.advance(BATCH):
            pass
        elapsed = time.perf_counter() - begin
    if serving.router.sequence != last:
        raise RuntimeError(f"{name!r} learned up to {serving.router.sequence!r} of {last!r}")
    return elapsed


def learned_alone(name: str, experiences: Sequence[Experience]) -> float:
    """Learn what is in memory already, and return the seconds it took."""
    router = router_named(name)
    begin = time.perf_counter()
    for experience in experiences:
        router.learn(experience)
    return time.perf_counter() - begin


def speeds(routers: Sequence[str], *, count: int, rounds: int, seed: int) -> list[Speed]:
    """Return the medians of several rounds, the routers taking turns."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'log.db'}"
        run_id = asyncio.run(finished_run(url))
        with open_store(url) as store:
            deposit(store, run_id, list(experiences_of(count, np.random.default_rng(seed), label="log")), label="log")
            kept, last = store.experiences(), store.last_experience()
        taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in routers}
        for _ in range(rounds):
            for name, (from_log, alone) in taken.items():
                from_log.append(learned_from_log(name, url, last))
                alone.append(learned_alone(name, kept))
    return [Speed(name, *(round(count / statistics.median(times)) for times in both)) for name, both in taken.items()]


async def route_times(mesh: Mesh, until: "asyncio.Future[None] | None" = None) -> list[float]:
    """Decide again and again, ``DECISIONS`` times or until something is done, and return the milliseconds."""
    times: list[float] = []
    while len(times) < WARM + DECISIONS if until is None else not until.done():
        begin = time.perf_counter()
        await mesh.route(f"question number {len(times)} of many")
        times.append(1000.0 * (time.perf_counter() - begin))
        await asyncio.sleep(0)
    return times[WARM:] if until is None else times


async def serving(name: str, *, count: int, rounds: int, seed: int) -> Serving:
    """Time decisions with the learning process idle and busy, in turns."""
    rng = np.random.default_rng(seed)
    idle: list[float] = []
    busy: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'mesh.db'}"
        learning = Learning(mode="process", poll_s=0.02)
        agents = [Noop(number) for number in range(AGENTS)]
        async with Mesh(agents, store=url, router=name, learning=learning) as mesh, asyncio.TaskGroup() as tasks:
            run = await mesh.run("warm up")
            for turn in range(-1, rounds):  # the first turn starts the process and is not counted
                backlog = list(experiences_of(count, rng, label=f"turn{turn}"))
                with open_store(url) as store:
                    await asyncio.to_thread(deposit, store, run.id, backlog, label=f"turn{turn}")
                under_load = await route_times(mesh, tasks.create_task(mesh.learned(timeout_s=300)))
                at_rest = await route_times(mesh)
                if turn >= 0:
                    busy.extend(under_load)
                    idle.extend(at_rest)
    at_rest_ms, under_load_ms = statistics.median(idle), statistics.median(busy)
    return Serving(name, round(at_rest_ms, 4), round(under_load_ms, 4), round(under_load_ms / at_rest_ms, 3), len(busy))


def tables_of(learned: Sequence[Speed], served: Sequence[Serving]) -> list[Table]:
    """Lay the figures out."""
    speed = Table(title="experiences a second")
    ratio = Table(title="mesh.route, learning process idle and busy")
    for table, columns in (
        (speed, ("router", "from the log", "learned alone")),
        (ratio, ("router", "idle p50 ms", "busy p50 ms", "busy : idle", "decisions")),
    ):
        for name in columns:
            table.add_column(name, justify="left" if name == "router" else "right")
    for one in learned:
        speed.add_row(one.router, f"{one.from_log_per_s:,.0f}", f"{one.alone_per_s:,.0f}")
    for row in served:
        times = f"{row.idle_p50_ms:.3f}", f"{row.busy_p50_ms:.3f}", f"{row.ratio:.2f}"
        ratio.add_row(row.router, *times, f"{row.busy_decisions:,}")
    return [speed, ratio]


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    installed = [name for name in ROUTERS if name in names("agentmesh.routers")]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    parser.add_argument("--experiences", type=int, default=5_000, help="how many the log holds, and each backlog")
    parser.add_argument("--rounds", type=int, default=3, help="medians are over so many rounds")
    parser.add_argument("--routers", default=",".join(installed), help="names, separated by commas")
    parser.add_argument("--seed", type=int, default=0, help="what everything is made up from")
    options = parser.parse_args(arguments)
    routers = options.routers.split(",")
    how = {"count": options.experiences, "rounds": options.rounds, "seed": options.seed}
    learned = speeds(routers, **how)
    served = [asyncio.run(serving(name, **how)) for name in routers]
    if options.json:
        rows = {"learning": [asdict(one) for one in learned], "serving": [asdict(one) for one in served]}
        print(json.dumps(rows, indent=2))
    else:
        for table in tables_of(learned, served):
            Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
