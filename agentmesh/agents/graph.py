"""A compiled LangGraph graph as an agent. LangGraph itself is not needed for that: the graph brings what it uses."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from agentmesh.agents.base import Agent
from agentmesh.errors import AgentOutputError
from agentmesh.records import Answer, Money, Task
from agentmesh.types import AgentId

State: TypeAlias = Mapping[str, Any]
"""The state of somebody's graph: what is in it only its owner knows."""


class CompiledGraph(Protocol):
    """What a compiled LangGraph graph can do, as far as an agent needs it."""

    def ainvoke(self, input: Any, config: Any = None) -> Awaitable[Any]:
        """Run the graph on a state and return the state that it ends in."""
        ...


class GraphAgent(Agent):
    """Answers a task by running a compiled LangGraph graph.

    Args:
        graph: The graph, as ``StateGraph.compile()`` returns it. A checkpointer of it needs a ``config``.
        id: The agent's id.
        description: What the graph is good at.
        write: Makes the graph's input of the task. By default ``{"messages": [...]}`` with the task's turns and its
            text; the name of a field puts the text there alone.
        read: Makes the answer of the state that the graph ends in. By default the text of the last of its
            ``messages``; the name of a field takes what stands there.
        config: Makes the ``config`` of the graph's run of the task, such as a thread of its checkpointer.
        skills: What it can do.
        price_per_call_usd: Its price; left out, it is unknown.

    Raises:
        RegistrationError: the id or the description cannot be used.
    """

    def __init__(
        self,
        graph: CompiledGraph,
        *,
        id: AgentId,
        description: str,
        write: str | Callable[[Task], State] = "messages",
        read: str | Callable[[State], str | Answer] = "messages",
        config: Callable[[Task], Mapping[str, Any]] | None = None,
        skills: Sequence[str] = (),
        price_per_call_usd: Money | None = None,
    ) -> None:
        self.id, self.description = id, description
        self.skills, self.price_per_call_usd = skills, price_per_call_usd
        self._graph, self._write, self._read, self._config = graph, write, read, config
        self.card()

    async def run(self, task: Task) -> str | Answer:
        """Run the graph on the task.

        Raises:
            AgentOutputError: the state that it ends in has no answer where one is looked for.
        """
        given = self._write(task) if callable(self._write) else _input(self._write, task)
        state = await self._graph.ainvoke(given, None if self._config is None else self._config(task))
        if callable(self._read):
            return self._read(state)
        found = state.get(self._read) if isinstance(state, Mapping) else None
        text = last_text(found) if self._read == "messages" else found
        if not isinstance(text, str):
            fields = sorted(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
            raise AgentOutputError(
                f"the graph of agent {self.id!r} ended without a text in {self._read!r}; its state has {fields!r}, and "
                "read= says where the answer is"
            )
        return text


def _input(field: str, task: Task) -> State:
    if field != "messages":
        return {field: task.text}
    turns = [{"role": turn.role, "content": turn.text} for turn in task.turns]
    return {"messages": [*turns, {"role": "user", "content": task.text}]}


def last_text(messages: object) -> str | None:
    """Return the text of the last of some messages, ``None`` where there is none.

    >>> last_text([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"text": "Hel"}, "lo"]}])
    'Hello'
    """
    if not isinstance(messages, Sequence) or not messages:
        return None
    return text_of(messages[-1])


def text_of(message: object) -> str | None:
    """Return the text of a message: an object of LangChain's, a dictionary, a pair of role and text, or a text."""
    if isinstance(message, str):
        return message
    if isinstance(message, tuple):
        content = message[-1] if message else None
    else:
        content = message.get("content") if isinstance(message, Mapping) else getattr(message, "content", None)
    if isinstance(content, Sequence) and not isinstance(content, str):  # a message may come in parts
        parts = [part.get("text", "") if isinstance(part, Mapping) else part for part in content]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else None
