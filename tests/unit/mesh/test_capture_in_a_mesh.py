"""What a mesh keeps of what is said in it: by policy, whatever way it came in, in files, rows and logs."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agentmesh import (
    Agent,
    Answer,
    Approval,
    Capture,
    Condition,
    Learning,
    Limits,
    Mesh,
    Preference,
    Refiner,
    Run,
    RunStatus,
    Stage,
    Task,
    Workflow,
    open_store,
    replay,
    rerun,
)
from agentmesh.agents.refiner import Refined, WeightedAnswer
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, ReplayError
from agentmesh.events import Event, RunStarted
from agentmesh.graphs.replies import Said, record_answer
from agentmesh.judging import CallableCheck, CallableFeasibility
from agentmesh.judging.verifiers import CallableVerifier
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.playback.logged import NOT_WHOLE, read_log
from agentmesh.records import CallStatus, Conflict, ContextItem, Dropped, Position, Turn
from agentmesh.routing.similarity import CosineRouter
from agentmesh.testing import CannedAgent, EchoAgent
from agentmesh.testing.asking import RatedRouter

EMBEDDER = HashingEmbedder()
KEY = "a key of the tests, kept nowhere else"
POLICIES = {
    "none": Capture(content="none"),
    "hashed": Capture(content="hashed", key=KEY),
    "redacted": Capture(redact={"marker": r"qzx\d\d[a-z]+"}),
}


class Markers:
    """Words that are looked for afterwards, each planted in one place."""

    def __init__(self) -> None:
        self.planted: list[str] = []

    def __call__(self, place: str) -> str:
        self.planted.append(f"qzx{len(self.planted):02}{place}")
        return self.planted[-1]


class Telling(Agent):
    """Tells much, as text and as data."""

    id, description = "telling", "Tells what it knows of everything."

    def __init__(self, plant: Markers) -> None:
        self.answer = Answer(text=plant("answer"), data={plant("datakey"): [plant("data"), {"deep": plant("deep")}]})

    async def run(self, task: Task) -> Answer:
        return self.answer


class Raising(Agent):
    """Raises what it was given."""

    def __init__(self, name: str, error: str) -> None:
        self.id, self.description, self.error = name, f"The agent {name}.", error

    async def run(self, task: Task) -> str:
        raise ValueError(self.error)


class Wordy(Refiner):
    """Says something in every field."""

    name = "wordy"

    def __init__(self, plant: Markers) -> None:
        self.said = [plant(f"refined{place}") for place in "abcdefg"]

    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:
        answer, position, explanation, agreed, dropped, why, note = self.said
        conflict = Conflict(
            positions=(Position(text=position, agents=("telling",), weight=1),), explanation=explanation
        )
        return Refined(
            answer=answer,
            answered_by=("telling",),
            conflicts=(conflict,),
            agreed=(agreed,),
            dropped=(Dropped(agent_id="telling", text=dropped, why=why),),
            note=note,
        )


class Failing:
    """A judge that says what is wrong with it."""

    name = "small"

    def __init__(self, error: str) -> None:
        self.error = error

    async def judge(self, task: Task, answer: str) -> float | None:
        raise RuntimeError(self.error)


class Blind(CosineRouter):
    """Fails on one kind of task."""

    def __init__(self, error: str) -> None:
        super().__init__()
        self.error = error

    async def route(self, features: Any, pool: Any, context: Any) -> Any:
        if "fail here" in features.text:
            raise RuntimeError(self.error)
        return await super().route(features, pool, context)


def task_of(plant: Markers) -> Task:
    like = Preference(action="prefer", agents=("telling",), like=(plant("like"),), at_least=0.01)
    pattern = Preference(action="prefer", agents=("telling",), pattern=plant("pattern"), domain=plant("domain"))
    skill = plant("skill")
    return Task(
        text=f"Find out about {plant('task')} for {plant('person')}",
        id=plant("id"),
        inputs={plant("inputkey"): [plant("input"), {plant("innerkey"): plant("inner")}]},
        type_hints=(plant("hint"),),
        required_skills=frozenset({skill}),
        required_flags=frozenset({plant("flag")}),
        turns=(Turn(role="user", text=plant("turn")), Turn(role="assistant", text=plant("reply"), agent_id="telling")),
        context=(ContextItem(key=plant("contextkey"), text=plant("context")),),
        preferences=(like, pattern),
    )


def workflow_of(plant: Markers) -> Workflow:
    first = Stage(name="first", prompt=f"{plant('prompt')} of {{task}}", agents=("echo",))
    unmet = Condition(of="first", contains=plant("condition"))
    never = Stage(name="never", after=("first",), agents=("echo",), when=unmet)
    last = Stage(name="last", after=("first", "never"), prompt=f"{plant('last')}: {{first}}", agents=("echo",))
    return Workflow(stages=(first, never, last), output="last")


async def say_everything(plant: Markers, mesh_of: Any) -> list[Run]:
    """Have content come into a mesh by every way there is, and return the runs that came back."""
    task, telling = task_of(plant), Telling(plant)
    telling.skills, telling.policy_flags = tuple(task.required_skills), frozenset(task.required_flags)
    failing, reasoned = (
        plant("routererror"),
        json.dumps({"reason": plant("reason"), "agents": ["echo"], "out_of_scope": False}),
    )
    options: dict[str, Any] = {
        "checks": [
            CallableFeasibility(lambda task, card: plant("unfit") if card.id == "unfit" else None, name="fit"),
            CallableCheck(lambda task, answer: plant("unsound") if "Buy" in answer else None, name="sound"),
        ],
        "verifiers": [CallableVerifier(lambda task, answer: 1 / 0 if answer else 0.5, name="broken")],
        "judge": Failing(plant("judgeerror")),
        "approvals": [Approval(agents={"buyer"}, reason=plant("rule"))],
        "refiner": Wordy(plant),
    }
    team = [telling, Raising("raising", plant("exception")), EchoAgent("buyer"), EchoAgent("unfit")]
    team += [Raising("worse", plant("agenterror")), EchoAgent("echo")]
    runs: list[Run] = []
    async with mesh_of(team, router=Blind(failing), **options) as mesh:
        runs.append(await mesh.run(task, limits=Limits(context_tokens=500), run_id="full"))
        wide = Limits(max_agents=6, context_tokens=1)
        waiting = await mesh.run(f"Buy {plant('goods')}", limits=wide, run_id="wide")
        assert waiting.status is RunStatus.WAITING
        edit = plant("edit")
        runs.append(await mesh.approve("wide", by=plant("by"), note=plant("note"), text=f"Buy {edit}"))
        rejected = await mesh.run(f"buyer {plant('rejected')}", limits=wide, run_id="no")
        assert rejected.status is RunStatus.WAITING
        runs.append(await mesh.reject("no", note=plant("because")))
        with pytest.raises(RuntimeError, match=failing):
            await mesh.run("fail here", run_id="failed")
        await mesh.feedback("full", 1.0, agent="telling", source=plant("source"))
        runs.append(await mesh.run_workflow(workflow_of(plant), f"Describe {plant('whole')}", run_id="flow"))
        await mesh.learned()
    async with mesh_of(
        [EchoAgent("echo"), EchoAgent("other")], router="reasoning", chat=ScriptedChat([reasoned])
    ) as mesh:
        runs.append(await mesh.run(f"Reason on {plant('asked')}", run_id="reasoned"))
    return runs


def left_in(text: str, planted: Sequence[str]) -> list[str]:
    return [marker for marker in planted if marker in text]


def files_of(folder: Path) -> list[str]:
    """Return all files of a folder as text, logs of writes among them."""
    return [path.read_bytes().decode(errors="replace") for path in folder.iterdir()]


def rows_of(url: str) -> str:
    """Return all rows of all tables as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
        rows = [connection.execute(f'SELECT "{name}"::text FROM "{name}"').fetchall() for (name,) in tables]  # noqa: S608
    return repr(rows)


