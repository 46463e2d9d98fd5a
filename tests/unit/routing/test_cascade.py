import asyncio
from dataclasses import replace

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.plugins import load, names
from agentmesh.records import Stage
from agentmesh.routing.asking import Reply
from agentmesh.routing.base import Outcomes, RouteContext, ScoringRouter, TaskFeatures
from agentmesh.routing.cascade import CascadeRouter
from agentmesh.routing.cascade_stages import after_reasoning
from agentmesh.routing.pacing import FixedPace
from agentmesh.routing.preference import PIN
from agentmesh.testing.asking import RatedRouter, ScriptedAsker
from agentmesh.testing.samples import (
    chosen,
    decided,
    plain_pool,
    sample_experience,
    sample_features,
    sample_outcomes,
    sample_pool,
    taken,
)
from agentmesh.types import JsonValue

POOL = sample_pool(3)
NEAR, FAR = {"agent-00": 0.51, "agent-01": 0.5}, {"agent-02": 0.9, "agent-01": 0.2}
KINDS = np.eye(4, dtype=np.float32)
FRUIT = plain_pool("apple", "pear", vectors=KINDS[:2])


def rated(**quality: float) -> RatedRouter:
    return RatedRouter(quality=quality)


def said(text: str) -> ScriptedAsker:
    return ScriptedAsker([text])


def one(name: str) -> str:
    return f'{{"reason": "It fits.", "agents": ["{name}"]}}'


def route(router, context: RouteContext, pool=POOL, features: TaskFeatures | None = None):
    return decided(router, features or sample_features(), pool, context)


def fruit(count: int) -> Outcomes:
    """Return tasks on apples and pears, each right for one agent."""
    rng = np.random.default_rng(1)
    kinds = np.arange(count) % 2
    vectors = KINDS[kinds] + 0.05 * rng.normal(size=(count, 4)).astype(np.float32)
    words = (("apple", "crisp", "red"), ("pear", "soft", "green"))
    texts = tuple(" ".join(rng.permutation(words[kind])) + f" {row % 7}" for row, kind in enumerate(kinds))
    quality = np.eye(2)[kinds]
    unknown = np.full_like(quality, np.nan)
    return Outcomes(FRUIT.ids, vectors.astype(np.float32), texts, ("",) * count, quality, unknown, pool=FRUIT)


def calibrated(**arguments) -> CascadeRouter:
    router = CascadeRouter(stages=("linear",), **arguments)
    router.fit(fruit(80))
    router.calibrate(fruit(80), val=fruit(60))
    return router


STRANGE = TaskFeatures(KINDS[2], "tectonic subduction of oceanic plates")
KNOWN = TaskFeatures(KINDS[0], "crisp red apple 3")


def test_one_router_alone_decides_as_it_would_without_a_cascade():
    pool = sample_pool()
    for seed in range(10):
        context = RouteContext(seed=seed, max_agents=2, explore=0.3)
        plain = route(load("agentmesh.routers", "kernel")(), context, pool)
        inside = route(CascadeRouter(), context, pool)
        assert inside.selected == plain.selected
        assert inside.scores == plain.scores
        assert inside.probabilities == plain.probabilities


def test_a_sure_router_decides_and_the_next_is_not_asked():
    router = CascadeRouter(stages=(RatedRouter(quality=NEAR), RatedRouter(quality=FAR)), shares=(0.5, 0.1))
    decision = route(router, RouteContext(seed=1))
    assert chosen(decision) == ["agent-00"]
    assert [stage.name for stage in decision.stages] == ["rated"]
    assert decision.stages[0].decided
    assert (decision.router, decision.router_version) == ("cascade", router.version)


