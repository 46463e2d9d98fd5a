"""A table smaller than a batch still trains: some tasks are left to look at in every step."""

import warnings

import numpy as np
import pytest

from agentmesh.routing.base import Outcomes
from agentmesh.routing.gnn.router import GnnRouter, trainer

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # torch-geometric's own, while it is imported
    trainer()  # here, so that no test pays for it


def outcomes(tasks: int) -> Outcomes:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(tasks, 8)).astype(np.float32)
    return Outcomes(
        agent_ids=("a", "b"),
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        texts=tuple(f"task {row}" for row in range(tasks)),
        groups=("",) * tasks,
        quality=rng.integers(0, 2, size=(tasks, 2)).astype(np.float64),
        cost=np.full((tasks, 2), np.nan),
    )


@pytest.mark.parametrize("tasks", [1, 2, 60])
def test_a_few_tasks_are_enough_to_train_on(tasks: int) -> None:
    router = GnnRouter(passes=2, hidden=8)
    router.fit(outcomes(tasks))
    assert router.training["tasks"] == tasks
