"""How good named sets of agents are over many tasks."""

from collections.abc import Collection, Sequence
from statistics import fmean

from agentmesh.errors import ConfigError
from agentmesh.records import Record
from agentmesh.types import AgentId


class SetMeasures(Record):
    """Means over tasks, each 0 to 1 but ``mean_agents``.

    ``hit`` is the share of tasks with a right agent among those named, which some papers call accuracy; ``exact`` that
    of tasks whose set is just the right one; ``mean_agents`` is how many were named. A task out of scope has no right
    agent: naming nobody is then right in every measure, and naming anybody is wrong in every one.
    """

    tasks: int
    precision: float
    recall: float
    f1: float
    exact: float
    hit: float
    mean_agents: float


def measured(named: Sequence[Collection[AgentId]], right: Sequence[Collection[AgentId]]) -> SetMeasures:
    """Measure the sets named for some tasks by the right ones.

    Args:
        named: The agents named for each task.
        right: The right ones for each task, empty where it is out of scope.

    Raises:
        ConfigError: there is no task, or there are not as many of both.

    >>> measured([{"a", "b"}, set()], [{"a"}, set()])
    SetMeasures(tasks=2, precision=0.75, recall=1.0, f1=0.8333333333333333, exact=0.5, hit=1.0, mean_agents=1.0)
    """
    if not named or len(named) != len(right):
        raise ConfigError(
            f"{len(named)} sets were named for {len(right)} tasks; expected one each, and a task at least"
        )
    rows = [_one(set(chosen), set(wanted)) for chosen, wanted in zip(named, right, strict=True)]
    precision, recall, f1, exact, hit = (fmean(column) for column in zip(*rows, strict=True))
    mean_agents = fmean(len(set(chosen)) for chosen in named)
    return SetMeasures(
        tasks=len(rows), precision=precision, recall=recall, f1=f1, exact=exact, hit=hit, mean_agents=mean_agents
    )


def _one(chosen: set[AgentId], wanted: set[AgentId]) -> tuple[float, float, float, float, float]:
    """Return precision, recall, F1, exact and hit of one task."""
    if not chosen and not wanted:
        return 1.0, 1.0, 1.0, 1.0, 1.0
    hits = len(chosen & wanted)
    precision, recall = hits / max(1, len(chosen)), hits / max(1, len(wanted))
    return precision, recall, 2.0 * hits / (len(chosen) + len(wanted)), float(chosen == wanted), float(hits > 0)
