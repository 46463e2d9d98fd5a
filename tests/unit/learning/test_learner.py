"""The learner: one state for one log, whoever builds it and from wherever."""

from pathlib import Path

import numpy as np
import pytest

from agentmesh import Mesh, open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import ConfigError, LlmError
from agentmesh.learning import record_feedback
from agentmesh.learning.learner import LogFollower, learn_until, state_key
from agentmesh.records import Task
from agentmesh.routing.inputs import Outcomes
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.serving import ServingRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.store.base import TraceStore
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.agents import CannedAgent, EchoAgent


async def _taught(store: TraceStore, feedbacks: int) -> Mesh:
    team = [CannedAgent(["1"], id="a"), CannedAgent(["2"], id="b")]
    mesh = Mesh(team, router="kernel", store=store, explore=0.5)
    async with mesh:
        for place in range(feedbacks):
            run = await mesh.run(f"question {place}")
            await mesh.feedback(run.id, (place % 3) / 2)
    return mesh


async def test_a_state_does_not_depend_on_where_it_was_built_from() -> None:
    store = MemoryStore()
    mesh = await _taught(store, 130)
    rebuilt = KernelRouter()
    learn_until(store, rebuilt, StaticEmbedder())
    assert rebuilt.snapshot() == mesh.router.snapshot()
    restored = KernelRouter()
    LogFollower(store, ServingRouter(restored), StaticEmbedder()).open()
    assert restored.snapshot() == mesh.router.snapshot()


async def test_snapshots_come_at_each_doubling() -> None:
    store = MemoryStore()
    mesh = await _taught(store, 130)
    key = state_key("kernel", StaticEmbedder().version)
    parameters = mesh.router.parameters_hash
    found = {until: store.nearest_state(key, parameters, until=until) for until in (63, 127, 1000)}
    assert {until: state and state.sequence for until, state in found.items()} == {63: None, 127: 64, 1000: 128}


async def test_feedback_without_a_mesh_is_learned_when_the_mesh_opens(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    async with Mesh([EchoAgent("echo")], store=url) as mesh:
        run = await mesh.run("q")
    with open_store(url) as store:
        (learned,) = record_feedback(store, run.id, 0.5)
    assert (learned.sequence, learned.quality, learned.agent_id) == (1, 0.5, "echo")
    async with Mesh([EchoAgent("echo")], store=url) as mesh:
        assert mesh.router.sequence == 1


async def test_experiences_of_another_embedder_are_embedded_again() -> None:
    store = MemoryStore()
    team = [EchoAgent("echo")]
    async with Mesh(team, store=store) as mesh:
        run = await mesh.run("who built petra")
        await mesh.feedback(run.id, 1.0)
    async with Mesh(team, store=store, embedder=HashingEmbedder()) as other:
        assert other.router.sequence == 1
        decision = await other.route("who built petra")
    assert decision.candidates[0].expected_quality is not None
    assert decision.candidates[0].expected_quality > 0.5


async def test_a_router_that_knows_more_than_the_store_is_refused() -> None:
    router = KernelRouter()
    mesh = Mesh([EchoAgent("echo")], router=router)
    async with mesh:
        run = await mesh.run("q")
        await mesh.feedback(run.id, 1.0)
    with pytest.raises(ConfigError, match="give the mesh a fresh router"):
        async with Mesh([EchoAgent("echo")], router=router):
            pass


async def test_a_router_fitted_before_use_is_stored_whole_and_found_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    vectors = StaticEmbedder().embed(["add two numbers", "who was caesar"])
    quality = np.array([[1.0, 0.0], [0.0, 1.0]])
    table = Outcomes(("a", "b"), vectors, ("add two numbers", "who was caesar"), ("", ""), quality, quality * 0.01)
    router = KernelRouter()
    router.fit(table)
    team = [CannedAgent(["1"], id="a"), CannedAgent(["2"], id="b")]
    async with Mesh(team, router=router, store=url, explore=0) as mesh:
        assert (await mesh.run("add three numbers")).answered_by == ("a",)
    with open_store(url, read_only=True) as store:
        state = store.nearest_state(state_key("kernel", StaticEmbedder().version), router.parameters_hash)
    assert state is not None
    assert state.sequence == 0


async def test_a_router_that_learns_nothing_stores_no_state() -> None:
    store = MemoryStore()
    router = CosineRouter()
    LogFollower(store, ServingRouter(router), StaticEmbedder()).open()
    assert store.nearest_state(state_key("cosine", StaticEmbedder().version), router.parameters_hash) is None
    assert store.router_parameters("cosine", router.parameters_hash) is not None


class Unreachable:
    """A judge behind a dead endpoint."""

    name = "unreachable"

    async def judge(self, task: Task, answer: str) -> float | None:
        raise LlmError("no connection", retryable=True)


class Silent:
    """A judge that declines."""

    name = "silent"

    async def judge(self, task: Task, answer: str) -> float | None:
        return None


@pytest.mark.parametrize("judge", [Unreachable(), Silent()])
async def test_a_judge_without_a_score_teaches_nothing(judge: Unreachable | Silent) -> None:
    store = MemoryStore()
    async with Mesh([EchoAgent("echo")], judge=judge, store=store) as mesh:
        await mesh.run("q")
    assert store.experiences() == []
