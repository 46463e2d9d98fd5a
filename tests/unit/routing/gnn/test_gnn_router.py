"""The GNN router as it serves: before training, after it, with new agents and new versions, and what it explains."""

import asyncio
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.base import RouteContext, TaskFeatures
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.state import unpack_state
from agentmesh.testing.grounds import ground_experience, ground_labels, ground_outcomes, ground_pool, ground_tasks
from agentmesh.testing.samples import plain_pool

pytestmark = pytest.mark.timeout(60)  # the first test that trains imports torch

POOL = ground_pool(5)
"""The four agents trained on, and a newcomer."""
NEWCOMER = "agent-04"
ALGEBRA, HISTORY = ground_tasks([0, 1], seed=50)


def teach(router, ground, qualities, *, agent=NEWCOMER, version=1, hints=()):
    sequences = count(router.sequence + 1)
    for task, quality in zip(ground_tasks([ground] * len(qualities), seed=51), qualities, strict=True):
        hinted = replace(task, type_hints=hints)
        router.learn(ground_experience(next(sequences), hinted, agent, quality, version=version))


def rank(router, agent=NEWCOMER, task=ALGEBRA):
    """Return the place of an agent among those of the pool by quality, 0 for the best."""
    score = router.score(task, POOL)
    return int((score > score[POOL.index[agent]]).sum())


def decide(router, task=ALGEBRA, pool=POOL, **context):
    return router.decide(task, pool, RouteContext(**{"seed": 1, **context}))


# before training


def test_a_router_never_trained_takes_all_for_alike():
    assert GnnRouter().score(ALGEBRA, POOL)[:1].tolist() != []
    assert GnnRouter().score(ALGEBRA, plain_pool("a", "b", dimension=16)).tolist() == [0.5, 0.5]
    assert GnnRouter().training == {}
    assert GnnRouter().model is None


def test_before_training_near_outcomes_decide_as_in_kernel_regression():
    router = GnnRouter(curiosity=0.0)
    teach(router, 0, [1.0] * 10, agent="agent-02")
    teach(router, 1, [0.0] * 10, agent="agent-02")
    pool = plain_pool("agent-01", "agent-02", dimension=16)
    at_home, abroad = (router.score(task, pool)[1] for task in (ALGEBRA, HISTORY))
    assert at_home > 0.55 > 0.45 > abroad
    assert decide(router, ALGEBRA, pool).selected[0].agent_id == "agent-02"
    assert decide(router, HISTORY, pool).selected[0].agent_id == "agent-01"


def test_before_training_near_tasks_are_what_a_decision_rests_on():
    router = GnnRouter(curiosity=0.0)
    teach(router, 0, [1.0] * 10, agent="agent-02")
    assert {one.kind for one in decide(router).evidence} == {"task"}
    assert decide(router).intent == {}


# after training


def test_the_agent_of_a_ground_is_chosen_there(router):
    for ground in range(4):
        tasks = ground_tasks([ground] * 10, seed=60 + ground)
        best = [int(router.score(task, ground_pool(4)).argmax()) for task in tasks]
        assert best.count(ground) >= 8


def test_labels_give_chances_that_sum_to_at_most_one(label_router):
    for task in ground_tasks([0, 1, 2, 3], seed=61):
        score = label_router.score(task, ground_pool(4))
        assert 0.0 < score.sum() < 1.0
    assert decide(label_router, ALGEBRA, ground_pool(4)).selected[0].agent_id == "agent-00"


def test_an_agent_that_the_wide_part_does_not_know_counts_as_the_average_one(label_router):
    one, two = (label_router.score(ALGEBRA, taken)[0] for taken in (ground_pool(4), ground_pool(5)))
    assert label_router.score(ALGEBRA, POOL)[4] < label_router.score(ALGEBRA, POOL)[0]
    assert one > two  # a fifth agent takes some of the chance


def test_a_pool_of_strangers_is_decided_on(label_router):
    strangers = plain_pool("x", "y", dimension=16)
    assert np.isfinite(label_router.score(ALGEBRA, strangers)).all()


def test_a_new_agent_moves_up_by_its_outcomes_and_down_by_its_failures(router):
    first = router.score(ALGEBRA, POOL)[4]
    teach(router, 0, [1.0] * 12)
    risen = router.score(ALGEBRA, POOL)[4]
    assert risen > first + 0.1
    assert rank(router) <= 1
    teach(router, 0, [0.0] * 40)
    assert router.score(ALGEBRA, POOL)[4] < risen - 0.2
    assert rank(router) >= 2


def test_a_new_agent_with_no_outcomes_is_judged_by_its_card(router):
    dear, cheap = (replace(POOL, price_per_call=np.array([0.001, 0.002, 0.003, 0.004, price])) for price in (1.0, 1e-6))
    gain = router.score(ALGEBRA, dear)[4] - router.score(ALGEBRA, cheap)[4]
    assert gain > 0.02  # what is dear is taken to be good until outcomes say otherwise


def test_what_a_new_agent_did_on_one_ground_says_less_of_another(router):
    before = router.score(ALGEBRA, POOL)[4], router.score(HISTORY, POOL)[4]
    teach(router, 0, [1.0] * 12)
    after = router.score(ALGEBRA, POOL)[4], router.score(HISTORY, POOL)[4]
    assert after[0] - before[0] > after[1] - before[1]


