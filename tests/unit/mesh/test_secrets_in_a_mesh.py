"""Secrets of the caller: nobody inside sees them, nothing keeps them, and the caller gets them back."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentmesh import Agent, Answer, Limits, Mesh, PromptedAgent, PromptedRefiner, Secrets, Task, open_store, replay
from agentmesh.errors import NoCandidateError
from agentmesh.events import AnswerChunk, Event, RunFinished, RunStarted
from agentmesh.judging.verifiers import CallableVerifier
from agentmesh.llm.openai import OpenAIChat
from agentmesh.records import RouteDecision, Run, Turn
from agentmesh.routing.base import AgentPool, RouteContext, TaskFeatures
from agentmesh.routing.baseline import RandomRouter
from agentmesh.testing import CannedAgent, EchoAgent, FailingAgent, FakeOpenAIServer, ServedRequest
from agentmesh.testing.planted import CUSTOMER, PLANTED

SECRETS = Secrets(patterns=CUSTOMER)
TEXT = "Sort these: " + " ;; ".join(PLANTED)
TASK = Task(
    text=TEXT,
    inputs={
        "all": list(PLANTED),
        "by": {secret: place for place, secret in enumerate(PLANTED)},
        "card": 4111111111111111,
    },
    turns=(Turn(role="user", text=TEXT), Turn(role="assistant", text="\n".join(PLANTED), agent_id="echo")),
)


class Blurting(Agent):
    """Puts all it was given into its error."""

    description = "Blurts out what it was asked."

    async def run(self, task: Task) -> str:
        raise ValueError(task.model_dump_json())


class Chatty(Agent):
    """Streams its task in pieces of three characters."""

    description = "Says again what it was asked, bit by bit."

    async def run(self, task: Task) -> str:
        return task.text

    async def stream(self, task: Task) -> AsyncIterator[str | Answer]:
        for place in range(0, len(task.text), 3):
            yield task.text[place : place + 3]


class Breaking(Chatty):
    """Breaks off in the middle of a placeholder."""

    description = "Says again the beginning of what it was asked, and fails."

    async def stream(self, task: Task) -> AsyncIterator[str | Answer]:
        yield task.text[:-4]
        raise ValueError("no more")


@contextmanager
def all_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield


def forms(secret: str) -> set[bytes]:
    """Return a secret as files and payloads may hold it."""
    escaped = json.dumps(secret)[1:-1]
    return {
        form.encode() for form in (secret, escaped, json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
    }


def left_in(raw: bytes) -> list[str]:
    return [secret for secret in PLANTED if any(form in raw for form in forms(secret))]


def files_of(folder: Path) -> bytes:
    """Return all that a database holds on disk, its write-ahead log too."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def merge_or_echo(request: ServedRequest) -> str:
    """Say again the last message, as JSON where that is asked for."""
    assert isinstance(request.body, dict)
    said: Any = request.body["messages"]
    last = str(said[-1]["content"])
    return json.dumps({"answer": last, "explanation": last}) if "response_format" in request.body else last


def test_there_are_forty_of_them() -> None:
    assert len(set(PLANTED)) == 40
    assert len(left_in(TASK.model_dump_json().encode())) == 40


async def test_forty_secrets_are_nowhere_but_in_what_the_caller_gets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def watch(task: Task, answer: str) -> float:
        seen.append(task.model_dump_json() + answer)
        raise ValueError(answer)

    with FakeOpenAIServer(merge_or_echo) as server, all_logged(caplog):
        client = OpenAIChat("fake-model", base_url=server.base_url, api_key="none")
        async with aclosing(client):
            team = [
                EchoAgent(),
                Blurting(),
                PromptedAgent(client, id="prompted", description="Asks a model."),
                CannedAgent(["something else"], id="other"),
            ]
            async with Mesh(
                team,
                store=f"sqlite:///{tmp_path / 'mesh.db'}",
                refiner=PromptedRefiner(client),
                verifiers=[CallableVerifier(watch, name="watch")],
                secrets=SECRETS,
                limits=Limits(max_agents=9),
            ) as mesh:
                events = [event async for event in mesh.stream(TASK, run_id="run-1")]
                run = await mesh.run(TASK, run_id="run-2")
                await mesh.feedback("run-2", 1.0, agent="echo")
                open_files = files_of(tmp_path)
                traces = [event.model_dump_json() for name in ("run-1", "run-2") for event in mesh.store.events(name)]
                experiences = mesh.store.experiences()
    inside = json.dumps([request.body for request in server.requests], ensure_ascii=False)
    assert len(server.requests) >= 4
    assert len(experiences) == 1
    assert len(seen) >= 2
    for name, raw in {
        "files": open_files + files_of(tmp_path),
        "events": "".join(traces).encode(),
        "payloads": inside.encode() + json.dumps([request.body for request in server.requests]).encode(),
        "logs": (caplog.text + str([record.args for record in caplog.records])).encode(),
        "verifiers": "".join(seen).encode(),
    }.items():
        assert (name, left_in(raw)) == (name, [])
    answers = {call.agent_id: call.answer.text for call in run.calls if call.answer is not None}
    assert answers["echo"] == TEXT
    assert left_in(answers["prompted"].encode()) == list(PLANTED)
    assert left_in((run.answer or "").encode()) == list(PLANTED)
    assert (run.task, run_of(events).answer) == (TASK, run.answer)


