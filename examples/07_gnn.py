"""A graph neural network: trained on what a mesh has logged, put into a file, and served from it without torch."""

import asyncio
from pathlib import Path

from agentmesh import Mesh, Task, agent
from agentmesh.embed.named import embedder_named
from agentmesh.judging.verifiers import ExactVerifier
from agentmesh.learning.training import train_router
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.state_file import read_router, write_router

CAPITALS = {"France": "Paris", "Peru": "Lima", "Kenya": "Nairobi", "Japan": "Tokyo", "Norway": "Oslo", "Cuba": "Havana"}
LOG = "sqlite:///lessons.db"
FILE = Path("gnn.safetensors")


@agent(description="Has worked in the office for years.", price_per_call_usd="0.001")
async def clerk(task: Task) -> str:
    """Add the numbers of a task; places are not for clerks."""
    numbers = [int(word.strip("?")) for word in task.text.split() if word.strip("?").isdigit()]
    return str(sum(numbers)) if numbers else "Ask the library."


@agent(description="Sits among the books.", price_per_call_usd="0.001")
async def librarian(task: Task) -> str:
    """Look a country up."""
    return next((city for country, city in CAPITALS.items() if country in task.text), "There is no book on that.")


def lessons(count: int) -> tuple[list[Task], dict[str, str]]:
    """Return tasks of two kinds in turn, and what their right answers are."""
    tasks, answers = [], {}
    for number in range(count):
        if number % 2:
            country = list(CAPITALS)[number % 7 % 6]
            text, kind, answer = f"What is the capital of {country}?", "capitals", CAPITALS[country]
        else:
            left, right = 7 * number % 83 + 2, 11 * number % 89 + 2
            text, kind, answer = f"How much is {left} plus {right}?", "sums", str(left + right)
        tasks.append(Task(id=f"lesson-{number}", text=text, type_hints=(kind,)))
        answers[f"lesson-{number}"] = answer
    return tasks, answers


async def log_lessons() -> None:
    """Ask whoever the draw says, and have each answer scored: what a network learns from must first have happened."""
    tasks, answers = lessons(80)
    async with Mesh([clerk, librarian], router="random", store=LOG, verifiers=[ExactVerifier(answers)]) as mesh:
        await asyncio.gather(*(mesh.run(task, run_id=task.id) for task in tasks))


def train() -> None:
    """Train a small network on the log and write it; ``agentmesh router train gnn --from URL`` does so for a mesh."""
    router, embedder = GnnRouter(hidden=8, passes=4), embedder_named(None)
    told = train_router(router, LOG, embedder)
    print(f"trained on {told.outcomes} outcomes of {told.tasks} tasks; chosen on a {told.card['validated']} of them")
    write_router(FILE, router, embedder=embedder.version)


async def serve() -> None:
    """Read the network from its file and decide by it; numpy is all that this needs."""
    async with Mesh([clerk, librarian], router=read_router(FILE), store="sqlite:///served.db") as mesh:
        for question in ("What is the capital of Kenya?", "How much is 3 plus 4?"):
            decision = await mesh.route(question)
            print(f"\n{question} -> {decision.selected[0].agent_id}\n{decision.explain()}")
        run = await mesh.run("What is the capital of Norway?")
        await mesh.feedback(run.id, 1.0)  # learned on top of the network, which stays as it is
        await mesh.learned()
        print(f"\n{run.answer}: version {mesh.router.version} has learned it")


if __name__ == "__main__":
    asyncio.run(log_lessons())
    train()
    asyncio.run(serve())
