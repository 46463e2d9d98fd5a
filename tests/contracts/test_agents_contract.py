"""Every kind of agent keeps the contract of agents; agents that do not are caught by it."""

import asyncio

import pytest

from agentmesh.agents import Agent, PromptedAgent, RecordedAgent, agent
from agentmesh.errors import AgentOutputError, RegistrationError
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.records import AgentCard, Answer, Task
from agentmesh.testing.agents import AgentContract, CannedAgent, EchoAgent, NoneAgent, SlowAgent, StreamingAgent


@agent(description="Repeats the task.")
async def repeat(task: Task) -> str:
    return task.text


class TestFunctionAgentContract(AgentContract):
    def make_agent(self) -> Agent:
        return repeat


class TestClassAgentContract(AgentContract):
    def make_agent(self) -> Agent:
        return EchoAgent()


class TestSlowAgentContract(AgentContract):
    def make_agent(self) -> Agent:
        return SlowAgent()


class TestCannedAgentContract(AgentContract):
    def make_agent(self) -> Agent:
        return CannedAgent(["one", Answer(text="two")])


class TestStreamingAgentContract(AgentContract):
    def make_agent(self) -> Agent:
        return StreamingAgent(["8", "4"], whole=Answer(text="84"))


class TestPromptedAgentContract(AgentContract):
    def make_agent(self) -> Agent:
        return PromptedAgent(ScriptedChat(["84"] * 5), id="prompted", description="Answers by model.")


class TestRecordedAgentContract(AgentContract):
    def make_agent(self) -> Agent:
        card = AgentCard(id="recorded", description="Answers from a table.")
        return RecordedAgent(card, {"contract": Answer(text="84")})


def contract_of(made: Agent) -> AgentContract:
    class Contract(AgentContract):
        def make_agent(self) -> Agent:
            return made

    return Contract()


class Fickle(EchoAgent):
    """Declares something else each time it is asked."""

    def card(self) -> AgentCard:
        self.description += "!"
        return super().card()


class Stubborn(EchoAgent):
    """Answers although it was cancelled."""

    async def reply(self, task: Task) -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return task.text
        return task.text


def test_an_agent_that_gives_no_answer_breaks_the_contract() -> None:
    with pytest.raises(AgentOutputError):
        contract_of(NoneAgent()).test_it_gives_an_answer()


def test_an_agent_without_a_usable_id_breaks_the_contract() -> None:
    with pytest.raises(RegistrationError):
        contract_of(EchoAgent("")).test_its_card_can_be_registered_and_stays_the_same()


def test_an_agent_whose_card_changes_breaks_the_contract() -> None:
    with pytest.raises(AssertionError):
        contract_of(Fickle()).test_its_card_can_be_registered_and_stays_the_same()
    with pytest.raises(AssertionError):
        contract_of(Fickle()).test_two_agents_made_alike_have_the_same_card()


def test_an_agent_that_swallows_its_cancellation_breaks_the_contract() -> None:
    with pytest.raises(AssertionError):
        contract_of(Stubborn()).test_it_stops_when_cancelled()