@pytest.mark.parametrize(
    ("policy", "database"),
    [(None, "sqlite"), *((policy, database) for policy in POLICIES for database in ("sqlite", "postgresql"))],
)
async def test_what_a_policy_does_not_keep_is_in_no_file_row_or_log_whatever_way_it_came_in(
    policy: str | None, database: str, tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}" if database == "sqlite" else request.getfixturevalue("postgres_url")
    plant, open_bytes = Markers(), list[str]()
    capture = None if policy is None else POLICIES[policy]

    def mesh_of(team: Sequence[Agent], **options: Any) -> Mesh:
        return Mesh(
            team, store=url, embedder=EMBEDDER, explore=0, learning=Learning(mode="loop"), capture=capture, **options
        )

    with caplog.at_level(logging.DEBUG):
        runs = await say_everything(plant, mesh_of)
    if database == "sqlite":
        open_bytes += files_of(tmp_path)
    else:
        open_bytes.append(rows_of(url))
    kept = left_in("".join([*open_bytes, caplog.text]), plant.planted)
    returned = left_in("".join(run.model_dump_json() for run in runs), plant.planted)
    assert len(plant.planted) >= 40
    assert len(returned) >= 25
    if policy is None:
        assert set(plant.planted) == set(kept)  # all do get there: else the test could not fail
        return
    cards = {marker for marker in plant.planted if marker.endswith(("skill", "flag"))}  # what agents are is kept
    assert set(kept) <= cards
    with open_store(url, read_only=True) as store:
        assert store.check() == []
        assert all(store.events(summary.id) for summary in store.runs())


