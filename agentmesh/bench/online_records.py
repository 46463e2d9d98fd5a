"""What an online evaluation returns. ``model_dump(mode="json")`` is what ``--json`` prints."""

from typing import Literal

from pydantic import Field

from agentmesh.bench.online_plan import Feedback, OnlineSplit, Scenario, Types
from agentmesh.bench.resampling import Interval
from agentmesh.records import Record


class DriftResult(Record):
    """How a router got over an agent that fell.

    Tasks are counted among those of the group that drifted, from the drift on, one number a seed; ``None`` where it
    did not come to that before the stream ended. ``tasks_until_share_10pct``: until the last 50 of them went to the
    agent less than 1 time in 10. ``tasks_until_recovered``: until the quality over the last 100 was within 3 points of
    what the best other agent brings on the same tasks. ``share_after_150`` is over the 50 tasks before, and
    ``quality_after_150`` and ``new_best_after_150`` over the 100 before, means over seeds.
    """

    agent: str
    group: str | None
    tasks_until_share_10pct: tuple[int | None, ...]
    tasks_until_recovered: tuple[int | None, ...]
    share_before: float | None
    share_after_150: float | None
    quality_after_150: float | None
    new_best: str
    new_best_after_150: float | None


class NewAgentResult(Record):
    """How much of the traffic an agent won that came on the way, and how much the best choice by group would give it.

    ``share`` is over the tasks 100 to 300 after it came, ``share_later`` over all from 200 on; means over seeds,
    ``None`` where the stream ended before.
    """

    agent: str
    share: float | None
    reference_share: float | None
    share_later: float | None
    reference_share_later: float | None


class CurvePoint(Record):
    """Cumulative regret after ``step`` tasks: the mean over seeds and a 95 % band."""

    step: int
    regret: float
    low: float
    high: float


class OnlineRow(Record):
    """One router, over all seeds. Intervals are 95 %, by bootstrap over seeds and tasks, paired between routers.

    ``vs_pheromone`` intervals are this router minus the pheromone router. ``regret`` is what the reference's choices
    were worth over the whole stream minus what this router's were, a mean over seeds. ``is_reference`` marks what has
    seen the outcomes, and is no opponent.
    """

    router: str
    is_reference: bool = False
    quality: float
    quality_ci: Interval
    quality_last_20pct: float
    last_20pct_ci: Interval
    vs_pheromone_ci: Interval | None
    vs_pheromone_last_20pct_ci: Interval | None
    regret: float
    regret_ci: Interval
    cost_usd_per_1k: float | None
    reward: float
    reward_ci: Interval
    vs_pheromone_reward_ci: Interval | None
    p50_ms: float | None
    learn_p50_ms: float | None
    accuracy_last_1000: float | None = None
    drift: DriftResult | None = None
    new_agent: NewAgentResult | None = None
    curve: tuple[CurvePoint, ...] = Field(default=(), exclude=True)


class OnlineReport(Record):
    """All routers on the same streams of one set. ``notes`` say how it was measured.

    ``drift_at`` and ``new_agent_at`` are the steps at which an agent fell or came.
    """

    set: str
    kind: Literal["outcomes", "labels"]
    online: Literal[True] = True
    split: OnlineSplit
    steps: int
    seeds: tuple[int, ...]
    feedback: Feedback
    types: Types
    scenario: Scenario
    embedder: str
    drift_at: int | None = None
    new_agent_at: int | None = None
    rows: tuple[OnlineRow, ...]
    notes: tuple[str, ...] = Field(default=(), exclude=True)
