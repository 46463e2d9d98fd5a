"""Choosing with reasons: the router decides what is clear, a chat model what is not, and a replay asks nobody."""

import asyncio
import json
from decimal import Decimal

from agentmesh import Mesh, Task, agent, open_store, replay
from agentmesh.llm import ScriptedChat
from agentmesh.protocols import ChatResponse

DB = "sqlite:///choosing.db"
CLEAR = ("Send me the invoice of May.", "I forgot my password.", "Where is my parcel?", "Please refund this bill.")
UNSURE = "I cannot get in, and you took the money twice."


@agent(description="Answers questions on bills, invoices and refunds.", price_per_call_usd="0.001")
async def billing(task: Task) -> str:
    """Answer for the money."""
    return "The second payment goes back today, and with it the account opens."


@agent(description="Repairs accounts: passwords, logins, locked access.", price_per_call_usd="0.001")
async def accounts(task: Task) -> str:
    """Answer for the accounts."""
    return "Here is a new password."


@agent(description="Says where parcels are, and sends them again.", price_per_call_usd="0.001")
async def parcels(task: Task) -> str:
    """Answer for the parcels."""
    return "It comes tomorrow."


def said(agent_id: str, reason: str) -> ChatResponse:
    """Return what a small model might say; yours is asked through ``agentmesh.llm.OpenAIChat``, for one."""
    text = json.dumps({"reason": reason, "agents": [agent_id], "out_of_scope": False})
    return ChatResponse(text=text, model="small-model", cost_usd=Decimal("0.0002"), finish_reason="stop")


async def main() -> None:
    """Run four clear tasks and one that is not, then replay that one."""
    first = said("billing", "An invoice is asked for.")
    unsure = said("billing", "The payment that came twice locked the account; a new password would not open it.")
    chat = ScriptedChat([first, unsure], name="small-model")
    async with Mesh([billing, accounts, parcels], chat=chat, store=DB, explore=0) as mesh:
        for text in CLEAR:
            run = await mesh.run(text)
            print(f"{text} -> {run.answered_by[0]}, {run.cost_usd} USD")
        run = await mesh.run(UNSURE)
        print(f"{UNSURE} -> {run.answered_by[0]}, {run.cost_usd} USD, {len(chat.requests)} questions in all")
        if run.decision is not None:
            print(run.decision.explain())

    with open_store(DB, read_only=True) as store:
        again = await replay(store, run.id)  # the model's reply is in the trace
    print(f"replayed: {'identical' if again.identical else again.differences}, {len(chat.requests)} questions still")


if __name__ == "__main__":
    asyncio.run(main())
