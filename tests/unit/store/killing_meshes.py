"""Kills meshes under load and has others go on with what they left. usage: killing_meshes.py URL FOLDER KILLS SEED LOAD

A process of its own, because it forks: that loads the package once for all. Each mesh has LOAD runs under way at once:
plain ones with several agents, teams, workflows, calls that wait for approval, feedback. It tells what it was returned
through a pipe, and its agents write down each answer that they give away before they give it. It is killed at a random
moment. Then another mesh opens the same database, goes on with every orphan, and all is counted.
"""

import asyncio
import gc
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from time import sleep

import numpy as np

from agentmesh import Agent, Approval, Learning, Limits, Mesh, Stage, Task, Team, Workflow, open_store
from agentmesh.events import CallFinished, Event, FeedbackGiven, RunFinished, RunResumed, StageFinished, fold
from agentmesh.graphs.builder import compile_workflow
from agentmesh.graphs.steps import step_of
from agentmesh.playback.player import replay
from agentmesh.records import CallStatus, RunStatus
from agentmesh.store.base import RunFilter, TraceStore

KINDS = ("plain", "parallel", "team", "workflow", "waiting", "scored")
SKILLS = {"waiting": frozenset({"risky"}), "parallel": frozenset[str]()}
"""What agents must have; the one that is risky has to be approved. Where nothing is asked for, it may be among them."""

LONGEST_S = 0.03
"""Between the last return waited for and the kill: what some more runs take."""

FLOW = Workflow(
    name="steps",
    stages=(
        Stage(name="draft", agents=("ann", "bob")),
        Stage(name="check", after=("draft",), prompt="{task} check {draft}"),
        Stage(name="end", after=("check",), agents=("cay",), prompt="{task} end {check}"),
    ),
    output="end",
)
Key = tuple[str, str]


class Writes(Agent):
    """Writes its answer to a file, waits a moment, and gives it."""

    description = "Answers questions of any kind."

    def __init__(self, id: str, file: int, seed: int) -> None:
        self.id, self._file = id, file
        self._rng = np.random.default_rng(seed)
        self.skills = ("risky",) if id == "dan" else ("safe",)
        self.price_per_call_usd = "0.01"

    async def run(self, task: Task) -> str:
        await asyncio.sleep(self._rng.uniform(0, 0.01))
        os.write(self._file, (json.dumps([task.text, self.id]) + "\n").encode())  # one write: no line is torn
        return f"{self.id} says {len(task.text)}"


