"""Doubles that stand in for agents, and the contract of every agent as tests to inherit."""
# ruff: noqa: S101 - a contract is made of assertions

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import cast

from agentmesh.agents.base import Agent, ask
from agentmesh.agents.card import check_id
from agentmesh.errors import AgentError
from agentmesh.records import Answer, Money, Task


class AgentDouble(Agent):
    """The base of the doubles: an agent that counts its calls.

    Args:
        id: The agent's id; the double's kind when left out.
        skills: What it can do.
        price_per_call_usd: Its declared price.
    """

    description = "Stands in for an agent in tests."

    def __init__(
        self, id: str | None = None, *, skills: Sequence[str] = (), price_per_call_usd: Money | None = None
    ) -> None:
        if id is not None:
            self.id = id
        self.skills = skills
        self.price_per_call_usd = price_per_call_usd
        self.calls = 0

    async def run(self, task: Task) -> str | Answer:
        """Count the call and reply."""
        self.calls += 1
        return await self.reply(task)

    @abstractmethod
    async def reply(self, task: Task) -> str | Answer:
        """Return what this double answers."""


class EchoAgent(AgentDouble):
    """Answers with the task's text.

    >>> asyncio.run(EchoAgent().run(Task(text="hello")))
    'hello'
    """

    id = "echo"

    async def reply(self, task: Task) -> str:
        """Return the task's text."""
        return task.text


class CannedAgent(AgentDouble):
    """Gives its replies in turn, the last one for ever; an exception among them is raised.

    Args:
        replies: At least one text, ``Answer`` or exception.
        id: The agent's id.
        skills: What it can do.
        price_per_call_usd: Its declared price.
    """

    id = "canned"

    def __init__(
        self,
        replies: Sequence[str | Answer | Exception],
        id: str | None = None,
        *,
        skills: Sequence[str] = (),
        price_per_call_usd: Money | None = None,
    ) -> None:
        super().__init__(id, skills=skills, price_per_call_usd=price_per_call_usd)
        self._replies = tuple(replies)

    async def reply(self, task: Task) -> str | Answer:  # noqa: ARG002 - the same whatever is asked
        """Return or raise the next reply."""
        reply = self._replies[min(self.calls, len(self._replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply


class FailingAgent(AgentDouble):
    """Raises on every call: an ``AgentError`` unless told otherwise."""

    id = "failing"

    def __init__(self, id: str | None = None, *, error: Exception | None = None) -> None:
        super().__init__(id)
        self._error = AgentError(f"agent {self.id!r} fails by design") if error is None else error

    async def reply(self, task: Task) -> str:  # noqa: ARG002 - fails whatever is asked
        """Raise."""
        raise self._error


class HangingAgent(AgentDouble):
    """Never answers. ``cancelled`` counts the calls that were called off."""

    id = "hanging"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.cancelled = 0

    async def reply(self, task: Task) -> str:  # noqa: ARG002 - the same whatever is asked
        """Wait until cancelled."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        try:
            return await never
        finally:
            self.cancelled += 1


class SlowAgent(AgentDouble):
    """Answers with the task's text after ``delay_s`` seconds."""

    id = "slow"

    def __init__(self, id: str | None = None, *, delay_s: float = 0.01) -> None:
        super().__init__(id)
        self._delay_s = delay_s

    async def reply(self, task: Task) -> str:
        """Wait, then return the task's text."""
        await asyncio.sleep(self._delay_s)
        return task.text


class NoneAgent(AgentDouble):
    """Returns ``None``, or another ``value`` that is no answer."""

    id = "none"

    def __init__(self, id: str | None = None, *, value: object = None) -> None:
        super().__init__(id)
        self._value = value

    async def reply(self, task: Task) -> str:  # noqa: ARG002 - the same whatever is asked
        """Return something that is no answer, past the type checker."""
        return cast("str", self._value)


class StreamingAgent(AgentDouble):
    """Streams its pieces, and the whole ``Answer`` at the end if one is given."""

    id = "streaming"

    def __init__(self, pieces: Sequence[str], id: str | None = None, *, whole: Answer | None = None) -> None:
        super().__init__(id)
        self._pieces = tuple(pieces)
        self._whole = whole

    async def reply(self, task: Task) -> str | Answer:  # noqa: ARG002 - the same whatever is asked
        """Return the whole answer."""
        return "".join(self._pieces) if self._whole is None else self._whole

    async def stream(self, task: Task) -> AsyncIterator[str | Answer]:  # noqa: ARG002 - the same whatever is asked
        """Yield the pieces."""
        self.calls += 1
        for piece in self._pieces:
            yield piece
        if self._whole is not None:
            yield self._whole


class AgentContract(ABC):
    """What every agent keeps to, as tests. Inherit in a class named ``Test...`` and write :meth:`make_agent`.

    The agent must answer :meth:`make_task`; nothing else is asked of what it says. The tests run their own event loop,
    so they need no plugin.
    """

    @abstractmethod
    def make_agent(self) -> Agent:
        """Return a fresh agent that answers without a network."""

    def make_task(self) -> Task:
        """Return a task that the agent can answer."""
        return Task(id="contract", text="What is 12 * 7?")

    def test_its_card_can_be_registered_and_stays_the_same(self) -> None:
        """The id can be used, the description says something, and asking twice gives the same card."""
        agent = self.make_agent()
        card = agent.card()
        assert check_id(card.id) == agent.id
        assert card.description.strip()
        assert agent.card() == card

    def test_two_agents_made_alike_have_the_same_card(self) -> None:
        """A card depends on nothing but what the agent was made with."""
        assert self.make_agent().card() == self.make_agent().card()

    def test_it_gives_an_answer(self) -> None:
        """``run`` returns text or an ``Answer``."""
        answer = asyncio.run(ask(self.make_agent(), self.make_task()))
        assert isinstance(answer, Answer)

    def test_it_leaves_the_task_as_it_was(self) -> None:
        """Other agents get the same task."""
        task = self.make_task()
        before = task.model_dump_json()
        asyncio.run(ask(self.make_agent(), task))
        assert task.model_dump_json() == before

    def test_it_answers_several_tasks_at_once(self) -> None:
        """Calls of one agent may overlap."""
        agent, task = self.make_agent(), self.make_task()

        async def answer_all() -> list[Answer]:
            return await asyncio.gather(*(ask(agent, task) for _ in range(5)))

        assert len(asyncio.run(answer_all())) == 5

    def test_its_stream_ends_in_an_answer(self) -> None:
        """A listener gets text, and the stream adds up to an answer."""
        pieces: list[str] = []
        answer = asyncio.run(ask(self.make_agent(), self.make_task(), on_text=pieces.append))
        assert isinstance(answer, Answer)
        assert all(isinstance(piece, str) for piece in pieces)

    def test_it_stops_when_cancelled(self) -> None:
        """A cancelled call ends, and does not pass for an answer unless it had one before."""

        async def cancel_at_once() -> bool:
            task = asyncio.ensure_future(ask(self.make_agent(), self.make_task()))
            await asyncio.sleep(0)
            was_done = task.done()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, timeout=5)
            return was_done or task.cancelled()

        assert asyncio.run(cancel_at_once())
