"""Kills writing processes, one after another, and checks what they left. usage: killing.py URL KILLS runs|feedback

A process of its own, because it forks: that loads the package once for all the writers. The writers store runs, or give
feedback on runs that are there; each acknowledges what it was told is stored, by one byte.
"""

import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from time import sleep
from typing import NamedTuple, TypeAlias

import numpy as np

from agentmesh.errors import DuplicateFeedbackError
from agentmesh.events import FeedbackGiven, fold
from agentmesh.records import Experience
from agentmesh.store import RunFilter, TraceStore, open_store
from agentmesh.testing.traces import lesson, score, whole

Acknowledge: TypeAlias = Callable[[], object]

AGENTS = ("ada", "bob")
SCORED = 60
"""Runs to score: more than a writer gets to before it is killed, unless the machine is very busy."""

LONGEST_S = 0.003
"""Between the last acknowledgement waited for and the kill: a few times what one more takes."""


class Job(NamedTuple):
    """What writers do until they are killed, and what must be true before and after."""

    prepare: Callable[[TraceStore, str], None]
    write: Callable[[TraceStore, str, Acknowledge], None]
    check: Callable[[TraceStore, str, int], None]


# --- runs


def prepare_nothing(store: TraceStore, name: str) -> None:
    """Runs need nothing."""


def write_runs(store: TraceStore, name: str, acknowledge: Acknowledge) -> None:
    """Store runs."""
    for i in range(100_000):
        store.append(whole(f"{name}{i}"))
        acknowledge()


def check_runs(store: TraceStore, name: str, told: int) -> None:
    """Raise unless every run that was told of is there, whole, and at most one more."""
    stored = [run for run in store.runs(limit=10**6) if run.id.startswith(name)]
    demand(told <= len(stored) <= told + 1, f"{name}: {told} runs were told of, {len(stored)} are stored")
    for i in range(told):
        demand(store.run(f"{name}{i}") == fold(whole(f"{name}{i}")), f"{name}{i} is torn")


# --- feedback


def prepare_runs(store: TraceStore, name: str) -> None:
    """Store the runs that will be scored."""
    store.append([event for i in range(SCORED) for event in whole(f"{name}{i}")])


def give_feedback(store: TraceStore, name: str, acknowledge: Acknowledge) -> None:
    """Score runs."""
    for i in range(SCORED):
        store.add_feedback(score(f"{name}{i}"), lessons(f"{name}{i}"))
        acknowledge()


def lessons(run_id: str) -> list[Experience]:
    """Return what is learned from the score of a run."""
    return [lesson(run_id, agent_id=agent_id) for agent_id in AGENTS]


def check_feedback(store: TraceStore, name: str, told: int) -> None:
    """Raise unless every score that was told of is there once, whole, and at most one more, which a retry shows."""
    stored = scored(store, name)
    accepted = sum(stored)
    demand(told <= accepted <= told + 1, f"{name}: {told} scores were told of, {accepted} are stored")
    demand(stored[:accepted] == [True] * accepted, f"{name}: a score is missing before later ones: {stored}")
    if told < SCORED:
        taken = retry(store, f"{name}{told}")
        demand(taken != stored[told], f"{name}{told} was {'' if stored[told] else 'not '}stored; retry said {taken}")
        demand(scored(store, name)[told], f"{name}{told} was retried and is not stored")


def scored(store: TraceStore, name: str) -> list[bool]:
    """Say of each run whether it has its score; raise when one has it twice, or has half of it."""
    scores: Counter[str] = Counter()
    for events in store.traces(RunFilter(prefix=name)):
        scores[events[0].run_id] += sum(isinstance(event, FeedbackGiven) for event in events)
    learned: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for item in store.experiences():
        learned[item.run_id][item.agent_id] += 1
    demand(len(scores) == SCORED, f"{name}: {len(scores)} runs are stored")
    return [is_stored(f"{name}{i}", scores[f"{name}{i}"], learned[f"{name}{i}"]) for i in range(SCORED)]


def is_stored(run_id: str, scores: int, learned: "Counter[str]") -> bool:
    """Say whether a run has its score; raise when it has it twice, or has half of it."""
    whole_or_nothing = [(0, Counter[str]()), (1, Counter(AGENTS))]
    demand((scores, learned) in whole_or_nothing, f"{run_id} has {scores} scores and the experiences {learned}")
    return scores == 1


def retry(store: TraceStore, run_id: str) -> bool:
    """Give a score again, and say whether it was taken."""
    try:
        store.add_feedback(score(run_id), lessons(run_id))
    except DuplicateFeedbackError:
        return False
    return True


# --- both


def demand(held: bool, otherwise: str) -> None:
    """End the process with a message unless what must be true is."""
    if not held:
        raise SystemExit(otherwise)


def kill_one(url: str, name: str, job: Job, *, after: int, pause_s: float) -> int:
    """Kill a writer some time after it acknowledged ``after`` times; return how many times it did in the end."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        with open_store(url) as store:
            job.write(store, name, lambda: os.write(writing, b"."))
        os._exit(0)
    os.close(writing)
    told = 0
    while told < after:
        told += len(os.read(reading, 1))
    sleep(pause_s)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    while more := os.read(reading, 65536):
        told += len(more)
    os.close(reading)
    return told


JOBS = {
    "runs": Job(prepare_nothing, write_runs, check_runs),
    "feedback": Job(prepare_runs, give_feedback, check_feedback),
}


def main(url: str, kills: int, job: Job) -> None:
    """Kill so many writers, each at another moment."""
    rng = np.random.default_rng(7)
    for kill in range(kills):
        name = f"k{kill}-"
        with open_store(url) as store:
            job.prepare(store, name)
        told = kill_one(url, name, job, after=int(rng.integers(1, 41)), pause_s=rng.uniform(0, LONGEST_S))
        with open_store(url) as store:
            job.check(store, name, told)
            damage = store.check()
            demand(not damage, "\n".join(damage))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), JOBS[sys.argv[3]])
