"""Hostile texts through every field that a user can set: stored as they were on both databases, and shown safely."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from agentmesh import (
    Agent,
    Answer,
    Approval,
    Health,
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
)
from agentmesh.agents.card import check_id
from agentmesh.agents.refiner import Refined, WeightedAnswer
from agentmesh.agents.registry import Registry
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, RegistrationError
from agentmesh.events import ApprovalGiven, Event, RunStarted, fold
from agentmesh.graphs.workflow.spec import workflow_of
from agentmesh.judging import CallableCheck
from agentmesh.learning.feedback import record_feedback
from agentmesh.records import (
    Conflict,
    ContextItem,
    Dropped,
    LearningFault,
    Position,
    RegistrySnapshot,
    RouteDecision,
    Turn,
)
from agentmesh.routing.base import AgentPool, RouteContext, TaskFeatures
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.testing import EchoAgent
from agentmesh.testing.asking import RatedRouter
from agentmesh.testing.traces import mark, state

KNOWN = (
    "'; DROP TABLE runs;--",
    "' OR '1'='1",
    '" OR ""="',
    "1); DELETE FROM events; --",
    "'||(SELECT body FROM events)||'",
    "Robert'); DROP TABLE events; --",
    "$$; SELECT pg_sleep(9); $$",
    "\\'; --",
    ":name %(name)s %s ? $1 {0} {name}",
    "%",
    "_",
    "100%_[a-z]*",
    "\\%\\_\\",
    '{"kind":"run_finished"}',
    '"}],"status":"completed","x":[{"y":"',
    "</script><script>alert(1)</script>",
    "[bold red]not markup[/bold red]",
    "null",
    "true",
    "-1e999",
    "NaN",
    "--help",
    "-x",
    "../../etc/passwd",
    "..\\..\\x",
    "file:///dev/null?mode=memory",
    "sqlite:///x.db",
    "a\0b",
    "\0",
    "\x10\x11\x11",
    "\x10\x12",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31mred",
    "\r\nfaked: line",
    "tab\tand\vfeed\f",
    "\x7f\x08\x08",
    "\u202egnp.exe",
    "\u2066\u2067\u2069",
    "\u200b\u200d\ufeff",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "e\u0301 \u00e9",
    "\u0130\u0131\u00df\u017f",
    "\U0001f469\u200d\U0001f680 \U0001f1e9\U0001f1ea",
    "\U0010ffff\ufffe\uffff",
    "\u2028line\u2029",
    "Z\u0351\u036b\u0343" * 9,
    "\ud83d",
    "a\udc00b",
    "x" * 200,
    "\U0001f680" * 200,
    " padded ",
    "[not kept]",
    "hmac:0000000000000000000000000000000000000000",
)
PIECES = (
    "'",
    '"',
    "\\",
    ";",
    "%",
    "_",
    "\0",
    "\x1b[1m",
    "\u202e",
    "{",
    "}",
    "--",
    "\ud83d",
    "\U0001f680",
    "a",
    "\n",
    "?",
)
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
EMBEDDER = HashingEmbedder(16)
LIMITS = Limits(max_agents=3, context_tokens=10**6)


def hostile(most: int) -> list[str]:
    """Return texts that do harm where they are taken for more than text: known ones, and seeded mixtures."""
    draw = np.random.default_rng(7)
    mixed = ("".join(draw.choice(PIECES, size=draw.integers(3, 30))) for _ in range(most))
    return list(dict.fromkeys([*KNOWN, *mixed]))[:most]


VALUES = hostile(56)


def is_unicode(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


def is_id(text: str) -> bool:
    return bool(text.strip()) and len(text) <= 200 and is_unicode(text)


class Repeating(Agent):
    """Answers with what stands in the task, as text and as data."""

    id = "repeating"

    async def run(self, task: Task) -> Answer:
        said = str(task.inputs["said"])
        return Answer(text=said, data={said: [said, None]})


class Raising(Agent):
    """Raises what stands in the task."""

    id, description = "raising", "Raises."

    async def run(self, task: Task) -> str:
        raise ValueError(str(task.inputs["said"]))


class Saying(RatedRouter):
    """Gives what the task is labelled with as its reason."""

    async def route(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        decision = await super().route(features, pool, context)
        return decision.model_copy(update={"reason": "".join(features.type_hints)})


class Wordy(Refiner):
    """Puts what stands in the task into every field."""

    name = "wordy"

    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:
        said = str(task.inputs["said"])
        conflict = Conflict(positions=(Position(text=said, agents=("repeating",), weight=1),), explanation=said)
        dropped = Dropped(agent_id="repeating", text=said, why=said)
        return Refined(
            answer=f"{said}.",  # no run ends with a blank answer
            answered_by=("repeating",),
            conflicts=(conflict,),
            agreed=(said,),
            dropped=(dropped,),
            note=said,
        )


def task_of(place: int, said: str) -> Task:
    """Return a task with a text in each of its fields; text and context must be Unicode."""
    plain = said if is_unicode(said) else "?"
    like = (
        (Preference(action="prefer", agents=("repeating",), like=(f"{said}.",), domain=said),)
        if is_unicode(said)
        else ()
    )
    return Task(
        text=f"{place} {plain}",
        id=said,
        inputs={"said": said, said: [said, {said: place}]},
        type_hints=(said,),
        turns=(Turn(role="user", text=said), Turn(role="assistant", text=said, agent_id=said)),
        context=(ContextItem(key=plain, text=plain, stage=said, agent_id=said),),
        preferences=like,
    )


def mesh_of(store: TraceStore) -> Mesh:
    repeating = Repeating()
    plain = [text for text in VALUES if is_unicode(text) and text.strip()]
    repeating.description = "Repeats. " + " ".join(plain)[:2000]
    repeating.policy_flags = frozenset(plain)
    return Mesh(
        [repeating, Raising()],
        store=store,
        router=Saying(quality={"repeating": 1.0, "raising": 0.9}),
        refiner=Wordy(),
        checks=[CallableCheck(lambda task, answer: str(task.inputs["said"]) or None, name="doubt")],
        approvals=[Approval(agents={"raising"}, reason=" ".join(plain))],
        health=Health(failures=None),
        embedder=EMBEDDER,
        explore=0,
        learning=Learning(mode="off"),
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What came of each text: its run by name, and all events and cards as a mesh made them."""

    runs: Mapping[str, tuple[str, Run]]
    events: Sequence[Event]
    registry: RegistrySnapshot


