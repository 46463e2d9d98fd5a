"""Stored runs of workflows on the command line: their stages, why their agents were chosen, and replays."""

import asyncio

import pytest

from agentmesh import Agent, Condition, Learning, Mesh, Over, Stage, Task, Workflow, open_store
from agentmesh.events import RunStarted, StageStarted
from agentmesh.store import TraceStore
from agentmesh.testing.agents import CannedAgent, EchoAgent
from tests.unit.cli.conftest import Command

DB = "sqlite:///flows.db"
FLOW = Workflow(
    stages=[
        Stage(name="split", agents=("splitter",)),
        Stage(name="read", prompt="{item}", over=Over(stage="split"), after=("split",), agents=("echo",)),
        Stage(name="never", when=Condition(equals="x")),
        Stage(name="end", prompt="\x1b[31m{read}", after=("read", "never"), agents=("echo",)),
    ],
    output="end",
)


@pytest.fixture
def flow_run(folder: object) -> str:
    agents: list[Agent] = [CannedAgent(["a\nb"], "splitter"), EchoAgent()]

    async def make() -> None:
        options = {"router": "random", "embedder": "hashing", "learning": Learning(mode="off")}
        async with Mesh(agents, store=DB, **options) as mesh:  # type: ignore[arg-type]  # as named
            await mesh.run_workflow(FLOW, Task(text="go"), run_id="w")

    asyncio.run(make())
    return "w"


def test_a_run_of_a_workflow_is_shown_stage_by_stage(command: Command, flow_run: str) -> None:
    shown = command("runs", "show", flow_run, "--db", DB)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0].startswith("run w | completed | 5 stages ended | ")
    assert "never passed over | its condition does not hold" in lines
    assert any(line.startswith("split completed | splitter | ") and line.endswith("w/split") for line in lines)
    assert any(line.startswith("read (2) completed | echo | ") and line.endswith("w/read.1") for line in lines)
    assert "\x1b" not in shown.out
    assert "part of run w" in command("runs", "show", "w/read.1", "--db", DB).out


def test_the_choices_of_all_stages_are_explained(command: Command, flow_run: str) -> None:
    out = command("explain", flow_run, "--db", DB).out
    assert [line for line in out.splitlines() if line.startswith("w/")] == ["w/split", "w/read.0", "w/read.1", "w/end"]


def test_a_run_of_a_workflow_is_replayed(command: Command, flow_run: str) -> None:
    replayed = command("replay", flow_run, "--db", DB)
    assert (replayed.code, replayed.out) == (0, "identical\n")


def unfinished(store: TraceStore) -> None:
    """Add a run of the workflow that was lost in its second stage."""
    started = store.events("w")[0]
    begun = next(event for event in store.events("w") if isinstance(event, StageStarted))
    assert isinstance(started, RunStarted)
    lost = begun.model_copy(update={"run_id": "lost", "seq": 1, "child": "lost/split"})
    store.append([started.model_copy(update={"run_id": "lost"}), lost])


def test_a_stage_that_has_not_ended_is_shown_too(command: Command, flow_run: str) -> None:
    with open_store(DB) as store:
        unfinished(store)
    assert "split lost | lost/split" in command("runs", "show", "lost", "--db", DB).out
    assert command("replay", "lost", "--db", DB).err.startswith("Error: run 'lost' has not ended by itself")


def test_runs_of_stages_are_listed_only_when_asked_for(command: Command, flow_run: str) -> None:
    listed = [line["id"] for line in command("runs", "list", "--db", DB, "--json").json]
    everything = [line["id"] for line in command("runs", "list", "--all", "--db", DB, "--json").json]
    assert listed == ["w"]
    assert sorted(everything) == ["w", "w/end", "w/read.0", "w/read.1", "w/split"]
