"""The contract of every router as tests to inherit, and pools, tasks and outcomes to try routers on.

``pytest`` and ``hypothesis`` must be installed.
"""
# ruff: noqa: S101, D102 - a contract is made of assertions, and its tests are named as sentences

import asyncio
import atexit
import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agentmesh.errors import ConfigError, NoCandidateError
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Objective, RouteDecision, RouterState
from agentmesh.routing.base import AgentPool, Outcomes, RouteContext, Router, ScoringRouter, TaskFeatures, index_of
from agentmesh.types import IndexArray

DIMENSION = 16
"""How long the vectors of the samples are."""

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
_UNPRICED = 4  # every fourth sample agent has no price


def sample_pool(count: int = 6, *, seed: int = 0) -> AgentPool:
    """Return a pool of ``count`` agents with random unit vectors, some of unknown price.

    >>> sample_pool(3).ids
    ('agent-00', 'agent-01', 'agent-02')
    """
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    per_call = rng.uniform(0.0001, 0.01, size=count)
    per_call[_UNPRICED - 1 :: _UNPRICED] = np.nan
    ids, unknown = tuple(f"agent-{place:02}" for place in range(count)), np.full(count, np.nan)
    return AgentPool(
        ids=ids,
        vectors=vectors.astype(np.float32),
        price_per_call=per_call,
        price_in_per_m=unknown,
        price_out_per_m=unknown,
        latency_s=unknown,
        versions=np.ones(count, dtype=np.int64),
        mask=np.ones(count, dtype=np.bool_),
        registry_version="sample",
        index=index_of(ids),
    )


def plain_pool(
    *ids: str,
    version: int = 1,
    price: float | Sequence[float] = np.nan,
    latency: float | Sequence[float] = np.nan,
    vectors: npt.ArrayLike | None = None,
    dimension: int = 2,
) -> AgentPool:
    """Return a pool of these agents; cards say nothing unless ``vectors`` are given, prices are US dollars a call.

    >>> plain_pool("a", "b", price=0.1).price_per_call.tolist()
    [0.1, 0.1]
    """
    count = len(ids)
    unknown = np.full(count, np.nan)
    cards = np.zeros((count, dimension)) if vectors is None else vectors
    return AgentPool(
        ids=ids,
        vectors=np.array(cards, np.float32),
        price_per_call=np.broadcast_to(np.asarray(price, np.float64), count).copy(),
        price_in_per_m=unknown,
        price_out_per_m=unknown,
        latency_s=np.broadcast_to(np.asarray(latency, np.float64), count).copy(),
        versions=np.full(count, version, np.int64),
        mask=np.ones(count, np.bool_),
        registry_version="r",
        index=index_of(ids),
    )


def taken(pool: AgentPool, places: Sequence[int] | IndexArray) -> AgentPool:
    """Return the pool with only the agents at ``places``, in that order.

    >>> taken(sample_pool(3), [2, 0]).ids
    ('agent-02', 'agent-00')
    """
    ids = (pool.ids[place] for place in np.asarray(places, dtype=np.int64).tolist())
    return pool.taken(places, registry_version="/".join((pool.registry_version, *ids)))


def sample_features(seed: int = 0, *, text: str | None = None) -> TaskFeatures:
    """Return a task with a random unit vector."""
    vector = np.random.default_rng([7, seed]).normal(size=DIMENSION)
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return TaskFeatures(vector=unit, text=f"sample task {seed}" if text is None else text)


def sample_outcomes(pool: AgentPool, count: int = 40, *, seed: int = 0) -> Outcomes:
    """Return a table of ``count`` tasks in three groups, every fifth outcome unobserved."""
    rng = np.random.default_rng([11, seed])
    tasks = [sample_features(1000 * seed + place) for place in range(count)]
    quality = rng.integers(0, 2, size=(count, len(pool))).astype(np.float64)
    cost = rng.uniform(0.0001, 0.01, size=quality.shape)
    hidden = rng.random(quality.shape) < 0.2
    quality[hidden] = cost[hidden] = np.nan
    return Outcomes(
        agent_ids=pool.ids,
        vectors=np.stack([task.vector for task in tasks]),
        texts=tuple(task.text for task in tasks),
        groups=tuple(f"group-{place % 3}" for place in range(count)),
        quality=quality,
        cost=cost,
    )


def sample_experience(sequence: int, pool: AgentPool, *, seed: int = 0) -> Experience:
    """Return one outcome of one agent of ``pool``."""
    rng = np.random.default_rng([13, seed, sequence])
    features, place = sample_features(sequence), int(rng.integers(len(pool)))
    return Experience(
        sequence=sequence,
        run_id=f"run-{sequence}",
        text=features.text,
        vector=pack_vector(features.vector),
        agent_id=pool.ids[place],
        agent_version=int(pool.versions[place]),
        quality=float(rng.integers(0, 2)),
        cost_usd=Decimal(int(rng.integers(1, 100))) / 10_000,
        latency_s=float(rng.uniform(0.1, 5.0)),
        propensity=0.5,
        at=1000.0 + sequence,
    )