def plain_mesh(store: str, capture: Capture | None, **options: Any) -> Mesh:
    team = [CannedAgent(["The answer."], id="ann"), CannedAgent(["the answer"], id="bob")]
    given: dict[str, Any] = {"router": CosineRouter(), "embedder": EMBEDDER, "explore": 0} | options
    return Mesh(team, store=store, learning=Learning(mode="loop"), capture=capture, **given)


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_run_is_decided_again_from_its_vector_and_not_run_again_without_its_texts(
    policy: str, tmp_path: Path
) -> None:
    url, capture = f"sqlite:///{tmp_path / 'mesh.db'}", POLICIES[policy]
    heard: list[Event] = []
    async with plain_mesh(url, capture, listeners=[heard.append]) as mesh:
        for name, text in (("a", "What of qzx00goods?"), ("b", "What of qzx00goods?"), ("c", "Another thing")):
            run = await mesh.run(text, run_id=name, limits=Limits(max_agents=2))
            assert (run.task.text, run.answer, len(run.calls)) == (text, "The answer.", 2)
            await mesh.feedback(name, 0.8)
        stored = [mesh.store.run(name).task.text for name in "abc"]
        with pytest.raises(ConfigError, match="cannot be run again: its texts were"):
            await rerun(mesh, "a")
    assert stored[0] == stored[1] != "What of qzx00goods?"
    assert (stored[0] == stored[2]) is (policy == "none")
    assert next(event.task.text for event in heard if isinstance(event, RunStarted)) == "What of qzx00goods?"
    with open_store(url, read_only=True) as store:
        started = store.events("a")[0]
        assert isinstance(started, RunStarted)
        assert started.capture == capture.policy
        assert [(await replay(store, name, router=CosineRouter())).identical for name in "abc"] == [True] * 3
        assert {one.text for one in store.experiences()} == set(stored)
        if policy == "redacted":
            assert [one.run_id for one in read_log(store).runs] == ["c"]
            assert read_log(store).left_out == {NOT_WHOLE: 2}
        else:
            with pytest.raises(ConfigError, match="3: what was asked is not kept"):
                read_log(store)


