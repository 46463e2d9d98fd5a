"""What an agent is: a class that says what it does and has a ``run`` method."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from agentmesh.agents.card import make_card, snake_case
from agentmesh.errors import AgentOutputError
from agentmesh.records import AgentCard, Answer, Money, Task
from agentmesh.types import AgentId

T = TypeVar("T")


class Agent(ABC):
    """Answers tasks. Subclass it, say what it does, and write ``run``.

    The attributes below are what the agent declares; its :meth:`card` is made of them. They may be set on the class or
    on the instance. ``id`` defaults to the class name in snake case. A price that is left out is unknown, not zero.

    >>> class Historian(Agent):
    ...     description = "Answers questions on world history, with dates."
    ...     skills = ("history",)
    ...     price_per_call_usd = "0.0002"
    ...
    ...     async def run(self, task: Task) -> str:
    ...         return "1889"
    >>> card = Historian().card()
    >>> card.id, card.price_per_call_usd
    ('historian', Decimal('0.0002'))
    """

    id: str = ""
    description: str = ""
    skills: Sequence[str] = ()
    examples: Sequence[str] = ()
    group: str | None = None
    price_per_call_usd: Money | None = None
    price_in_per_m_usd: Money | None = None
    price_out_per_m_usd: Money | None = None
    latency_s: float | None = None
    max_concurrency: int | None = None
    policy_flags: Collection[str] = frozenset()

    def __init_subclass__(cls, **options: object) -> None:
        """Give the class the id that its name spells, unless it declares one."""
        super().__init_subclass__(**options)
        if "id" not in cls.__dict__ and "id" not in inspect.get_annotations(cls):
            cls.id = snake_case(cls.__name__)

    @abstractmethod
    async def run(self, task: Task) -> str | Answer:
        """Answer the task, whole.

        Whatever it raises counts as a failed call of this agent alone; the run goes on with the others.
        """

    async def stream(self, task: Task) -> AsyncIterator[str | Answer]:
        """Yield the answer in pieces of text; an ``Answer``, if one comes, is the last item and holds the whole.

        Override it to let listeners see the answer grow. By default the answer comes in one piece.
        """
        yield await self.run(task)

    def card(self) -> AgentCard:
        """Return what this agent declares about itself.

        Raises:
            RegistrationError: an attribute cannot be used: an unusable id, no description, a negative price.
        """
        return make_card(
            id=self.id,
            description=self.description,
            skills=self.skills,
            examples=self.examples,
            group=self.group,
            price_per_call_usd=self.price_per_call_usd,
            price_in_per_m_usd=self.price_in_per_m_usd,
            price_out_per_m_usd=self.price_out_per_m_usd,
            latency_s=self.latency_s,
            max_concurrency=self.max_concurrency,
            policy_flags=self.policy_flags,
        )


def check_answer(value: object, agent_id: AgentId) -> Answer:
    """Return what an agent gave as an ``Answer``.

    >>> check_answer("42", "adder").text
    '42'

    Raises:
        AgentOutputError: it is neither text nor an ``Answer``.
    """
    if isinstance(value, Answer):
        return value
    if isinstance(value, str):
        return Answer(text=value)
    raise AgentOutputError(
        f"agent {agent_id!r} returned {_shortened(value)} ({type(value).__name__}); an agent returns str or Answer"
    )


def _shortened(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


async def ask(agent: Agent, task: Task, *, on_text: Callable[[str], None] | None = None) -> Answer:
    """Have ``agent`` answer ``task`` and check what it gives.

    Args:
        agent: Who is asked.
        task: What is asked.
        on_text: Takes each piece of text of an agent that streams; other agents are simply run.

    Raises:
        AgentOutputError: the agent gave something that is neither text nor an ``Answer``.
    """
    if on_text is None or type(agent).stream is Agent.stream:
        return check_answer(await agent.run(task), agent.id)
    async with closing(agent.stream(task)) as pieces:
        return await _gather(pieces, agent.id, on_text)


@asynccontextmanager
async def closing(stream: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close a stream on the way out: one left half way keeps its connection open until the collector finds it."""
    try:
        yield stream
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


async def _gather(pieces: AsyncIterator[str | Answer], agent_id: AgentId, on_text: Callable[[str], None]) -> Answer:
    texts: list[str] = []
    async for piece in pieces:
        if isinstance(piece, Answer):
            if not texts:
                on_text(piece.text)
            return piece
        texts.append(check_answer(piece, agent_id).text)
        on_text(piece)
    if not texts:
        raise AgentOutputError(f"agent {agent_id!r} streamed nothing; a stream yields text, or an Answer at its end")
    return Answer(text="".join(texts))