def test_an_unsure_router_hands_over_to_the_next():
    router = CascadeRouter(stages=("linear", RatedRouter(quality={"pear": 0.9})), shares=(0.5, 0.1))
    router.fit(fruit(80), val=fruit(60))
    between = TaskFeatures((KINDS[0] + KINDS[1]) / np.float32(np.sqrt(2)), "red pear or green apple")
    decision = route(router, RouteContext(seed=1), FRUIT, between)
    first, second = decision.stages
    assert (first.beyond, first.decided) == ("rated", False)
    assert (second.chosen, second.decided) == (("pear",), True)
    assert first.confidence < first.threshold
    assert "linear would choose" in decision.explain()


def test_a_model_is_asked_where_the_last_router_is_less_sure_than_the_pace_demands():
    router, asker = CascadeRouter(stages=(RatedRouter(quality=NEAR),)), said(one("agent-02"))
    decision = route(router, RouteContext(seed=1, asker=asker, pace=FixedPace(0.05)))
    assert chosen(decision) == ["agent-02"]
    assert [(stage.name, stage.decided) for stage in decision.stages] == [("rated", False), ("reasoning", True)]
    assert decision.reasoning is not None
    assert "It fits." in decision.reason
    assert len(asker.requests) == 1


def test_where_a_pin_stands_against_out_of_scope_the_router_has_decided_and_not_the_model():
    router = CascadeRouter(stages=(RatedRouter(quality=NEAR),))
    asker = said('{"reason": "It fits nobody.", "agents": [], "out_of_scope": true}')
    pinned = POOL.gated({"agent-02": PIN})
    decision = route(router, RouteContext(seed=1, asker=asker, pace=FixedPace(0.5)), pinned)
    assert chosen(decision) == ["agent-00"]
    assert [(stage.name, stage.decided) for stage in decision.stages] == [("rated", True), ("reasoning", False)]
    assert "reasoning was of no use: out of scope" in decision.explain()


@pytest.mark.parametrize(
    ("policy", "nobody"), [("threshold:0.9", True), ("softmax:0.5", False), ("greedy", False)], ids=str
)
def test_where_nothing_is_worth_asking_the_router_has_decided(policy, nobody):
    router, asker = CascadeRouter(stages=(RatedRouter(quality=NEAR, policy=policy),)), said(one("agent-00"))
    context = RouteContext(seed=1, explore=1.0 if policy == "greedy" else 0.0, asker=asker, pace=FixedPace(0.5))
    decision = route(router, context)
    assert (decision.abstained, decision.reasoning) == (nobody, None)
    assert [stage.decided for stage in decision.stages] == [True]
    assert asker.requests == []


def test_the_last_router_has_decided_where_a_reasoner_had_nothing_to_ask():
    router = CascadeRouter(stages=(RatedRouter(quality=NEAR),))
    unsure = route(router, RouteContext(seed=1, pace=FixedPace(0.5)))
    waiting = unsure.model_copy(update={"stages": (Stage(name="rated", beyond="reasoning"),)})
    decision = after_reasoning(waiting, waiting, elapsed_ms=2.0)
    assert [stage.decided for stage in decision.stages] == [True]
    assert decision.elapsed_ms == 2.0


def test_no_model_is_asked_by_a_sure_router_or_without_one_to_ask_or_by_a_cascade_that_asks_none():
    asker = said(one("agent-02"))
    sure = RouteContext(seed=1, asker=asker, pace=FixedPace(0.001))
    unsure = replace(sure, pace=FixedPace(0.5))
    rated_router = RatedRouter(quality=NEAR)
    assert chosen(route(CascadeRouter(stages=(rated_router,)), sure)) == ["agent-00"]
    assert chosen(route(CascadeRouter(stages=(rated_router,)), replace(unsure, asker=None))) == ["agent-00"]
    assert chosen(route(CascadeRouter(stages=(rated_router,), reasoning=None), unsure)) == ["agent-00"]
    assert asker.requests == []


