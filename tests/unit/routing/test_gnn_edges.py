"""The GNN at its edges: tables smaller than a batch, and a router without its network."""

import warnings

import numpy as np
import pytest

from agentmesh.packing import pack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Outcomes, TaskFeatures
from agentmesh.routing.gnn.graph import unknown_pool
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


def agents() -> AgentPool:
    return unknown_pool(("a", "b", "new"), 8)


@pytest.mark.parametrize("tasks", [1, 2, 60])
def test_a_few_tasks_are_enough_to_train_on(tasks: int) -> None:
    router = GnnRouter(passes=2, hidden=8)
    router.fit(outcomes(tasks))
    assert router.training["tasks"] == tasks


def test_a_router_without_its_network_is_restored_and_learns_on() -> None:
    table = outcomes(40)
    trained, restored = (GnnRouter(passes=1, hidden=8, deep=False) for _ in range(2))
    trained.fit(table)
    restored.restore(trained.snapshot())
    vector = table.vectors[0]
    told = Experience(
        sequence=1, run_id="r", text="more", vector=pack_vector(vector), agent_id="new", quality=1.0, at=0.0
    )
    for router in (trained, restored):
        router.learn(told)
    features = TaskFeatures(vector=vector, text="task")
    assert np.array_equal(trained.score(features, agents()), restored.score(features, agents()))
