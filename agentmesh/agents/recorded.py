"""An agent that gives recorded answers: for demos, tests and replays, with no network."""

from collections.abc import Mapping

from agentmesh.agents.base import Agent
from agentmesh.errors import ReplayMissError
from agentmesh.records import AgentCard, Answer, Task


class RecordedAgent(Agent):
    """Answers from a table, by the task's id, else by its text. A recorded exception is raised.

    >>> import asyncio
    >>> card = AgentCard(id="adder", description="Adds numbers.")
    >>> agent = RecordedAgent(card, {"What is 1 + 1?": Answer(text="2")})
    >>> asyncio.run(agent.run(Task(text="What is 1 + 1?"))).text
    '2'
    """

    def __init__(self, card: AgentCard, answers: Mapping[str, Answer | Exception]) -> None:
        self.id = card.id
        self.description = card.description
        self._card = card
        self._answers = answers

    def card(self) -> AgentCard:
        """Return the recorded card."""
        return self._card

    async def run(self, task: Task) -> Answer:
        """Return the recorded answer.

        Raises:
            ReplayMissError: nothing is recorded for this task.
        """
        found = self._answers.get(task.id) if task.id is not None else None
        if found is None:
            found = self._answers.get(task.text)
        if found is None:
            raise ReplayMissError(
                f"agent {self.id!r} has no recorded answer to the task {task.id!r} ({task.text[:60]!r}); "
                f"{len(self._answers)} are recorded, by task id or text"
            )
        if isinstance(found, Exception):
            raise found
        return found
