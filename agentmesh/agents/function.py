"""An async function as an agent: the :func:`agent` decorator."""

import inspect
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import update_wrapper
from typing import TypeAlias

from agentmesh.agents.base import Agent
from agentmesh.agents.card import make_card
from agentmesh.errors import RegistrationError
from agentmesh.records import AgentCard, Answer, Money, Task

AgentFunction: TypeAlias = Callable[[Task], Awaitable[str | Answer]]


class FunctionAgent(Agent):
    """An async function as an agent. It stays callable and keeps its name and docstring."""

    __name__: str

    def __init__(self, function: AgentFunction, card: AgentCard) -> None:
        update_wrapper(self, function)
        self._function = function
        self._card = card
        self.id = card.id
        self.description = card.description
        self.skills = card.skills
        self.examples = card.examples
        self.group = card.group
        self.price_per_call_usd = card.price_per_call_usd
        self.price_in_per_m_usd = card.price_in_per_m_usd
        self.price_out_per_m_usd = card.price_out_per_m_usd
        self.latency_s = card.latency_s
        self.max_concurrency = card.max_concurrency
        self.policy_flags = card.policy_flags

    async def run(self, task: Task) -> str | Answer:
        """Call the function."""
        return await self._function(task)

    def __call__(self, task: Task) -> Awaitable[str | Answer]:
        """Call the function itself, as if it had not been decorated."""
        return self._function(task)

    def __repr__(self) -> str:
        """Name the agent."""
        return f"FunctionAgent({self.id!r})"


def agent(
    *,
    description: str,
    id: str | None = None,
    skills: Sequence[str] = (),
    examples: Sequence[str] = (),
    group: str | None = None,
    price_per_call_usd: Money | None = None,
    price_in_per_m_usd: Money | None = None,
    price_out_per_m_usd: Money | None = None,
    latency_s: float | None = None,
    max_concurrency: int | None = None,
    policy_flags: Collection[str] = frozenset(),
) -> Callable[[AgentFunction], FunctionAgent]:
    """Turn an async function of one task into an agent.

    Everything is fixed when the function is decorated, so two agents made in a loop stay two agents. The id defaults
    to the function's name.

    >>> @agent(description="Adds numbers.", skills=["math"])
    ... async def adder(task: Task) -> str:
    ...     return "3"
    >>> adder
    FunctionAgent('adder')

    Raises:
        RegistrationError: the function is not async, does not take one task, or what is declared cannot be used.
    """

    def decorate(function: AgentFunction) -> FunctionAgent:
        name = _check_function(function)
        card = make_card(
            id=name if id is None else id,
            description=description,
            skills=skills,
            examples=examples,
            group=group,
            price_per_call_usd=price_per_call_usd,
            price_in_per_m_usd=price_in_per_m_usd,
            price_out_per_m_usd=price_out_per_m_usd,
            latency_s=latency_s,
            max_concurrency=max_concurrency,
            policy_flags=policy_flags,
        )
        return FunctionAgent(function, card)

    return decorate


def _check_function(function: AgentFunction) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    if not inspect.iscoroutinefunction(function):
        raise RegistrationError(
            f"agent {name!r} is {function!r}; an agent is an async function: async def {name}(task)"
        )
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        message = f"agent {name!r} cannot be called with one task ({error}); write: async def {name}(task: Task) -> str"
        raise RegistrationError(message) from error
    return name
