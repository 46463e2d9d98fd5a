"""Shows what a router learns of the stages of a workflow from scores of its last answer alone.

Six agents may each do any of three stages. Each is good at one stage (right with .95) and poor at the others (.25), and
their descriptions say nothing of it. A workflow's answer is right when all three stages were done right; that 0 or 1 is
the only score there is. The pheromone router keeps trails for each stage; ``best_single`` knows one quality for each
agent, whatever the stage; ``random`` does not learn. Everything is made up from a seed.

    OMP_NUM_THREADS=1 python benchmarks/workflow_learning.py [--json] [--tasks 400] [--seeds 3]
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmesh import Agent, Mesh, Run, Stage, Task, Workflow
from agentmesh.types import Rng

STAGES = ("search", "draft", "check")
GOOD, POOR = 0.95, 0.25
ROUTERS = ("random", "best_single", "pheromone")
FLOW = Workflow(
    stages=[
        Stage(name="search", prompt="search {task}"),
        Stage(name="draft", prompt="draft {search}", after=("search",)),
        Stage(name="check", prompt="check {draft}", after=("draft",)),
    ],
    output="check",
)


class Specialist(Agent):
    """Does one stage well. Its answer is that of the stage before with a mark behind it: + for right, - for wrong."""

    description = "Does its part."
    price_per_call_usd = "0.001"

    def __init__(self, number: int, rng: Rng) -> None:
        self.id = f"agent-{number}"
        self.good_at = STAGES[number % len(STAGES)]
        self._rng = rng

    async def run(self, task: Task) -> str:
        """Do the stage that the task names."""
        stage, _, before = task.text.partition(" ")
        is_right = self._rng.random() < (GOOD if stage == self.good_at else POOR)
        return f"{before} {'+' if is_right else '-'}"


@dataclass(frozen=True, slots=True)
class Learned:
    """What a router came to: the share of right answers over quarters of the tasks, and of fit agents in the last.

    ``fit`` is by stage: how often the agent of the stage was one that is good at it.
    """

    router: str
    quarters: tuple[float, ...]
    fit: tuple[float, ...]


async def learn(router: str, *, tasks: int, seed: int) -> Learned:
    """Run tasks through the workflow one after the other, and score each by its last answer."""
    agents = [Specialist(number, np.random.default_rng([seed, number])) for number in range(2 * len(STAGES))]
    good = {agent.id: agent.good_at for agent in agents}
    right: list[float] = []
    fit: list[list[bool]] = []
    async with Mesh(agents, router=router, embedder="hashing", explore=0.05, seed=seed) as mesh:
        for number in range(tasks):
            run = await mesh.run_workflow(FLOW, f"case {number}", run_id=f"run-{number}")
            right.append(float(str(run.answer).count("+") == len(STAGES)))
            await mesh.feedback(run.id, right[-1])
            fit.append([good[agent] == stage for stage, agent in zip(STAGES, _agents(mesh, run), strict=True)])
    last = fit[-(tasks // 4) :]
    by_stage = tuple(fmean(row[place] for row in last) for place in range(len(STAGES)))
    return Learned(router, tuple(fmean(part) for part in np.array_split(right, 4)), by_stage)


def _agents(mesh: Mesh, run: Run) -> list[str]:
    return [mesh.store.run(stage.run_id).answered_by[0] for stage in run.stages if stage.run_id is not None]


async def compare(routers: Sequence[str], *, tasks: int, seeds: int) -> list[Learned]:
    """Return what each router came to, as the mean over seeds."""
    found = []
    for router in routers:
        rows = [await learn(router, tasks=tasks, seed=seed) for seed in range(seeds)]
        quarters = tuple(float(one) for one in np.mean([row.quarters for row in rows], axis=0))
        found.append(Learned(router, quarters, tuple(float(one) for one in np.mean([row.fit for row in rows], axis=0))))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args(arguments)
    rows = asyncio.run(compare(ROUTERS, tasks=given.tasks, seeds=given.seeds))
    if given.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    table = Table("router", "1st quarter", "2nd", "3rd", "last", *(f"fit at {stage}" for stage in STAGES))
    for row in rows:
        table.add_row(row.router, *(f"{share:.2f}" for share in (*row.quarters, *row.fit)))
    Console().print(table)


if __name__ == "__main__":
    main()
