"""What a decision tells beside who was chosen: what would flip it, what the task was taken for, who was busy."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.records import Candidate, Objective, RouteDecision
from agentmesh.routing.base import Estimate, RouteContext, ScoringRouter
from agentmesh.routing.decision import MOST_KINDS
from agentmesh.routing.inputs import AgentPool, TaskFeatures
from agentmesh.routing.prices import by_card
from agentmesh.routing.similarity import CosineRouter
from agentmesh.testing.samples import sample_features, sample_pool, taken
from agentmesh.types import FloatArray, MaskArray

POOL = sample_pool(6)
TASK = sample_features()
QUALITY = (0.9, 0.8, 0.3, 0.2, 0.1, 0.0)
SHUFFLED = (4, 5, 0, 3, 2, 1)


class TellingRouter(ScoringRouter):
    """Rates agents by the numbers it was given, keeps away from busy ones, and takes every task for the same."""

    name: ClassVar[str] = "telling"
    calibrated: bool = True

    def __init__(
        self, quality: tuple[float, ...] = QUALITY, *, intent: Mapping[str, float] | None = None, policy: str = "greedy"
    ) -> None:
        super().__init__(policy=policy)
        self.quality = np.array(quality)
        self.intent = intent or {}

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        places = [int(agent_id[-2:]) for agent_id in pool.ids]
        return replace(by_card(self.quality[places], features, pool), intent=self.intent)

    def _utilities(self, estimate: Estimate, mask: MaskArray, context: RouteContext) -> FloatArray:
        utilities = super()._utilities(estimate, mask, context)
        return utilities if context.load is None else utilities - context.load


def decided(router: ScoringRouter | None = None, pool: AgentPool = POOL, **context: Any) -> RouteDecision:
    return (router or TellingRouter()).decide(TASK, pool, RouteContext(**{"seed": 1, **context}))


def flips(decision: RouteDecision) -> dict[str, float | None]:
    return {candidate.agent_id: candidate.flip for candidate in decision.candidates}


def test_the_flip_is_the_rise_in_quality_that_makes_up_for_the_lead() -> None:
    assert flips(decided()) == pytest.approx(
        {f"agent-{place:02}": 0.9 - quality for place, quality in enumerate(QUALITY)}
    )


def test_the_best_agent_needs_nothing() -> None:
    assert flips(decided())["agent-00"] == 0.0


def test_the_best_agent_is_shown_however_few_are_asked_for() -> None:
    seeds = (decided(seed=seed, top=0, explore=1.0) for seed in range(50))
    decision = next(decision for decision in seeds if decision.selected[0].agent_id == "agent-01")
    assert flips(decision) == pytest.approx({"agent-00": 0.0, "agent-01": 0.1})


def test_an_agent_too_dear_for_any_quality_has_no_flip() -> None:
    dear = replace(POOL, price_per_call=np.array([0.001, 0.001, 0.001, 0.001, 0.001, 1.0]))
    objective = Objective(quality=0.5, cost=0.5)
    assert flips(decided(TellingRouter((0.9,) * 6), dear, objective=objective))["agent-05"] is None


def test_where_quality_counts_for_nothing_only_the_best_has_a_flip() -> None:
    found = flips(decided(objective=Objective(quality=0.0, cost=1.0)))
    assert sorted(found.values(), key=str) == [0.0, None, None, None, None, None]


def test_an_affinity_has_no_flip() -> None:
    assert set(flips(decided(CosineRouter())).values()) == {None}


def test_a_refused_agent_has_no_flip() -> None:
    assert flips(decided(pool=POOL.gated({"agent-01": "skill:x"})))["agent-01"] is None


def candidate_of(decision: RouteDecision, agent_id: str) -> Candidate:
    return next(candidate for candidate in decision.candidates if candidate.agent_id == agent_id)


@given(
    quality=st.tuples(*[st.floats(0, 1)] * 6),
    bonus=st.lists(st.floats(-0.5, 0.5), min_size=6, max_size=6),
    weights=st.tuples(st.floats(0.1, 1), st.floats(0, 1)),
)
def test_an_agent_that_rises_by_its_flip_becomes_the_best_and_by_less_does_not(
    quality: tuple[float, ...], bonus: list[float], weights: tuple[float, float]
) -> None:
    context = {"objective": Objective(quality=weights[0], cost=weights[1]), "bonus": np.array(bonus)}
    before = decided(TellingRouter(quality), **context)
    for candidate in before.candidates:
        place = POOL.index[candidate.agent_id]
        rise = 1.0 - quality[place] if candidate.flip is None else candidate.flip
        raised = (*quality[:place], quality[place] + rise, *quality[place + 1 :])
        after = decided(TellingRouter(raised), **context)
        lead = np.delete(after.score_array(), place).max() - after.score_array()[place]
        assert (lead > 0) if candidate.flip is None else lead == pytest.approx(0 if rise else min(lead, 0), abs=1e-9)


def test_the_heaviest_kinds_of_task_are_told_heaviest_first() -> None:
    intent = {f"kind-{number}": number / 100 for number in range(10)}
    told = decided(TellingRouter(intent=intent)).intent
    assert list(told.items()) == [(f"kind-{number}", number / 100) for number in (9, 8, 7, 6, 5)]
    assert len(told) == MOST_KINDS


def test_a_kind_without_weight_is_not_told() -> None:
    assert decided(TellingRouter(intent={"math": 0.5, "law": 0.0})).intent == {"math": 0.5}


def test_the_kinds_of_task_do_not_hang_on_the_order_of_the_agents() -> None:
    router = TellingRouter(intent={"math": 0.5, "law": 0.25})
    assert decided(router, taken(POOL, SHUFFLED)).intent == {"math": 0.5, "law": 0.25}


def test_a_router_that_knows_no_kinds_tells_none() -> None:
    assert decided().intent == {}


def test_a_router_sees_the_load_of_each_agent_whatever_the_order_of_the_pool() -> None:
    load = np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.25])
    bonus = np.array([0.0, 0.0, 0.1, 0.0, 0.0, 0.0])
    expected = np.array(QUALITY) - load + bonus
    for order in (range(6), SHUFFLED):
        places = list(order)
        decision = decided(pool=taken(POOL, places), load=load[places], bonus=bonus[places])
        np.testing.assert_allclose(decision.score_array(), expected[places])
        assert decision.selected[0].agent_id == "agent-01"


def test_a_load_alone_is_brought_into_order_too() -> None:
    load = np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    decision = decided(pool=taken(POOL, SHUFFLED), load=load[list(SHUFFLED)])
    assert decision.selected[0].agent_id == "agent-01"