@pytest.mark.parametrize("kind", ["router", "label_router"])
def test_a_new_version_starts_afresh(kind, request):
    router = request.getfixturevalue(kind)
    bumped = replace(POOL, versions=np.array([2, 1, 1, 1, 1]), registry_version="bumped")
    unknown_to_it = router.score(ALGEBRA, bumped)
    router.learn(ground_experience(router.sequence + 1, HISTORY, "agent-00", 0.0, version=2))
    arrays, meta = unpack_state(router.snapshot().payload)
    column = meta["router"]["agents"].index("agent-00")
    assert arrays["skill_sums"][0, :, column].sum() == pytest.approx(1.0)
    assert arrays["task_outcomes"][:, 0, column].sum() == 1.0
    assert arrays["message_counts"][column].sum() == (1.0 if kind == "router" else 0.0)  # labels send no failures
    assert arrays["wide_known"].tolist() == [False, True, True, True]
    assert router.score(ALGEBRA, bumped)[0] == pytest.approx(unknown_to_it[0], abs=0.2)
    before = router.snapshot()
    router.learn(ground_experience(router.sequence + 1, ALGEBRA, "agent-00", 1.0, version=1))  # too late
    assert unpack_state(router.snapshot().payload)[0]["task_outcomes"].tolist() == (
        unpack_state(before.payload)[0]["task_outcomes"].tolist()
    )


def test_a_hint_that_names_a_skill_decides_what_the_task_asks_for(router):
    plain, hinted = ALGEBRA, replace(ALGEBRA, type_hints=("law", "verse", "no skill of ours"))
    assert decide(router, plain).intent["algebra"] > 0.5
    assert decide(router, hinted).intent == {"law": 0.5, "verse": 0.5}
    unknown = replace(ALGEBRA, type_hints=("no skill of ours",))
    assert decide(router, unknown).intent == decide(router, plain).intent


def test_outcomes_of_hinted_tasks_teach_the_skills_named(router):
    before = unpack_state(router.snapshot().payload)[0]["skill_sums"][0].sum(axis=1)
    teach(router, 0, [1.0] * 4, hints=("law",))
    after = unpack_state(router.snapshot().payload)[0]["skill_sums"][0].sum(axis=1)
    grown = dict(zip(router.model.skill_names, (after - before).tolist(), strict=True))
    assert grown == pytest.approx({"algebra": 0.0, "history": 0.0, "law": 4.0, "verse": 0.0})


def test_nobody_is_chosen_below_the_threshold(after_training, router):
    strict = GnnRouter(**{**router.parameters, "policy": "threshold:0.999"})
    strict.fit(ground_outcomes(20))
    decision = decide(strict)
    assert (decision.abstained, decision.selected, decision.evidence) == (True, (), ())


def test_the_weights_of_votes_are_the_softmax_of_quality(router):
    quality = router.score(ALGEBRA, POOL)
    expected = np.exp(quality / 0.25)
    chosen = decide(router, max_agents=3).selected
    places = [POOL.index[one.agent_id] for one in chosen]
    assert [one.weight for one in chosen] == pytest.approx(expected[places] / expected[places].sum())


def test_outcomes_of_one_run_and_stage_are_of_one_task(router):
    kept = len(unpack_state(router.snapshot().payload)[0]["task_vectors"])
    for sequence, (agent, stage) in enumerate([("agent-00", 0), ("agent-01", 0), ("agent-00", 1)], 1):
        one = ground_experience(sequence, ALGEBRA, agent, 1.0)
        router.learn(one.model_copy(update={"run_id": "same", "stage": stage}))
    assert len(unpack_state(router.snapshot().payload)[0]["task_vectors"]) == kept + 2


def test_the_bound_on_past_tasks_holds_with_some_slack():
    router = GnnRouter(hidden=8, passes=1, max_tasks=20)
    router.fit(ground_outcomes(25))
    arrays, _ = unpack_state(router.snapshot().payload)
    assert len(arrays["task_vectors"]) == 20
    assert (arrays["task_vectors"] == ground_outcomes(25).vectors[5:]).all()
    teach(router, 0, [1.0] * 100)
    assert 20 <= len(unpack_state(router.snapshot().payload)[0]["task_vectors"]) <= 25


def test_vectors_of_another_embedder_are_refused(router):
    short = TaskFeatures(np.ones(3, np.float32), "short")
    with pytest.raises(ConfigError, match="same embedder"):
        router.score(short, POOL)
    before = router.snapshot()
    with pytest.raises(ConfigError, match="same embedder"):
        router.learn(ground_experience(1, short, "agent-00", 1.0))
    assert router.snapshot() == before
    untrained = GnnRouter()
    teach(untrained, 0, [1.0])
    with pytest.raises(ConfigError, match="same embedder"):
        untrained.score(short, plain_pool("a", dimension=3))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("hidden", 0),
        ("neighbours", 0),
        ("clusters", 0),
        ("max_tasks", 0),
        ("passes", -1),
        ("seed", -1),
        ("rate", 0.0),
        ("rate", float("inf")),
        ("curiosity", -0.1),
        ("curiosity", float("nan")),
        ("hide", 0.0),
        ("hide", 1.0),
    ],
)
def test_an_argument_out_of_its_range_is_refused(argument, value):
    with pytest.raises(ConfigError, match=f"{argument} is {value!r}"):
        GnnRouter(**{argument: value})


def test_a_router_decides_the_same_asynchronously(router):
    decision = asyncio.run(router.route(ALGEBRA, POOL, RouteContext(seed=1)))
    assert decision.selected == decide(router).selected


def test_a_table_of_labels_is_known_by_its_sums(label_router, router):
    assert (label_router.model.exclusive, router.model.exclusive) == (True, False)
    assert ground_labels(10).quality.sum() == 9.0
