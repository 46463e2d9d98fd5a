"""Measures routing by descriptions alone: a new mesh, in which no outcome is known and no example was given."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from rich.table import Table

from agentmesh.bench.label_bench import in_scope
from agentmesh.bench.material import Part, part_of, recorded_pool
from agentmesh.bench.opening import BenchSplit, open_outcomes
from agentmesh.bench.resampling import Interval, interval, resampled_means
from agentmesh.bench.routing_run import route_all
from agentmesh.errors import ConfigError
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import RecordedSet
from agentmesh.records import Record
from agentmesh.routing.base import AgentPool, Router
from agentmesh.routing.named import router_named
from agentmesh.routing.objective import SCENARIOS
from agentmesh.types import Clock, FloatArray, JsonValue, SystemClock

Variant = tuple[str, Mapping[str, JsonValue]]
"""A router's name and its arguments."""

PLAIN: Final[Variant] = ("cosine", {})
WHOLE: Final[Variant] = ("cards", {})
PARTS: Final[tuple[Variant, ...]] = (("cards", {"overlap": 0.0}), ("cards", {"senses": 0.0}))
"""The router of cards without shared words, and without senses."""


class DescriptionsRow(Record):
    """How often one router's first choice was right, and by how much more often than plain cosine's: 95 % intervals."""

    router: str
    arguments: Mapping[str, JsonValue]
    top1: float
    top1_ci: Interval
    vs_cosine_ci: Interval | None
    p50_ms: float


class DescriptionsReport(Record):
    """Routers on the tasks of one split that somebody fits; none of them may abstain."""

    set: str
    split: BenchSplit
    embedder: str
    examples: bool
    tasks: int
    rows: tuple[DescriptionsRow, ...]


def measure_descriptions(
    recorded: RecordedSet,
    embedder: Embedder,
    *,
    split: BenchSplit = "val",
    examples: bool = False,
    parts: bool = False,
) -> DescriptionsReport:
    """Route a split by cards alone. Nothing is fitted or chosen: of the set, the cards and the split are read.

    Args:
        recorded: A set of labels.
        embedder: What embeds cards and tasks.
        split: What is opened and scored.
        examples: Whether the examples of the cards are in their vectors.
        parts: Whether the router of cards is run without shared words and without senses too.

    Raises:
        ConfigError: the set has no labels.
        RecordedSetError: the set has no task in the split, or is malformed.
    """
    if recorded.info.kind != "labels":
        raise ConfigError(f"{recorded.info.name!r} is a set of {recorded.info.kind!r}; expected one of 'labels'")
    shown = recorded.agents if examples else [card.model_copy(update={"examples": ()}) for card in recorded.agents]
    pool = recorded_pool(shown, embedder)
    part = part_of(open_outcomes(recorded, split), embedder)
    variants = (PLAIN, *(PARTS if parts else ()), WHOLE)
    runs = [_run(router_named(name, arguments), part, pool, clock=SystemClock()) for name, arguments in variants]
    return DescriptionsReport(
        set=recorded.info.name,
        split=split,
        embedder=embedder.version,
        examples=examples,
        tasks=int(in_scope(part.quality).sum()),
        rows=_rows(variants, runs),
    )


def _run(router: Router, part: Part, pool: AgentPool, *, clock: Clock) -> tuple[FloatArray, float]:
    """Return 1 for each task in scope whose first choice was right, else 0, and the median time of a decision."""
    routed = asyncio.run(route_all(router, part, pool, SCENARIOS["quality"], seed=0, clock=clock))
    right = np.asarray(routed.taken(part.quality) > 0, dtype=np.float64)
    return right[in_scope(part.quality)], routed.percentile_ms(50)


def _rows(variants: Sequence[Variant], runs: Sequence[tuple[FloatArray, float]]) -> tuple[DescriptionsRow, ...]:
    right = np.stack([hits for hits, _ in runs], axis=1)
    means = resampled_means(right, seed=0)
    return tuple(
        DescriptionsRow(
            router=name,
            arguments=arguments,
            top1=round(float(right[:, place].mean()), 4),
            top1_ci=interval(means[:, place]),
            vs_cosine_ci=interval(means[:, place] - means[:, 0]) if place else None,
            p50_ms=runs[place][1],
        )
        for place, (name, arguments) in enumerate(variants)
    )


def descriptions_table(report: DescriptionsReport) -> Table:
    """Lay a report out."""
    shown = "descriptions and examples" if report.examples else "descriptions alone"
    table = Table(
        title=f"{report.set}, {report.split}, {report.tasks:,} tasks in scope, {shown}, {report.embedder}",
        caption="95 % intervals: paired bootstrap over tasks",
    )
    for name in ("router", "top-1", "95 %", "points over cosine", "p50 ms"):
        table.add_column(name, justify="left" if name == "router" else "right")
    for row in report.rows:
        arguments = ", ".join(f"{name} {value}" for name, value in row.arguments.items())
        table.add_row(
            f"{row.router} ({arguments})" if arguments else row.router,
            f"{row.top1:.3f}",
            f"{row.top1_ci[0]:.3f}-{row.top1_ci[1]:.3f}",
            "-"
            if row.vs_cosine_ci is None
            else f"{100 * row.vs_cosine_ci[0]:+.1f} to {100 * row.vs_cosine_ci[1]:+.1f}",
            f"{row.p50_ms:.3f}",
        )
    return table