def test_a_reply_of_no_use_leaves_the_choice_to_the_router_and_says_so():
    router, asker = (
        CascadeRouter(stages=(RatedRouter(quality=NEAR),)),
        ScriptedAsker([Reply("", "m", fault="HTTP 500")]),
    )
    decision = route(router, RouteContext(seed=1, asker=asker, pace=FixedPace(0.5)))
    assert chosen(decision) == ["agent-00"]
    assert [(stage.name, stage.decided) for stage in decision.stages] == [("rated", True), ("reasoning", False)]
    assert "HTTP 500" in decision.stages[1].note
    assert "HTTP 500" in decision.explain()


def test_what_was_drawn_at_random_stands():
    asker = said(one("agent-02"))
    for seed in range(40):
        context = RouteContext(seed=seed, explore=1.0, asker=asker, pace=FixedPace(9.0))
        decision = route(CascadeRouter(stages=(RatedRouter(quality=NEAR),)), context)
        if decision.explored:
            assert decision.stages[0].note == "drawn to explore"
            assert decision.stages[0].decided
            assert decision.reasoning is None
            return
    raise AssertionError("no seed explored")


def test_a_task_with_one_agent_left_is_asked_of_nobody():
    asker = said(one("agent-00"))
    context = RouteContext(seed=1, asker=asker, pace=FixedPace(9.0))
    decision = route(CascadeRouter(), context, sample_pool(1))
    assert chosen(decision) == ["agent-00"]
    assert asker.requests == []


def test_thresholds_let_a_share_of_tasks_past_each_router():
    pool, stages = sample_pool(), ("linear", "kernel")
    train, val = (replace(sample_outcomes(pool, 120, seed=seed), pool=pool) for seed in (1, 2))
    router = CascadeRouter(stages=stages, shares=(0.4, 0.1))
    router.fit(train, val=val)
    decisions = [
        router.decide(TaskFeatures(val.vectors[row], val.texts[row]), pool, RouteContext(seed=0, asker=said("")))
        for row in range(len(val))
    ]
    passed = sum(len(decision.stages) == 2 for decision in decisions) / len(val)
    unsure = sum(not any(stage.decided for stage in decision.stages) for decision in decisions) / len(val)
    assert passed == pytest.approx(0.4, abs=0.02)
    assert unsure == pytest.approx(0.1, abs=0.02)


def test_a_table_without_cards_or_tasks_sets_no_threshold():
    router = CascadeRouter(stages=(RatedRouter(quality=NEAR), RatedRouter(quality=FAR)), shares=(1.0, 1.0))
    router.fit(sample_outcomes(POOL), val=sample_outcomes(POOL))
    assert len(route(router, RouteContext(seed=1)).stages) == 1


def test_a_guard_that_was_not_calibrated_turns_nobody_away():
    router = CascadeRouter(stages=("linear",))
    router.fit(fruit(80))
    decision = route(router, RouteContext(seed=1), FRUIT, STRANGE)
    assert not decision.abstained
    assert [stage.name for stage in decision.stages] == ["linear"]


def test_a_calibrated_guard_lets_known_tasks_through_and_turns_others_away():
    router = calibrated()
    known, strange = (route(router, RouteContext(seed=1), FRUIT, task) for task in (KNOWN, STRANGE))
    assert chosen(known) == ["apple"]
    assert [stage.name for stage in known.stages] == ["guard", "linear"]
    assert strange.abstained
    assert strange.stages[0].decided
    assert strange.probability_array().tolist() == [0.0, 0.0]
    assert "unlike the tasks it knows" in strange.explain()


def test_a_pin_passes_the_guard():
    pinned = FRUIT.gated({"apple": PIN})
    decision = route(calibrated(), RouteContext(seed=1), pinned, STRANGE)
    assert chosen(decision) == ["pear"]


def test_an_agent_whose_card_came_later_passes_the_guard_at_once():
    wider = plain_pool("apple", "pear", "geologist", vectors=KINDS[:3])
    decision = route(calibrated(), RouteContext(seed=1), wider, STRANGE)
    assert chosen(decision) == ["geologist"]
    assert "came later" in decision.stages[0].note


