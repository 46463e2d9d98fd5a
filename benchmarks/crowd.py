"""A crowd at the door: many runs submitted at once under a limit of calls at once, against the ideal schedule.

The ideal is list scheduling of the same answer times: each call begins as soon as one of the places is free, in the
order of submission, and nothing else takes any time. Printed are both, what the wall time is above the ideal, the peak
of this process's memory, and whether the events of each run came in order.

On a machine that others use too, --stretch 5 makes all answers five times slower, the ideal with them: what a run costs
weighs as much then as it would on processors five times as free.

    python benchmarks/crowd.py [--runs 1000] [--at-once 50] [--stretch 1] [--json]
"""

import argparse
import asyncio
import heapq
import json
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypedDict

import numpy as np

from agentmesh import Agent, Learning, Mesh, Task
from agentmesh.events import Event

AGENTS = 10
SHORTEST_S, LONGEST_S = 0.05, 0.5


class Figures(TypedDict):
    """What was measured."""

    runs: int
    at_once: int
    ideal_s: float
    wall_s: float
    above_ideal: float
    cpu_ms_per_run: float
    peak_mb: float
    most_at_once: int
    in_order: bool


class Clerk(Agent):
    """Takes as long over a task as the task says."""

    price_per_call_usd = "0.001"
    under_way = 0
    most_under_way = 0

    def __init__(self, number: int) -> None:
        """Tell this agent from the others."""
        self.id = f"clerk-{number}"
        self.description = f"Handles cases of kind {number}."

    async def run(self, task: Task) -> str:
        """Wait, and count who else does."""
        Clerk.under_way += 1
        Clerk.most_under_way = max(Clerk.most_under_way, Clerk.under_way)
        await asyncio.sleep(float(task.inputs["takes_s"]))  # type: ignore[arg-type]
        Clerk.under_way -= 1
        return "done"


def ideal_s(durations: Sequence[float], at_once: int) -> float:
    """Return when the last of the calls ends if each begins as soon as a place is free."""
    ends = [0.0] * at_once
    for duration in durations:
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)


async def crowd(durations: Sequence[float], at_once: int, folder: Path) -> Figures:
    """Submit all runs at once and wait for the last."""
    tasks = [
        Task(text=f"case number {place} of many", inputs={"takes_s": takes_s})
        for place, takes_s in enumerate(durations)
    ]
    clerks = [Clerk(number) for number in range(AGENTS)]
    url = f"sqlite:///{folder / 'crowd.db'}"
    async with Mesh(clerks, store=url, max_concurrency=at_once, learning=Learning(mode="off"), explore=1.0) as mesh:
        await mesh.run(Task(text="warm up", inputs={"takes_s": 0.0}))
        begun, cpu = time.perf_counter(), time.process_time()
        runs = await asyncio.gather(*(mesh.run(task) for task in tasks))
        wall, used = time.perf_counter() - begun, time.process_time() - cpu
        traces = [mesh.store.events(run.id) for run in runs]
    ideal = ideal_s(durations, at_once)
    return Figures(
        runs=len(runs),
        at_once=at_once,
        ideal_s=round(ideal, 3),
        wall_s=round(wall, 3),
        above_ideal=round(wall / ideal - 1, 3),
        cpu_ms_per_run=round(1000 * used / len(runs), 2),
        peak_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        most_at_once=Clerk.most_under_way,
        in_order=all(map(is_in_order, traces)),
    )


def is_in_order(events: Sequence[Event]) -> bool:
    """Return whether a trace is numbered without a gap, in the order of its times, and ends as it should."""
    kinds = defaultdict(list)
    for event in events:
        kinds[event.kind].append(event.seq)
    return (
        [event.seq for event in events] == list(range(len(events)))
        and all(one.at <= other.at for one, other in pairwise(events))
        and kinds["call_started"] < kinds["call_finished"] < kinds["run_finished"]
    )


def measure(runs: int, at_once: int, *, stretch: float = 1.0) -> Figures:
    """Return the figures of one crowd; how long each call takes is fixed by a seed."""
    durations = (stretch * np.random.default_rng(0).uniform(SHORTEST_S, LONGEST_S, runs)).tolist()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(crowd(durations, at_once, Path(folder)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--stretch", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.runs, arguments.at_once, stretch=arguments.stretch)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:16} {value}")


if __name__ == "__main__":
    main()
