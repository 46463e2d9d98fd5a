"""Agents as classes: what their cards say, and how they are asked."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from agentmesh.agents import Agent, ask, check_answer
from agentmesh.agents.card import check_id, make_card, snake_case
from agentmesh.errors import AgentOutputError, RegistrationError
from agentmesh.records import Answer, Task
from agentmesh.testing.agents import EchoAgent, NoneAgent, StreamingAgent

TASK = Task(text="What is 12 * 7?")


class WorldHistorian(Agent):
    description = "Answers questions on world history, with dates."
    skills = ("history",)
    examples = ("When was the Eiffel Tower opened?",)
    group = "humanities"
    price_per_call_usd = "0.0002"
    price_in_per_m_usd = 0.1
    price_out_per_m_usd = Decimal("0.4")
    latency_s = 1.5
    max_concurrency = 3
    policy_flags = frozenset({"pii"})

    async def run(self, task: Task) -> str:
        return task.text


def test_a_class_says_on_its_card_what_it_declares() -> None:
    card = WorldHistorian().card()
    assert card.id == "world_historian"
    assert card.skills == ("history",)
    assert card.examples == ("When was the Eiffel Tower opened?",)
    assert (card.group, card.latency_s, card.max_concurrency) == ("humanities", 1.5, 3)
    assert card.policy_flags == frozenset({"pii"})
    assert card.version == 1


def test_money_is_held_as_the_decimal_that_was_written() -> None:
    card = WorldHistorian().card()
    assert card.price_per_call_usd == Decimal("0.0002")
    assert card.price_in_per_m_usd == Decimal("0.1")
    assert card.price_out_per_m_usd == Decimal("0.4")


def test_a_price_that_is_not_declared_is_unknown() -> None:
    assert EchoAgent().card().price_per_call_usd is None


def test_an_id_declared_on_the_class_holds() -> None:
    class Named(WorldHistorian):
        id = "herodotus"

    assert Named().card().id == "herodotus"


def test_a_subclass_gets_an_id_of_its_own() -> None:
    class Named(WorldHistorian):
        id = "herodotus"

    class Younger(Named):
        pass

    assert Younger().id == "younger"


def test_an_id_set_on_the_instance_holds() -> None:
    assert EchoAgent("second").card().id == "second"


def test_a_dataclass_may_take_its_id_as_a_field() -> None:
    @dataclass
    class Configured(Agent):
        id: str
        description: str

        async def run(self, task: Task) -> str:
            return task.text

    assert Configured("one", "Says one.").card().id == "one"


def test_an_agent_without_run_cannot_be_made() -> None:
    class Idle(Agent):
        description = "Does nothing."

    with pytest.raises(TypeError, match="run"):
        Idle()  # type: ignore[abstract]


@pytest.mark.parametrize("description", ["", "   ", None, 3])
def test_an_agent_without_a_description_has_no_card(description: object) -> None:
    agent = EchoAgent()
    agent.description = description  # type: ignore[assignment]
    with pytest.raises(RegistrationError, match=r"agent 'echo' has the description .* say what the agent does"):
        agent.card()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price_per_call_usd", "-1"),
        ("price_in_per_m_usd", "cheap"),
        ("price_out_per_m_usd", float("nan")),
        ("latency_s", -0.5),
        ("max_concurrency", 0),
        ("skills", "history"),
        ("examples", [1]),
    ],
)
def test_a_value_that_cannot_be_used_is_named(field: str, value: object) -> None:
    with pytest.raises(RegistrationError, match=rf"agent 'a' declares {field}.* cannot be used"):
        make_card(id="a", description="Adds.", **{field: value})


@pytest.mark.parametrize("bad", ["", " padded", "tab\there", "new\nline", "nul\x00", "\u202eevil", "x" * 201, 7, None])
def test_an_id_that_cannot_be_used_is_refused(bad: object) -> None:
    with pytest.raises(RegistrationError, match="an id is 1 to 200 printable characters"):
        check_id(bad)


@pytest.mark.parametrize("good", ["a", "banking:account_blocked", "agent of José", "数学", "x" * 200])
def test_an_id_in_any_script_is_accepted(good: str) -> None:
    assert check_id(good) == good


@pytest.mark.parametrize(
    ("name", "spelt"), [("Historian", "historian"), ("WorldHistorian", "world_historian"), ("_Private", "private")]
)
def test_class_names_are_spelt_in_snake_case(name: str, spelt: str) -> None:
    assert snake_case(name) == spelt


def test_text_and_answers_are_answers() -> None:
    answer = Answer(text="84", cost_usd="0.1")
    assert check_answer(answer, "a") is answer
    assert check_answer("84", "a") == Answer(text="84")


@pytest.mark.parametrize("value", [None, 84, b"84", ["84"], "84".encode])
def test_anything_else_is_no_answer(value: object) -> None:
    with pytest.raises(AgentOutputError, match=r"agent 'a' returned .*; an agent returns str or Answer"):
        check_answer(value, "a")


def test_a_long_value_is_shortened_in_the_error() -> None:
    with pytest.raises(AgentOutputError) as caught:
        check_answer(list(range(10_000)), "a")
    assert len(str(caught.value)) < 200


async def test_asking_runs_the_agent() -> None:
    assert await ask(EchoAgent(), TASK) == Answer(text=TASK.text)


async def test_asking_an_agent_that_returns_none_names_it() -> None:
    with pytest.raises(AgentOutputError, match="agent 'none' returned None"):
        await ask(NoneAgent(), TASK)


async def test_an_agent_that_does_not_stream_sends_no_pieces() -> None:
    pieces: list[str] = []
    assert await ask(EchoAgent(), TASK, on_text=pieces.append) == Answer(text=TASK.text)
    assert pieces == []


async def test_the_default_stream_is_the_answer_in_one_piece() -> None:
    assert [piece async for piece in EchoAgent().stream(TASK)] == [TASK.text]


async def test_pieces_of_text_add_up_to_the_answer() -> None:
    pieces: list[str] = []
    answer = await ask(StreamingAgent(["eighty", "-", "four"]), TASK, on_text=pieces.append)
    assert answer == Answer(text="eighty-four")
    assert pieces == ["eighty", "-", "four"]


async def test_the_answer_at_the_end_of_a_stream_is_the_whole() -> None:
    pieces: list[str] = []
    whole = Answer(text="84", cost_usd="0.01")
    assert await ask(StreamingAgent(["8", "4"], whole=whole), TASK, on_text=pieces.append) == whole
    assert pieces == ["8", "4"]


async def test_a_stream_of_one_answer_shows_its_text() -> None:
    pieces: list[str] = []
    await ask(StreamingAgent([], whole=Answer(text="84")), TASK, on_text=pieces.append)
    assert pieces == ["84"]


async def test_a_stream_without_anything_is_no_answer() -> None:
    with pytest.raises(AgentOutputError, match="streamed nothing"):
        await ask(StreamingAgent([]), TASK, on_text=len)


async def test_a_stream_of_something_else_is_no_answer() -> None:
    with pytest.raises(AgentOutputError, match="returned 84"):
        await ask(StreamingAgent([84]), TASK, on_text=len)  # type: ignore[list-item]


class Open(Agent):
    """Streams for ever and notes when its stream is closed."""

    description = "Streams for ever."
    closed = False

    async def run(self, task: Task) -> str:
        return task.text

    async def stream(self, task: Task) -> AsyncIterator[str | Answer]:
        try:
            while True:
                yield task.text
                await asyncio.sleep(0)
        finally:
            self.closed = True


async def test_a_stream_is_closed_when_its_listener_fails() -> None:
    def refuse(text: str) -> None:
        raise ValueError(text)

    agent = Open()
    with pytest.raises(ValueError, match="12"):
        await ask(agent, TASK, on_text=refuse)
    assert agent.closed


class Iterated(Agent):
    """Streams through an iterator of its own, which has nothing to close."""

    description = "Streams by hand."

    def __init__(self) -> None:
        self._left = ["a", "b"]

    async def run(self, task: Task) -> str:
        return task.text

    def stream(self, task: Task) -> AsyncIterator[str | Answer]:
        return self

    def __aiter__(self) -> AsyncIterator[str | Answer]:
        return self

    async def __anext__(self) -> str | Answer:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


async def test_a_stream_may_be_any_async_iterator() -> None:
    assert await ask(Iterated(), TASK, on_text=len) == Answer(text="ab")
