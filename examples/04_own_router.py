"""A router of your own: one method that rates agents. Drawing, gates, traces, explanations and replay come with it."""

import asyncio

import numpy as np

from agentmesh import Mesh, ScoringRouter, Task, agent, replay
from agentmesh.routing.base import AgentPool, Estimate, TaskFeatures


class LengthRouter(ScoringRouter):
    """Takes the cheapest agent for a short task and the dearest for a long one.

    Args:
        long_words: From how many words on a task is long.
    """

    name = "by_length"

    def __init__(self, *, long_words: int = 12) -> None:
        super().__init__(long_words=long_words)  # what is passed on is in the trace, and a replay builds it again
        self._long_words = long_words

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Rate each agent by its price; an unknown price counts as nothing."""
        price = np.nan_to_num(pool.price_per_call)
        is_long = len(features.text.split()) >= self._long_words
        return Estimate(
            quality=price if is_long else -price,
            cost=pool.price_per_call,
            latency=pool.latency_s,
            factors={"price": price},
        )


@agent(description="A small model.", price_per_call_usd="0.0001")
async def small(task: Task) -> str:
    """Answer in short."""
    return "Yes."


@agent(description="A large model.", price_per_call_usd="0.01")
async def large(task: Task) -> str:
    """Answer at length."""
    return "It depends, and here is on what."


async def main() -> None:
    """Route a short and a long task, then replay one with a fresh router of the same parameters."""
    async with Mesh([small, large], router=LengthRouter(long_words=8), explore=0) as mesh:
        short = await mesh.run("Is water wet?")
        long = await mesh.run("Weigh the arguments for and against water being wet, with sources.")
        for run in (short, long):
            print(f"{run.task.text} -> {run.answered_by[0]}")
            if run.decision is not None:
                print(run.decision.explain())
        same = await replay(mesh.store, long.id, router=LengthRouter(long_words=8))
        print("identical" if same.identical else same.differences)


if __name__ == "__main__":
    asyncio.run(main())