@pytest.fixture(scope="module")
def told() -> Told:
    """Run a task for each text, under that name where it can be one, and have a person say it too."""

    async def one(mesh: Mesh, place: int, said: str) -> tuple[str, tuple[str, Run]]:
        name = said if is_id(said) else f"run {place}"
        waiting = await mesh.run(task_of(place, said), run_id=name, limits=LIMITS)
        assert waiting.status is RunStatus.WAITING
        return name, (said, await mesh.approve(name, by=said, note=said))

    async def all_of(store: TraceStore) -> dict[str, tuple[str, Run]]:
        async with mesh_of(store) as mesh:
            return dict(await asyncio.gather(*(one(mesh, place, said) for place, said in enumerate(VALUES))))

    with open_store() as store:
        runs = asyncio.run(all_of(store))
        events = [stored.event for stored in store.tail(limit=10**6)]
        started = events[0]
        assert isinstance(started, RunStarted)
        return Told(runs, events, store.registry(started.registry_version))


def check_runs(store: TraceStore, told: Told) -> Iterator[str]:
    """Yield each text that came back as it was, once for each field that it went through."""
    for name, (said, run) in told.runs.items():
        events = store.events(name)
        assert fold(events) == run
        assert next(event.reply.by for event in events if isinstance(event, ApprovalGiven)) == said
        dumped = json.dumps([event.model_dump(mode="json") for event in events])
        yield from [said] * dumped.count(json.dumps(said)[1:-1])


def check_filters(store: TraceStore, told: Told) -> Iterator[str]:
    """Yield texts that runs are found by, and found by alone."""
    for name, (said, run) in list(told.runs.items())[::3]:
        for where in (RunFilter(prefix=name), RunFilter(text=run.task.text), RunFilter(reason=said)):
            assert name in {one.id for one in store.runs(where, limit=999)}
            yield said
        assert store.count_runs(RunFilter(agent_id=said)) == 0
        yield said


