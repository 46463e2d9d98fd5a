"""Turns the traces of all routers and seeds into rows: means, paired intervals, regret, and what changed on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.bench.online_changes import drift_result, new_agent_result
from agentmesh.bench.online_records import CurvePoint, NewAgentResult, OnlineRow
from agentmesh.bench.online_reference import GROUP_BEST, ORACLE, SINGLE_BEST
from agentmesh.bench.online_resampling import crossed_means, seed_band
from agentmesh.bench.online_run import Trace
from agentmesh.bench.online_stream import Arrival, Drift, Stream, Workload
from agentmesh.bench.resampling import Interval, interval
from agentmesh.bench.tuning import mean_or_none
from agentmesh.records import Objective
from agentmesh.routing.objective import reward
from agentmesh.types import FloatArray

ANCHOR: Final = "pheromone"
LAST_SHARE: Final = 0.2
LAST_TASKS: Final = 1000
CURVE_POINTS: Final = 100
REFERENCES: Final = (GROUP_BEST, SINGLE_BEST, ORACLE)


@dataclass(frozen=True, slots=True)
class Bundle:
    """All traces of one evaluation, by label in the order of the rows, one a seed in the order of ``streams``."""

    workload: Workload
    streams: Sequence[Stream]
    traces: Mapping[str, Sequence[Trace]]
    objective: Objective
    drift: Drift | None = None
    arrival: Arrival | None = None

    @property
    def regret_against(self) -> str:
        """Return the reference that regret is counted against.

        With labels the right agent of a task is known from its label, and the best agent of a whole group means little.
        """
        return ORACLE if self.workload.is_labels else GROUP_BEST


class _Table:
    """Values of every router, seed and step, and means of them over the same draws.

    Shapes:
        quality, reward, regret: (c, s, t).
    """

    def __init__(self, bundle: Bundle) -> None:
        self.place = {label: place for place, label in enumerate(bundle.traces)}
        groups = list(bundle.traces.values())
        self.quality = np.stack([[trace.quality for trace in traces] for traces in groups])
        cost = np.stack([[trace.cost for trace in traces] for traces in groups])
        worth = reward(self.quality.ravel(), cost.ravel(), bundle.objective, bundle.workload.scale)
        self.reward = worth.reshape(self.quality.shape)
        self.regret = self.reward[self.place[bundle.regret_against]] - self.reward
        rows = np.stack([stream.rows for stream in bundle.streams])
        self.steps = rows.shape[1]
        self.last = max(1, int(LAST_SHARE * self.steps))
        both = crossed_means(np.concatenate([self.quality, self.reward, self.regret]), rows)
        self.quality_means, self.reward_means, self.regret_means = np.split(both, 3, axis=1)
        self.last_means = crossed_means(self.quality[:, :, -self.last :], rows[:, -self.last :])
        self.anchor = anchor_of(list(self.place))

    def own(self, means: FloatArray, label: str) -> Interval:
        return interval(means[:, self.place[label]])

    def against_anchor(self, means: FloatArray, label: str) -> Interval | None:
        if self.anchor is None or label == self.anchor:
            return None
        return interval(means[:, self.place[label]] - means[:, self.place[self.anchor]])


def anchor_of(labels: Sequence[str]) -> str | None:
    """Return the row that the others are compared with: pheromone as it is, or the first with arguments.

    >>> anchor_of(["knn", "pheromone:a=1"]), anchor_of(["knn"])
    ('pheromone:a=1', None)
    """
    if ANCHOR in labels:
        return ANCHOR
    return next((label for label in labels if label.startswith(f"{ANCHOR}:")), None)


def rows_of(bundle: Bundle) -> tuple[OnlineRow, ...]:
    """Return one row for each router and reference."""
    table = _Table(bundle)
    return tuple(_row(bundle, table, label) for label in bundle.traces)


def _row(bundle: Bundle, table: _Table, label: str) -> OnlineRow:
    traces, place, is_reference = bundle.traces[label], table.place[label], label in REFERENCES
    low, high = table.own(table.regret_means, label)
    cost = mean_or_none(np.concatenate([trace.cost for trace in traces]))
    return OnlineRow(
        router=label,
        is_reference=is_reference,
        quality=float(table.quality[place].mean()),
        quality_ci=table.own(table.quality_means, label),
        quality_last_20pct=float(table.quality[place, :, -table.last :].mean()),
        last_20pct_ci=table.own(table.last_means, label),
        vs_pheromone_ci=table.against_anchor(table.quality_means, label),
        vs_pheromone_last_20pct_ci=table.against_anchor(table.last_means, label),
        regret=float(table.regret[place].sum(axis=1).mean()),
        regret_ci=(low * table.steps, high * table.steps),
        cost_usd_per_1k=None if cost is None else 1000.0 * cost,
        reward=float(table.reward[place].mean()),
        reward_ci=table.own(table.reward_means, label),
        vs_pheromone_reward_ci=table.against_anchor(table.reward_means, label),
        p50_ms=None if is_reference else _median([trace.decide_ms for trace in traces]),
        learn_p50_ms=None if is_reference else _median([trace.learn_ms for trace in traces]),
        accuracy_last_1000=float(table.quality[place, :, -LAST_TASKS:].mean()) if bundle.workload.is_labels else None,
        drift=drift_result(bundle.workload, bundle.drift, traces, bundle.streams) if bundle.drift else None,
        new_agent=_new_agent(bundle, traces),
        curve=_curve(table.regret[place]),
    )


def _new_agent(bundle: Bundle, traces: Sequence[Trace]) -> NewAgentResult | None:
    if bundle.arrival is None:
        return None
    return new_agent_result(bundle.workload, bundle.arrival, traces, bundle.traces[GROUP_BEST])


def _median(times: Sequence[FloatArray]) -> float | None:
    known = np.concatenate(times)
    known = known[~np.isnan(known)]
    return round(float(np.median(known)), 4) if len(known) else None


def _curve(regret: FloatArray) -> tuple[CurvePoint, ...]:
    """Return about 100 points of the cumulative regret of several seeds, (s, t)."""
    total = np.cumsum(regret, axis=1)
    ends = np.unique(np.linspace(0, regret.shape[1], CURVE_POINTS + 1).astype(np.int64)[1:])
    ends = ends[ends > 0]
    picked = total[:, ends - 1]
    low, high = seed_band(picked)
    columns = (ends.tolist(), picked.mean(axis=0).tolist(), low.tolist(), high.tolist())
    return tuple(
        CurvePoint(step=step, regret=round(mean, 4), low=round(under, 4), high=round(over, 4))
        for step, mean, under, over in zip(*columns, strict=True)
    )
