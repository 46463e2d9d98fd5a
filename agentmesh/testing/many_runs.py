"""Very many runs made of a few real ones: each has an id, a time and a text of its own, and the rest as it was.

A mesh runs some hundred tasks a second; a store that holds a million events should not take an hour to be made.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from agentmesh.agents.base import Agent
from agentmesh.events import DecisionMade, Event, RunStarted, StageFinished, StageStarted
from agentmesh.graphs.workflow.spec import Stage, Workflow
from agentmesh.learning.settings import Learning
from agentmesh.mesh import Mesh
from agentmesh.records import Limits, Task
from agentmesh.store.base import TraceStore
from agentmesh.types import RunId

GAP_S = 7.0
"""Seconds between two runs: 110,000 are then nine days."""

SKILLS = ("sums", "dates", "poems", "law", "maps", "code", "cooks", "trade", "plants", "stars")
OPENINGS = ("What is known of", "Write a short note on", "Compare two views of", "Find an error in", "Translate")
THINGS = ("the harbour", "a contract", "this recipe", "the quarterly report", "an old map", "the Grüße", "a proof")
ENDS = (
    "before the board meets on Friday.",
    "in plain words, please!",
    "and name your sources.",
    "as JSON.",
    "for a child.",
)
FLOW = Workflow(
    stages=[
        Stage(name="draft", prompt="Draft: {task}"),
        Stage(name="check", prompt="Check: {draft}", after=("draft",)),
    ],
    output="check",
)


class Specialist(Agent):
    """Answers in a sentence."""

    price_per_call_usd = "0.0004"

    def __init__(self, skill: str) -> None:
        """Take what this agent is good at."""
        self.id, self.description = f"agent-{skill}", f"Knows {skill} and answers questions about {skill}."

    async def run(self, task: Task) -> str:
        """Say who answers, and what was asked."""
        return f"{self.id} has looked at it and finds: {task.text[:80]}, which follows from what was said before."


async def real_runs(store: TraceStore, *, count: int = 60, embedder: str = "hashing") -> list[list[Event]]:
    """Run tasks by a mesh, and return the traces: most of two agents each, every tenth of a workflow of two stages.

    Args:
        store: Where they are kept, with the registry that they name.
        count: How many tasks.
        embedder: The name of an embedder.

    Returns:
        The events of each task, those of the runs of its stages among them.
    """
    agents = [Specialist(skill) for skill in SKILLS]
    made, since = [], store.tail()[-1:]
    limits, off = Limits(max_agents=2), Learning(mode="off")
    async with Mesh(agents, store=store, embedder=embedder, limits=limits, explore=0.2, learning=off) as mesh:
        for number in range(count):
            text = text_of(number)
            run = await (mesh.run_workflow(FLOW, text) if number % 10 == 9 else mesh.run(text))
            made.append(run.id)
    found = [one.event for one in store.tail(since[0].place if since else 0, limit=count * 40)]
    return [[event for event in found if event.run_id.partition("/")[0] == run_id] for run_id in made]


def text_of(number: int) -> str:
    """Return the text of a task, like no other."""
    rng = np.random.default_rng(number)
    opening, thing, end = (words[rng.integers(len(words))] for words in (OPENINGS, THINGS, ENDS))
    return f"{opening} {thing} of case {number}, {SKILLS[rng.integers(len(SKILLS))]} included, {end}"


def copy_of(task: Sequence[Event], number: int, *, at: float) -> list[Event]:
    """Return the events of a task as another task: its runs have other ids, its text is that of ``number``.

    Args:
        task: The events of a run, those of the runs of its stages among them.
        number: Which copy it is.
        at: When it started, Unix seconds.
    """
    first = task[0]
    whole, later = first.run_id, at - first.at
    head = f"{int(at * 1000):011x}-{number:010x}"
    return [
        _moved(event, head + event.run_id[len(whole) :], _changes(event, whole, head, number), later) for event in task
    ]


def _moved(event: Event, run_id: RunId, changes: dict[str, Any], later: float) -> Event:
    return event.model_copy(update={"run_id": run_id, "at": event.at + later, **changes})


def _changes(event: Event, whole: RunId, head: RunId, number: int) -> dict[str, Any]:
    match event:
        case RunStarted(parent=parent):
            task = event.task.model_copy(update={"text": text_of(number)})
            return {"task": task, "parent": None if parent is None else head + parent[len(whole) :]}
        case StageStarted():
            return {"child": head + event.child[len(whole) :]}
        case StageFinished(result=result) if result.run_id is not None:
            return {"result": result.model_copy(update={"run_id": head + result.run_id[len(whole) :]})}
        case DecisionMade(decision=decision) if number % 3 == 0:
            reason = f"{number % 9} past tasks were alike, the nearest being that of case {number // 2}"
            return {"decision": decision.model_copy(update={"reason": reason})}
        case _:
            return {}


def copies(tasks: Sequence[Sequence[Event]], *, events: int, begun_at: float, each: int = 400) -> Iterator[list[Event]]:
    """Yield copies of tasks in turn, many at once, until there are so many events.

    Args:
        tasks: What :func:`real_runs` returned.
        events: How many events there should be; the last copy is whole, so there may be a few more.
        begun_at: When the first one started, Unix seconds.
        each: How many tasks come at once.
    """
    made, number = 0, 0
    while made < events:
        batch: list[Event] = []
        for _ in range(each):
            batch += copy_of(tasks[number % len(tasks)], number, at=begun_at + number * GAP_S)
            number += 1
            if made + len(batch) >= events:
                break
        made += len(batch)
        yield batch
