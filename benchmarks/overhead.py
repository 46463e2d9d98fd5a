"""What routing, full traces and learning cost on top of bare LangGraph: runs per second of no-op agents, in one run.

Prints one row for each contestant and its ratio to the first: 4 no-op LangGraph nodes; the same with the
AsyncSqliteSaver checkpointer; agentmesh with every event committed to SQLite before a run returns, and the same with
PostgreSQL where it is installed: a server of this script's own on loopback, which flushes every commit. All of them
have 500 runs in flight at once. Medians of several rounds, the contestants taking turns, since machines are noisy.
For each its processor time per run is told too, the threads of this process together: it says what a run costs where
others are at work on the machine, who make the runs of all wait.

--tail adds a row: the same writing to SQLite while another process reads every event as it comes.

    python benchmarks/overhead.py [--runs 500] [--rounds 3] [--tail] [--json]
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event as Signal
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from agentmesh import Agent, Mesh, Task
from agentmesh.store import open_store
from agentmesh.testing.postgres import PostgresServer, find_postgres

AGENTS = 10
NODES = 4
DURABLE = {"fsync": "on", "full_page_writes": "on"}
TAIL_PAUSE_S = 0.1
TAILED = "agentmesh, a reader tailing"


class Figures(NamedTuple):
    """What a contestant did: runs per second, and milliseconds of processor time per run."""

    runs_per_s: float
    cpu_ms: float


class State(TypedDict, total=False):
    """What the bare graph passes on."""

    text: str


class Noop(Agent):
    """Answers at once."""

    price_per_call_usd = 0

    def __init__(self, number: int) -> None:
        """Tell this agent from the others."""
        self.id = f"agent-{number}"
        self.description = f"Answers questions of kind {number}."

    async def run(self, task: Task) -> str:  # noqa: ARG002 - it does nothing
        """Return a constant."""
        return "done"


async def bare(runs: int, folder: Path) -> Figures:  # noqa: ARG001 - one signature for all
    """Time LangGraph with no checkpointer."""
    graph = _bare_graph().compile()
    return await _timed([lambda _: graph.ainvoke({"text": "x"})] * runs)


async def checkpointed(runs: int, folder: Path) -> Figures:
    """Time LangGraph with AsyncSqliteSaver."""
    async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.db")) as saver:
        graph = _bare_graph().compile(checkpointer=saver)
        return await _timed(
            [lambda place: graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": str(place)}})] * runs
        )


async def mesh(runs: int, folder: Path) -> Figures:
    """Time agentmesh with the default router and a full trace in SQLite."""
    return await _traced(runs, f"sqlite:///{folder / 'mesh.db'}")


async def mesh_with_reader(runs: int, folder: Path) -> Figures:
    """Time agentmesh in SQLite while another process reads every event that it stores."""
    url = f"sqlite:///{folder / 'mesh.db'}"
    open_store(url).close()
    with _reader(url):
        return await _traced(runs, url)


async def mesh_on_postgres(runs: int, folder: Path) -> Figures:  # noqa: ARG001 - one signature for all
    """Time agentmesh with the default router and a full trace in PostgreSQL."""
    with PostgresServer(_found(), DURABLE) as server:
        return await _traced(runs, server.url())


async def _traced(runs: int, url: str) -> Figures:
    agents = [Noop(number) for number in range(AGENTS)]
    async with Mesh(agents, store=url) as opened:
        await opened.run("warm up")
        return await _timed([lambda place: opened.run(f"question number {place} of many")] * runs)


@contextmanager
def _reader(url: str) -> Iterator[None]:
    """Have another process tail a store until the block ends."""
    spawning = multiprocessing.get_context("spawn")
    ready, over = spawning.Event(), spawning.Event()
    process = spawning.Process(target=_tail, args=(url, ready, over))
    process.start()
    try:
        ready.wait()
        yield
    finally:
        over.set()
        process.join()


def _tail(url: str, ready: Signal, over: Signal) -> None:
    place, store = 0, open_store(url, read_only=True)
    ready.set()
    while not over.wait(TAIL_PAUSE_S):
        while stored := store.tail(place):
            place = stored[-1].place
    store.close()


def _found() -> Path:
    programs = find_postgres()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed")
    return programs


def _bare_graph() -> Any:
    async def node(state: State) -> State:  # noqa: ARG001 - it does nothing
        return {"text": "x"}

    graph = StateGraph(State)
    previous = START
    for place in range(NODES):
        graph.add_node(f"node{place}", node)
        graph.add_edge(previous, f"node{place}")
        previous = f"node{place}"
    graph.add_edge(previous, END)
    return graph


async def _timed(calls: list[Callable[[int], Awaitable[Any]]]) -> Figures:
    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(call(place) for place, call in enumerate(calls)))
    took_s, used_s = time.perf_counter() - begun, time.process_time() - cpu
    return Figures(len(calls) / took_s, 1000 * used_s / len(calls))


CONTESTANTS = {"langgraph": bare, "langgraph + AsyncSqliteSaver": checkpointed, "agentmesh, full traces": mesh}
if find_postgres() is not None:
    CONTESTANTS["agentmesh, full traces in PostgreSQL"] = mesh_on_postgres


def measure(runs: int, rounds: int, *, tail: bool = False) -> dict[str, Figures]:
    """Return the medians of each contestant, with ``tail`` also of one that another process reads along with."""
    contestants = {**CONTESTANTS, TAILED: mesh_with_reader} if tail else CONTESTANTS
    found: dict[str, list[Figures]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(asyncio.run(contestant(runs, Path(folder))))
    return {
        name: Figures(*(statistics.median(values) for values in zip(*each, strict=True)))
        for name, each in found.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tail", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.runs, arguments.rounds, tail=arguments.tail)
    rows = _rows(found)
    if arguments.json:
        print(json.dumps({"concurrent_runs": arguments.runs, "rounds": arguments.rounds, "rows": rows}))
        return
    for row in rows:
        print(
            f"{row['what']:36} {row['runs_per_s']:8.1f} runs/s   {row['ratio']:.2f} of bare LangGraph   "
            f"{row['cpu_ms']:6.2f} ms of processor a run   {row['cpu_ratio']:.2f}"
        )


def _rows(found: dict[str, Figures]) -> list[dict[str, Any]]:
    """Return a row for each contestant; its ratios are those of the first one's times to its own."""
    first = next(iter(found.values()))
    return [
        {
            "what": name,
            "runs_per_s": round(figures.runs_per_s, 1),
            "ratio": round(figures.runs_per_s / first.runs_per_s, 3),
            "cpu_ms": round(figures.cpu_ms, 3),
            "cpu_ratio": round(first.cpu_ms / figures.cpu_ms, 3),
        }
        for name, figures in found.items()
    ]


if __name__ == "__main__":
    main()
