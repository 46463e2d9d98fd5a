"""What to hold online routers against: choices made from outcomes that no router has seen when it decides."""

from typing import Final

import numpy as np

from agentmesh.bench.online_run import Trace
from agentmesh.bench.online_stream import Arrival, Drift, Stream, Workload, mean_by_agent
from agentmesh.bench.yardsticks import oracle_choice, taken
from agentmesh.records import Objective
from agentmesh.routing.objective import reward
from agentmesh.types import FloatArray, IndexArray, MaskArray

GROUP_BEST: Final = "group_best"
SINGLE_BEST: Final = "single_best"
ORACLE: Final = "oracle"


def reference_traces(
    workload: Workload, stream: Stream, objective: Objective, *, drift: Drift | None, arrival: Arrival | None
) -> tuple[Trace, ...]:
    """Return three references on a stream, best for each group, best for all, and best for each task.

    The first two are chosen on train in hindsight: by the mean reward that each agent has there, after a drift with the
    drifted agent at its new mean, and never an agent that has not come yet. Where the best has no recorded outcome, the
    next best stands in.
    """
    there = _there(stream, arrival)
    worth = reward(stream.quality.ravel(), stream.cost.ravel(), objective, workload.scale).reshape(there.shape)
    choices = {
        GROUP_BEST: _ranked(workload, stream, objective, there, drift=drift, by_group=True),
        SINGLE_BEST: _ranked(workload, stream, objective, there, drift=drift, by_group=False),
        ORACLE: oracle_choice(np.where(there, worth, np.nan), stream.cost),
    }
    return tuple(_trace(label, stream, choice) for label, choice in choices.items())


def _there(stream: Stream, arrival: Arrival | None) -> MaskArray:
    there: MaskArray = ~np.isnan(stream.quality)
    if arrival is not None:
        there[: arrival.step, arrival.agent] = False
    return there


def _ranked(
    workload: Workload,
    stream: Stream,
    objective: Objective,
    there: MaskArray,
    *,
    drift: Drift | None,
    by_group: bool,
) -> IndexArray:
    before = _means(workload, objective, workload.quality, by_group=by_group)[stream.rows]
    if drift is not None:
        quality = workload.quality.copy()
        hit = workload.in_group(drift.group) & ~np.isnan(quality[:, drift.agent])
        quality[hit, drift.agent] = drift.quality
        after = _means(workload, objective, quality, by_group=by_group)[stream.rows]
        before = np.where((np.arange(len(stream)) >= drift.step)[:, None], after, before)
    # an agent that train never saw still comes before one that is not there
    choice: IndexArray = np.argmax(np.where(there, np.maximum(before, np.finfo(np.float64).min), -np.inf), axis=1)
    return choice


def _means(workload: Workload, objective: Objective, quality: FloatArray, *, by_group: bool) -> FloatArray:
    """Return the mean reward of each agent on the train tasks of each task's group, (m, n)."""
    worth = reward(quality.ravel(), workload.cost.ravel(), objective, workload.scale).reshape(quality.shape)
    overall = mean_by_agent(worth[workload.train])
    means = np.tile(overall, (len(workload), 1))
    if by_group:
        for group in set(workload.groups):
            here = workload.in_group(group)
            if (here & workload.train).any():
                means[here] = mean_by_agent(worth[here & workload.train])
    return means


def _trace(label: str, stream: Stream, choice: IndexArray) -> Trace:
    unknown = np.full(len(stream), np.nan)
    return Trace(
        label, stream.seed, choice, taken(stream.quality, choice), taken(stream.cost, choice), unknown, unknown
    )
