"""Replay: the same run again from the database alone, and where it parts when something was tampered with."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmesh import Agent, Learning, Limits, Mesh, Refiner, Router, Task, open_store, replay
from agentmesh.agents.refiner import Refined, WeightedAnswer
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import ReplayError, ReplayMissError, RunNotFoundError
from agentmesh.events import Event
from agentmesh.routing.cascade import CascadeRouter
from agentmesh.routing.inputs import Outcomes
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.agents import CannedAgent, EchoAgent, FailingAgent, HangingAgent

QUESTIONS = ["who built petra", "what is twelve times seven", "name a prime", "who was cleopatra", "add one and two"]


async def _taught(url: str, *, router: str | Router = "auto", rounds: int = 6) -> list[str]:
    """Run and teach a small team, and return the ids of the runs."""
    team = [CannedAgent(["good"], id="good"), CannedAgent(["bad"], id="bad"), EchoAgent("echo")]
    async with Mesh(team, router=router, store=url, explore=0.3, seed=5, learning=Learning(mode="loop")) as mesh:
        ids = []
        for place in range(rounds):
            run = await mesh.run(QUESTIONS[place % len(QUESTIONS)], run_id=f"r{place}", limits=Limits(max_agents=2))
            await mesh.feedback(run.id, 1.0 if "good" in run.answered_by else 0.2)
            ids.append(run.id)
    return ids


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mesh.db'}"


@pytest.mark.parametrize(
    "router",
    [
        "auto",
        "random",
        "round_robin",
        "cheapest",
        "best_single",
        "cards",
        "cosine",
        "pilot",
        "knn",
        "linear",
        "category",
    ],
)
async def test_every_run_replays_identically_with_every_router(router: str, url: str) -> None:
    ids = await _taught(url, router=router)
    with open_store(url, read_only=True) as store:
        for run_id in ids:
            again = await replay(store, run_id)
            assert again.identical, again.differences


async def test_a_replay_after_a_snapshot_starts_from_it(url: str) -> None:
    ids = await _taught(url, rounds=70)
    with open_store(url, read_only=True) as store:
        assert store.nearest_state(f"cascade+{_embedder(url)}", _parameters(url)) is not None
        for run_id in (ids[0], ids[63], ids[64], ids[-1]):
            assert (await replay(store, run_id)).identical


def _embedder(url: str) -> str:
    with open_store(url, read_only=True) as store:
        return str(store.events("r0")[0].model_dump()["embedder"])


def _parameters(url: str) -> str:
    with open_store(url, read_only=True) as store:
        decision = store.run("r0").decision
    assert decision is not None
    return decision.router_version.partition("@")[0]


def test_a_replay_works_in_a_fresh_process_with_the_network_cut(url: str) -> None:
    ids = asyncio.run(_taught(url))
    script = f"""
import asyncio, socket
def cut(*_): raise OSError("the network is cut")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = cut
from agentmesh import open_store, replay
found = asyncio.run(replay(open_store({url!r}, read_only=True), {ids[-1]!r}))
print(found.identical)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "True", done.stderr


async def test_failures_timeouts_and_retries_replay_as_they_were(url: str) -> None:
    team: list[Agent] = [
        CannedAgent([ConnectionError("gone"), "back"], id="flaky"),
        FailingAgent("broken"),
        HangingAgent("stuck"),
    ]
    async with Mesh(team, store=url, explore=0) as mesh:
        limits = Limits(max_agents=3, call_timeout_s=0.05, retries=1)
        run = await mesh.run("q", limits=limits)
    with open_store(url, read_only=True) as store:
        assert (await replay(store, run.id)).identical


async def test_a_run_over_budget_replays(url: str) -> None:
    async with Mesh([CannedAgent(["x"], id="dear", price_per_call_usd=1)], store=url) as mesh:
        run = await mesh.run("q", limits=Limits(cost_usd="0.5"))
    with open_store(url, read_only=True) as store:
        assert (await replay(store, run.id)).identical


async def test_gates_replay_as_they_were(url: str) -> None:
    team = [CannedAgent(["1"], id="a", skills=["x"]), CannedAgent(["2"], id="b")]
    async with Mesh(team, store=url) as mesh:
        run = await mesh.run(Task(text="q", required_skills=frozenset({"x"})))
    with open_store(url, read_only=True) as store:
        assert (await replay(store, run.id)).identical


