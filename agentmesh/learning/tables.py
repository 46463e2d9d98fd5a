"""The log of experiences as a table of tasks x agents: what a router that is fitted in one go learns from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np

from agentmesh.packing import unpack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Outcomes
from agentmesh.routing.intent import naming
from agentmesh.types import AgentId, FloatArray, IndexArray, RunId, VectorArray

MAX_TASKS: Final = 20_000
"""Tasks that a table holds: with vectors of 256 numbers 20 MB, and a fit of minutes."""

FLOAT32: Final = 4  # bytes of one number of a packed vector

TaskKey: TypeAlias = tuple[RunId, int]
"""What makes one task: a run, and which stage of it."""


def table_of(
    experiences: Iterable[Experience], pool: AgentPool | None = None, *, max_tasks: int = MAX_TASKS
) -> Outcomes:
    """Lay out outcomes as a table with a row for each task, the oldest first.

    The columns are the agents of ``pool`` at their versions there, or without one the agents of the log, sorted by id,
    each at its newest version; outcomes of other versions are left out. Several scores of one agent on one task become
    one, their mean by weight. The group of a task is its first type hint, "" when it has none.

    Args:
        experiences: In the order of the log, with vectors of one embedder. One whose vector has another length than the
            pool's vectors, or than the first, is left out.
        pool: The agents' cards.
        max_tasks: The newest tasks that are kept.

    >>> from agentmesh.packing import pack_vector
    >>> def scored(run, agent, quality, weight):
    ...     vector = pack_vector(np.ones(2, np.float32))
    ...     known = {"run_id": run, "text": run, "vector": vector, "agent_id": agent, "at": 0.0}
    ...     return Experience(quality=quality, weight=weight, **known)
    >>> log = [scored("r1", "ada", 1.0, 1.0), scored("r1", "ada", 0.0, 0.5), scored("r2", "bob", 0.25, 1.0)]
    >>> table = table_of(log)
    >>> table.agent_ids, table.texts, table.quality.round(3).tolist()
    (('ada', 'bob'), ('r1', 'r2'), [[0.667, nan], [nan, 0.25]])
    """
    kept = usable(list(experiences), pool)
    tasks = dict(list(tasks_of(kept).items())[-max_tasks:])
    agent_ids = tuple(sorted({one.agent_id for one in kept})) if pool is None else pool.ids
    quality, cost, propensity = _measures(kept, list(tasks), agent_ids)
    return Outcomes(
        agent_ids=agent_ids,
        vectors=_stacked(list(tasks.values()), 0 if pool is None else pool.vectors.shape[1]),
        texts=tuple(first.text for first in tasks.values()),
        groups=tuple(next(iter(naming(first.type_hints)), "") for first in tasks.values()),
        quality=quality,
        cost=cost,
        propensity=propensity,
        pool=pool,
    )


def task_key(experience: Experience) -> TaskKey:
    """Return what tells the task of an outcome from others."""
    return experience.run_id, experience.stage


def tasks_of(experiences: Iterable[Experience]) -> dict[TaskKey, Experience]:
    """Return the first outcome of each task, in the order of the log."""
    firsts: dict[TaskKey, Experience] = {}
    for experience in experiences:
        firsts.setdefault(task_key(experience), experience)
    return firsts


def newest_versions(experiences: Iterable[Experience]) -> dict[AgentId, int]:
    """Return the newest version of each agent that an outcome is known of."""
    newest: dict[AgentId, int] = {}
    for one in experiences:
        newest[one.agent_id] = max(one.agent_version, newest.get(one.agent_id, 0))
    return newest


def usable(experiences: Sequence[Experience], pool: AgentPool | None = None) -> list[Experience]:
    """Return the outcomes that have a place in a table.

    They are those of the agents as they are in ``pool``, or without one at their newest version, with a vector as long
    as the pool's vectors, or as the first one.
    """
    if not experiences:
        return []
    versions: Mapping[AgentId, int] = (
        newest_versions(experiences) if pool is None else dict(zip(pool.ids, pool.versions.tolist(), strict=True))
    )
    length = len(experiences[0].vector) if pool is None else FLOAT32 * pool.vectors.shape[1]
    return [one for one in experiences if versions.get(one.agent_id) == one.agent_version and len(one.vector) == length]


def _stacked(firsts: Sequence[Experience], dimension: int) -> VectorArray:
    if not firsts:
        return np.zeros((0, dimension), np.float32)
    return np.stack([unpack_vector(first.vector) for first in firsts]).astype(np.float32)


def _measures(
    experiences: Sequence[Experience], tasks: Sequence[TaskKey], agent_ids: Sequence[AgentId]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return quality, cost and propensity, (m, n) each, NaN where nothing was observed."""
    row_of = {task: row for row, task in enumerate(tasks)}
    column_of = {agent_id: column for column, agent_id in enumerate(agent_ids)}
    seen = [one for one in experiences if task_key(one) in row_of]
    shape = (len(tasks), len(agent_ids))
    spots: IndexArray = np.array(
        [row_of[task_key(one)] * shape[1] + column_of[one.agent_id] for one in seen], dtype=np.int64
    )
    weight = np.array([one.weight for one in seen], dtype=np.float64)
    values = np.array([(one.quality, one.cost_usd, one.propensity) for one in seen], dtype=np.float64).reshape(-1, 3)
    quality, cost, propensity = (_mean(spots, column, weight, shape) for column in values.T)
    return quality, cost, propensity


def _mean(spots: IndexArray, values: FloatArray, weight: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return the mean by weight of the known values in each spot, NaN where there is none."""
    counted = np.where(np.isnan(values), 0.0, weight)
    cells = shape[0] * shape[1]
    total = np.bincount(spots, counted * np.where(np.isnan(values), 0.0, values), cells)
    evidence = np.bincount(spots, counted, cells)
    means: FloatArray = np.divide(total, evidence, out=np.full(cells, np.nan), where=evidence > 0)
    return means.reshape(shape)
