"""Agents as classes: one with state, one that streams, one behind a chat client. All are asked, and one answer wins."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

from agentmesh import Agent, Answer, Limits, Mesh, PromptedAgent, Task, Usage
from agentmesh.llm.scripted import ScriptedChat

CAPITALS = {"australia": "Canberra", "brazil": "Brasilia", "canada": "Ottawa"}


class Gazetteer(Agent):
    """Looks capitals up in a table and says what the call cost."""

    description = "Knows the capital of every country, from a table."
    skills = ("geography",)
    price_per_call_usd = Decimal("0.0001")

    def __init__(self, capitals: dict[str, str]) -> None:
        self._capitals = capitals

    async def run(self, task: Task) -> Answer:
        """Return the capital of the first country that is named."""
        for country, capital in self._capitals.items():
            if country in task.text.lower():
                return Answer(text=capital, cost_usd="0.0001", usage=Usage(input_tokens=len(task.text.split())))
        raise LookupError(f"no country that I know is named in {task.text!r}")


class Traveller(Agent):
    """Writes its answer piece by piece, so that listeners see it grow. It is sure of itself, and often wrong."""

    description = "Has been to every capital of a country and tells of it."
    skills = ("geography", "travel")
    price_per_call_usd = "0.0002"

    async def run(self, task: Task) -> str:
        """Answer whole."""
        return "Sydney"

    async def stream(self, task: Task) -> AsyncIterator[str | Answer]:
        """Answer in two pieces."""
        yield "Syd"
        yield "ney"


def geographer() -> PromptedAgent:
    """Return an agent behind a chat client. In place of the script stands your ``OpenAIChat(...)``."""
    client = ScriptedChat(lambda _: "Canberra.")
    prompt = "You are a geographer. Answer with a name and nothing else."
    return PromptedAgent(
        client,
        id="geographer",
        description="Answers questions on countries and their capitals.",
        prompt=prompt,
        price_per_call_usd="0.0003",
    )


async def main() -> None:
    """Ask all three and show whose answer stood against whose."""
    mesh = Mesh([Gazetteer(CAPITALS), Traveller(), geographer()], limits=Limits(max_agents=3))
    async with mesh:
        run = await mesh.run("What is the capital of Australia?")
        print(f"{run.answer} ({', '.join(run.answered_by)})")
        for conflict in run.conflicts:
            for side in conflict.positions:
                print(f"  {side.text}: {', '.join(side.agents)}, weight {side.weight:.2f}")

        failed = await mesh.run("What is the capital of Atlantis?")  # one failure loses nothing
        print(f"{failed.answer} ({', '.join(failed.answered_by)})")
        for call in failed.calls:
            print(f"  {call.agent_id}: {call.status}{f', {call.error}' if call.error else ''}")


if __name__ == "__main__":
    asyncio.run(main())
