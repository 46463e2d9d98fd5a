"""Workflows of several stages: who may stand where, and trails from one agent to the next."""

import numpy as np
import pytest

from agentmesh.errors import NoCandidateError, RoutingError
from agentmesh.routing.base import RouteContext
from agentmesh.routing.pheromone import PheromoneRouter
from agentmesh.routing.trails import SOURCE, Edge
from agentmesh.testing.samples import chosen, sample_experience, sample_features, sample_pool, taken
from agentmesh.testing.samples import sample_outcomes as table

POOL = sample_pool(5)
FIRST, SECOND, THIRD = ("agent-00", "agent-01"), ("agent-02", "agent-03"), ("agent-04", "agent-01")


def staged(*stages, **arguments):
    plain = {"types": 0, "alpha": 1.0, "rate": 0.0, "curiosity": 0.0, "drift": 0.0, "anneal": 0.0}
    return PheromoneRouter(stages=stages or (FIRST, SECOND, THIRD), **{**plain, **arguments})


def at(stage, previous=SOURCE):
    task = sample_features()
    return type(task)(vector=task.vector, text=task.text, stage=stage, previous=previous)


def teach(router, agent, quality, *, stage=0, previous=SOURCE, times=1):
    for _ in range(times):
        number = router.sequence + 1
        changed = {"agent_id": agent, "quality": quality, "stage": stage, "previous": previous, "at": 0.0}
        router.learn(sample_experience(number, POOL).model_copy(update=changed))
    return router


def decide(router, features, *, seed=1, pool=POOL, **how):
    return router.decide(features, pool, RouteContext(seed=seed, **how))


@pytest.mark.parametrize(("stage", "members"), list(enumerate((FIRST, SECOND, THIRD))))
def test_an_agent_outside_the_stage_is_never_chosen(stage, members):
    router = staged()
    router.fit(table(POOL))
    for seed in range(30):
        decision = decide(router, at(stage), seed=seed, max_agents=5, explore=0.5)
        assert set(chosen(decision)) == set(members)
        outside = [place for place, agent_id in enumerate(POOL.ids) if agent_id not in members]
        assert decision.probability_array()[outside].tolist() == [0.0] * 3
        gates = {candidate.agent_id: candidate.gate for candidate in decision.candidates}
        assert {gates[POOL.ids[place]] for place in outside} == {"stage"}


def test_a_gate_that_refused_an_agent_before_is_still_named():
    gated = POOL.gated({"agent-04": "budget"})
    candidates = decide(staged(), at(0), pool=gated).candidates
    assert {one.agent_id: one.gate for one in candidates}["agent-04"] == "budget"


@pytest.mark.parametrize("stage", [3, 99, -1])
def test_a_stage_that_does_not_exist_is_an_error(stage):
    with pytest.raises(RoutingError, match=f"stage {stage} does not exist; expected 0 to 2"):
        decide(staged(), at(stage))


def test_a_stage_of_which_nobody_passes_the_gates_is_an_error():
    gated = POOL.gated(dict.fromkeys(SECOND, "skill"))
    with pytest.raises(NoCandidateError, match="'skill'"):
        decide(staged(), at(1), pool=gated)


def test_a_stage_whose_agents_are_not_registered_is_an_error():
    with pytest.raises(NoCandidateError):
        decide(staged(), at(1), pool=taken(POOL, [0, 1]))


def test_trails_behind_different_agents_are_kept_apart():
    router = staged()
    for previous, good, bad in (("agent-00", "agent-02", "agent-03"), ("agent-01", "agent-03", "agent-02")):
        teach(router, good, 1.0, stage=1, previous=previous, times=20)
        teach(router, bad, 0.0, stage=1, previous=previous, times=20)
    assert chosen(decide(router, at(1, "agent-00"))) == ["agent-02"]
    assert chosen(decide(router, at(1, "agent-01"))) == ["agent-03"]


def test_an_agent_on_two_stages_has_trails_of_each():
    router = teach(staged(), "agent-01", 1.0, stage=0, times=30)
    teach(router, "agent-01", 0.0, stage=2, previous="agent-02", times=30)
    trails = router.trails()
    found = dict(zip(trails.edges, trails.trail[0].tolist(), strict=True))
    assert found[Edge(0, SOURCE, "agent-01")] > 0.8
    assert found[Edge(2, "agent-02", "agent-01")] < 0.2


def test_what_an_agent_did_behind_another_is_a_hint_of_what_it_does_behind_this_one():
    router = teach(staged(), "agent-02", 1.0, stage=1, previous="agent-00", times=50)
    teach(router, "agent-03", 0.0, stage=1, previous="agent-00", times=50)
    factors = router.estimate(at(1, "agent-01"), POOL).factors
    assert factors["evidence"].tolist() == [0.0] * 5
    assert factors["trail"][2] > 0.6 > 0.4 > factors["trail"][3]


def test_a_walk_goes_from_the_source_through_all_stages_each_behind_the_last():
    router, context = staged(policy="softmax:0.3"), RouteContext(seed=7)
    path = router.walk(at(0), POOL, context)
    steps = [chosen(decision)[0] for decision in path]
    assert len(steps) == 3
    assert all(agent in members for agent, members in zip(steps, (FIRST, SECOND, THIRD), strict=True))
    for stage, previous in enumerate([SOURCE, *steps[:-1]]):
        again = decide(router, at(stage, previous), seed=7 + stage)
        assert again.model_copy(update={"elapsed_ms": 0.0}) == path[stage].model_copy(update={"elapsed_ms": 0.0})


def test_a_walk_follows_the_trail_that_was_laid():
    router = staged()
    for previous in FIRST:
        good, bad = SECOND if previous == "agent-00" else SECOND[::-1]
        teach(router, good, 1.0, stage=1, previous=previous, times=20)
        teach(router, bad, 0.0, stage=1, previous=previous, times=20)
    teach(router, "agent-00", 0.1, times=30)
    teach(router, "agent-01", 0.9, times=30)
    path = router.walk(at(0), POOL, RouteContext(seed=1))
    assert [chosen(decision)[0] for decision in path][:2] == ["agent-01", "agent-03"]


def test_walks_of_different_seeds_go_different_ways():
    router = staged(policy="softmax:1.0")
    paths = {
        tuple(chosen(one)[0] for one in router.walk(at(0), POOL, RouteContext(seed=seed)))
        for seed in range(2**63, 0, -(2**58))
    }
    assert len(paths) > 3


def test_a_walk_stops_where_nobody_is_chosen():
    router = staged(policy="threshold:0.5")
    for agent in FIRST:
        teach(router, agent, 1.0, times=50)
    for agent in SECOND:
        for previous in FIRST:
            teach(router, agent, 0.0, stage=1, previous=previous, times=50)
    path = router.walk(at(0), POOL, RouteContext(seed=1))
    assert [len(decision.selected) for decision in path] == [1, 0]
    assert path[-1].abstained


def test_a_walk_without_stages_is_one_decision_among_all():
    router = PheromoneRouter()
    (only,) = router.walk(at(0), POOL, RouteContext(seed=3))
    assert only.candidates == decide(router, at(0), seed=3).candidates
    assert np.isfinite(only.score_array()).all()
