"""What a watcher in another process costs a mesh: runs per second of no-op agents with and without it, taking turns.

A mesh of ten agents that answer at once, with full traces in SQLite, has its runs all in flight. Beside it is nothing,
or a process that uses as much of a processor as the app does and never looks at the store (busy), or one that only
follows the store (polling), or the whole app in a pseudo-terminal of 160x48 (watching). Throughput counts all: on a
machine with few free cores a watcher takes processor time from the mesh as any program does, which is what ``busy``
tells. What a watcher costs a mesh by watching it is the difference between ``watching`` and ``busy``.

    python benchmarks/tui_beside.py [--runs 500] [--rounds 5] [--json]
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tui import Noop, Terminal  # the script beside this one

from agentmesh import Mesh, open_store
from agentmesh.tui.sources import TailSource

AGENTS = 10
WAYS = ("alone", "busy", "polling", "watching")
TICK_S = 0.02


@contextmanager
def beside(way: str, url: str, share: float) -> Iterator[int | None]:
    """Have a watcher go on meanwhile; its process id is given. ``share`` of a core is what a busy process uses."""
    if way == "watching":
        terminal = Terminal([sys.executable, "-m", "agentmesh", "watch", "--db", url])
        terminal.wait_until_drawn(60)
        try:
            yield terminal.process.pid
        finally:
            terminal.leave()
    elif way in OTHERS:
        process = subprocess.Popen([sys.executable, __file__, way, url, str(share)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    else:
        yield None


def busy(_url: str, share: float) -> None:
    """Use ``share`` of a core."""
    print("ready", flush=True)
    while True:
        begun = time.thread_time()
        while time.thread_time() - begun < share * TICK_S:
            pass
        time.sleep((1 - share) * TICK_S)


def poll(url: str, _share: float) -> None:
    """Follow a store as the app does, and do nothing with what comes."""
    with open_store(url, read_only=True) as store:
        source = TailSource(store)
        source.more()
        print("ready", flush=True)
        while True:
            if not source.more():
                time.sleep(0.1)


def processor_s(process_id: int | None) -> float:
    """Return the processor time that a process has used."""
    if process_id is None:
        return 0.0
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


OTHERS = {"busy": busy, "polling": poll}


async def timed(way: str, runs: int, folder: Path, share: float) -> dict[str, float]:
    """Return what one round came to."""
    url = f"sqlite:///{folder / 'mesh.db'}"
    async with Mesh(map(Noop, range(AGENTS)), store=url) as mesh:
        await mesh.run("warm up")
        with beside(way, url, share) as watcher:
            begun, cpu, theirs = time.perf_counter(), time.process_time(), processor_s(watcher)
            await asyncio.gather(*(mesh.run(f"question number {place} of many") for place in range(runs)))
            wall, used = time.perf_counter() - begun, time.process_time() - cpu
            watched = processor_s(watcher) - theirs
    return {
        "runs_per_s": runs / wall,
        "mesh_cpu_ms_per_run": 1000 * used / runs,
        "watcher_core": watched / wall,
    }


def measure(runs: int, rounds: int) -> list[dict[str, object]]:
    """Return the medians of each way."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    share = 0.0
    for number in range(rounds + 1):
        for way in WAYS if number % 2 else reversed(WAYS):  # no way is always the first; watching comes before busy
            with tempfile.TemporaryDirectory() as folder:
                figures = asyncio.run(timed(way, runs, Path(folder), share))
            if way == "watching":
                share = min(figures["watcher_core"], 0.9)
            if number:  # the first round warms up
                found[way].append(figures)
    medians = {
        way: {key: statistics.median(one[key] for one in told) for key in told[0]} for way, told in found.items()
    }
    alone = medians["alone"]
    return [
        {"beside": way, **{key: round(value, 3) for key, value in told.items()}}
        | {
            "throughput": round(told["runs_per_s"] / alone["runs_per_s"], 3),
            "mesh_cpu": round(told["mesh_cpu_ms_per_run"] / alone["mesh_cpu_ms_per_run"], 3),
        }
        for way, told in medians.items()
    ]


def main() -> None:
    """Measure and print."""
    if len(sys.argv) > 1 and sys.argv[1] in OTHERS:
        OTHERS[sys.argv[1]](sys.argv[2], float(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = measure(arguments.runs, arguments.rounds)
    if arguments.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("   ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
