"""Research, then write, then review, and write again until the review is content; then watch it and replay it."""

import asyncio

from agentmesh import Condition, Limits, Mesh, Stage, Task, Workflow, agent, open_store, replay

DB = "sqlite:///review.db"


@agent(description="Finds facts on a topic.", price_per_call_usd="0.002")
async def researcher(task: Task) -> str:
    """Find two facts."""
    return "Petra was built by the Nabataeans. It lies in Jordan."


@agent(description="Writes short texts from facts.", price_per_call_usd="0.001")
async def writer(task: Task) -> str:
    """Write a draft; better, where a review says what is missing."""
    draft = "Petra lies in Jordan."
    return f"{draft} The Nabataeans built it." if "who built it" in task.text else draft


@agent(description="Reviews texts against the facts.", price_per_call_usd="0.001")
async def reviewer(task: Task) -> str:
    """Score a draft and say what is missing."""
    return "9 of 10." if "built it." in task.text else "5 of 10: say who built it."


FLOW = Workflow(
    stages=[
        Stage(name="research", prompt="Find facts: {task}", agents=("researcher",)),
        Stage(
            name="write",
            prompt="Write on {task} from these facts: {research}",
            again="Write it again. Your draft: {write} The review: {review} The facts: {research}",
            after=("research",),
            agents=("writer",),
        ),
        Stage(
            name="review",
            prompt="Score this of 10: {write}",
            after=("write",),
            agents=("reviewer",),
            until=Condition(at_least=8),
            back_to="write",
            most=3,
        ),
    ],
    output="write",
    name="research, write, review",
)


async def main() -> None:
    """Write on Petra, watch the stages, score the text, and replay all of it from the database."""
    async with Mesh([researcher, writer, reviewer], store=DB, explore=0) as mesh:
        async for event in mesh.stream("Petra", workflow=FLOW, limits=Limits(cost_usd="0.05"), run_id="petra"):
            if event.kind == "stage_finished":
                result = event.result
                print(f"{result.stage} {result.part + 1}: {result.answer}  {result.reason}".rstrip())
        run = mesh.store.run("petra")
        print(f"answer: {run.answer}, for {run.cost_usd} USD")
        await mesh.feedback("petra", 1.0)  # teaches of all whose answers it was made of, each at its stage

    with open_store(DB, read_only=True) as store:
        learned = [(one.agent_id, one.stage, one.previous) for one in store.experiences()]
        print(f"learned: {learned}")
        again = await replay(store, "petra")  # the workflow is in the database too
        print(f"replayed: {'identical' if again.identical else again.differences}")


if __name__ == "__main__":
    asyncio.run(main())
