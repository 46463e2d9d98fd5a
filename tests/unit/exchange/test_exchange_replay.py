"""What a mesh stored is as good after the way out and in: it replays, is decided again, and is learned on from."""

from pathlib import Path

import pytest

from agentmesh import Learning, Limits, Mesh, Stage, Workflow, open_store, replay, whatif
from agentmesh.exchange import export_runs, import_runs
from agentmesh.learning.versions import only_router, reset_router, routers_in
from agentmesh.store import RunFilter
from agentmesh.testing.agents import CannedAgent, EchoAgent
from agentmesh.types import SystemClock

QUESTIONS = ("who built petra", "what is twelve times seven", "name a prime", "who was cleopatra")
LOOP = Learning(mode="loop")


def team() -> list[CannedAgent | EchoAgent]:
    return [CannedAgent(["good"], id="good"), CannedAgent(["bad"], id="bad"), EchoAgent("echo")]


async def taught(url: str, rounds: range, router: str = "kernel") -> list[str]:
    """Run and teach a mesh, and return the ids of the runs."""
    async with Mesh(team(), router=router, store=url, explore=0.3, seed=5, learning=LOOP) as mesh:
        for place in rounds:
            question = QUESTIONS[place % len(QUESTIONS)]
            run = await mesh.run(question, run_id=f"r{place}", limits=Limits(max_agents=2))
            await mesh.feedback(run.id, 1.0 if "good" in run.answered_by else 0.2)
    return [f"r{place}" for place in rounds]


@pytest.mark.parametrize(("kind", "learned"), [("sqlite", "all"), ("sqlite", "log"), ("postgres", "all")])
async def test_runs_of_a_router_that_learned_and_was_reset_replay_elsewhere(kind, learned, tmp_path: Path, request):
    source, target = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    if kind == "postgres":
        target = request.getfixturevalue("postgres_url")
    ids = await taught(source, range(4))
    with open_store(source) as store:
        reset_router(store, only_router(routers_in(store)), clock=SystemClock())
    ids += await taught(source, range(4, 8))
    with open_store(source, read_only=True) as store, open_store(target) as other:
        export_runs(store, tmp_path / "x.jsonl.gz", learned=learned)
        import_runs(other, tmp_path / "x.jsonl.gz")
        for run_id in ids:
            again = await replay(other, run_id)
            assert again.identical, again.differences
        assert routers_in(other)[0].marks == routers_in(store)[0].marks
        assert await whatif(other, "knn") == await whatif(store, "knn")
    more = await taught(target, range(8, 10))
    with open_store(target, read_only=True) as other:
        assert (await replay(other, more[-1])).identical


async def test_a_workflow_that_is_chosen_brings_its_stages_and_replays_elsewhere(tmp_path: Path):
    stages = [Stage(name="find", prompt="find {task}"), Stage(name="tell", prompt="tell {find}", after=("find",))]
    plan, source = Workflow(stages=stages, output="tell"), f"sqlite:///{tmp_path}/a.db"
    async with Mesh(team(), store=source, learning=Learning(mode="off")) as mesh:
        done = await mesh.run_workflow(plan, "the way to petra")
    with open_store(source, read_only=True) as store, open_store(f"sqlite:///{tmp_path}/b.db") as other:
        export_runs(store, tmp_path / "x", where=RunFilter(text="the way", alone=True))
        import_runs(other, tmp_path / "x")
        assert len(list(other.traces())) == 3
        assert (await replay(other, done.id)).identical
