"""Yesterday's traffic: replay each stored run from the database alone, then see whom another router would ask."""

import asyncio

from agentmesh import Mesh, Task, agent, open_store, replay

DB = "sqlite:///traffic.db"
TASKS = ("Translate 'cheese' into French.", "Write a poem on cheese.", "Translate 'bread' into French.")


@agent(description="Translates words and sentences between languages.", price_per_call_usd="0.001")
async def translator(task: Task) -> str:
    """Translate two words."""
    return "fromage" if "cheese" in task.text else "pain"


@agent(description="Writes poems and stories.", price_per_call_usd="0.004")
async def poet(task: Task) -> str:
    """Write one line."""
    return "O cheese, thou art a moon of milk."


@agent(description="Does anything, for next to nothing.", price_per_call_usd="0.00001")
async def apprentice(task: Task) -> str:
    """Try."""
    return "I am not sure."


async def record() -> None:
    """Run the tasks and score them, as a day of work would."""
    async with Mesh([translator, poet, apprentice], store=DB) as mesh:
        for number, text in enumerate(TASKS, start=1):
            run = await mesh.run(text, run_id=f"task-{number}")
            await mesh.feedback(run.id, 0.0 if run.answer == "I am not sure." else 1.0)


async def main() -> None:
    """Record, replay, and compare with a router that always takes the cheapest."""
    await record()
    other = Mesh([translator, poet, apprentice], router="cheapest")
    with open_store(DB, read_only=True) as store:
        async with other:
            for summary in reversed(store.runs()):
                again = await replay(store, summary.id)  # no agent is called
                instead = await other.route(store.run(summary.id).task)  # neither here
                print(f"{summary.id}: {'identical' if again.identical else again.differences}")
                print(f"  {summary.agents[0]} was asked; {instead.router} would ask {instead.selected[0].agent_id}")


if __name__ == "__main__":
    asyncio.run(main())