def mesh_of(url: str, folder: Path, seed: int, *, team: Team | None = None) -> Mesh:
    """Return a mesh whose agents write to a file in the folder."""
    file = os.open(folder / "calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    agents = [Writes(name, file, seed + place) for place, name in enumerate(("ann", "bob", "cay", "dan"))]
    return Mesh(
        agents,
        store=url,
        router="random",
        embedder="hashing",
        explore=0,
        team=team,
        approvals=[Approval(agents={"dan"}, reason="dear")],
        learning=Learning(mode="loop"),
    )


# --- the mesh that is killed


async def work(url: str, folder: Path, name: str, load: int, tell: Callable[[str], object]) -> None:
    """Run tasks of all kinds, so many at once, until this process is killed."""
    seed = int.from_bytes(name.encode()[-4:])
    async with mesh_of(url, folder, seed) as mesh, mesh_of(url, folder, seed, team=Team(stop=0.999)) as teams:
        numbers = count()
        await asyncio.gather(*(keep_running(mesh, teams, name, numbers, tell) for _ in range(load)))


async def keep_running(
    mesh: Mesh, teams: Mesh, name: str, numbers: "count[int]", tell: Callable[[str], object]
) -> None:
    while True:
        number = next(numbers)
        kind = KINDS[number % len(KINDS)]
        run_id, text = f"{name}-{number}-{kind}", f"{name} {number} {kind}"
        task = Task(text=text, required_skills=SKILLS.get(kind, frozenset({"safe"})))
        if kind == "workflow":
            run = await mesh.run_workflow(FLOW, task, run_id=run_id)
        else:
            limits = Limits(max_agents=1 if kind in ("plain", "scored", "waiting") else 3)
            run = await (teams if kind == "team" else mesh).run(task, run_id=run_id, limits=limits)
        tell(f"{run_id} {run.status.value}")
        if kind == "scored":
            await mesh.feedback(run_id, 0.5)
            tell(f"{run_id} score")


def kill_one(url: str, folder: Path, name: str, *, load: int, rng: np.random.Generator) -> list[str]:
    """Kill a mesh at a random moment; return all that it told of, most of the time not more than it has under way."""
    after, pause_s = int(rng.integers(1, load + 1)), rng.uniform(0, LONGEST_S)
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        asyncio.run(work(url, folder, name, load, lambda text: os.write(writing, f"{text}\n".encode())))
    os.close(writing)
    told = b""
    while told.count(b"\n") < after:
        more = os.read(reading, 65536)
        demand(bool(more), f"{name}: the mesh ended by itself")
        told += more
    sleep(pause_s)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    while more := os.read(reading, 65536):
        told += more
    os.close(reading)
    return told.decode().splitlines()


# --- the mesh that goes on


async def go_on(url: str, folder: Path, name: str) -> tuple[int, int]:
    """Go on with what a mesh left behind, answer half of what waits, and return how many there were of both."""
    async with mesh_of(url, folder, 0, team=None) as mesh:
        orphans = await mesh.orphans()
        demand(all(run.id.startswith(f"{name}-") for run in orphans), f"{name}: other orphans: {orphans}")
        demand(not any("/" in run.id for run in orphans), f"{name}: a stage alone: {orphans}")
        went_on = await asyncio.gather(*(mesh.resume(run.id) for run in orphans))
        stuck = [run.id for run in went_on if not run.status.has_ended and not run.waiting_for]
        demand(not stuck and not await mesh.orphans(), f"{name}: {stuck} did not go on")
        waiting = mesh.store.runs(RunFilter(prefix=f"{name}-", status=RunStatus.WAITING, alone=True), limit=10**6)
        for run in waiting[::2]:
            demand((await mesh.approve(run.id)).status.value == "completed", f"{run.id} was approved and is not done")
        for run in went_on[:1]:
            if run.status.has_ended:
                demand((await replay(mesh.store, run.id)).identical, f"{run.id} is not replayed as it was")
        return len(orphans), len(waiting)


def in_fork(work: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """Do something in a fork, since this process must have no threads; return what it returned."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.write(writing, json.dumps(work()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    demand(os.waitpid(process, 0)[1] == 0, "going on failed")
    first, second = json.loads(text)
    return first, second


# --- what must be true


def demand(held: bool, otherwise: str) -> None:
    """End the process with a message unless what must be true is."""
    if not held:
        raise SystemExit(otherwise)


def bought(folder: Path) -> "Counter[Key]":
    """Return how often each agent was asked what."""
    return Counter(tuple(json.loads(line)) for line in (folder / "calls").read_text(encoding="utf-8").splitlines())


def logs_of(store: TraceStore, name: str) -> dict[str, list[Event]]:
    """Return the events of the runs of a mesh."""
    listed = store.runs(RunFilter(prefix=f"{name}-"), limit=10**6)
    return {run.id: store.events(run.id) for run in listed}


def recorded(logs: dict[str, list[Event]]) -> set[Key]:
    """Return what was asked of whom and answered by the stored events."""
    return {
        (log[0].task.text, event.call.agent_id)  # type: ignore[union-attr]
        for log in logs.values()
        for event in log
        if isinstance(event, CallFinished) and event.call.status is CallStatus.OK
    }


def check_told(name: str, logs: dict[str, list[Event]], told: Sequence[str]) -> None:
    """Raise unless all that was returned is stored, as it was returned."""
    for line in told:
        run_id, what = line.split()
        demand(run_id in logs, f"{run_id} was returned and is lost")
        scores = sum(isinstance(event, FeedbackGiven) for event in logs[run_id])
        ends = [event.status.value for event in logs[run_id] if isinstance(event, RunFinished)]
        if what == "score":
            demand(scores == 1, f"{run_id} was scored and has {scores} scores")
        elif what != "waiting":
            demand(ends == [what] == ["completed"], f"{run_id} was returned as {what} and is stored as {ends}")


def check_logs(logs: dict[str, list[Event]]) -> None:
    """Raise where a run has not ended nor waits, or a step of it is stored twice."""
    for run_id, log in logs.items():
        demand([event.seq for event in log] == list(range(len(log))), f"{run_id} has a hole")
        steps = [step for step in map(step_of, log) if step is not None]
        demand(len(steps) == len(set(steps)), f"{run_id} did a step twice: {steps}")
        ends, status = sum(isinstance(event, RunFinished) for event in log), fold(log).status
        demand(ends == status.has_ended and status is not RunStatus.RUNNING, f"{run_id} is {status} with {ends} ends")


def check_stages(logs: dict[str, list[Event]]) -> None:
    """Raise where a workflow ended with a stage that did not."""
    for log in logs.values():
        for event in log:
            if isinstance(event, StageFinished) and event.result.run_id is not None:
                demand(isinstance(logs[event.result.run_id][-1], RunFinished), f"{event.result.run_id} has not ended")


def one_kill(url: str, folder: Path, name: str, *, load: int, rng: np.random.Generator) -> Counter[str]:
    """Kill a mesh, go on with what it left, and check all; return what there was to check."""
    told = kill_one(url, folder, name, load=load, rng=rng)
    with open_store(url) as store:
        before = logs_of(store, name)
        answers, asked = recorded(before), bought(folder)
        check_told(name, before, told)
    orphans, waiting = in_fork(lambda: asyncio.run(go_on(url, folder, name)))
    with open_store(url) as store:
        after = logs_of(store, name)
        check_told(name, after, told)
        check_logs(after)
        check_stages(after)
        damage = store.check()
        demand(not damage, "\n".join(damage))
        demand(not store.leases(), f"{name}: leases are left: {store.leases()}")
    again = bought(folder)
    twice = [key for key in answers if again[key] != asked[key] or asked[key] != 1]
    demand(not twice, f"{name}: answers that were recorded were bought again: {twice}")
    resumed = sum(isinstance(event, RunResumed) for log in after.values() for event in log)
    return Counter(
        kills=1,
        returned=len(told),
        runs=len(after),
        orphans=orphans,
        waiting=waiting,
        resumed=resumed,
        answers=len(answers),
        unrecorded=sum(asked.values()) - len(answers),
    )


async def warm_up(url: str, folder: Path) -> None:
    """Make the tables, and load what is loaded at first use."""
    async with mesh_of(url, folder, 0):
        compile_workflow()


def main(url: str, folder: Path, kills: int, seed: int, load: int) -> None:
    """Kill so many meshes, each at another moment, and print what was checked, as JSON."""
    rng = np.random.default_rng(seed)
    (folder / "calls").touch()
    asyncio.run(warm_up(url, folder))
    gc.freeze()  # so that the forks copy none of it
    total: Counter[str] = Counter()
    for kill in range(kills):
        (folder / "calls").write_text("", encoding="utf-8")
        total += one_kill(url, folder, f"k{seed}x{kill}", load=load, rng=rng)
    sys.stdout.write(json.dumps(total))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6]))
