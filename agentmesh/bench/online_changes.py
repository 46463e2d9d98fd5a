"""What changed on the way: how long a router kept to an agent that fell, and how fast it took up one that came."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from agentmesh.bench.online_records import DriftResult, NewAgentResult
from agentmesh.bench.online_run import Trace
from agentmesh.bench.online_stream import Arrival, Drift, Stream, Workload, affected, best_on_train
from agentmesh.types import FloatArray, MaskArray

SHARE_WINDOW: Final = 50
LOW_SHARE: Final = 0.1
QUALITY_WINDOW: Final = 100
CLOSE: Final = 0.03  # in quality, to the new best
SLACK: Final = 1e-9  # sums of floats in another order do not move a window over its bound
LATER: Final = 150
NEW_FROM, NEW_TO, NEW_LATER = 100, 300, 200


def drift_result(workload: Workload, drift: Drift, traces: Sequence[Trace], streams: Sequence[Stream]) -> DriftResult:
    """Return how a router got over a drift; ``traces`` and ``streams`` are its, one of each a seed."""
    successor = best_on_train(workload, drift.group, without=drift.agent)
    shares, qualities, bests, before = [], [], [], []
    for trace, stream in zip(traces, streams, strict=True):
        hit = affected(workload, stream.rows, drift)
        earlier = workload.in_group(drift.group)[stream.rows] & ~hit
        before.append(_last((trace.chosen == drift.agent)[earlier], SHARE_WINDOW))
        shares.append((trace.chosen == drift.agent)[hit].astype(np.float64))
        qualities.append(trace.quality[hit])
        bests.append(np.nan_to_num(stream.quality[hit, successor]))
    ahead = [quality - best for quality, best in zip(qualities, bests, strict=True)]
    return DriftResult(
        agent=workload.pool.ids[drift.agent],
        group=drift.group,
        tasks_until_share_10pct=tuple(first_window(-share, SHARE_WINDOW, -LOW_SHARE, strict=True) for share in shares),
        tasks_until_recovered=tuple(first_window(gap, QUALITY_WINDOW, -CLOSE) for gap in ahead),
        share_before=_mean(before),
        share_after_150=_mean([_ending(share, LATER, SHARE_WINDOW) for share in shares]),
        quality_after_150=_mean([_ending(quality, LATER, QUALITY_WINDOW) for quality in qualities]),
        new_best=workload.pool.ids[successor],
        new_best_after_150=_mean([_ending(best, LATER, QUALITY_WINDOW) for best in bests]),
    )


def new_agent_result(
    workload: Workload, arrival: Arrival, traces: Sequence[Trace], references: Sequence[Trace]
) -> NewAgentResult:
    """Return how much of the traffic an agent won that came; ``references`` are the best choices by group."""
    won = [(trace.chosen == arrival.agent)[arrival.step :] for trace in traces]
    due = [(trace.chosen == arrival.agent)[arrival.step :] for trace in references]
    return NewAgentResult(
        agent=workload.pool.ids[arrival.agent],
        share=_mean([_between(flags, NEW_FROM, NEW_TO) for flags in won]),
        reference_share=_mean([_between(flags, NEW_FROM, NEW_TO) for flags in due]),
        share_later=_mean([_between(flags, NEW_LATER, len(flags)) for flags in won]),
        reference_share_later=_mean([_between(flags, NEW_LATER, len(flags)) for flags in due]),
    )


def _between(flags: MaskArray, start: int, end: int) -> float | None:
    return float(flags[start:end].mean()) if start < end <= len(flags) else None


def first_window(values: FloatArray, width: int, least: float, *, strict: bool = False) -> int | None:
    """Return after how many values the mean of the last ``width`` reaches ``least``, ``None`` when it never does.

    ``strict`` asks for more than ``least``.

    >>> first_window(np.array([0.0, 0.0, 1.0, 1.0]), 2, 0.5), first_window(np.array([0.0]), 2, 0.5)
    (3, None)
    """
    if len(values) < width:
        return None
    means = np.convolve(values, np.full(width, 1.0), mode="valid") / width
    reached = means > least + SLACK if strict else means >= least - SLACK
    return width + int(np.argmax(reached)) if reached.any() else None


def _ending(values: FloatArray, end: int, width: int) -> float | None:
    return float(values[end - width : end].mean()) if len(values) >= end else None


def _last(flags: MaskArray, width: int) -> float | None:
    return float(flags[-width:].mean()) if len(flags) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
