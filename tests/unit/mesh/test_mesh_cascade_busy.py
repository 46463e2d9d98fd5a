"""A mesh that asks a model while many tasks are under way."""

import asyncio

from agentmesh import Mesh, Task, agent, open_store, replay
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.protocols import ChatRequest, ChatResponse

HISTORY = '{"reason": "A date is asked for.", "agents": ["history"], "out_of_scope": false}'
TASKS = 200
BUDGET = 0.1  # of the default router


@agent(description="Solves arithmetic and algebra.", price_per_call_usd="0.001")
async def maths(task: Task) -> str:
    return "84"


@agent(description="Answers questions on world history, with dates.", price_per_call_usd="0.001")
async def history(task: Task) -> str:
    return "1776"


class SlowChat(ScriptedChat):
    """Takes its time, so that other tasks are decided meanwhile."""

    async def complete(self, request: ChatRequest) -> ChatResponse:
        await asyncio.sleep(0.2)
        return await super().complete(request)


async def test_two_hundred_tasks_at_once_stay_within_the_budget_of_questions_and_replay(tmp_path):
    url, chat = f"sqlite:///{tmp_path / 'mesh.db'}", SlowChat(lambda request: HISTORY)
    async with Mesh((maths, history), chat=chat, store=url, explore=0) as mesh:
        runs = await asyncio.gather(*(mesh.run(f"What is {number} * {number % 7}?") for number in range(TASKS)))
    assert all(run.answer in {"84", "1776"} for run in runs)
    assert 0.5 * BUDGET * TASKS <= len(chat.requests) <= 1.2 * BUDGET * TASKS
    decisions = [run.decision for run in runs if run.decision is not None]
    asked = [place for place, decision in enumerate(decisions) if decision.reasoning is not None]
    with open_store(url) as store:
        for place in {*asked, *range(0, TASKS, 20)}:
            assert (await replay(store, runs[place].id)).differences == ()
    assert len(asked) == len(chat.requests)
