"""Kills writing processes, one after another, and checks what they left. usage: killing.py URL KILLS.

A process of its own, because it forks: that loads the package once for all the writers.
"""

import os
import signal
import sys

from agentmesh.events import fold
from agentmesh.store import open_store
from agentmesh.testing.stores import whole


def write_runs(url: str, name: str, told: int) -> None:
    """Store runs until killed, and tell of each when it is stored."""
    with open_store(url) as store:
        for i in range(100_000):
            store.append(whole(f"{name}{i}"))
            os.write(told, b".")


def kill_one(url: str, name: str, after: int) -> int:
    """Kill a writer once it has told of ``after`` runs; return how many it told of in the end."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        write_runs(url, name, writing)
        os._exit(0)
    os.close(writing)
    told = 0
    while told < after:
        told += len(os.read(reading, 1))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    while more := os.read(reading, 65536):
        told += len(more)
    os.close(reading)
    return told


def check(url: str, name: str, told: int) -> None:
    """Raise unless every run that was told of is there, whole, and at most one more."""
    with open_store(url) as store:
        stored = [run for run in store.runs(limit=10**6) if run.id.startswith(name)]
        if not told <= len(stored) <= told + 1:
            raise SystemExit(f"{name}: {told} runs were told of, {len(stored)} are stored")
        for i in range(told):
            if store.run(f"{name}{i}") != fold(whole(f"{name}{i}")):
                raise SystemExit(f"{name}{i} is torn")
        if damage := store.check():
            raise SystemExit("\n".join(damage))


def main(url: str, kills: int) -> None:
    """Kill so many writers, each a little later than the one before."""
    for kill in range(kills):
        name = f"k{kill}-"
        check(url, name, kill_one(url, name, after=1 + kill % 40))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
