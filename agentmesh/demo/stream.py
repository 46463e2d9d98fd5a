"""Lets a mesh answer the questions one by one, and learn from each before the next."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from agentmesh.agents.recorded import RecordedAgent
from agentmesh.demo.team import Team
from agentmesh.learning.settings import Learning
from agentmesh.mesh import Mesh
from agentmesh.protocols import EventSink
from agentmesh.records import Objective, Run, Task
from agentmesh.routing.base import Router
from agentmesh.store.base import TraceStore

OBJECTIVE = Objective(quality=1.0, cost=0.1)
"""Quality first, money where it buys little. Chosen on questions that are not in the demo."""

EXPLORE = 0.02
IN_ORDER = Learning(mode="loop")
"""Each answer is learned before the next question, so that every demo decides the same."""

GOLD = "gold"
"""The source of the demo's scores: the recorded letter compared with the right one."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One question, whom it went to, and what came of it. Nobody else's outcome was revealed."""

    row: int
    run: Run
    agent_id: str
    quality: float
    cost_usd: float


def run_id_of(row: int) -> str:
    """Return the id of the run of a question; fixed, so that every demo draws the same.

    >>> run_id_of(0)
    'demo-0001'
    """
    return f"demo-{row + 1:04d}"


def mesh_of(
    team: Team, *, router: str | Router, store: str | TraceStore | None, listeners: Sequence[EventSink] = ()
) -> Mesh:
    """Build a mesh of the recorded team that learns on from nothing but what its own calls reveal."""
    agents: tuple[RecordedAgent, ...] = team.agents
    return Mesh(
        agents,
        router=router,
        store=store,
        explore=EXPLORE,
        seed=0,
        embedder="static",
        learning=IN_ORDER,
        listeners=listeners,
    )


async def answer_all(team: Team, mesh: Mesh) -> AsyncIterator[Answered]:
    """Have an open mesh answer every question in order, scoring each answer before the next is asked."""
    for row, question in enumerate(team.tasks):
        task = Task(id=question.id, text=question.text, objective=OBJECTIVE)
        run = await mesh.run(task, run_id=run_id_of(row))
        agent_id = run.answered_by[0]
        quality = team.quality_of(row, agent_id)
        await mesh.feedback(run.id, quality, source=GOLD)
        yield Answered(row, run, agent_id, quality, float(run.cost_usd or 0))
