"""Which runs may be forgotten, and what is said of those that were."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from agentmesh.records import RunStatus
from agentmesh.types import RunId

ENDED: Final = frozenset(status for status in RunStatus if status.has_ended)
"""How a run may stand that is pruned; one that runs or waits never is."""

Cursor: TypeAlias = tuple[float, RunId]
"""When the last run that was looked at started, and its id."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Which runs may go: those that started before ``before`` (Unix seconds), have ended, and that nobody started.

    The runs that a run started go with it, or keep it: it stays as long as one of them has not ended.
    ``keep_feedback`` keeps it also where it, or one of them, was scored.
    """

    before: float
    statuses: frozenset[RunStatus] = ENDED
    keep_feedback: bool = False

    @property
    def wanted(self) -> frozenset[RunStatus]:
        """Return the statuses of runs that may go."""
        return self.statuses & ENDED


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many runs and events went, and after which run to look on; ``None`` where no run is left to be looked at."""

    runs: int = 0
    events: int = 0
    reached: Cursor | None = None

    def plus(self, other: "Pruned") -> "Pruned":
        """Return both together, reached as far as the other."""
        return Pruned(self.runs + other.runs, self.events + other.events, other.reached)


@dataclass(frozen=True, slots=True)
class Pruning:
    """That at a time runs were pruned that had started before another. Both are Unix seconds."""

    at: float
    before: float
    runs: int
    events: int


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What a database took on disk before it was vacuumed, and takes now, in bytes."""

    before_bytes: int
    after_bytes: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands, and whether it was scored."""

    status: RunStatus | None
    is_scored: bool = False

    def keeps(self, retention: Retention) -> bool:
        """Say whether this run keeps all runs of its family."""
        return self.status not in ENDED or (retention.keep_feedback and self.is_scored)


def released(families: Mapping[RunId, Mapping[RunId, Standing]], retention: Retention) -> list[RunId]:
    """Return the runs that may go: all of those families of which no run keeps it.

    >>> done, busy = Standing(RunStatus.COMPLETED), Standing(RunStatus.RUNNING)
    >>> released({"a": {"a": done, "a/1": done}, "b": {"b": done, "b/1": busy}}, Retention(before=9))
    ['a', 'a/1']
    """
    return [
        run_id
        for family in families.values()
        if not any(standing.keeps(retention) for standing in family.values())
        for run_id in family
    ]
