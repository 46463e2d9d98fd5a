"""Tasks as they arrive: the rows of a split in an order that a seed fixes, and what each agent would bring on each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.bench.folding import chosen_rows, joined
from agentmesh.bench.label_bench import in_scope
from agentmesh.bench.material import Part, part_of, recorded_pool
from agentmesh.bench.online_plan import OnlinePlan
from agentmesh.bench.opening import open_outcomes
from agentmesh.errors import ConfigError, RecordedSetError
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import RecordedSet
from agentmesh.routing.base import AgentPool
from agentmesh.routing.objective import Scale
from agentmesh.types import AgentId, FloatArray, IndexArray, MaskArray, VectorArray

ORDER: Final = 1  # tags of the generators, so that the order of tasks does not move with the draws of a drift
DRIFT: Final = 2


@dataclass(frozen=True, slots=True)
class Drift:
    """From ``step`` on, ``agent`` is right with chance ``quality`` on the tasks of ``group``; ``None`` is all tasks."""

    agent: int
    group: str | None
    step: int
    quality: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """``agent`` is in the pool from ``step`` on."""

    agent: int
    step: int


@dataclass(frozen=True, slots=True)
class Workload:
    """All that running a router needs of a set: the pool, the tasks, and the outcomes that calls reveal.

    ``scale`` is that of all outcomes on train, which rewards are stated in.

    Shapes:
        vectors: (m, d); texts, groups: length m; quality, cost: (m, n), NaN where not recorded; train: (m,).
    """

    name: str
    is_labels: bool
    embedder: str
    pool: AgentPool
    vectors: VectorArray
    texts: tuple[str, ...]
    groups: tuple[str, ...]
    quality: FloatArray
    cost: FloatArray
    train: MaskArray
    scale: Scale

    def __len__(self) -> int:
        """Return the number of different tasks."""
        return len(self.texts)

    def in_group(self, group: str | None) -> MaskArray:
        """Return which tasks are of ``group``, all for ``None``, (m,)."""
        return np.array([group is None or found == group for found in self.groups], dtype=np.bool_)


def prepare_online(recorded: RecordedSet, embedder: Embedder, plan: OnlinePlan) -> Workload:
    """Open the split and embed it once. Tasks that nobody fits are left out; agents start from their descriptions.

    Raises:
        RecordedSetError: the set has no tasks in the split, or a line is malformed.
    """
    if not recorded.count("train"):
        raise RecordedSetError(f"{recorded.info.name!r} has no 'train' tasks; an online evaluation needs them")
    part = part_of(recorded.open("train"), embedder)
    train = np.ones(len(part), dtype=np.bool_)
    if plan.split == "all":
        part = joined(part, part_of(open_outcomes(recorded, "test"), embedder))
        train = np.arange(len(part)) < len(train)
    is_labels = recorded.info.kind == "labels"
    if is_labels:
        kept = np.flatnonzero(in_scope(part.quality))
        part, train = chosen_rows(part, kept), train[kept]
    return _workload(recorded, part, train, embedder, is_labels=is_labels)


def _workload(recorded: RecordedSet, part: Part, train: MaskArray, embedder: Embedder, *, is_labels: bool) -> Workload:
    cards = [card.model_copy(update={"examples": ()}) for card in recorded.agents]
    return Workload(
        name=recorded.info.name,
        is_labels=is_labels,
        embedder=embedder.version,
        pool=recorded_pool(cards, embedder),
        vectors=part.vectors,
        texts=tuple(features.text for features in part.features),
        groups=part.rows.groups,
        quality=part.quality,
        cost=part.cost,
        train=train,
        scale=Scale.of(part.cost[train].ravel(), quality=part.quality[train].ravel()),
    )


@dataclass(frozen=True, slots=True)
class Stream:
    """One order of tasks, after drift.

    Shapes:
        rows: (T,) the task of each step; quality, cost: (T, n).
    """

    seed: int
    rows: IndexArray
    quality: FloatArray
    cost: FloatArray

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.rows)


def stream_of(workload: Workload, *, seed: int, steps: int, drift: Drift | None = None) -> Stream:
    """Return the tasks in the order of ``seed``: a permutation, and further ones when there are more steps than tasks.

    A quality that drifted is drawn anew for each step: 1 with the chance named, else 0, the same for every router.
    """
    rng, size = np.random.default_rng([ORDER, seed]), len(workload)
    rows = np.concatenate([rng.permutation(size) for _ in range(-(-steps // size))])[:steps]
    quality = workload.quality[rows]
    if drift is not None:
        draws = np.random.default_rng([DRIFT, seed]).random(steps) < drift.quality
        hit = affected(workload, rows, drift) & ~np.isnan(quality[:, drift.agent])
        quality[hit, drift.agent] = draws[hit]
    return Stream(seed, rows, quality, workload.cost[rows])


def affected(workload: Workload, rows: IndexArray, drift: Drift) -> MaskArray:
    """Return which steps come after the drift and are of its group, (T,)."""
    hit: MaskArray = workload.in_group(drift.group)[rows] & (np.arange(len(rows)) >= drift.step)
    return hit


def pool_without(pool: AgentPool, agent: int) -> AgentPool:
    """Return the pool as it was before an agent came, with a registry version of its own."""
    left = np.delete(np.arange(len(pool)), agent)
    return pool.taken(left, registry_version=f"{pool.registry_version}.without.{pool.ids[agent]}")


def drift_of(workload: Workload, plan: OnlinePlan, steps: int) -> Drift | None:
    """Return the drift that a plan asks for, with its agent found.

    Raises:
        ConfigError: there is no such agent or group, or the step is not in the stream.
    """
    if plan.drift is None:
        return None
    agent, group = _agent_and_group(workload, plan.drift.agent)
    _check_step("drift", plan.drift.step, steps)
    return Drift(agent, group, plan.drift.step, plan.drift.quality)


def arrival_of(workload: Workload, plan: OnlinePlan, steps: int) -> Arrival | None:
    """Return the arrival that a plan asks for, with its agent found.

    Raises:
        ConfigError: there is no such agent, nobody else is in the pool, or the step is not in the stream.
    """
    if plan.new_agent is None:
        return None
    agent, group = _agent_and_group(workload, plan.new_agent.agent)
    if group is not None:
        raise ConfigError(f"new agent is {plan.new_agent.agent!r}; accepted: an agent's id or 'best', without a group")
    if len(workload.pool) < 2:
        raise ConfigError(f"new agent is {plan.new_agent.agent!r}, the only one of the set; accepted: one of several")
    _check_step("new agent", plan.new_agent.step, steps)
    return Arrival(agent, plan.new_agent.step)


def _check_step(what: str, step: int, steps: int) -> None:
    if not 1 <= step < steps:
        raise ConfigError(f"{what} is at step {step!r}; accepted: 1 to {steps - 1!r}, the stream has {steps!r} tasks")


def _agent_and_group(workload: Workload, text: str) -> tuple[int, str | None]:
    """Read ``AGENT`` or ``AGENT:GROUP``; ``best`` is the agent with the highest mean quality on train, there."""
    ids, groups = workload.pool.index, set(workload.groups) - {""}
    if text in ids:
        return ids[text], None
    name, colon, group = text.rpartition(":")
    if not colon:
        name, group = text, ""
    if name not in (*ids, "best"):
        raise ConfigError(f"agent {text!r} is unknown; accepted: 'best', {_some(workload.pool.ids)}, each with :GROUP")
    if colon and group not in groups:
        raise ConfigError(f"group {group!r} of {text!r} is unknown; accepted: {_some(sorted(groups))}")
    chosen = group if colon else None
    return (ids[name] if name in ids else best_on_train(workload, chosen)), chosen


def best_on_train(workload: Workload, group: str | None, *, without: int | None = None) -> int:
    """Return the agent with the highest mean quality on the train tasks of ``group``, ``None`` for all."""
    means = mean_by_agent(workload.quality[workload.train & workload.in_group(group)])
    if without is not None:
        means[without] = -np.inf
    return int(np.argmax(means))


def mean_by_agent(values: FloatArray) -> FloatArray:
    """Return the mean of each column over what is known of it, ``-inf`` where nothing is.

    >>> mean_by_agent(np.array([[1.0, np.nan], [0.0, np.nan]])).tolist()
    [0.5, -inf]
    """
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0.0).sum(axis=0)
    means: FloatArray = np.divide(sums, counts, out=np.full(values.shape[1], -np.inf), where=counts > 0)
    return means


def _some(names: Sequence[AgentId]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
