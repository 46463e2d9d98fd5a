"""A router in a file and its card: written, read back, and refused where the two do not fit."""

from pathlib import Path

import numpy as np

from agentmesh import Mesh, Task, agent
from agentmesh.packing import pack_vector
from agentmesh.records import Experience
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.state_file import read_card, read_router, write_router

VECTOR = np.ones(2, np.float32) / np.float32(np.sqrt(2))


def taught(outcomes: int = 3) -> KernelRouter:
    router = KernelRouter()
    for number in range(1, outcomes + 1):
        router.learn(
            Experience(
                sequence=number,
                run_id=f"r{number}",
                text="?",
                vector=pack_vector(VECTOR),
                agent_id="a",
                quality=1.0,
                at=float(number),
            )
        )
    return router


def test_a_router_that_learned_nothing_is_read_back_at_its_version(tmp_path: Path) -> None:
    path = tmp_path / "kernel.safetensors"
    card = write_router(path, KernelRouter(), embedder="static-1")
    again = read_router(path)
    assert (again.version, again.snapshot()) == (card.version, KernelRouter().snapshot())
    assert (read_card(path), card.embedder) == (card, "static-1")


def test_one_that_learned_from_a_log_counts_from_0_and_keeps_what_it_learned(tmp_path: Path) -> None:
    path, router = tmp_path / "kernel.safetensors", taught()
    card = write_router(path, router)
    again = read_router(path)
    assert (card.sequence, again.sequence) == (3, 0)
    assert again.base == f"{router.version} {card.sha256[:12]}"
    assert again.parameters_hash != router.parameters_hash
    assert again.version == read_router(path).version


def test_states_that_differ_have_versions_that_differ_when_read_back(tmp_path: Path) -> None:
    write_router(tmp_path / "one.safetensors", taught(3))
    write_router(tmp_path / "two.safetensors", taught(4))
    one, two = (read_router(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert one.version != two.version


async def test_a_mesh_opens_on_a_router_from_a_file_and_teaches_it_on(tmp_path: Path) -> None:
    @agent(description="Says the task back.")
    async def echo(task: Task) -> str:
        return task.text

    router, path = KernelRouter(), tmp_path / "kernel.safetensors"
    async with Mesh([echo], router=router) as mesh:
        first = await mesh.run("Hello?")
        await mesh.feedback(first.id, 1.0)
        write_router(path, mesh.router)
    async with Mesh([echo], router=read_router(path), store=f"sqlite:///{tmp_path / 'other.db'}") as mesh:
        began = mesh.router.version
        second = await mesh.run("Hello again?")
        await mesh.feedback(second.id, 1.0)
        await mesh.learned(timeout_s=10)
        assert began.endswith("@0")
        assert mesh.router.version == began.replace("@0", "@1")