async def test_runs_replay_although_the_team_changed_while_they_ran(url: str) -> None:
    async with Mesh([EchoAgent("first")], store=url, explore=0) as mesh:

        class Hiring(Agent):
            description = "Brings in another agent while it works."

            async def run(self, task: Task) -> str:
                mesh.register(EchoAgent(f"hired-{len(mesh.cards())}"))
                return "hired"

        mesh.register(Hiring())
        ids = [(await mesh.run("q", limits=Limits(max_agents=9))).id for _ in range(3)]
        ids += [run.id for run in await asyncio.gather(*(mesh.run("q", limits=Limits(max_agents=9)) for _ in range(5)))]
    with open_store(url, read_only=True) as store:
        for run_id in ids:
            assert (await replay(store, run_id)).identical


async def test_a_corrupted_score_is_found(url: str, tmp_path: Path) -> None:
    ids = await _taught(url)
    _edit_decision(tmp_path / "mesh.db", ids[-1])
    with open_store(url, read_only=True) as store:
        again = await replay(store, ids[-1])
    assert not again.identical
    assert [difference.where for difference in again.differences] == ["score of 'bad'"]


def _edit_decision(database: Path, run_id: str) -> None:
    """Change the first packed score of a stored decision, as a bad disk or a bad hand would."""
    import base64
    import struct

    connection = sqlite3.connect(database)
    place, body = connection.execute(
        "SELECT place, body FROM events WHERE run_id = ? AND kind = 'decision_made'", (run_id,)
    ).fetchone()
    shape = json.loads(body)
    raw = bytearray(base64.b64decode(shape["decision"]["scores"]))
    raw[:8] = struct.pack("<d", 123.0)
    shape["decision"]["scores"] = base64.b64encode(bytes(raw)).decode()
    connection.execute("UPDATE events SET body = ? WHERE place = ?", (json.dumps(shape), place))
    connection.commit()
    connection.close()


async def test_an_unknown_run_is_named(url: str) -> None:
    await _taught(url, rounds=1)
    with open_store(url, read_only=True) as store, pytest.raises(RunNotFoundError, match="nowhere"):
        await replay(store, "nowhere")


async def test_a_cancelled_run_is_not_replayed(url: str) -> None:
    async with Mesh([HangingAgent("stuck")], store=url) as mesh:
        events = mesh.stream("q", run_id="r1")
        async for event in events:
            if event.kind == "call_started":
                break
        await events.aclose()
    with open_store(url, read_only=True) as store, pytest.raises(ReplayError, match="was cancelled"):
        await replay(store, "r1")


async def test_a_run_without_a_decision_is_not_replayed(url: str) -> None:
    async with Mesh([CannedAgent(["1"], id="a")], store=url) as mesh:
        with pytest.raises(Exception, match="gate"):
            await mesh.run(Task(text="q", required_skills=frozenset({"x"})), run_id="r1")
    with open_store(url, read_only=True) as store, pytest.raises(ReplayError, match="holds no TaskPrepared"):
        await replay(store, "r1")


class HomemadeRouter(CosineRouter):
    """A router that no entry point names."""

    name = "homemade"


async def test_a_router_of_ones_own_is_passed_in(url: str) -> None:
    ids = await _taught(url, router=HomemadeRouter())
    with open_store(url, read_only=True) as store:
        assert (await replay(store, ids[0], router=HomemadeRouter())).identical
        with pytest.raises(ReplayError, match="pass router="):
            await replay(store, ids[0])
        with pytest.raises(ReplayError, match="'homemade'; 'cosine' was given"):
            await replay(store, ids[0], router=CosineRouter())


async def test_a_router_of_other_parameters_is_refused(url: str) -> None:
    ids = await _taught(url)
    with open_store(url, read_only=True) as store, pytest.raises(ReplayError, match="no state of router 'cascade'"):
        await replay(store, ids[0], router=CascadeRouter(shares=(0.5,)))


