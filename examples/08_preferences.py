"""Preferences: rules that stand above what is learned, their lint, and a conversation that stays with its agent."""

import asyncio

from agentmesh import Mesh, Preference, Task, agent
from agentmesh.records import Turn


@agent(description="Writes poems, in verse and with rhymes.", skills=["writing"])
async def poet(task: Task) -> str:
    """Write a poem."""
    return "O sea, O sea, what do you want from me?"


@agent(description="Translates texts into Spanish, French and German.", skills=["languages"])
async def translator(task: Task) -> str:
    """Translate."""
    return "Oh mar, oh mar."


@agent(description="Reads contracts and answers questions of law.", policy_flags=["confidential"])
async def lawyer(task: Task) -> str:
    """Answer a question of law."""
    return "Clause 4 says so."


RULES = [
    Preference(action="pin", having_flag="confidential", pattern=r"\b(secret|confidential)\b"),
    Preference(action="prefer", agents=("lawyer",), like=("Can I cancel this contract?", "Is this lease valid?")),
    Preference(action="forbid", having_skill="languages", domain="poetry"),
]


async def main() -> None:
    """Ask with rules of the mesh and of a task, then go on with a conversation."""
    async with Mesh([poet, translator, lawyer], preferences=RULES, explore=0) as mesh:
        run = await mesh.run("Translate this secret letter into French.")
        print(f"secret: {run.answered_by[0]}")

        run = await mesh.run(Task(text="A poem, please.", preferences=(Preference(action="pin", agents=("notary",)),)))
        print(f"pinned to nobody: {run.status}, {run.error}")

        turns = (
            Turn(role="user", text="Write a poem on the sea, with rhymes."),
            Turn(role="assistant", text="O sea, O sea, what do you want from me?", agent_id="poet"),
        )
        for text in ("Shorter please", "Can I cancel this contract with my landlord before May?"):
            run = await mesh.run(Task(text=text, turns=turns))
            print(f"{text} -> {run.answered_by[0]}")

    doubtful = [
        Preference(action="pin", agents=("poet",), domain="poetry"),
        Preference(action="forbid", agents=("poet",)),
        Preference(action="prefer", agents=("notary",)),
    ]
    for finding in Mesh([poet, translator, lawyer], preferences=doubtful).lint():
        print(f"{finding.severity}: {finding.message}")


if __name__ == "__main__":
    asyncio.run(main())
