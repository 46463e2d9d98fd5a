"""What leaving agents out returns: a row for each way to decide and count of outcomes, and one for each agent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agentmesh.bench.crossed import Crossed
from agentmesh.bench.opening import BenchSplit
from agentmesh.bench.resampling import Interval
from agentmesh.records import Record
from agentmesh.types import AgentId, FloatArray, IndexArray, JsonValue


@dataclass(frozen=True, slots=True)
class Decided:
    """What one router decided on the split.

    ``agent`` is the column of the one that entered and ``count`` how many of its outcomes were told.

    Shapes:
        quality: (t,) what came of the decisions; choice: (t,) columns.
    """

    method: str
    agent: int
    count: int
    quality: FloatArray
    choice: IndexArray

    @property
    def share(self) -> float:
        """Return the share of the tasks that went to the agent that entered."""
        return float((self.choice == self.agent).mean())


class EnteringRow(Record):
    """One way to decide, mean over the agents left out. Intervals are 95 %, by bootstrap over tasks and agents.

    ``lead_ci`` is the interval of its quality minus that of the router under study with as many outcomes; ``share`` is
    the mean share of the tasks that went to the agent that entered.
    """

    count: int
    method: str
    quality: float
    quality_ci: Interval
    lead_ci: Interval | None
    share: float


class EnteringAgent(Record):
    """One agent left out: quality, and the share of the tasks that it was given, by way to decide."""

    agent: AgentId
    count: int
    quality: Mapping[str, float]
    share: Mapping[str, float]


class LeaveOneOutReport(Record):
    """Each agent of a set left out of the training once."""

    set: str
    split: BenchSplit
    router: str
    arguments: Mapping[str, JsonValue]
    rows: tuple[EnteringRow, ...]
    agents: tuple[EnteringAgent, ...]
    notes: tuple[str, ...]


def summaries(router: str, decided: Sequence[Decided]) -> tuple[EnteringRow, ...]:
    """Sum up over agents: seeds are averaged first, then agents and tasks are drawn."""
    rows: list[EnteringRow] = []
    for count in _counts(decided):
        tables = {method: _by_agent(decided, method, count) for method in _methods(decided)}
        crossed = Crossed.of(tables)
        rows += [
            EnteringRow(
                count=count,
                method=method,
                quality=float(table.mean()),
                quality_ci=crossed.own(method),
                lead_ci=None if method == router else crossed.lead(method, over=router),
                share=float(np.mean([one.share for one in decided if (one.method, one.count) == (method, count)])),
            )
            for method, table in tables.items()
        ]
    return tuple(rows)


def agent_rows(decided: Sequence[Decided], ids: Sequence[AgentId]) -> tuple[EnteringAgent, ...]:
    """Return a row for each agent and count, means over seeds."""
    rows = []
    for agent, agent_id in enumerate(ids):
        for count in _counts(decided):
            here = [one for one in decided if (one.agent, one.count) == (agent, count)]
            quality = {
                method: float(np.mean([one.quality.mean() for one in here if one.method == method]))
                for method in _methods(here)
            }
            share = {
                method: float(np.mean([one.share for one in here if one.method == method])) for method in _methods(here)
            }
            rows.append(EnteringAgent(agent=agent_id, count=count, quality=quality, share=share))
    return tuple(rows)


def _counts(decided: Sequence[Decided]) -> list[int]:
    return list(dict.fromkeys(one.count for one in decided))


def _methods(decided: Sequence[Decided]) -> list[str]:
    return list(dict.fromkeys(one.method for one in decided))


def _by_agent(decided: Sequence[Decided], method: str, count: int) -> FloatArray:
    """Return the quality of each agent's entering on each task, means over seeds, (agents, t)."""
    found: dict[int, list[FloatArray]] = {}
    for one in decided:
        if (one.method, one.count) == (method, count):
            found.setdefault(one.agent, []).append(one.quality)
    return np.stack([np.mean(found[agent], axis=0) for agent in sorted(found)])
