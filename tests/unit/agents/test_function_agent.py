"""Async functions as agents."""

import functools

import pytest

from agentmesh.agents import Agent, FunctionAgent, agent
from agentmesh.errors import RegistrationError
from agentmesh.records import Answer, Task

TASK = Task(text="What is 12 * 7?")


@agent(description="Solves arithmetic.", skills=["math"], price_per_call_usd="0.0002", policy_flags={"pii"})
async def mathematician(task: Task) -> str:
    """Work it out."""
    return f"solved: {task.text}"


def test_a_decorated_function_is_an_agent_named_after_it() -> None:
    assert isinstance(mathematician, Agent)
    assert mathematician.id == "mathematician"
    assert mathematician.card().skills == ("math",)


def test_the_attributes_and_the_card_say_the_same() -> None:
    card = mathematician.card()
    assert Agent.card(mathematician) == card


async def test_the_function_can_still_be_called() -> None:
    assert await mathematician(TASK) == "solved: What is 12 * 7?"


async def test_running_the_agent_calls_the_function() -> None:
    assert await mathematician.run(TASK) == "solved: What is 12 * 7?"


def test_name_and_docstring_stay() -> None:
    assert mathematician.__name__ == "mathematician"
    assert mathematician.__doc__ == "Work it out."
    assert repr(mathematician) == "FunctionAgent('mathematician')"


def test_an_id_may_be_given() -> None:
    @agent(description="Adds.", id="adder-2")
    async def adder(task: Task) -> Answer:
        return Answer(text=task.text)

    assert adder.card().id == "adder-2"


async def test_agents_built_in_a_loop_stay_apart() -> None:
    built: list[FunctionAgent] = []
    for name in ("one", "two"):

        @agent(description=f"Says {name}.", id=name, skills=[name])
        async def say(task: Task, *, word: str = name) -> str:
            return word

        built.append(say)
    assert [each.card().id for each in built] == ["one", "two"]
    assert [each.card().description for each in built] == ["Says one.", "Says two."]
    assert [await each.run(TASK) for each in built] == ["one", "two"]


async def test_a_list_that_changes_after_the_decoration_changes_nothing() -> None:
    skills = ["math"]

    @agent(description="Adds.", skills=skills)
    async def adder(task: Task) -> str:
        return task.text

    skills.append("law")
    assert adder.card().skills == ("math",)


async def test_a_method_bound_to_its_object_can_be_an_agent() -> None:
    class Desk:
        async def answer(self, task: Task) -> str:
            return task.text

    assert await agent(description="Answers.")(Desk().answer).run(TASK) == TASK.text


async def test_a_partial_function_takes_its_id_from_the_decorator() -> None:
    async def say(word: str, task: Task) -> str:
        return f"{word} {task.text}"

    greeter = agent(description="Greets.", id="greeter")(functools.partial(say, "hi"))
    assert await greeter.run(Task(text="you")) == "hi you"


def test_a_function_that_is_not_async_is_refused() -> None:
    with pytest.raises(RegistrationError, match=r"agent 'plain' is .*; an agent is an async function"):

        @agent(description="Adds.")
        def plain(task: Task) -> str:
            return task.text


def test_a_function_without_a_parameter_is_refused() -> None:
    with pytest.raises(RegistrationError, match="agent 'empty' cannot be called with one task"):

        @agent(description="Adds.")
        async def empty() -> str:
            return ""


def test_a_function_of_two_parameters_is_refused() -> None:
    with pytest.raises(RegistrationError, match=r"agent 'two' cannot be called with one task .*'context'"):

        @agent(description="Adds.")
        async def two(task: Task, context: str) -> str:
            return task.text + context


def test_an_empty_description_is_refused() -> None:
    with pytest.raises(RegistrationError, match="agent 'adder' has the description ''"):

        @agent(description="")
        async def adder(task: Task) -> str:
            return task.text


def test_an_unusable_id_is_refused() -> None:
    with pytest.raises(RegistrationError, match="cannot be used"):

        @agent(description="Adds.", id="")
        async def adder(task: Task) -> str:
            return task.text
