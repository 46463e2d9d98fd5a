"""Trails: a verifier scores each answer, the pheromone router lays trails by kind of task, and people can read them."""

import asyncio

from rich.console import Console

from agentmesh import Mesh, Task, agent
from agentmesh.judging.verifiers import ExactVerifier
from agentmesh.routing.pheromone import PheromoneRouter
from agentmesh.tui.heat import heat_map

CAPITALS = {"France": "Paris", "Peru": "Lima", "Kenya": "Nairobi", "Japan": "Tokyo", "Norway": "Oslo", "Cuba": "Havana"}


@agent(description="Has worked in the office for years.", price_per_call_usd="0.001")
async def clerk(task: Task) -> str:
    """Add the numbers of a task; places are not for clerks."""
    numbers = [int(word.strip("?")) for word in task.text.split() if word.strip("?").isdigit()]
    return str(sum(numbers)) if numbers else "Ask the library."


@agent(description="Sits among the books.", price_per_call_usd="0.001")
async def librarian(task: Task) -> str:
    """Look a country up."""
    return next((city for country, city in CAPITALS.items() if country in task.text), "There is no book on that.")


@agent(description="Is new and tries hard.", price_per_call_usd="0.001")
async def apprentice(task: Task) -> str:
    """Guess."""
    return "Paris" if "capital" in task.text else "12"


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


async def main() -> None:
    """Run sixty tasks, then show the trails and one decision."""
    tasks, answers = lessons(60)
    router = PheromoneRouter()
    mesh = Mesh(
        [clerk, librarian, apprentice],
        router=router,
        store="sqlite:///trails.db",
        verifiers=[ExactVerifier(answers)],
    )
    right = []
    async with mesh:
        for task in tasks:
            run = await mesh.run(task, run_id=task.id)
            right.append(run.answer == answers[run.id])
            await mesh.learned()  # a process of its own learns; a mesh that serves people would not wait for it
    print(f"right: {sum(right[:20])} of the first 20, {sum(right[-20:])} of the last 20\n")
    async with mesh:  # opened again, it knows what the log on the disk says
        served = mesh.router
        if isinstance(served, PheromoneRouter):
            Console(width=80).print(heat_map(served.trails(), width=80))
        decision = await mesh.route(Task(text="What is the capital of Kenya?", type_hints=("capitals",)))
        print(f"\nasked for a capital: {decision.selected[0].agent_id}\n{decision.explain()}")


if __name__ == "__main__":
    asyncio.run(main())
