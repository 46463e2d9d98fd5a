"""A first mesh: two agents, a decision you can read, an answer, feedback, and a replay from the database alone."""

import asyncio
import math
import re

from agentmesh import Agent, Limits, Mesh, Task, agent, open_store, replay


@agent(
    description="Solves arithmetic and algebra problems.",
    skills=["math"],
    examples=["What is 6 * 9?"],
    price_per_call_usd="0.0002",
)
async def mathematician(task: Task) -> str:
    """Multiply the numbers of the task; yours would ask a model."""
    return str(math.prod(int(number) for number in re.findall(r"\d+", task.text)))


class Historian(Agent):
    """Knows one thing."""

    description = "Answers questions on world history, with dates."
    skills = ("history",)
    price_per_call_usd = "0.0004"

    async def run(self, task: Task) -> str:
        """Answer whatever is asked."""
        return "The Nabataeans, from the 4th century BC on."


async def main() -> None:
    """Route, run, teach, watch, replay."""
    async with Mesh([mathematician, Historian()], store="sqlite:///mesh.db") as mesh:
        decision = await mesh.route("What is 12 * 7?")  # a dry run: nobody is called
        print(decision.explain())

        run = await mesh.run("What is 12 * 7?", limits=Limits(cost_usd="0.01", timeout_s=30))
        print(f"{run.answer} from {run.answered_by} for {run.cost_usd} USD")
        await mesh.feedback(run.id, score=1.0)  # the router learns from it

        async for event in mesh.stream("Who built Petra?"):
            print(event.kind)

    with open_store("sqlite:///mesh.db") as store:
        same = await replay(store, run.id)  # the run again, on its recorded answers, with no network
    print("identical" if same.identical else same.differences)


if __name__ == "__main__":
    asyncio.run(main())
