"""Laws of the GNN router and of the tasks it looks back at, on whatever Hypothesis comes up with."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.past_tasks import PastTasks
from agentmesh.testing.grounds import ground_experience, ground_labels, ground_outcomes, ground_pool, ground_tasks
from agentmesh.testing.samples import taken

pytestmark = pytest.mark.timeout(60)  # the first test that trains imports torch

AGENTS = [f"agent-{place:02}" for place in range(5)]
POOL = ground_pool(5)
TASKS = ground_tasks([0, 1, 2, 3, 0, 1], seed=40)
ARGUMENTS = {"hidden": 8, "passes": 2, "rate": 0.02, "neighbours": 8, "clusters": 3, "max_tasks": 30}
SHARES = st.integers(0, 10).map(lambda tenths: tenths / 10)
OUTCOMES = st.tuples(
    st.integers(0, 5), st.sampled_from(AGENTS), SHARES, st.sampled_from([0.5, 1.0]), st.sampled_from([1, 1, 1, 2])
)
HISTORIES = st.lists(OUTCOMES, max_size=12)
KINDS = st.sampled_from(["untrained", "outcomes", "labels"])
TWENTY = settings(max_examples=20)


@pytest.fixture(scope="module")
def states():
    """Return the state of a router that saw nothing, of one trained on outcomes, and of one trained on labels."""
    found = {"untrained": GnnRouter(**ARGUMENTS).snapshot()}
    for name, table in (("outcomes", ground_outcomes(28)), ("labels", ground_labels(28))):
        router = GnnRouter(**ARGUMENTS)
        router.fit(table)
        found[name] = router.snapshot()
    return found


def after(state, history):
    router = GnnRouter(**ARGUMENTS)
    router.restore(state)
    learn(router, history)
    return router


def learn(router, history):
    for place, (task, agent, quality, weight, version) in enumerate(history, router.sequence + 1):
        one = ground_experience(place, TASKS[task], agent, quality, version=version)
        router.learn(one.model_copy(update={"weight": weight, "run_id": f"run-{task}"}))


@given(
    operations=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 3), SHARES, st.sampled_from([0.5, 1.0])), max_size=40
    ),
    forgotten=st.sets(st.integers(0, 3), max_size=2),
    weights=st.lists(SHARES, min_size=7, max_size=7),
)
def test_the_sums_over_past_tasks_are_those_of_a_dictionary(operations, forgotten, weights):
    tasks, model = PastTasks(100, 0), defaultdict(lambda: [0.0, 0.0])
    for task, column, quality, weight in operations:
        row = tasks.row_of(str(task))
        if row is None:
            row = tasks.add(str(task), "", np.ones(2, np.float32), np.zeros(0, np.float32))
        tasks.put(row, column, quality, weight)
        model[task, column][0] += weight
        model[task, column][1] += weight * quality
    for column in forgotten:
        tasks.forget(column)
        model = defaultdict(lambda: [0.0, 0.0], {key: sums for key, sums in model.items() if key[1] != column})
    rows = np.arange(len(tasks))
    chosen = np.array([weights[int(tasks.named(row)[0])] for row in rows.tolist()], np.float32)
    sums = tasks.sums(rows, chosen)
    for column in range(sums.shape[1]):
        expected = np.sum([weights[task] * np.array(model[task, column]) for task in range(7)], axis=0)
        assert sums[:, column] == pytest.approx(expected, abs=1e-5)
    heard = [any(model[int(tasks.named(row)[0]), column][0] for column in range(4)) for row in rows.tolist()]
    assert tasks.known(rows).tolist() == [float(one) for one in heard]


@given(count=st.integers(0, 40), most=st.integers(1, 9))
def test_the_newest_tasks_are_kept_within_the_bound(count, most):
    tasks = PastTasks(most, 0)
    for name in map(str, range(count)):
        tasks.add(name, name, np.ones(2, np.float32), np.zeros(0, np.float32))
    assert min(count, most) <= len(tasks) <= 1.25 * most + 1
    kept = [tasks.named(row)[0] for row in range(len(tasks))]
    assert kept == [str(name) for name in range(count - len(tasks), count)]
    assert all(tasks.row_of(name) == row for row, name in enumerate(kept))


@TWENTY
@given(kind=KINDS, history=HISTORIES, more=HISTORIES)
def test_a_router_restored_after_any_history_is_the_same_bit_for_bit(states, kind, history, more):
    router, twin = after(states[kind], history), GnnRouter(**ARGUMENTS)
    twin.restore(router.snapshot())
    assert twin.snapshot() == router.snapshot()
    for one in (router, twin):
        learn(one, more)
    assert twin.snapshot() == router.snapshot()
    assert twin.score(TASKS[0], POOL).tolist() == router.score(TASKS[0], POOL).tolist()


@TWENTY
@given(kind=KINDS, history=HISTORIES, order=st.permutations(range(5)), task=st.sampled_from(TASKS))
def test_the_order_of_the_pool_does_not_matter(states, kind, history, order, task):
    router = after(states[kind], history)
    assert router.score(task, taken(POOL, order)) == pytest.approx(router.score(task, POOL)[list(order)], abs=1e-6)


@TWENTY
@given(kind=KINDS, history=HISTORIES, task=st.sampled_from(TASKS))
def test_expectations_are_shares_and_costs_are_money(states, kind, history, task):
    estimate = after(states[kind], history).estimate(task, POOL)
    assert ((estimate.quality >= 0.0) & (estimate.quality <= 1.0)).all()
    assert kind != "labels" or estimate.quality.sum() < 1.0 + 1e-9
    assert (estimate.cost > 0.0).all()
    assert estimate.votes.sum() == pytest.approx(1.0)
    for place in range(len(POOL)):
        told = estimate.evidence(place)
        assert all(np.isfinite(one.weight) for one in told)
        assert all(one.quality is None or -1e-6 <= one.quality <= 1.0 + 1e-6 for one in told)


@TWENTY
@given(kind=st.sampled_from(["untrained", "outcomes"]), history=HISTORIES, task=st.sampled_from(TASKS), data=st.data())
def test_an_agent_is_judged_alike_whoever_else_is_there(states, kind, history, task, data):
    """Cards are compared with one another, by price and by nearness: here all say the same."""
    alike = replace(POOL, price_per_call=np.full(5, 0.001))
    router = after(states[kind], history)
    places = data.draw(st.sets(st.integers(0, 4), min_size=1).map(sorted))
    some = router.score(task, taken(alike, places))
    assert some == pytest.approx(router.score(task, alike)[places], abs=1e-6)


@TWENTY
@given(history=HISTORIES, task=st.sampled_from(TASKS), place=st.integers(0, 4))
def test_one_more_success_on_a_task_never_lowers_what_is_expected_there_before_training(states, history, task, place):
    router = after(states["untrained"], history)
    router.learn(ground_experience(router.sequence + 1, task, AGENTS[place], 1.0, version=9))
    first = router.score(task, POOL)[place]
    router.learn(ground_experience(router.sequence + 1, task, AGENTS[place], 1.0, version=9))
    assert router.score(task, POOL)[place] >= first - 1e-9
