"""Tables smaller than a batch: each step hides what it predicts, and something must be left to predict it from."""

import numpy as np
import pytest

from agentmesh.routing.base import AgentPool, Outcomes, TaskFeatures, index_of
from agentmesh.routing.gnn.router import GnnRouter

pytestmark = pytest.mark.timeout(60)  # the first training loads torch

AGENTS = ("a", "b", "c")


def table(tasks: int) -> Outcomes:
    """Return tasks with random vectors, on each of which about half of the agents were observed."""
    rng = np.random.default_rng(tasks)
    vectors = rng.normal(size=(tasks, 8)).astype(np.float32)
    quality = (rng.random((tasks, len(AGENTS))) < 0.5).astype(np.float64)
    quality[rng.random(quality.shape) < 0.5] = np.nan
    return Outcomes(
        agent_ids=AGENTS,
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        texts=tuple(f"task {row}" for row in range(tasks)),
        groups=("",) * tasks,
        quality=quality,
        cost=np.full(quality.shape, 0.1),
    )


def pool() -> AgentPool:
    unknown = np.full(len(AGENTS), np.nan)
    vectors, versions = np.zeros((len(AGENTS), 8), np.float32), np.ones(len(AGENTS), np.int64)
    mask = np.ones(len(AGENTS), np.bool_)
    return AgentPool(AGENTS, vectors, unknown, unknown, unknown, unknown, versions, mask, "r1", index=index_of(AGENTS))


@pytest.mark.parametrize("tasks", [1, 2, 3, 10, 40, 200])
def test_a_table_smaller_than_a_batch_is_fitted(tasks: int) -> None:
    router = GnnRouter(hidden=4, passes=2, clusters=3)
    outcomes = table(tasks)
    router.fit(outcomes)
    scores = router.score(TaskFeatures(outcomes.vectors[0], "anything"), pool())
    assert np.isfinite(scores).all()
    assert router.training["tasks"] == tasks


def test_of_one_task_alone_nothing_is_trained() -> None:
    router = GnnRouter(hidden=4, passes=2)
    router.fit(table(1))
    assert (router.training["passes"], router.training["loss"]) == (0, [0.0])