async def test_a_fitted_router_replays_from_its_first_snapshot(url: str) -> None:
    vectors = StaticEmbedder().embed(QUESTIONS[:2])
    quality = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])
    router = KernelRouter()
    router.fit(Outcomes(("bad", "echo", "good"), vectors, tuple(QUESTIONS[:2]), ("", ""), quality, quality))
    ids = await _taught(url, router=router)
    with open_store(url, read_only=True) as store:
        for run_id in ids:
            assert (await replay(store, run_id)).identical


class Committee(Refiner):
    """Stands in for a refining agent behind a model: what it says cannot be computed again."""

    name = "committee"

    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:
        return Refined(answer=f"settled at {id(answers)}", answered_by=tuple(one.agent_id for one in answers))


async def test_what_a_refining_agent_said_is_recorded_not_asked_again(url: str) -> None:
    async with Mesh([EchoAgent("a"), EchoAgent("b")], refiner=Committee(), store=url) as mesh:
        run = await mesh.run("q")
    with open_store(url, read_only=True) as store:
        again = await replay(store, run.id)
    assert again.identical
    assert again.run.answer == run.answer


def _rewrite(events: list[Event], kind: str, change: Callable[[Any], dict[str, Any]]) -> MemoryStore:
    """Return a store with these events, those of one kind changed."""
    store = MemoryStore()
    store.append([event.model_copy(update=change(event)) if event.kind == kind else event for event in events])
    return store


async def _with_events(url: str, kind: str, change: Callable[[Any], dict[str, Any]]) -> tuple[str, MemoryStore]:
    """Return the last run of a small history, its events of one kind changed, beside all that a replay needs."""
    ids = await _taught(url, router="cosine")
    with open_store(url, read_only=True) as store:
        changed = _rewrite(store.events(ids[-1]), kind, change)
        decision = store.run(ids[-1]).decision
        assert decision is not None
        changed.put_registry(store.registry(decision.registry_version))
        parameters = decision.router_version.partition("@")[0]
        changed.put_router("cosine", parameters, store.router_parameters("cosine", parameters) or "")
    return ids[-1], changed


@pytest.mark.parametrize(
    ("kind", "change", "where"),
    [
        ("run_finished", lambda event: {"answer": "something else"}, "RunFinished 1 answer"),
        (
            "decision_made",
            lambda event: {"decision": event.decision.model_copy(update={"seed": 1})},
            "decision seed",
        ),
        (
            "decision_made",
            lambda event: {"decision": event.decision.model_copy(update={"selected": ()})},
            "selection",
        ),
        (
            "decision_made",
            lambda event: {"decision": event.decision.model_copy(update={"scores": event.decision.scores[:8]})},
            "number of score values",
        ),
        (
            "decision_made",
            lambda event: {
                "decision": event.decision.model_copy(update={"candidates": event.decision.candidates[::-1]})
            },
            "order of candidates",
        ),
        (
            "decision_made",
            lambda event: {
                "decision": event.decision.model_copy(
                    update={
                        "candidates": tuple(one.model_copy(update={"score": None}) for one in event.decision.candidates)
                    }
                )
            },
            "candidate 'good'",
        ),
    ],
)
async def test_the_place_where_a_replay_parts_is_named(
    url: str, kind: str, change: Callable[[Any], dict[str, Any]], where: str
) -> None:
    run_id, store = await _with_events(url, kind, change)
    again = await replay(store, run_id)
    assert where in [difference.where for difference in again.differences]
    assert all(part in str(again.differences[0]) for part in ("recorded", "replayed"))


async def test_an_answer_that_the_trace_lacks_is_named(url: str) -> None:
    def misattribute(event: Any) -> dict[str, Any]:
        return {"call": event.call.model_copy(update={"agent_id": "nobody"})}

    run_id, store = await _with_events(url, "call_finished", misattribute)
    with pytest.raises(ReplayMissError, match="no answer of"):
        await replay(store, run_id)


async def test_parameters_that_are_not_stored_are_named(url: str) -> None:
    run_id, store = await _with_events(url, "run_finished", lambda event: {})
    bare = MemoryStore()
    bare.append(store.events(run_id))
    bare.put_registry(store.registry(store.events(run_id)[0].model_dump()["registry_version"]))
    with pytest.raises(ReplayError, match="holds no parameters"):
        await replay(bare, run_id)
