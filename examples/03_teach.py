"""Teaching: descriptions promise, outcomes tell. Each answer is scored, and the router follows the scores."""

import asyncio

from agentmesh import Mesh, Task, agent

QUESTIONS = {
    "How much is 3 plus 4?": "7",
    "How much is 10 plus 5?": "15",
    "How much is 8 plus 1?": "9",
    "How much is 20 plus 22?": "42",
    "How much is 6 plus 6?": "12",
    "How much is 31 plus 9?": "40",
}


@agent(description="The world's best calculator: how much is one number plus another.", price_per_call_usd="0.001")
async def boaster(task: Task) -> str:
    """Promise much and know nothing."""
    return "a lot"


@agent(description="A clerk.", price_per_call_usd="0.001")
async def clerk(task: Task) -> str:
    """Add the numbers."""
    return str(sum(int(word.strip("?")) for word in task.text.split() if word.strip("?").isdigit()))


async def main() -> None:
    """Ask, score, and show how the choice moves."""
    mesh = Mesh([boaster, clerk], explore=0.2, seed=3)
    async with mesh:
        before = await mesh.route("How much is 2 plus 2?")
        print("before:", before.selected[0].agent_id)
        for number, (text, answer) in enumerate(QUESTIONS.items(), start=1):
            run = await mesh.run(text, run_id=f"lesson-{number}")
            score = 1.0 if run.answer == answer else 0.0
            await mesh.feedback(run.id, score)
            await mesh.learned()  # with a database file, a process of its own learns; here it changes nothing
            print(f"  {text} {run.answered_by[0]} says {run.answer!r}, right is {answer!r}: {score:.0f}")
        after = await mesh.route("How much is 2 plus 2?")
        print("after:", after.selected[0].agent_id)
        print(after.explain())


if __name__ == "__main__":
    asyncio.run(main())
