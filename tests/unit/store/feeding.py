"""Gives feedback on runs of their own, from processes of their own. usage: feeding.py URL COUNT NAME...

Each process stores its runs, waits for the others, and gives its feedback one score after another. As one line of JSON
they say, by name, under which numbers the experiences were stored. They are forks: that loads the package once for all.
"""

import json
import sys
from multiprocessing import get_context
from typing import Any

import numpy as np

from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Feedback
from agentmesh.store import TraceStore, open_store
from agentmesh.testing.traces import lesson, score, whole

AGENTS = ("ada", "bob", "cy")
HINTS = (("maths",), ("law",), ("maths", "law"), ("art",))
HOUR_S = 3600.0


def scored(name: str, i: int) -> tuple[Feedback, list[Experience]]:
    """Return score ``i`` of a process, and what is learned from it.

    Its quality and weight are ones that no float holds exactly, and its time is out of step with the other processes'.
    """
    quality = (i % 97 + 1) / 98
    run_id, agent_id = f"{name}{i}", AGENTS[i % len(AGENTS)]
    angle = 0.1 * i + len(name)
    known = {
        "vector": pack_vector(np.array([np.cos(angle), np.sin(angle)], np.float32)),
        "type_hints": HINTS[i % len(HINTS)],
        "weight": (i % 3 + 1) / 3,
        "at": HOUR_S * (i + 50 * (sum(name.encode()) % 7)),
    }
    return score(run_id, quality), [lesson(run_id, quality, agent_id=agent_id).model_copy(update=known)]


def prepare(store: TraceStore, name: str, count: int) -> None:
    """Store the runs that will be scored, some hundreds at a time."""
    for first in range(0, count, 500):
        runs = range(first, min(first + 500, count))
        store.append([event for i in runs for event in whole(f"{name}{i}")])


def feed(store: TraceStore, name: str, count: int) -> list[int]:
    """Give all scores, and return the numbers of their experiences in that order."""
    return [item.sequence for i in range(count) for item in store.add_feedback(*scored(name, i))]


def take_part(url: str, count: int, name: str, barrier: Any, told: Any) -> None:
    """Do what one process does."""
    with open_store(url) as store:
        prepare(store, name, count)
        barrier.wait()
        told.put((name, feed(store, name, count)))


def main(url: str, count: int, names: list[str]) -> None:
    """Have as many processes as there are names feed the store at once."""
    forks = get_context("fork")
    barrier, told = forks.Barrier(len(names)), forks.SimpleQueue()
    running = [forks.Process(target=take_part, args=(url, count, name, barrier, told)) for name in names]
    for process in running:
        process.start()
    sys.stdout.write(json.dumps(dict(told.get() for _ in names)) + "\n")
    for process in running:
        process.join()
    sys.exit(max(abs(process.exitcode or 0) for process in running))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
