"""A mesh whose traces are in PostgreSQL: it runs, learns in a process of its own, and its runs are executed again."""

import pytest

from agentmesh import Learning, Mesh, open_store, replay
from agentmesh.embed.static import StaticEmbedder
from agentmesh.learning.learner import LogFollower
from agentmesh.learning.opening import obstacle, order_of
from agentmesh.learning.training import train_router
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.serving import ServingRouter
from agentmesh.testing.agents import CannedAgent, EchoAgent

PATIENCE_S = 60.0


@pytest.mark.timeout(120)  # it starts a process
async def test_a_mesh_on_postgres_learns_in_a_process_and_its_runs_are_replayed_and_learned_from(
    guarded_url: str,
) -> None:
    team = [CannedAgent(["good"], id="good"), EchoAgent("echo")]
    learning = Learning(mode="process", poll_s=0.05)
    async with Mesh(team, router=KernelRouter(), store=guarded_url, learning=learning) as mesh:
        first = await mesh.run("who built petra")
        await mesh.feedback(first.id, 0.9)
        await mesh.learned(PATIENCE_S)
        second = await mesh.run("who built petra, again")
        assert second.decision is not None
        assert second.decision.router_version.endswith("@1")
    with open_store(guarded_url, read_only=True) as store:
        for run in (first, second):
            assert (await replay(store, run.id)).identical
        assert store.check() == []
    said: list[str] = []
    training = train_router(KernelRouter(), guarded_url, StaticEmbedder(), say=said.append)
    assert (training.kind, training.outcomes) == ("experiences", 1)
    assert all("wide" not in text for text in (*said, repr(training)))


def test_the_order_to_a_learning_process_holds_the_password_and_does_not_show_it(guarded_url: str) -> None:
    with open_store(guarded_url) as store:
        follower = LogFollower(store, ServingRouter(KernelRouter()), StaticEmbedder())
        assert obstacle(follower) == ""
        order = order_of(follower, Learning())
        assert order.store == store.address
        assert "wide" in order.store
        assert "wide" not in repr(order)


def test_a_mesh_that_was_closed_names_its_store_without_the_password() -> None:
    mesh = Mesh([EchoAgent("echo")], store="postgresql://ada:s3cret@localhost/mesh")
    with pytest.raises(Exception, match="'postgresql://ada@localhost/mesh' is closed"):
        _ = mesh.store
