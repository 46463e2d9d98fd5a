"""What a bench returns: one report a set, one row a router. ``model_dump(mode="json")`` is what ``--json`` prints."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from agentmesh.bench.opening import BenchSplit
from agentmesh.bench.resampling import Interval
from agentmesh.records import Record
from agentmesh.types import JsonValue


class AtBestSingle(Record):
    """The cheapest point whose val quality is at least best single's, run once on the split.

    ``quality_diff_ci`` is the interval of its quality minus best single's, ``cost_share`` its cost over best
    single's.
    """

    cost_weight: float
    quality: float
    quality_diff_ci: Interval
    cost_share: float | None


class ScenarioRewards(Record):
    """Mean reward of the router run under each scenario's own objective."""

    quality: float
    balanced: float
    cheap: float


class OutcomeRow(Record):
    """One router on a set of outcomes. Intervals are 95 %, by paired bootstrap over tasks.

    ``None`` stands where there is nothing to say: a router against itself, the oracle's decision time, no point that
    reaches best single's val quality, or a cost of which a part is unknown. ``oracle_gap_share`` (0 = best single,
    1 = oracle) and ``chosen`` (what val chose) are in the table and not in the JSON.
    """

    router: str
    quality: float
    quality_ci: Interval
    cost_usd_per_1k: float | None
    reward: ScenarioRewards
    p50_ms: float | None
    p99_ms: float | None
    vs_knn_ci: Interval | None
    vs_best_single_ci: Interval | None
    at_best_single: AtBestSingle | None
    oracle_gap_share: float | None = Field(default=None, exclude=True)
    chosen: Mapping[str, JsonValue] = Field(default_factory=dict, exclude=True)


class LabelRow(Record):
    """One router on a set of labels.

    ``top1`` is over the tasks in scope, an abstention counting as wrong; ``hit_at_set`` lets the router name up to
    three agents, and ``mean_agents`` is how many it named where it named any. ``oos_recall`` is the share of tasks out
    of scope on which it abstained, ``gqr`` the harmonic mean of ``top1`` and ``oos_recall``; both are ``None`` when no
    task is out of scope. ``top1_closed`` is top-1 with abstaining switched off. ``chosen`` is in the table and not in
    the JSON.
    """

    router: str
    top1: float
    hit_at_set: float
    mean_agents: float
    oos_recall: float | None
    gqr: float | None
    p50_ms: float | None
    top1_closed: float
    chosen: Mapping[str, JsonValue] = Field(default_factory=dict, exclude=True)


class OutcomeReport(Record):
    """All routers on one set of outcomes. ``notes`` say how it was measured."""

    set: str
    kind: Literal["outcomes"] = "outcomes"
    split: BenchSplit
    rows: tuple[OutcomeRow, ...]
    notes: tuple[str, ...] = Field(default=(), exclude=True)


class LabelReport(Record):
    """All routers on one set of labels. ``notes`` say how it was measured."""

    set: str
    kind: Literal["labels"] = "labels"
    split: BenchSplit
    rows: tuple[LabelRow, ...]
    notes: tuple[str, ...] = Field(default=(), exclude=True)


Report = OutcomeReport | LabelReport
