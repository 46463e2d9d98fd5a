"""What routing, full traces and learning cost on top of bare LangGraph: runs per second of no-op agents, in one run.

Prints one row for each contestant and its ratio to the first: 4 no-op LangGraph nodes; the same with the
AsyncSqliteSaver checkpointer; agentmesh with every event committed to SQLite before a run returns, and the same with
PostgreSQL where it is installed: a server of this script's own on loopback, which flushes every commit. All of them
have 500 runs in flight at once. Medians of several rounds, the contestants taking turns, since machines are noisy.

    python benchmarks/overhead.py [--runs 500] [--rounds 3] [--json]
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from agentmesh import Agent, Mesh, Task
from agentmesh.testing.postgres import PostgresServer, find_postgres

AGENTS = 10
NODES = 4
DURABLE = {"fsync": "on", "full_page_writes": "on"}


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


async def bare(runs: int, folder: Path) -> float:  # noqa: ARG001 - one signature for all
    """Time LangGraph with no checkpointer."""
    graph = _bare_graph().compile()
    return await _timed([lambda _: graph.ainvoke({"text": "x"})] * runs)


async def checkpointed(runs: int, folder: Path) -> float:
    """Time LangGraph with AsyncSqliteSaver."""
    async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.db")) as saver:
        graph = _bare_graph().compile(checkpointer=saver)
        return await _timed(
            [lambda place: graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": str(place)}})] * runs
        )


async def mesh(runs: int, folder: Path) -> float:
    """Time agentmesh with the default router and a full trace in SQLite."""
    return await _traced(runs, f"sqlite:///{folder / 'mesh.db'}")


async def mesh_on_postgres(runs: int, folder: Path) -> float:  # noqa: ARG001 - one signature for all
    """Time agentmesh with the default router and a full trace in PostgreSQL."""
    with PostgresServer(_found(), DURABLE) as server:
        return await _traced(runs, server.url())


async def _traced(runs: int, url: str) -> float:
    agents = [Noop(number) for number in range(AGENTS)]
    async with Mesh(agents, store=url) as opened:
        await opened.run("warm up")
        return await _timed([lambda place: opened.run(f"question number {place} of many")] * runs)


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


async def _timed(calls: list[Callable[[int], Awaitable[Any]]]) -> float:
    begun = time.perf_counter()
    await asyncio.gather(*(call(place) for place, call in enumerate(calls)))
    return len(calls) / (time.perf_counter() - begun)


CONTESTANTS = {"langgraph": bare, "langgraph + AsyncSqliteSaver": checkpointed, "agentmesh, full traces": mesh}
if find_postgres() is not None:
    CONTESTANTS["agentmesh, full traces in PostgreSQL"] = mesh_on_postgres


def measure(runs: int, rounds: int) -> dict[str, float]:
    """Return the median runs per second of each contestant."""
    rates: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name, contestant in CONTESTANTS.items():
            with tempfile.TemporaryDirectory() as folder:
                rates[name].append(asyncio.run(contestant(runs, Path(folder))))
    return {name: statistics.median(values) for name, values in rates.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rates = measure(arguments.runs, arguments.rounds)
    first = next(iter(rates.values()))
    rows = [
        {"what": name, "runs_per_s": round(rate, 1), "ratio": round(rate / first, 3)} for name, rate in rates.items()
    ]
    if arguments.json:
        print(json.dumps({"concurrent_runs": arguments.runs, "rounds": arguments.rounds, "rows": rows}))
        return
    for row in rows:
        print(f"{row['what']:36} {row['runs_per_s']:8.1f} runs/s   {row['ratio']:.2f} of bare LangGraph")


if __name__ == "__main__":
    main()