async def test_a_replay_that_needs_the_texts_names_the_policy(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    async with plain_mesh(url, POLICIES["none"], router="cards") as mesh:
        await mesh.run("What would ann say, and what bob?", run_id="a")
        plan = Workflow(stages=(Stage(name="only", prompt="{task}, ann?", agents=("ann",)),), output="only")
        await mesh.run_workflow(plan, "Ask", run_id="flow")
    with open_store(url, read_only=True) as store:
        for name, workflow in (("a", None), ("flow", plan)):
            with pytest.raises(ReplayError, match=r"not all that was said in it is kept \(capture 'none'\)"):
                await replay(store, name, workflow=workflow)
        with pytest.raises(ReplayError, match="is of no workflow that is stored"):
            await replay(store, "flow")


async def test_a_run_that_failed_is_replayed_though_its_error_is_not_kept(tmp_path: Path) -> None:
    url, capture = f"sqlite:///{tmp_path / 'mesh.db'}", POLICIES["none"]
    failing = [CannedAgent(["x"], id="ann")]
    options: dict[str, Any] = {"router": RatedRouter(quality={"ann": 1.0}), "embedder": EMBEDDER, "explore": 0}
    async with Mesh(failing, store=url, capture=capture, learning=Learning(mode="off"), **options) as mesh:
        run = await mesh.run("q", run_id="a", limits=Limits(max_calls=0))
        assert run.calls[0].status is CallStatus.REFUSED
    with open_store(url, read_only=True) as store:
        assert (await replay(store, "a", router=RatedRouter(quality={"ann": 1.0}))).identical
        assert store.run("a").error == "[not kept]"


@pytest.mark.parametrize("policy", ["none", "redacted"])
async def test_a_run_whose_texts_are_not_kept_goes_on_where_it_began_and_is_refused_elsewhere(
    policy: str, tmp_path: Path
) -> None:
    url, capture = f"sqlite:///{tmp_path / 'mesh.db'}", POLICIES[policy]
    options: dict[str, Any] = {"approvals": [Approval()], "router": CosineRouter()}
    async with plain_mesh(url, capture, **options) as mesh:
        for name in ("here", "there", "whole"):
            await mesh.run("Buy" if name == "whole" else "Buy qzx00goods", run_id=name)
        assert (await mesh.approve("here", note="qzx00fine")).status is RunStatus.COMPLETED
    async with plain_mesh(url, capture, **options) as mesh:
        with pytest.raises(
            ConfigError, match=f"run 'there' cannot go on from the store: .*capture '.*{capture.policy}"
        ):
            await mesh.approve("there")
        assert mesh.store.run("there").status is RunStatus.RUNNING  # what was said stands, nothing was called
        if policy == "redacted":
            assert (await mesh.approve("whole")).status is RunStatus.COMPLETED


async def test_what_is_said_with_a_database_alone_may_hold_nothing_that_a_policy_would_change(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    async with plain_mesh(url, POLICIES["hashed"], approvals=[Approval()]) as mesh:
        await mesh.run("Buy", run_id="r")
    with open_store(url) as store:
        for said in (Said("approve", by="ann"), Said("reject", note="no"), Said("edit", text="Sell")):
            with pytest.raises(ConfigError, match="'hashed', which only its mesh can follow"):
                record_answer(store, "r", said, now=1.0)
        assert record_answer(store, "r", Said("reject"), now=1.0) == "r"


async def test_outcomes_of_texts_that_are_not_kept_teach_nothing_under_another_embedder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    async with plain_mesh(url, POLICIES["none"], router="knn") as mesh:
        await mesh.run("a thing", run_id="r")
        await mesh.feedback("r", 1.0)
        await mesh.learned()
        assert mesh.router.sequence == 1
    async with plain_mesh(url, None, router="knn", embedder=HashingEmbedder(64)) as mesh:
        await mesh.learned()
        assert mesh.router.sequence == 0
