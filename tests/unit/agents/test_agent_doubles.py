"""The doubles that stand in for agents."""

import asyncio

import pytest

from agentmesh.agents import ask
from agentmesh.errors import AgentError
from agentmesh.records import Answer, Task
from agentmesh.testing.agents import (
    AgentDouble,
    CannedAgent,
    EchoAgent,
    FailingAgent,
    HangingAgent,
    NoneAgent,
    SlowAgent,
    StreamingAgent,
)

TASK = Task(text="hello")
KINDS = (EchoAgent, FailingAgent, HangingAgent, NoneAgent, SlowAgent)


@pytest.mark.parametrize("kind", KINDS)
def test_a_double_is_named_after_its_kind_unless_named(kind: type[AgentDouble]) -> None:
    assert kind().card().id == kind.__name__.removesuffix("Agent").lower()
    assert kind("other").card().id == "other"


def test_a_double_may_declare_skills_and_a_price() -> None:
    card = EchoAgent(skills=["math"], price_per_call_usd="0.5").card()
    assert (card.skills, str(card.price_per_call_usd)) == (("math",), "0.5")


async def test_calls_are_counted() -> None:
    agent = EchoAgent()
    await agent.run(TASK)
    await agent.run(TASK)
    assert agent.calls == 2


async def test_canned_replies_come_in_turn_and_the_last_one_stays() -> None:
    agent = CannedAgent(["one", AgentError("two"), Answer(text="three")], "canned")
    assert await agent.run(TASK) == "one"
    with pytest.raises(AgentError, match="two"):
        await agent.run(TASK)
    assert await agent.run(TASK) == await agent.run(TASK) == Answer(text="three")


async def test_a_failing_agent_fails() -> None:
    with pytest.raises(AgentError, match="agent 'failing' fails by design"):
        await FailingAgent().run(TASK)
    with pytest.raises(KeyError):
        await FailingAgent(error=KeyError("k")).run(TASK)


async def test_a_hanging_agent_hangs_until_it_is_cancelled() -> None:
    agent = HangingAgent()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(agent.run(TASK), 0.01)
    assert (agent.calls, agent.cancelled) == (1, 1)


async def test_a_none_agent_returns_what_is_no_answer() -> None:
    assert await NoneAgent().run(TASK) is None  # type: ignore[comparison-overlap]
    assert await NoneAgent(value=7).run(TASK) == 7  # type: ignore[comparison-overlap]


async def test_a_streaming_agent_can_also_be_run() -> None:
    assert await ask(StreamingAgent(["a", "b"]), TASK) == Answer(text="ab")
    assert await ask(StreamingAgent(["a"], whole=Answer(text="x")), TASK) == Answer(text="x")
