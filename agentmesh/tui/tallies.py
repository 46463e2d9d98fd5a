"""What a watcher counts: exact sums over all events that came, of a size that does not grow with them."""

from collections import Counter, deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from agentmesh.intervals import wilson
from agentmesh.records import AgentCall, CallStatus, RunStatus

RECENT_CALLS: Final = 32
"""Latencies of an agent that are kept, the newest last: as many as a sparkline has room for."""

RATE_S: Final = 10.0
"""Seconds over which runs per second are counted."""

FEW_SCORES: Final = 5
"""With fewer scores than this an agent is not held for the best one."""


@dataclass(slots=True)
class Worth:
    """Scores from 0 to 1, added up."""

    count: int = 0
    total: float = 0.0

    def add(self, score: float) -> None:
        """Count a score."""
        self.count += 1
        self.total += score

    @property
    def mean(self) -> float | None:
        """Return the mean score, ``None`` where there is none."""
        return self.total / self.count if self.count else None

    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of the mean by Wilson's score method, which holds for few scores too.

        For scores between 0 and 1 it is on the wide side. Source: Wilson (1927), JASA 22.

        >>> low, high = Worth(count=10, total=8.0).interval()
        >>> round(low, 2), round(high, 2)
        (0.49, 0.94)
        """
        if not self.count:
            return None
        return wilson(self.total, self.count)


@dataclass(slots=True)
class AgentTally:
    """What one agent did. ``failing`` are its failures in a row up to now; ``latencies_s`` are the newest.

    ``resting`` is whether its breaker left it alone at the newest decision.
    """

    chosen: int = 0
    under_way: int = 0
    calls: int = 0
    failed: int = 0
    failing: int = 0
    resting: bool = False
    priced: int = 0
    cost_usd: Decimal = Decimal(0)
    worth: Worth = field(default_factory=Worth)
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_CALLS))

    def take(self, call: AgentCall) -> None:
        """Count a call that has ended; one that was refused was never made."""
        self.under_way = max(self.under_way - 1, 0)
        if call.status is CallStatus.REFUSED:
            return
        self.calls += 1
        self.latencies_s.append(call.latency_s)
        if call.cost_usd is not None:
            self.priced += 1
            self.cost_usd += call.cost_usd
        if call.status in (CallStatus.FAILED, CallStatus.TIMED_OUT):
            self.failed += 1
            self.failing += 1
        elif call.status is CallStatus.OK:
            self.failing = 0

    @property
    def mean_cost_usd(self) -> Decimal | None:
        """Return what a call costs in the mean, ``None`` where no price is known."""
        return self.cost_usd / self.priced if self.priced else None


@dataclass(slots=True)
class Totals:
    """What all runs came to. Runs that another one started are part of it, and are not counted by themselves."""

    events: int = 0
    started: int = 0
    ended: Counter[RunStatus] = field(default_factory=Counter)
    priced: int = 0
    cost_usd: Decimal = Decimal(0)
    worth: Worth = field(default_factory=Worth)
    ends: deque[float] = field(default_factory=deque)

    def end(self, status: RunStatus, cost_usd: Decimal | None, at: float) -> None:
        """Count a run that has ended."""
        self.ended[status] += 1
        self.ends.append(at)
        while self.ends[0] < at - RATE_S:
            self.ends.popleft()
        if cost_usd is not None:
            self.priced += 1
            self.cost_usd += cost_usd

    @property
    def under_way(self) -> int:
        """Return how many runs have begun and not ended."""
        return max(self.started - self.ended.total(), 0)

    @property
    def error_rate(self) -> float | None:
        """Return the share of ended runs that failed or went over their budget, ``None`` before the first end."""
        bad = self.ended[RunStatus.FAILED] + self.ended[RunStatus.OVER_BUDGET]
        return bad / self.ended.total() if self.ended else None

    def per_second(self, now: float) -> float:
        """Return how many runs ended a second, over the last ten seconds."""
        return sum(end > now - RATE_S for end in self.ends) / RATE_S
