"""Which tasks an agent solved matters, not only how many: the defect of the released GraphRouter (arXiv 2410.03834).

There, permuting an agent's successes over its tasks moved its scores by less than 3e-7.
"""

from dataclasses import replace

import numpy as np
import pytest

from agentmesh.routing.gnn.features import card_features
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.gnn.weights import AgentSums
from agentmesh.routing.state import unpack_state
from agentmesh.testing.grounds import ground_experience, ground_outcomes, ground_pool, ground_table, ground_tasks

pytestmark = pytest.mark.timeout(60)  # the first test imports torch

AGENTS = 8
NEWCOMER = f"agent-{AGENTS:02}"
POOL = ground_pool(AGENTS + 1)
GROUNDS = np.repeat(np.arange(4), 12)
TASKS = ground_tasks(GROUNDS, seed=7)
UNSEEN = ground_tasks([0] * 20, seed=8)
SPECIALIST = (GROUNDS == 0).astype(float)
PERMUTED = np.random.default_rng(3).permutation(SPECIALIST)
MOVED = PERMUTED != SPECIALIST
QUICK = {"hidden": 16, "passes": 12, "rate": 0.01, "neighbours": 32}
ALONE = {**QUICK, "passes": 16, "rate": 0.02, "like": False, "clusters": 1, "seed": 3}
"""One skill and no neighbours: along the paths all that is seen of an agent is its total, the product head is alone."""


def without_groups(table):
    return replace(table, groups=("",) * len(table))


def fitted(**options):
    router, train, val = (
        GnnRouter(**options),
        ground_outcomes(160, agents=AGENTS),
        ground_outcomes(80, agents=8, seed=1),
    )
    router.fit(without_groups(train), val=without_groups(val))
    return router


@pytest.fixture(scope="module")
def whole():
    return fitted(**QUICK)


@pytest.fixture(scope="module")
def alone():
    return fitted(**ALONE)


def taught(router, qualities):
    """Return a twin that saw a newcomer on all tasks, with these qualities; the network stays as it is."""
    twin = GnnRouter(**router.parameters)
    twin.restore(router.snapshot())
    for sequence, (task, quality) in enumerate(zip(TASKS, qualities.tolist(), strict=True), 1):
        twin.learn(ground_experience(sequence, task, NEWCOMER, quality))
    return twin


def votes(router, tasks=TASKS):
    return np.array([router.estimate(task, POOL).votes[-1] for task in tasks])


def network(router, tasks=TASKS):
    return np.array([router.estimate(task, POOL).factors["network"] for task in tasks])


def embeddings(router):
    """Return the embeddings of all agents, from what the state says reached them."""
    arrays, _ = unpack_state(router.snapshot().payload)
    skills = np.stack([router.model.declared(card.skills) for card in POOL.cards])
    return router.model.weights.agents(
        card_features(POOL), AgentSums(arrays["messages"], arrays["message_counts"]), skills
    )


def test_the_permutation_keeps_the_total_and_changes_the_tasks():
    assert PERMUTED.sum() == SPECIALIST.sum() == 12
    assert MOVED.sum() >= 12


def test_permuting_the_tasks_that_an_agent_solved_changes_its_chances_on_them(whole):
    before, after = votes(taught(whole, SPECIALIST)), votes(taught(whole, PERMUTED))
    lost = SPECIALIST > PERMUTED
    assert np.abs(before - after)[MOVED].mean() > 1e-2
    assert before[lost].mean() - after[lost].mean() > 1e-2
    assert after[PERMUTED > SPECIALIST].mean() - before[PERMUTED > SPECIALIST].mean() > 1e-2


def test_it_changes_them_on_tasks_that_nobody_has_seen(whole):
    specialist, scattered = votes(taught(whole, SPECIALIST), UNSEEN), votes(taught(whole, PERMUTED), UNSEEN)
    assert specialist.mean() - scattered.mean() > 1e-2


def test_the_product_head_alone_learns_who_is_at_home_where(alone):
    loss, quality = alone.training["loss"], alone.training["quality"]
    assert min(loss) < loss[0] - 0.03
    assert quality[alone.training["passes"]] > quality[0] + 0.15


def test_the_product_head_alone_sees_which_tasks_were_solved(alone):
    specialist, scattered = taught(alone, SPECIALIST), taught(alone, PERMUTED)
    assert specialist.estimate(TASKS[0], POOL).factors["skills"] == pytest.approx(
        scattered.estimate(TASKS[0], POOL).factors["skills"]
    )
    assert np.abs(votes(specialist) - votes(scattered))[MOVED].mean() > 1e-2
    assert votes(specialist, UNSEEN).mean() > votes(scattered, UNSEEN).mean() + 1e-2
    assert network(specialist)[:, :-1] == pytest.approx(network(scattered)[:, :-1], abs=1e-6)  # of the others


def test_the_embedding_of_an_agent_depends_on_which_tasks_it_solved(alone):
    specialist, scattered = embeddings(taught(alone, SPECIALIST)), embeddings(taught(alone, PERMUTED))
    assert np.linalg.norm(specialist[-1] - scattered[-1]) > 0.05 * np.linalg.norm(specialist[-1])
    assert specialist[:-1] == pytest.approx(scattered[:-1], abs=1e-6)


def test_messages_that_do_not_differ_by_outcome_have_the_defect():
    blind = fitted(**{**ALONE, "passes": 2, "typed": False})
    specialist, scattered = embeddings(taught(blind, SPECIALIST)), embeddings(taught(blind, PERMUTED))
    assert specialist == pytest.approx(scattered, abs=1e-6)


def team(count, seed):
    """Return outcomes of four known agents, a specialist of the first ground, and a random solver of its total."""
    rng = np.random.default_rng([11, seed])
    grounds, known = rng.integers(0, 4, size=count), rng.random((count, 4))
    home = grounds[:, None] == np.arange(4)
    specialist = np.where(grounds == 0, 1.0, (rng.random(count) < 0.25).astype(float))
    quality = np.column_stack([known < np.where(home, 0.9, 0.25), specialist, rng.permutation(specialist)])
    return without_groups(ground_table(ground_tasks(grounds, seed=seed), quality.astype(float), ground_pool(6)))


def test_a_specialist_stands_above_a_random_solver_of_the_same_total_on_its_ground():
    table, router = team(160, 1), GnnRouter(**QUICK)
    assert table.quality[:, 4].sum() == table.quality[:, 5].sum()
    router.fit(table, val=team(80, 2))
    assert router.training["passes"] > 0
    expected = np.array([router.score(task, ground_pool(6)) for task in ground_tasks([0] * 60, seed=13)])
    assert (expected[:, 4] > expected[:, 5]).mean() >= 0.9