def check_beside(store: TraceStore) -> Iterator[str]:
    """Yield texts that came back as they were from what is no run."""
    for place, said in enumerate(VALUES[1::3]):
        plain = said if is_unicode(said) else f"text {place}"
        store.add_fault(LearningFault(at=place, run_id=plain, source=plain, message=plain))
        assert store.faults(limit=1) == [LearningFault(at=place, run_id=plain, source=plain, message=plain)]
        put = store.put_mark(mark(router=plain).model_copy(update={"note": plain}), state(place, router=plain))
        assert store.marks(plain, put.root) == [put]
        store.put_router(plain, plain, plain)
        assert store.router_parameters(plain, plain) == plain
        yield from [said] * 7


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_hostile_texts_are_stored_as_they_were_and_shown_safely(
    database: str, told: Told, request: pytest.FixtureRequest, command: Any
) -> None:
    url = "sqlite:///mesh.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    with open_store(url) as store:
        store.put_registry(told.registry)
        store.append(told.events)
        scored = {name: said for name, (said, _) in list(told.runs.items())[2::3] if is_id(said)}
        for name, said in scored.items():
            record_feedback(store, name, 0.5, agent="repeating", source=said)
        fields = [*check_filters(store, told), *check_beside(store)]
    with open_store(url, read_only=True) as store:
        fields += check_runs(store, told)
        assert {one.source for one in store.experiences()} == set(scored.values())
        assert store.latest_cards() == told.registry.cards
        assert store.check() == []
        listed = {one.id: one.text for one in store.runs(limit=999)}
    assert len(fields) >= 1500
    assert set(fields) == set(VALUES)
    shown = command("runs", "list", "--db", url, "--limit", "999", "--json")
    table = command("runs", "list", "--db", url, "--limit", "999")
    assert {run["id"]: run["text"] for run in shown.json} == listed
    assert table.out.count("\n") == len(told.runs) + 1
    assert not STEERING.search(shown.out + table.out)
    for place, name in enumerate(list(told.runs)[::5]):
        account = command("runs", "show", "--db", url, *((), ("--json",), ("--events",))[place % 3], "--", name)
        assert (account.code, STEERING.search(account.out)) == (0, None)


def test_what_cannot_be_a_name_is_refused_by_a_message_that_shows_safely(command: Any) -> None:
    refused = 0
    for said in VALUES:
        with pytest.raises((ConfigError, ValueError), match="called"):
            Stage(name=said if not said.isalnum() else f"{said}/", prompt="?")
        flow = Workflow(stages=[Stage(name="only", prompt="?")], output="only", name=said if is_unicode(said) else "")
        assert workflow_of(flow.as_json()).name == flow.name
        agent = EchoAgent(said)
        if is_id(said) and said == said.strip() and said.isprintable():
            assert check_id(said) == said
        else:
            refused += 1
            with pytest.raises(RegistrationError, match="cannot be used"):
                Registry(EMBEDDER, [agent])
        outcome = command("runs", "show", "--db", "sqlite:///none.db", "--", said)
        assert outcome.code == 1
        assert not STEERING.search(outcome.out + outcome.err)
    assert refused >= 20


@pytest.mark.parametrize(
    ("task", "name", "why"),
    [
        ("half \ud83d", None, "no Unicode"),
        ("x" * (2**20 + 1), None, "at most 1048576 are accepted"),
        (" \n", None, "give it some text"),
        (Task(text="x", context=(ContextItem(key="\udc00", text="y"),)), None, "no Unicode"),
        ("x", "", "a name of 1 to 200 characters"),
        ("x", " \t", "a name of 1 to 200 characters"),
        ("x", "n" * 201, "a name of 1 to 200 characters"),
        ("x", "n\ud83d", "no Unicode"),
    ],
)
async def test_a_task_or_a_name_that_no_store_holds_is_refused_before_anything_runs(
    task: str | Task, name: str | None, why: str
) -> None:
    with open_store() as store:
        async with mesh_of(store) as mesh:
            with pytest.raises(ConfigError, match=why):
                await mesh.run(task, run_id=name)
        assert store.runs() == []


async def test_a_million_characters_come_back(folder: Any) -> None:
    said = ("'\"\\%_\0\u202e\U0001f680" * 2**17)[: 2**20]
    url = "sqlite:///long.db"
    with open_store(url) as store:
        async with mesh_of(store) as mesh:
            run = await mesh.run(Task(text=said, inputs={"said": "x"}), run_id="long")
            run = await mesh.reject("long", note=said[: 2**16])
    with open_store(url, read_only=True) as store:
        assert store.run("long") == run
        assert store.count_runs(RunFilter(text=said[-1000:])) == 1