@st.composite
def pools(draw: st.DrawFn, *, most: int = 8) -> AgentPool:
    """Draw a pool of 1 to ``most`` agents of which at least one passes the gates."""
    pool = sample_pool(draw(st.integers(1, most)), seed=draw(st.integers(0, 999)))
    refused = draw(st.sets(st.sampled_from(pool.ids), max_size=len(pool) - 1))
    return pool.gated(dict.fromkeys(sorted(refused), "sample gate"))


def features() -> SearchStrategy[TaskFeatures]:
    """Draw a task: any text, a random vector or zeros."""
    empty = st.just(np.zeros(DIMENSION, dtype=np.float32))
    vectors = st.integers(0, 999).map(lambda seed: sample_features(seed).vector) | empty
    return st.builds(TaskFeatures, vector=vectors, text=st.text(max_size=40))


def contexts() -> SearchStrategy[RouteContext]:
    """Draw a seed, a number of agents, weights and a chance to explore."""
    weights = st.sampled_from([0.0, 0.2, 0.5, 1.0])
    return st.builds(
        RouteContext,
        seed=st.integers(0, 2**63),
        max_agents=st.integers(1, 10),
        objective=st.builds(Objective, quality=st.just(1.0), cost=weights, latency=weights),
        explore=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    )


def decided(router: Router, task: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
    """Return a router's decision without the time it took, so that equal decisions are equal."""
    decision = asyncio.run(router.route(task, pool, context))
    return decision.model_copy(update={"elapsed_ms": 0.0})


def chosen(decision: RouteDecision) -> list[str]:
    """Return the ids of the selected agents, first drawn first."""
    return [selection.agent_id for selection in decision.selected]


def decide_elsewhere(router: Router, seed: int) -> str:
    """Return, as JSON, how a twin of ``router`` in a fresh process decides on the sample task and pool of ``seed``.

    The process is a fork of one that has loaded this module and nothing else, with a hash seed of its own; that one is
    started once, since it takes a second. Where the twin fails, it says why on stderr, and "" is returned.
    """
    kind = type(router)
    order = {
        "module": kind.__module__,
        "kind": kind.__qualname__,
        "parameters": dict(router.parameters),
        "state": router.snapshot().model_dump(mode="json", exclude={"payload"}),
        "payload": b64encode(router.snapshot().payload).decode(),
        "seed": seed,
    }
    process = _elsewhere()
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process that decides elsewhere has no pipes")
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@cache
def _elsewhere() -> "subprocess.Popen[str]":
    """Start the process that is forked for each decision; it ends with this one."""
    code = "from agentmesh.testing.routers import take_orders; take_orders()"
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own line
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate)
    return process


def take_orders() -> None:
    """Do what :func:`decide_elsewhere` asks, each order in a fork."""
    for order in sys.stdin:
        process = os.fork()
        if process == 0:
            sys.stdout.write(decide_here(order) + "\n")
            return
        if os.waitpid(process, 0)[1]:
            sys.stdout.write("\n")
            sys.stdout.flush()


def decide_here(order: str) -> str:
    """Decide as ordered."""
    asked = json.loads(order)
    __import__(asked["module"])
    router: Router = getattr(sys.modules[asked["module"]], asked["kind"])(**asked["parameters"])
    router.restore(RouterState(**asked["state"], payload=b64decode(asked["payload"])))
    return _sample_decision(router, asked["seed"]).model_dump_json()


def _sample_decision(router: Router, seed: int) -> RouteDecision:
    context = RouteContext(seed=seed, max_agents=2, explore=0.3, objective=Objective(quality=0.5, cost=0.5))
    return decided(router, sample_features(seed), sample_pool(seed=seed), context)


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
            assert _sample_decision(fresh, seed) == _sample_decision(router, seed)

    def test_restoring_forgets_what_was_learned_before(self) -> None:
        router, empty = self.taught(), self.make_router().snapshot()
        router.restore(empty)
        assert router.snapshot() == empty
        assert _sample_decision(router, 1) == _sample_decision(self.make_router(), 1)

    def test_a_fresh_process_decides_the_same(self) -> None:
        router = self.taught()
        here = _sample_decision(router, 4)
        assert decide_elsewhere(router, 4) == here.model_dump_json()

    def test_the_parameters_build_a_twin(self) -> None:
        router = self.make_router()
        twin = type(router)(**json.loads(json.dumps(dict(router.parameters))))
        assert (dict(twin.parameters), twin.version) == (dict(router.parameters), router.version)
        assert _sample_decision(twin, 2) == _sample_decision(router, 2)

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