def test_a_card_that_was_changed_passes_as_a_new_one_does():
    changed = replace(plain_pool("apple", "pear", vectors=KINDS[[0, 2]]), versions=np.array([1, 2]))
    assert chosen(route(calibrated(), RouteContext(seed=1), changed, STRANGE)) == ["pear"]


def test_calibrating_changes_the_version_and_fitting_again_forgets_it():
    router = CascadeRouter(stages=("linear",))
    router.fit(fruit(80))
    before = router.version
    router.calibrate(fruit(80))
    assert router.version != before
    twin = CascadeRouter(stages=("linear",))
    twin.restore(router.snapshot())
    assert route(twin, RouteContext(seed=1), FRUIT, STRANGE).abstained
    router.fit(fruit(80))
    assert not route(router, RouteContext(seed=1), FRUIT, STRANGE).abstained


def test_every_outcome_teaches_every_router():
    router = CascadeRouter(stages=("knn", "linear"), shares=(0.1, 0.1))
    for sequence in (3, 9):
        router.learn(sample_experience(sequence, sample_pool()))
    assert [inner.sequence for inner in router._routers] == [9, 9]


def test_what_comes_from_elsewhere_is_learned_on_from_the_first_number():
    router = CascadeRouter()
    router.learn(sample_experience(40, sample_pool()))
    router.rebase("elsewhere")
    router.learn(sample_experience(1, sample_pool()))
    assert (router.sequence, router.base) == (1, "elsewhere")


def test_training_is_told_by_router():
    assert CascadeRouter().training == {}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"stages": ()}, "0 stages"),
        ({"shares": (0.1, 0.2)}, "2 shares"),
        ({"shares": (1.5,)}, "from 0 to 1"),
        ({"guard": {"strictness": 1}}, "guard"),
        ({"reasoning": {"depth": 1}}, "reasoner"),
        ({"stages": ("reasoning",)}, "rates no agents"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments, why):
    with pytest.raises(ConfigError, match=why):
        CascadeRouter(**arguments)


def test_a_state_of_another_shape_is_refused():
    router, state = CascadeRouter(), CascadeRouter(stages=("kernel", "knn"), shares=(0.1, 0.1)).snapshot()
    with pytest.raises(ConfigError):
        router.restore(state.model_copy(update={"parameters": router.parameters_hash}))


def scoring_routers() -> list[str]:
    kinds = {name: load("agentmesh.routers", name) for name in names("agentmesh.routers")}
    blind = {"random", "round_robin", "cheapest", "best_single"}  # these do not look at the task
    return [name for name, kind in kinds.items() if issubclass(kind, ScoringRouter) and name not in blind]


@pytest.mark.timeout(60)  # one of them imports torch
@pytest.mark.parametrize("name", scoring_routers())
def test_an_agent_added_by_its_card_can_be_chosen_in_the_very_next_decision(name):
    pool = plain_pool("apple", "pear", "geologist", vectors=KINDS[:3], price=0.01)
    quick: dict[str, JsonValue] = {"hidden": 8, "passes": 1} if name == "gnn" else {}
    cascade = CascadeRouter(stages=({"router": name, "arguments": quick},))
    cascade.fit(fruit(80))
    for sequence, row in enumerate(range(20), start=1):
        cascade.learn(
            sample_experience(sequence, plain_pool("apple", "pear", vectors=KINDS[:2])).model_copy(
                update={"vector": fruit(80).vectors[row].tobytes(), "quality": 1.0}
            )
        )
    decisions = [route(cascade, RouteContext(seed=seed), pool, STRANGE) for seed in range(10)]  # some routers draw
    assert ["geologist"] in [chosen(decision) for decision in decisions]


def test_deciding_without_asking_is_synchronous():
    decision = CascadeRouter().decide(sample_features(), POOL, RouteContext(seed=1, asker=said(one("agent-02"))))
    assert decision.reasoning is None
    assert asyncio.run(CascadeRouter().route(sample_features(), taken(POOL, [1]), RouteContext(seed=1))).selected
