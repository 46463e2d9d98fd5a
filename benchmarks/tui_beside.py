"""What a watcher in another process costs a mesh: runs per second of no-op agents with and without it, taking turns.

A mesh of ten agents that answer at once, with full traces in SQLite, has its runs all in flight. Beside it is nothing,
or an app in a pseudo-terminal of 160x48 that draws as much as the watcher does and never looks at the store (drawing),
or a process that only follows the store (polling), or ``agentmesh watch`` in such a terminal (watching). What any app
costs a mesh on this machine is what ``drawing`` tells; what watching costs is the difference.

Machines that are shared change their pace from minute to minute: each round holds every way once, its figures are held
against ``alone`` of the same round, and what is told is the median of these ratios and the middle half of them.

    python benchmarks/tui_beside.py [--runs 1000] [--rounds 9] [--json]
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
WAYS = ("alone", "drawing", "polling", "watching")
WATCH = (sys.executable, "-m", "agentmesh", "watch")
RATE = 1200
"""Events a second that ``drawing`` shows: about as many as the mesh makes."""


@contextmanager
def beside(way: str, url: str, folder: Path) -> Iterator[int | None]:
    """Have a watcher go on meanwhile; its process id is given."""
    if way == "polling":
        process = subprocess.Popen([sys.executable, __file__, "poll", url], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    elif way == "alone":
        yield None
    else:
        options = ["--rate", str(RATE), "--seconds", "3600", "--into", str(folder / "told.json")]
        drawing = [sys.executable, str(Path(__file__).with_name("tui.py")), "show", *options]
        terminal = Terminal(drawing if way == "drawing" else [*WATCH, "--db", url])
        terminal.wait_until_drawn(60)
        try:
            yield terminal.process.pid
        finally:
            terminal.leave()


def poll(url: str) -> None:
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


async def timed(way: str, runs: int, folder: Path) -> dict[str, float]:
    """Return what one round came to."""
    url = f"sqlite:///{folder / 'mesh.db'}"
    async with Mesh(map(Noop, range(AGENTS)), store=url) as mesh:
        await mesh.run("warm up")
        with beside(way, url, folder) as watcher:
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
    """Return what each way came to, beside ``alone`` of the same round."""
    told: list[dict[str, dict[str, float]]] = []
    for number in range(rounds + 1):
        found = {}
        for way in WAYS if number % 2 else reversed(WAYS):  # no way is always the first
            with tempfile.TemporaryDirectory() as folder:
                found[way] = asyncio.run(timed(way, runs, Path(folder)))
        if number:  # the first round warms up
            told.append(found)
    return [{"beside": way, **_medians(told, way)} for way in WAYS]


def _medians(told: list[dict[str, dict[str, float]]], way: str) -> dict[str, object]:
    medians = {key: round(statistics.median(one[way][key] for one in told), 3) for key in told[0][way]}
    ratios = {
        "throughput": [one[way]["runs_per_s"] / one["alone"]["runs_per_s"] for one in told],
        "mesh_cpu": [one[way]["mesh_cpu_ms_per_run"] / one["alone"]["mesh_cpu_ms_per_run"] for one in told],
    }
    return medians | {
        key: [round(value, 3) for value in statistics.quantiles(ratio, n=4, method="inclusive")]
        for key, ratio in ratios.items()
    }


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["poll"]:
        poll(sys.argv[2])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
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
