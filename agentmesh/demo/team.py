"""The recorded team: 12 chat models, 700 questions, and every answer they gave, read from the package."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from agentmesh.agents.recorded import RecordedAgent
from agentmesh.errors import ConfigError
from agentmesh.recorded.reader import RecordedTask, Rows, load_set
from agentmesh.records import Answer, Usage
from agentmesh.types import FloatArray


@dataclass(frozen=True, slots=True)
class Team:
    """The agents, the questions in the order they arrive, and what came of every agent on every question.

    Only the called agents' outcomes are ever shown to a router; the tables are for scoring.

    Shapes:
        tasks: length m; quality, cost: (m, n), columns as in ``agents``.
    """

    agents: tuple[RecordedAgent, ...]
    tasks: tuple[RecordedTask, ...]
    quality: FloatArray
    cost: FloatArray

    def quality_of(self, row: int, agent_id: str) -> float:
        """Return the recorded quality of an agent's answer."""
        names = [agent.id for agent in self.agents]
        return float(self.quality[row, names.index(agent_id)])


def shipped_data() -> Path:
    """Return the folder of the recorded set that ships in this package."""
    return Path(str(files("agentmesh.demo") / "data"))


def load_team(limit: int | None = None) -> Team:
    """Load the recorded team and its first ``limit`` questions, all by default.

    Raises:
        ConfigError: ``limit`` is less than 1.
        RecordedSetError: the shipped files were changed.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit!r}; give 1 or more tasks, or none for all")
    recorded = load_set(shipped_data())
    rows = recorded.open("all")
    responses = recorded.responses("all")
    agents = tuple(
        RecordedAgent(card, _answers(rows, column, card.id, responses)) for column, card in enumerate(recorded.agents)
    )
    return Team(agents, rows.tasks[:limit], rows.table.quality[:limit], rows.table.cost[:limit])


def _answers(
    rows: Rows, column: int, agent_id: str, responses: dict[tuple[str, str], str]
) -> dict[str, Answer | Exception]:
    table = rows.table
    counts = np.nan_to_num(np.stack([table.input_tokens[:, column], table.output_tokens[:, column]], axis=1))
    return {
        task.id: Answer(
            text=responses[task.id, agent_id],
            usage=Usage(input_tokens=int(counts[row, 0]), output_tokens=int(counts[row, 1])),
            cost_usd=float(table.cost[row, column]),
        )
        for row, task in enumerate(rows.tasks)
    }
