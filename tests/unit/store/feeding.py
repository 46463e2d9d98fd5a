"""Gives feedback on runs of its own, from a process of its own. usage: feeding.py URL NAME COUNT

It stores its runs, says that it is ready, waits for a line, gives its feedback one score after another, and says under
which numbers the experiences were stored, and how long it took, as one line of JSON.
"""

import json
import sys
from time import perf_counter

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


def main(url: str, name: str, count: int) -> None:
    """Take part in the race."""
    with open_store(url) as store:
        prepare(store, name, count)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        begin = perf_counter()
        numbers = feed(store, name, count)
        sys.stdout.write(json.dumps({"numbers": numbers, "seconds": perf_counter() - begin}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
