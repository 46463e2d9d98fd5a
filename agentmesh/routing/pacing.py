"""Keeps the share of tasks that go on to a dearer stage at a budget, also when the mix of tasks changes."""

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from math import inf
from typing import Final, Protocol

from agentmesh.decisions import RouteDecision, Stage

REASONING: Final = "reasoning"
"""The name of the stage that is a model."""

WINDOW: Final = 300
"""Confidences that are looked back on: enough for a quantile of a few per cent, few enough to follow a change."""

GAIN: Final = 0.01
"""What one task too many takes from the level. On streams of hwu64's and clinc150's train whose mix changes half-way, a
gain of 0 lets the share swing from 7 to 14 % at a budget of 10 %, one of 0.01 from 9.6 to 10.4 %."""


class Pace(Protocol):
    """Says how sure a stage must be to decide by itself."""

    def threshold(self, budget: float) -> float:
        """Return the confidence below which a task goes on, so that a share ``budget`` of them does."""
        ...

    def observe(self, confidence: float, *, went_on: bool) -> None:
        """Take note of how sure a stage was of a task, and whether the task went on."""
        ...

    def asking(self) -> AbstractContextManager[None]:
        """Count a task as one that went on while it is under way: others are decided meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class FixedPace:
    """A threshold that was in force once: for a replay.

    >>> FixedPace(0.25).threshold(0.1)
    0.25
    """

    value: float

    def threshold(self, budget: float) -> float:  # noqa: ARG002 - the seam's signature
        """Return the threshold of then."""
        return self.value

    def observe(self, confidence: float, *, went_on: bool) -> None:
        """Take no note: nothing follows."""

    def asking(self) -> AbstractContextManager[None]:
        """Count nothing."""
        return nullcontext()


@dataclass(slots=True)
class SlidingPace:
    """Follows the confidences of the last tasks, and pays back what it overspent.

    Rule: the threshold is a quantile of the last ``window`` confidences, at the level ``budget + gain * debt``, where
    debt is ``budget`` x the tasks seen less those that went on: one task too many lowers the level until it is made up
    for; those that are on their way count as gone on. Before the first task the threshold is infinite: what knows
    nothing yet may ask once.

    Reference: the level that is corrected by its own errors is that of adaptive conformal inference, Gibbs and Candès,
    2021, arXiv 2106.00170.

    >>> pace = SlidingPace(window=4)
    >>> for confidence in (0.1, 0.4, 0.2, 0.3):
    ...     pace.observe(confidence, went_on=False)
    >>> pace.threshold(0.5)
    0.256
    """

    window: int = WINDOW
    gain: float = GAIN
    _seen: int = 0
    _went_on: int = 0
    _under_way: int = 0
    _last: deque[float] = field(init=False)

    def __post_init__(self) -> None:
        """Start with no task."""
        self._last = deque(maxlen=self.window)

    def observe(self, confidence: float, *, went_on: bool) -> None:
        """Take note of one task."""
        self._last.append(confidence)
        self._seen += 1
        self._went_on += went_on

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Count one task more as gone on until the block ends."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def threshold(self, budget: float) -> float:
        """Return the quantile of the last confidences at today's level."""
        if not self._last:
            return inf if budget > 0 and not self._under_way else -inf
        level = budget + self.gain * (budget * self._seen - self._went_on - self._under_way)
        if level <= 0:
            return -inf
        return _quantile(sorted(self._last), min(level, 1.0))


def _quantile(ordered: list[float], level: float) -> float:
    spot = level * (len(ordered) - 1)
    below = int(spot)
    above = min(below + 1, len(ordered) - 1)
    if ordered[above] == inf:  # what is sure beyond all measure has no place between two others
        return ordered[below]
    return ordered[below] + (spot - below) * (ordered[above] - ordered[below])


def before_model(decision: RouteDecision) -> Stage | None:
    """Return what the stage said that had a model behind it, ``None`` where there was no model to ask."""
    return next((stage for stage in decision.stages if stage.beyond == REASONING), None)


def take_note(pace: Pace, decision: RouteDecision) -> None:
    """Tell ``pace`` of a decision: how sure its routers were before a model would be asked, and whether one was.

    A question that was refused, and one whose reply was remembered, cost nothing and do not count.
    """
    stage = before_model(decision)
    confidence = inf if stage is None or stage.confidence is None else stage.confidence
    reasoning = decision.reasoning
    pace.observe(confidence, went_on=reasoning is not None and reasoning.latency_s > 0 and not reasoning.cached)


def pace_of(decision: RouteDecision) -> FixedPace:
    """Return the pace that was in force when ``decision`` was made; what stands for infinity there is not stored."""
    stage = before_model(decision)
    if stage is None or stage.threshold is None:
        return FixedPace(-inf if decision.reasoning is None else inf)
    return FixedPace(stage.threshold)
