"""Makes the database of today's schema whose runs are replayed for ever after. usage: make_recorded.py

The golden databases hold every shape of event, made up; those here hold runs that a mesh has made, so that they can be
executed again. Run it once for each new schema, and commit what it makes; a file that exists is never made again. Those
of schemas 1 to 3 were made likewise by the last agentmesh that wrote them, with what it could do.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentmesh import Agent, Approval, Learning, Limits, Mesh, Preference, Stage, Task, Team, Workflow, open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.events import CallFinished, Event
from agentmesh.judging.checks import CallableCheck
from agentmesh.routing.pheromone import PheromoneRouter
from agentmesh.store.base import TraceStore
from agentmesh.store.version import HEAD
from agentmesh.testing import CannedAgent
from agentmesh.types import RunId

FOLDER = Path(__file__).parent / "recorded"
EMBEDDER = HashingEmbedder(64)
THREE = Limits(max_agents=3)
WAVES = Team(first=1, stop=0.999)
CHECK = CallableCheck(lambda task, answer: "no number" if answer == "eighty" else None, name="number")


def mesh_of(store: TraceStore, **options: Any) -> Mesh:
    """Return a mesh of three agents: one that is right, one that is not, and one that fails now and then."""
    team: list[Agent] = [
        CannedAgent(["84"], "ada", skills=["math"], price_per_call_usd="0.001"),
        CannedAgent(["eighty"], "bob", price_per_call_usd="0.002"),
        CannedAgent([ConnectionError("gone"), "back", ValueError("no")], "cy", price_per_call_usd="0.003"),
    ]
    return Mesh(team, store=store, embedder=EMBEDDER, seed=7, learning=Learning(mode="loop"), **options)


async def learning_runs(store: TraceStore, name: str, **options: Any) -> None:
    """Run a few tasks with a router that learns between them, one behind a gate, and one that costs too much."""
    async with mesh_of(store, **options) as mesh:
        for number in range(3):
            limits = Limits(max_agents=2, retries=1)
            run = await mesh.run(f"What is {number} * 7? Grüße", run_id=f"{name}-{number}", limits=limits)
            if run.answered_by:
                await mesh.feedback(run.id, 1.0 if "ada" in run.answered_by else 0.2)
        await mesh.run(Task(text="add", required_skills=frozenset({"math"})), run_id=f"{name}-gated")
        await mesh.run("dear", run_id=f"{name}-dear", limits=Limits(cost_usd="0.0005"))


async def paused_runs(store: TraceStore) -> None:
    """Leave a run waiting, answer another, and have one go on whose process was lost after its first call."""
    options: dict[str, Any] = {"router": "cosine", "explore": 0, "team": WAVES}
    async with mesh_of(store, approvals=[Approval(agents={"bob"})], **options) as mesh:
        await mesh.run("buy", run_id="waits", limits=THREE)
        await mesh.run("buy", run_id="approved", limits=THREE)
        await mesh.approve("approved", by="eve", text="sell")
        await mesh.run("buy", run_id="rejected", limits=Limits(max_agents=3, fallbacks=1))
        await mesh.reject("rejected", by="eve", note="dear")
    with open_store(None) as elsewhere:
        async with mesh_of(elsewhere, **options) as mesh:
            await mesh.run("lost", run_id="lost", limits=THREE)
        events = elsewhere.events("lost")
        store.append(events[: first(events, CallFinished) + 1])
    async with mesh_of(store, **options) as mesh:
        await mesh.resume("lost")


async def forked_runs(store: TraceStore) -> None:
    """Fork runs: after a call, with another answer, before the decision by hand, and by another router."""
    async with mesh_of(store, router="cosine", explore=0, team=WAVES, checks=[CHECK]) as mesh:
        await mesh.run("What is 12 * 7?", run_id="parent", limits=THREE)
        events = store.events("parent")
        place = next(event.seq for event in events if event.kind == "wave_started" and event.wave == 2)
        asked = mesh.store.run("parent").calls[0].agent_id
        await mesh.fork("parent", at=place, limits=Limits(cost_usd="0.002"), new_id="fork-poorer")
        await mesh.fork("parent", at=place, answers={asked: "85"}, new_id="fork-answer")
        await mesh.fork("fork-answer", at=2, agents=["bob", "ada"], new_id="fork-by-hand")
        await mesh.fork("parent", at=0, router=PheromoneRouter(), text="What is 12 * 8?", new_id="fork-router")


async def other_runs(store: TraceStore) -> None:
    """Take a task through a workflow, and cancel a run."""
    draft = Stage(name="draft", agents=("ada", "bob"), limits=Limits(max_agents=2))
    flow = Workflow(stages=(draft, Stage(name="check", after=("draft",), agents=("ada",))), output="check")
    async with mesh_of(store, router="cosine", explore=0, checks=[CHECK]) as mesh:
        await mesh.run_workflow(flow, "write", run_id="whole")
        await mesh.run("turned down", run_id="replanned", limits=Limits(max_agents=1, replans=2, fallbacks=2))
        stream = mesh.stream("stop", run_id="cancelled")
        await anext(stream)
        mesh.cancel("cancelled")
        async for _ in stream:
            pass


def first(events: Sequence[Event], kind: type[CallFinished]) -> int:
    """Return the number of the first event of a kind."""
    return next(event.seq for event in events if isinstance(event, kind))


async def fill(store: TraceStore) -> list[RunId]:
    """Have meshes make runs of every kind, and return their ids."""
    await learning_runs(store, "auto", explore=0.3)
    await learning_runs(
        store, "knn", router="knn", explore=0, preferences=[Preference(action="forbid", agents=("bob",))]
    )
    await learning_runs(store, "draws", router="thompson", explore=0.1)
    return await fill_with_what_is_rare(store)


async def fill_with_what_is_rare(store: TraceStore) -> list[RunId]:
    """Have meshes make runs that paused, were lost, forked, cancelled, or of a workflow; return the ids of all runs."""
    await paused_runs(store)
    await forked_runs(store)
    await other_runs(store)
    return [line.id for line in store.runs(limit=1000)]


def main() -> None:
    """Make the file, or refuse when it exists."""
    database = FOLDER / f"schema{int(HEAD)}.db"
    if database.exists():
        raise SystemExit(f"{database.name} exists; an older agentmesh made it, and it stays as it is")
    with open_store(f"sqlite:///{database}") as store:
        asyncio.run(fill(store))


if __name__ == "__main__":
    main()
