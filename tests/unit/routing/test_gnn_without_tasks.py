"""A GNN router that was made light: the network and what agents have shown stay, the past tasks go."""

from pathlib import Path

import numpy as np
import pytest

from agentmesh.packing import pack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Outcomes, TaskFeatures, index_of
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.past_tasks import PastTasks
from agentmesh.routing.state_file import read_router, write_router

pytestmark = pytest.mark.timeout(60)  # the first training loads torch

AGENTS = ("east", "north")


def table(tasks: int = 40) -> Outcomes:
    """Return tasks in two directions, each solved by the agent named after it."""
    rng = np.random.default_rng(0)
    kind = np.arange(tasks) % 2
    vectors = np.eye(4, dtype=np.float32)[kind] + rng.normal(0, 0.1, (tasks, 4)).astype(np.float32)
    return Outcomes(
        agent_ids=AGENTS,
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        texts=tuple(f"task {row}" for row in range(tasks)),
        groups=tuple(AGENTS[place] for place in kind),
        quality=np.stack([0.75 * (kind == 0), 0.75 * (kind == 1)], axis=1),
        cost=np.full((tasks, 2), 0.1),
    )


def pool() -> AgentPool:
    unknown = np.full(2, np.nan)
    vectors, versions, mask = np.zeros((2, 4), np.float32), np.ones(2, np.int64), np.ones(2, np.bool_)
    return AgentPool(AGENTS, vectors, unknown, unknown, unknown, unknown, versions, mask, "r1", index=index_of(AGENTS))


def east() -> TaskFeatures:
    return TaskFeatures(np.eye(4, dtype=np.float32)[0], "to the east")


@pytest.fixture(scope="module")
def router() -> GnnRouter:
    fitted = GnnRouter(hidden=4, passes=2)
    fitted.fit(table())
    return fitted


def test_it_still_knows_what_each_agent_is_worth_in_a_skill(router: GnnRouter) -> None:
    best, other = router.without_tasks().score(east(), pool()).tolist()
    assert best > other + 0.2


def test_it_names_skills_and_no_task_for_its_choice(router: GnnRouter) -> None:
    evidence = router.without_tasks().estimate(east(), pool()).evidence
    assert evidence is not None
    assert {one.kind for one in evidence(0)} == {"skill"}


def test_it_is_another_version_and_leaves_the_router_it_came_from_as_it_was(router: GnnRouter) -> None:
    before = router.snapshot()
    lighter = router.without_tasks()
    assert lighter.base == f"{router.version} without its tasks"
    assert lighter.version != router.version
    assert router.snapshot() == before


def test_it_is_smaller_and_is_read_back_the_same(router: GnnRouter, tmp_path: Path) -> None:
    whole = write_router(tmp_path / "whole.safetensors", router)
    light = write_router(tmp_path / "light.safetensors", router.without_tasks())
    assert light.bytes < whole.bytes
    again = read_router(tmp_path / "light.safetensors")
    assert (again.version, again.snapshot()) == (light.version, router.without_tasks().snapshot())


def test_it_learns_on_and_looks_back_at_what_it_learned(router: GnnRouter) -> None:
    lighter = router.without_tasks()
    before = lighter.score(east(), pool())[1]
    lighter.learn(
        Experience(
            sequence=1,
            run_id="r1",
            text="to the east",
            vector=pack_vector(east().vector),
            agent_id="north",
            quality=1.0,
            at=1.0,
        )
    )
    assert lighter.score(east(), pool())[1] > before
    assert (lighter.sequence, lighter.base) == (1, router.without_tasks().base)


def test_past_tasks_that_were_cleared_keep_the_columns_of_their_agents() -> None:
    tasks = PastTasks(max_tasks=4, width=3)
    tasks.put(tasks.add("t1", "?", np.ones(2, np.float32), np.ones(3, np.float32)), 1, 1.0, 1.0)
    tasks.clear()
    rows, cosines = tasks.nearest(np.ones(2, np.float32), 2)
    assert (len(tasks), len(rows), tasks.row_of("t1")) == (0, 0, None)
    assert tasks.sums(rows, cosines).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert tasks.add("t2", "?", np.ones(2, np.float32), np.ones(3, np.float32)) == 0
