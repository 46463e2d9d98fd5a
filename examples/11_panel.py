"""A panel that votes: one question, several opinions, and a report that says what stood against what."""

import asyncio

from agentmesh import Agent, Limits, Mesh, Stage, Task, VoteRefiner, Workflow

OPINIONS = {
    "optimist": {"Ship it on Friday?": "yes", "Rewrite it in another language?": "yes"},
    "engineer": {"Ship it on Friday?": "no", "Rewrite it in another language?": "no"},
    "operator": {"Ship it on Friday?": "No.", "Rewrite it in another language?": "no"},
}


class Member(Agent):
    """A member of the panel, with an opinion on each question."""

    price_per_call_usd = "0.001"

    def __init__(self, name: str) -> None:
        self.id, self.description = name, f"Judges plans as the {name} of the team would."

    async def run(self, task: Task) -> str:
        """Say what this member thinks."""
        return OPINIONS[self.id][task.text]


class Clerk(Agent):
    """Writes down what the panel came to."""

    id, description, price_per_call_usd = "clerk", "Writes minutes.", "0.001"

    async def run(self, task: Task) -> str:
        """Repeat the minutes that were dictated."""
        return task.text.removeprefix("Minutes: ")


PANEL = Workflow(
    stages=[
        Stage(name="vote", agents=tuple(OPINIONS), refiner=VoteRefiner(), limits=Limits(max_agents=3)),
        Stage(name="minutes", prompt="Minutes: {task} The panel says {vote}", after=("vote",), agents=("clerk",)),
    ],
    output="minutes",
    name="panel",
)


async def main() -> None:
    """Ask the panel two questions and show the votes."""
    async with Mesh([*map(Member, OPINIONS), Clerk()], explore=0) as mesh:
        for question in OPINIONS["optimist"]:
            run = await mesh.run_workflow(PANEL, question)
            print(run.answer)
            vote = mesh.store.run(f"{run.id}/vote")
            for conflict in vote.conflicts:
                for side in conflict.positions:
                    print(f"  {side.text!r} from {', '.join(side.agents)}")
            print(f"  {len(vote.calls)} were asked, {run.cost_usd} USD in all")


if __name__ == "__main__":
    asyncio.run(main())