def run_of(events: list[Event]) -> RunFinished:
    last = events[-1]
    assert isinstance(last, RunFinished)
    return last


async def only(*team: Agent, task: Task | str = TASK, secrets: Secrets | None = SECRETS) -> Run:
    async with Mesh(team, secrets=secrets, explore=0) as mesh:
        return await mesh.run(task, limits=Limits(max_agents=len(team)))


async def test_an_echo_answers_with_every_secret() -> None:
    run = await only(EchoAgent())
    assert (run.answer, run.task) == (TEXT, TASK)
    assert left_in(run.model_dump_json().encode()) == list(PLANTED)


async def test_an_error_shows_the_secrets_to_the_caller_alone() -> None:
    async with Mesh([Blurting()], secrets=SECRETS) as mesh:
        run = await mesh.run(TASK)
        stored = mesh.store.run(run.id)
    assert left_in((run.error or "").encode()) == list(PLANTED)
    assert left_in(stored.model_dump_json().encode()) == []


async def test_conflicting_answers_are_restored() -> None:
    run = await only(EchoAgent(), CannedAgent(["no"], id="other"), task="Mail ann@example.com")
    assert {position.text for position in run.conflicts[0].positions} == {"Mail ann@example.com", "no"}


async def test_pieces_of_a_streamed_answer_are_restored_across_their_edges() -> None:
    async with Mesh([Chatty()], secrets=SECRETS) as mesh:
        events = [event async for event in mesh.stream(TASK)]
    pieces = [event.text for event in events if isinstance(event, AnswerChunk)]
    assert "".join(pieces) == TEXT
    assert len(pieces) > len(PLANTED)
    assert [event.task for event in events if isinstance(event, RunStarted)] == [TASK]


async def test_an_answer_that_breaks_off_in_a_placeholder_ends_with_half_of_it() -> None:
    async with Mesh([Breaking()], secrets=SECRETS) as mesh:
        events = [event async for event in mesh.stream("Mail ann@example.com")]
    pieces = "".join(event.text for event in events if isinstance(event, AnswerChunk))
    assert pieces.startswith("Mail [[email-1-")
    assert run_of(events).status == "failed"


async def test_an_agent_cannot_make_another_runs_secret_appear() -> None:
    seen: list[str] = []

    class Remembering(Agent):
        description = "Answers with what it was asked before."

        async def run(self, task: Task) -> str:
            seen.append(task.text)
            return f"{seen[0]} [[email-7]] [[email-1]]"

    async with Mesh([Remembering()], secrets=SECRETS) as mesh:
        first = await mesh.run("Mail ann@example.com")
        second = await mesh.run("Mail bob@example.com")
    assert first.answer == "Mail ann@example.com [[email-7]] [[email-1]]"
    assert second.answer == f"{seen[0]} [[email-7]] [[email-1]]"
    assert seen[0] != seen[1]


async def test_a_dry_run_shows_its_router_no_secret() -> None:
    async with Mesh([EchoAgent("a"), EchoAgent("b")], secrets=SECRETS) as mesh:
        assert (await mesh.route(TASK)).selected == (await mesh.route(TASK)).selected


async def test_who_is_chosen_does_not_hang_on_whose_secret_it_is() -> None:
    async with Mesh([EchoAgent("a"), EchoAgent("b")], secrets=SECRETS, explore=0) as mesh:
        one, other = await mesh.route("Mail ann@example.com now"), await mesh.route("Mail x.y@z.example now")
    assert one.scores == other.scores


async def test_what_is_raised_keeps_its_placeholders() -> None:
    class Raising(RandomRouter):
        async def route(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
            raise NoCandidateError(f"nobody for {features.text}")

    async with Mesh([EchoAgent()], router=Raising(), secrets=SECRETS) as mesh:
        with pytest.raises(NoCandidateError, match=r"nobody for Mail \[\[email-1-"):
            await mesh.run("Mail ann@example.com")


async def test_a_run_with_secrets_is_replayed_on_its_placeholders(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    async with Mesh([EchoAgent(), FailingAgent("broken")], store=url, secrets=SECRETS) as mesh:
        run = await mesh.run(TASK, limits=Limits(max_agents=2))
    with open_store(url, read_only=True) as store:
        again = await replay(store, run.id)
    assert again.identical
    assert left_in((again.run.answer or "x").encode()) == []


async def test_without_secrets_nothing_is_hidden() -> None:
    agent = EchoAgent()
    async with Mesh([agent]) as mesh:
        run = await mesh.run("Mail ann@example.com")
        assert mesh.store.run(run.id).task.text == "Mail ann@example.com"


async def test_a_task_without_a_secret_is_left_as_it_is() -> None:
    async with Mesh([EchoAgent()], secrets=SECRETS) as mesh:
        run = await mesh.run("What is [[email-1]]?")
        assert mesh.store.run(run.id) == run


def test_a_mesh_that_opens_for_one_run_hides_secrets_too() -> None:
    mesh = Mesh([EchoAgent()], store=None, secrets=SECRETS)
    run = mesh.run_sync(TASK)
    assert run.answer == TEXT
    assert left_in(mesh.store.run(run.id).model_dump_json().encode()) == []
