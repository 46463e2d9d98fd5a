"""The contract of every router as tests to inherit; :mod:`agentmesh.testing.samples` has what it is tried on.

``pytest`` and ``hypothesis`` must be installed.
"""
# ruff: noqa: S101, D102 - a contract is made of assertions, and its tests are named as sentences

import json
from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from agentmesh.errors import ConfigError, NoCandidateError
from agentmesh.records import Objective, RouteDecision
from agentmesh.routing.base import AgentPool, RouteContext, Router, ScoringRouter, TaskFeatures
from agentmesh.testing.elsewhere import decide_elsewhere, sample_decision
from agentmesh.testing.samples import (
    DIMENSION,
    chosen,
    contexts,
    decided,
    features,
    pools,
    sample_experience,
    sample_features,
    sample_outcomes,
    sample_pool,
    taken,
)

HOSTILE = (
    "",
    " \t\r\n",
    "\x00\x07\x1b[31m",
    "Δ" * 3000,
    "👩‍🚀 ‮ abc",
    "' OR 1=1; --",
    "{{7*7}} %s %n \\",
    "word " * 5000,
)
"""Texts that break careless code: nothing, control characters, other scripts, very long."""

_BOUNDED = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


class RouterContract(ABC):
    """What holds for every router. Inherit it in a test class and write :meth:`make_router`."""

    @abstractmethod
    def make_router(self) -> Router:
        """Return a router of the kind under test that has learned nothing, the same at each call."""

    def taught(self, pool: AgentPool | None = None) -> Router:
        """Return a router that has learned: a table if it takes one, then twelve outcomes one by one."""
        known = sample_pool() if pool is None else pool
        router = self.make_router()
        if isinstance(router, ScoringRouter):
            router.fit(sample_outcomes(known))
        for sequence in range(1, 13):
            router.learn(sample_experience(sequence, known))
        return router

    _once: Router | None = None

    def taught_once(self) -> Router:
        """Return what :meth:`taught` returns, the same for all examples of a property, since some routers train long.

        Deciding leaves no trace in a router, which tests of their own check.
        """
        if self._once is None:
            self._once = self.taught()
        return self._once

    @pytest.mark.parametrize("count", [1, 3])
    def test_the_order_of_the_pool_has_no_effect_on_who_is_chosen(self, count: int) -> None:
        router, pool = self.taught(), sample_pool()
        for seed in range(8):
            order = np.random.default_rng(seed).permutation(len(pool))
            context = RouteContext(seed=seed, max_agents=count, explore=0.3, objective=Objective(quality=0.5, cost=0.5))
            first = decided(router, sample_features(seed), pool, context)
            second = decided(router, sample_features(seed), taken(pool, order), context)
            assert chosen(first) == chosen(second)
            assert second.probability_array() == pytest.approx(first.probability_array()[order], abs=1e-6)

    def test_agents_appear_and_vanish_between_decisions(self) -> None:
        router, pool, context = self.taught(), sample_pool(9), RouteContext(seed=3, max_agents=2)
        before = decided(router, sample_features(), pool, context)
        for places in ([0, 1, 2], [8], [3, 8, 1], list(range(8))):
            smaller = taken(pool, places)
            assert set(chosen(decided(router, sample_features(), smaller, context))) <= set(smaller.ids)
        assert decided(router, sample_features(), pool, context) == before

    def test_a_new_version_of_an_agent_is_routed_over(self) -> None:
        pool = sample_pool()
        router, bumped = self.taught(pool), replace(pool, versions=pool.versions + 1, registry_version="bumped")
        decision = decided(router, sample_features(), bumped, RouteContext(seed=1, max_agents=6))
        assert {candidate.agent_version for candidate in decision.candidates} == {2}

    def test_earlier_decisions_leave_no_mark(self) -> None:
        router, context = self.taught(), RouteContext(seed=5, explore=0.5)
        first = decided(router, sample_features(), sample_pool(), context)
        state = router.snapshot()
        for seed in range(5):
            decided(router, sample_features(seed), sample_pool(4, seed=seed), RouteContext(seed=seed, explore=1.0))
        assert decided(router, sample_features(), sample_pool(), context) == first
        assert router.snapshot() == state

    def test_a_restored_router_is_the_same_bit_for_bit(self) -> None:
        router, fresh = self.taught(), self.make_router()
        fresh.restore(router.snapshot())
        assert fresh.snapshot() == router.snapshot()
        assert (fresh.version, fresh.base) == (router.version, router.base)
        more = sample_experience(99, sample_pool())
        router.learn(more)
        fresh.learn(more)
        assert fresh.snapshot() == router.snapshot()
        for seed in range(5):
            assert sample_decision(fresh, seed) == sample_decision(router, seed)

    def test_restoring_forgets_what_was_learned_before(self) -> None:
        router, empty = self.taught(), self.make_router().snapshot()
        router.restore(empty)
        assert router.snapshot() == empty
        assert sample_decision(router, 1) == sample_decision(self.make_router(), 1)

    def test_a_fresh_process_decides_the_same(self) -> None:
        router = self.taught()
        here = sample_decision(router, 4)
        assert decide_elsewhere(router, 4) == here.model_dump_json()

    def test_the_parameters_build_a_twin(self) -> None:
        router = self.make_router()
        twin = type(router)(**json.loads(json.dumps(dict(router.parameters))))
        assert (dict(twin.parameters), twin.version) == (dict(router.parameters), router.version)
        assert sample_decision(twin, 2) == sample_decision(router, 2)

    def test_learning_moves_the_sequence_and_the_version(self) -> None:
        router = self.make_router()
        before = router.version
        router.learn(sample_experience(1, sample_pool()))
        router.learn(sample_experience(7, sample_pool()))
        assert router.sequence == router.snapshot().sequence == 7
        assert router.version == router.snapshot().version != before

    def test_an_outcome_passed_over_moves_the_sequence_and_nothing_else(self) -> None:
        router = self.taught()
        before = router.snapshot()
        router.skip(99, 5000.0)
        assert router.snapshot() == before.model_copy(update={"sequence": 99, "at": 5000.0})
        assert router.sequence == 99

    def test_a_state_of_others_or_none_at_all_is_refused(self) -> None:
        router, state = self.make_router(), self.make_router().snapshot()
        for update in ({"router": "another"}, {"parameters": "0" * 12}, {"payload": b"\x80\x04pickle"}):
            with pytest.raises(ConfigError):
                router.restore(state.model_copy(update=update))
        assert router.snapshot() == state

    def test_a_refused_agent_is_never_chosen(self) -> None:
        router, pool = self.taught(), sample_pool().gated({"agent-01": "skill", "agent-04": "budget"})
        for seed in range(30):
            context = RouteContext(seed=seed, max_agents=6, explore=seed % 3 / 2)
            decision = decided(router, sample_features(seed), pool, context)
            assert not {"agent-01", "agent-04"} & set(chosen(decision))
            assert decision.probability_array()[[1, 4]].tolist() == [0.0, 0.0]
            assert np.isnan(decision.score_array()).tolist() == [False, True, False, False, True, False]

    @_BOUNDED
    @given(pool=pools(), task=features(), context=contexts())
    def test_propensities_are_chances(self, pool: AgentPool, task: TaskFeatures, context: RouteContext) -> None:
        decision = decided(self.taught_once(), task, pool, context)
        assert len(chosen(decision)) == len(set(chosen(decision))) <= context.max_agents
        assert decision.abstained == (not decision.selected)
        probabilities = decision.probability_array()
        assert ((probabilities >= 0) & (probabilities <= 1 + 1e-9)).all()
        assert decision.abstained or float(probabilities.sum()) == pytest.approx(1.0)
        assert decision.log_propensity <= 1e-9
        if len(decision.selected) == 1 == context.max_agents:
            first = probabilities[pool.index[chosen(decision)[0]]]
            assert decision.log_propensity == pytest.approx(float(np.log(first)), abs=1e-6)
        for candidate in decision.candidates:
            assert candidate.probability - 1e-6 <= candidate.inclusion <= 1 + 1e-6
        assert sum(selection.weight for selection in decision.selected) == pytest.approx(float(not decision.abstained))

    @_BOUNDED
    @given(pool=pools(), task=features(), context=contexts())
    def test_a_decision_survives_json(self, pool: AgentPool, task: TaskFeatures, context: RouteContext) -> None:
        decision = decided(self.make_router(), task, pool, context)
        assert RouteDecision.model_validate_json(decision.model_dump_json()) == decision

    @pytest.mark.parametrize("text", HOSTILE, ids=[str(place) for place in range(len(HOSTILE))])
    def test_a_hostile_text_is_a_task_like_any_other(self, text: str) -> None:
        for router in (self.make_router(), self.taught()):
            nowhere = replace(sample_features(text=text), vector=np.zeros(DIMENSION, dtype=np.float32))
            for task in (sample_features(text=text), nowhere):
                decision = decided(router, task, sample_pool(), RouteContext(seed=1))
                assert decision.abstained or len(decision.selected) == 1

    def test_a_single_agent_is_chosen_or_nobody(self) -> None:
        decision = decided(self.taught(), sample_features(), sample_pool(1), RouteContext(seed=1, max_agents=5))
        assert decision.abstained or chosen(decision) == ["agent-00"]
        assert decision.margin is None

    def test_exploring_always_reaches_every_agent(self) -> None:
        router, pool = self.taught(), sample_pool()
        seen = {
            chosen(decided(router, sample_features(), pool, RouteContext(seed=s, explore=1.0)))[0] for s in range(60)
        }
        assert seen == set(pool.ids)

    def test_nobody_left_is_an_error_that_says_so(self) -> None:
        pool = sample_pool(2)
        for empty in (pool.gated(dict.fromkeys(pool.ids, "budget")), taken(pool, [])):
            with pytest.raises(NoCandidateError):
                decided(self.make_router(), sample_features(), empty, RouteContext(seed=1))
