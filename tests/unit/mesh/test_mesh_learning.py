"""What a mesh has learned when: in its own process, elsewhere, and across resets."""

import asyncio
from pathlib import Path

import pytest

from agentmesh import Learning, Mesh, open_store, replay
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import ConfigError, DuplicateFeedbackError, ReplayError
from agentmesh.learning.learner import learn_until, state_key
from agentmesh.records import RouterMark
from agentmesh.routing.cascade import CascadeRouter
from agentmesh.routing.named import router_named
from agentmesh.store.base import TraceStore
from agentmesh.testing.agents import CannedAgent

PATIENCE_S = 40.0
LOOP = Learning(mode="loop")
KEY = state_key("cascade", StaticEmbedder().version)


def team() -> list[CannedAgent]:
    return [CannedAgent(["yes"], id="good"), CannedAgent(["no"], id="bad")]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mesh.db'}"


async def lesson(mesh: Mesh, run_id: str) -> str:
    run = await mesh.run("is water wet", run_id=run_id)
    await mesh.feedback(run.id, 1.0 if run.answer == "yes" else 0.0)
    return run.id


async def test_two_meshes_on_one_database_learn_together(url: str) -> None:
    apart = Learning(poll_s=0.05)
    async with Mesh(team(), store=url, learning=apart) as mesh, Mesh(team(), store=url, learning=LOOP) as other:
        for place in range(3):
            await lesson(mesh, f"mine-{place}")
            await lesson(other, f"other-{place}")
        await mesh.learned(PATIENCE_S)
        await other.learned(PATIENCE_S)
        assert mesh.router.sequence == 6
        assert mesh.router.snapshot() == other.router.snapshot()
        assert (await mesh.route("is water wet")).scores == (await other.route("is water wet")).scores


async def test_feedback_in_a_database_is_stored_at_once_and_learned_soon(url: str) -> None:
    async with Mesh(team(), store=url) as mesh:
        await lesson(mesh, "r1")
        assert mesh.store.last_experience() == 1
        await mesh.learned(PATIENCE_S)
        assert (await mesh.route("q")).router_version.endswith("@1")


async def test_a_score_that_is_given_twice_is_refused_and_learned_once() -> None:
    async with Mesh(team()) as mesh:
        await lesson(mesh, "r1")
        with pytest.raises(DuplicateFeedbackError, match="r1"):
            await mesh.feedback("r1", 1.0)
        assert mesh.router.sequence == 1


async def test_a_mesh_that_learns_nothing_serves_what_was_learned_before(url: str) -> None:
    async with Mesh(team(), store=url, learning=LOOP) as mesh:
        await lesson(mesh, "r1")
    async with Mesh(team(), store=url, learning=Learning(mode="off")) as mesh:
        await lesson(mesh, "r2")
        assert mesh.router.sequence == 1
        with pytest.raises(ConfigError, match="learns nothing"):
            await mesh.learned()


async def test_a_mesh_opened_again_goes_on_from_where_it_was(url: str) -> None:
    mesh = Mesh(team(), store=url, learning=LOOP)
    for place in range(2):
        async with mesh:
            await lesson(mesh, f"r{place}")
            assert mesh.router.sequence == place + 1


def reset(store: TraceStore) -> RouterMark:
    fresh = CascadeRouter()
    root = fresh.parameters_hash
    mark = RouterMark(router=KEY, root=root, parameters=root, kind="reset", at=1.0)
    return store.put_mark(mark, fresh.snapshot().model_copy(update={"router": KEY}))


async def test_decisions_before_and_after_a_reset_replay_as_they_were(url: str) -> None:
    async with Mesh(team(), store=url, learning=LOOP, explore=0) as mesh:
        ids = [await lesson(mesh, f"before-{place}") for place in range(3)]
        reset(mesh.store)
        await mesh.learned()
        assert mesh.router.version == f"{CascadeRouter().parameters_hash}@4"
        ids += [await lesson(mesh, f"after-{place}") for place in range(3)]
        assert mesh.router.sequence == 7
    with open_store(url, read_only=True) as store:
        found = {run_id: store.run(run_id).decision for run_id in ids}
        assert [one and one.router_version.rpartition("@")[2] for one in found.values()] == [*"012", *"456"]
        for run_id in ids:
            assert (await replay(store, run_id)).identical


@pytest.mark.parametrize(("mode", "router"), [("loop", "kernel"), ("process", "pheromone")])
async def test_agents_may_come_and_go_while_snapshots_are_made(mode: str, router: str, tmp_path: Path) -> None:
    learning = Learning.model_validate({"mode": mode, "publish_s": 0.001})
    agents = [CannedAgent(["yes"], id="ada"), CannedAgent(["no"], id="bob")]
    async with Mesh(agents, store=f"sqlite:///{tmp_path / 'mesh.db'}", learning=learning, router=router) as mesh:
        for place in range(70):  # past the first snapshot, and each state that is published is one too
            run = await mesh.run(f"question {place}")
            taken = asyncio.ensure_future(mesh.feedback(run.id, place % 2))
            if place % 2:
                mesh.remove(f"guest-{place - 1}")
            else:
                mesh.register(CannedAgent(["maybe"], id=f"guest-{place}"))
            await taken
        await mesh.learned(15)
        store = mesh.store
        rebuilt = router_named(router)
        learn_until(store, rebuilt, StaticEmbedder())
        assert mesh.router.snapshot() == rebuilt.snapshot()
        assert store.states(state_key(rebuilt.name, StaticEmbedder().version), rebuilt.parameters_hash)
        assert (rebuilt.sequence, store.faults()) == (70, [])


async def test_a_mesh_that_opens_after_a_reset_begins_there(url: str) -> None:
    async with Mesh(team(), store=url, learning=LOOP) as mesh:
        await lesson(mesh, "r1")
    with open_store(url) as store:
        reset(store)
    async with Mesh(team(), store=url, learning=LOOP, explore=0) as mesh:
        decision = await mesh.route("is water wet")
        assert decision.router_version == f"{CascadeRouter().parameters_hash}@2"
        assert await lesson(mesh, "r2")
    with open_store(url, read_only=True) as store:
        assert (await replay(store, "r2")).identical


async def test_a_decision_after_a_reset_that_cannot_be_read_is_not_rebuilt_from_before_it(
    url: str, tmp_path: Path
) -> None:
    import sqlite3

    async with Mesh(team(), store=url, learning=LOOP) as mesh:
        await lesson(mesh, "r1")
        mark = reset(mesh.store)
        await mesh.learned()
        await lesson(mesh, "r2")
    connection = sqlite3.connect(tmp_path / "mesh.db")
    connection.execute("UPDATE router_states SET payload = 'scrambled' WHERE sequence = ?", (mark.sequence,))
    connection.commit()
    connection.close()
    with open_store(url, read_only=True) as store:
        with pytest.raises(ReplayError, match=f"at mark {mark.sequence} cannot be read"):
            await replay(store, "r2")
        assert (await replay(store, "r1")).identical


async def test_experiences_of_an_embedder_that_is_not_installed_cannot_be_replayed_into() -> None:
    class Elsewhere(StaticEmbedder):
        version = "static-elsewhere"

    store = open_store()
    async with Mesh(team(), store=store) as mesh:
        await lesson(mesh, "r1")
    async with Mesh(team(), store=store, embedder=Elsewhere()) as mesh:
        await lesson(mesh, "r2")
    with pytest.raises(ReplayError, match="'static-elsewhere'"):
        await replay(store, "r2")
