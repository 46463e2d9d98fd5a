"""Watch: the app shows a mesh while your own program gives it tasks; without a terminal it prints lines instead."""

import asyncio

from agentmesh import Mesh, Task, agent, open_store
from agentmesh.tui.beside import watch_mesh
from agentmesh.tui.sources import MeshSource

TASKS = ("How much is 2 plus 3?", "Where is Lima?", "How much is 20 plus 4?", "Where is Oslo?")


@agent(description="Adds numbers.", price_per_call_usd="0.001")
async def clerk(task: Task) -> str:
    """Add the numbers of a task."""
    return str(sum(int(word.strip("?")) for word in task.text.split() if word.strip("?").isdigit()))


@agent(description="Knows cities and countries.", price_per_call_usd="0.002")
async def librarian(task: Task) -> str:
    """Look a city up."""
    return "In Peru." if "Lima" in task.text else "In Norway."


async def work(mesh: Mesh) -> int:
    """Ask, and say of each answer what it was worth."""
    for number, text in enumerate(TASKS):
        run = await mesh.run(text, run_id=f"task-{number}")
        is_right = run.answered_by == (("clerk",) if "plus" in text else ("librarian",))
        await mesh.feedback(run.id, float(is_right))
    return len(TASKS)


async def main() -> None:
    """Watch four tasks; in a terminal the app stays until q is pressed."""
    with open_store("sqlite:///watch.db") as store:
        source = MeshSource(store)
        async with Mesh([clerk, librarian], store=store, listeners=[source]) as mesh:
            done = await watch_mesh(mesh, source, work(mesh), note="Four tasks for two agents.")
    print(f"{done} tasks are done")


if __name__ == "__main__":
    asyncio.run(main())
