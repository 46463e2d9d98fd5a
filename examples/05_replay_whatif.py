"""Yesterday's traffic: replay each stored run from the database alone, then have another router decide it again."""

import asyncio

from agentmesh import Mesh, Task, agent, open_store, replay, whatif

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
    """Record, replay, and ask what a router that always takes the cheapest would have done."""
    await record()
    with open_store(DB, read_only=True) as store:
        for summary in reversed(store.runs()):
            again = await replay(store, summary.id)  # no agent is called
            print(f"{summary.id}: {'identical' if again.identical else again.differences}")
        instead = await whatif(store, "cheapest")  # neither here
    print(f"{instead.router} agrees on {instead.agreement:.0%} of {instead.tasks} tasks")
    for flip in instead.flips:
        print(f"  {flip.run_id}: {flip.before} was asked; {instead.router} would ask {flip.after}")
    quality = instead.measure("quality")  # estimated where the log can know it: see docs/whatif.md
    print(quality.best.value if quality.best else f"no estimate: {quality.refusal}")


if __name__ == "__main__":
    asyncio.run(main())
