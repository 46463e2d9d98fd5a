"""Measures what is asked of a store that holds a million events: lists, counts, one run, the log from a place, views.

About 113,000 runs are written through the store's own append, copies of real ones: a mesh of ten agents asks two for
each task, and every tenth task is a workflow of two stages. Every tenth run is scored. Each query is then made in the
open process, with ``--json`` as a line of JSON; what it takes to start a command is told apart. With ``--prune`` half
of the runs are deleted afterwards, and the database vacuumed.

    OMP_NUM_THREADS=1 python benchmarks/store_scale.py [URL] [--events 1000000] [--rounds 9] [--prune] [--json]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rich.console import Console
from rich.table import Table

from agentmesh.events import fold
from agentmesh.learning.feedback import record_feedback
from agentmesh.records import RunStatus
from agentmesh.store import RunFilter, TraceStore, open_store
from agentmesh.store.lookup import find_run
from agentmesh.store.pruning import prune_runs
from agentmesh.store.retention import Retention
from agentmesh.testing.many_runs import copies, real_runs

BEGUN_AT = 1_760_000_000.0
SCORED = 10  # one run of so many
WIDE = 100


@dataclass(frozen=True, slots=True)
class Row:
    """What a query takes, in milliseconds, and how much it found. ``cpu_ms`` is of this process's processor time."""

    what: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    found: int


def fill(store: TraceStore, events: int) -> dict[str, float]:
    """Write so many events, and return how fast."""
    tasks = asyncio.run(real_runs(store))
    written, took_s, scored = 0, 0.0, 0
    for batch in copies(tasks, events=events, begun_at=BEGUN_AT):
        began = time.perf_counter()
        store.append(batch)
        took_s += time.perf_counter() - began
        written += len(batch)
        for event in islice((one for one in batch if one.kind == "run_finished"), 0, None, SCORED):
            record_feedback(store, event.run_id, scored % 5 / 4)
            scored += 1
    return {"events": written, "scored": scored, "events_per_s": round(written / took_s)}


def last_place(store: TraceStore) -> int:
    """Return the place of the newest event."""
    low, high = 0, 1
    while store.tail(high, limit=1):
        low, high = high, high * 2
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if store.tail(middle, limit=1) else (low, middle)
    return high


def queries(store: TraceStore) -> Mapping[str, Callable[[], object]]:
    """Return what the commands ask, by what they are called with."""
    total = store.count_runs()
    (middle,) = store.runs(limit=1, offset=total // 2)
    last = last_place(store)
    alone, half = RunFilter(alone=True), RunFilter(since=middle.started_at, alone=True)
    done, waiting = RunFilter(status=RunStatus.COMPLETED, alone=True), RunFilter(status=RunStatus.WAITING)
    common, rare = RunFilter(text="recipe", alone=True), RunFilter(text=f"case {total // 2},", alone=True)
    theirs, reason = RunFilter(agent_id="agent-law"), RunFilter(reason=f"that of case {total // 4}", alone=True)
    kinds = {"": alone, " --all": None, " --status completed": done, " --status waiting": waiting}
    kinds |= {" --text (common)": common, " --text (one run)": rare, " --reason (few runs)": reason}
    kinds |= {" --agent": theirs, " --since": half}
    lists = {f"runs list{name}": lambda where=where: store.runs(where, limit=20) for name, where in kinds.items()}
    counts = {f"count{name}": lambda where=where: store.count_runs(where) for name, where in kinds.items()}
    deep = store.count_runs(alone) * 9 // 10
    return {
        **lists,
        "runs list --offset (90 %)": lambda: store.runs(alone, limit=20, offset=deep),
        **counts,
        "a run by its beginning": lambda: find_run(store, middle.id[:22]),
        "runs show": lambda: store.events(middle.id),
        "explain": lambda: fold(store.events(middle.id)).decision.explain(),
        "tail, 1,000 from the middle": lambda: store.tail(last // 2),
        "tail, from near the end": lambda: store.tail(last - 100),
    }


def measure(asked: Mapping[str, Callable[[], object]], rounds: int) -> list[Row]:
    """Make each query once to warm up, then so many times."""
    rows = []
    for what, ask in asked.items():
        found, took_ms, cpu_ms = ask(), [], []
        for _ in range(rounds):
            began, spent = time.perf_counter(), time.process_time()
            ask()
            took_ms.append((time.perf_counter() - began) * 1e3)
            cpu_ms.append((time.process_time() - spent) * 1e3)
        count = found if isinstance(found, int) else len(found) if isinstance(found, list) else 1
        p95_ms = sorted(took_ms)[min(rounds - 1, round(rounds * 0.95))]
        rows.append(Row(what, statistics.median(took_ms), p95_ms, statistics.median(cpu_ms), count))
    return rows


def start_of_a_command(url: str) -> float:
    """Return the seconds that ``agentmesh runs list`` takes, the start of the process included."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "agentmesh", "runs", "list", "--db", url]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def pruned(store: TraceStore) -> dict[str, float]:
    """Delete the older half of the runs, vacuum, and return how long each transaction and the vacuum took."""
    (middle,) = store.runs(limit=1, offset=store.count_runs() // 2)
    steps = [time.perf_counter()]
    done = prune_runs(
        store,
        Retention(before=middle.started_at),
        at=middle.started_at,
        told=lambda _: steps.append(time.perf_counter()),
        pause=lambda _: steps.append(time.perf_counter()),
    )
    each_ms = [(end - begin) * 1e3 for begin, end in zip(steps[::2], steps[1::2], strict=False)]
    began = time.perf_counter()
    space = store.vacuum()
    return {
        "runs": done.runs,
        "events": done.events,
        "prune_s": round(steps[-1] - steps[0], 1),
        "transaction_p50_ms": round(statistics.median(each_ms), 1),
        "transaction_max_ms": round(max(each_ms), 1),
        "vacuum_s": round(time.perf_counter() - began, 1),
        "before_mb": round(space.before_bytes / 1e6, 1),
        "after_mb": round(space.after_bytes / 1e6, 1),
    }


def table(rows: Sequence[Row]) -> Table:
    """Return the rows as a table."""
    made = Table("query", title="milliseconds in an open process")
    for name in ("p50", "p95", "processor", "found"):
        made.add_column(name, justify="right")
    for row in rows:
        made.add_row(row.what, f"{row.p50_ms:.1f}", f"{row.p95_ms:.1f}", f"{row.cpu_ms:.1f}", f"{row.found:,}")
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", nargs="?", help="a store; one that holds runs is measured as it is")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--prune", action="store_true", help="delete half of the runs afterwards")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/scale.db"
        with open_store(url) as store:
            told: dict[str, object] = {} if store.runs(limit=1) else {"written": fill(store, options.events)}
            rows = measure(queries(store), options.rounds)
            told["command_s"] = round(start_of_a_command(url), 2)
            if options.prune:
                told["pruned"] = pruned(store)
    if options.json:
        values = {
            row.what: [round(row.p50_ms, 2), round(row.p95_ms, 2), round(row.cpu_ms, 2), row.found] for row in rows
        }
        print(json.dumps({**told, "queries": values}))
        return
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print(table(rows))
    for what, value in told.items():
        console.print(f"{what}: {value}")


if __name__ == "__main__":
    main()
