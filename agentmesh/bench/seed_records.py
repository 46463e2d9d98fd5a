"""What a study over seeds returns. Intervals are 95 %, by bootstrap over tasks and seeds; of differences, paired."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from agentmesh.bench.opening import BenchSplit
from agentmesh.bench.records import AtBestSingle
from agentmesh.bench.resampling import Interval
from agentmesh.records import Record
from agentmesh.types import JsonValue


class SeedRow(Record):
    """The router under study trained with one seed, on a set of outcomes. ``training`` is its training card."""

    seed: int
    quality: float
    cost_usd_per_1k: float | None
    train_s: float
    p50_ms: float
    p99_ms: float
    level_quality: float | None
    level_cost_share: float | None
    training: Mapping[str, JsonValue]


class SeedSummary(Record):
    """A router on a set of outcomes, the one under study as the mean of its seeds.

    ``lead_ci`` is the interval of its quality minus that of the router under study, ``None`` for that one itself.
    """

    router: str
    quality: float
    quality_ci: Interval
    lead_ci: Interval | None
    vs_knn_ci: Interval | None
    vs_best_single_ci: Interval | None
    cost_usd_per_1k: float | None
    at_best_single: AtBestSingle | None
    p50_ms: float | None
    p99_ms: float | None
    chosen: Mapping[str, JsonValue] = Field(default_factory=dict)


class SeedReport(Record):
    """A router trained with several seeds, beside others, on a set of outcomes."""

    set: str
    kind: Literal["outcomes"] = "outcomes"
    split: BenchSplit
    router: str
    arguments: Mapping[str, JsonValue]
    rows: tuple[SeedSummary, ...]
    seeds: tuple[SeedRow, ...]
    notes: tuple[str, ...]


class LabelSeedRow(Record):
    """The router under study trained with one seed, on a set of labels."""

    seed: int
    top1: float
    top1_closed: float
    oos_recall: float | None
    train_s: float
    p50_ms: float
    p99_ms: float
    training: Mapping[str, JsonValue]


class LabelSeedSummary(Record):
    """A router on a set of labels: top-1 in scope, where it may abstain and (``closed``) where it may not."""

    router: str
    top1: float
    top1_ci: Interval
    lead_ci: Interval | None
    top1_closed: float
    closed_ci: Interval
    closed_lead_ci: Interval | None
    oos_recall: float | None
    p50_ms: float


class LabelSeedReport(Record):
    """A router trained with several seeds, beside others, on a set of labels."""

    set: str
    kind: Literal["labels"] = "labels"
    split: BenchSplit
    router: str
    arguments: Mapping[str, JsonValue]
    rows: tuple[LabelSeedSummary, ...]
    seeds: tuple[LabelSeedRow, ...]
    notes: tuple[str, ...]
