"""The reasoning router: a prefilter that learns, and a model above it that chooses."""

import json
from hashlib import blake2b

import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.base import RouteContext, Router
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.reasoning.router import ReasoningRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.testing.asking import RatedRouter, ScriptedAsker
from agentmesh.testing.routers import RouterContract
from agentmesh.testing.samples import chosen, decided, sample_experience, sample_features, sample_outcomes, sample_pool


def reply(*agents):
    return json.dumps({"reason": "r", "agents": agents, "out_of_scope": False})


def named_by_chance(request):
    """Name one to three of the agents that stand in the schema, or nobody, by a hash of the task."""
    ids = sorted(request.json_schema["properties"]["agents"]["items"]["enum"])
    task = request.messages[1].content.partition("<task>")[2]
    lot = blake2b(task.encode("utf-8", "replace"), digest_size=2).digest()
    if lot[0] % 8 == 0:
        return json.dumps({"reason": "r", "agents": [], "out_of_scope": True})
    return reply(*(ids[(lot[1] + step) % len(ids)] for step in range(1 + lot[0] % 3)))


class AlwaysAsked(ReasoningRouter):
    """Has a model to ask, whatever the context says."""

    async def route(self, features, pool, context):
        asked = RouteContext(
            seed=context.seed,
            max_agents=context.max_agents,
            objective=context.objective,
            explore=context.explore,
            asker=ScriptedAsker(named_by_chance),
        )
        return await super().route(features, pool, asked)


class TestTheContractWithAModelToAsk(RouterContract):
    def make_router(self) -> Router:
        return AlwaysAsked()

    def taught(self, pool=None) -> Router:
        known = sample_pool() if pool is None else pool
        router = self.make_router()
        router.prefilter.fit(sample_outcomes(known))
        for sequence in range(1, 13):
            router.learn(sample_experience(sequence, known))
        return router

    # the double of this module cannot be imported in another process; the contract of installed routers does this one
    test_a_fresh_process_decides_the_same = None

    def test_exploring_always_reaches_every_agent(self) -> None:
        """All but the one that the model's choice takes the place of."""
        router, pool = self.taught(), sample_pool()
        seen = {
            chosen(decided(router, sample_features(), pool, RouteContext(seed=s, explore=1.0)))[0] for s in range(60)
        }
        assert len(seen) >= len(pool) - 1


def test_the_prefilter_may_be_a_name_its_arguments_or_a_router():
    named = ReasoningRouter(prefilter="cosine")
    spelled = ReasoningRouter(prefilter={"router": "cosine", "arguments": {}})
    assert named.version == spelled.version == ReasoningRouter(prefilter=CosineRouter()).version
    assert isinstance(named.prefilter, CosineRouter)
    assert named.version != ReasoningRouter(prefilter="kernel").version
    assert isinstance(ReasoningRouter().prefilter, KernelRouter)
    assert ReasoningRouter(prefilter={"router": "cosine"}).version == named.version


@pytest.mark.parametrize(
    "wrong", [{}, {"router": 3}, {"router": "cosine", "arguments": []}, {"router": "cosine", "k": 3}]
)
def test_a_prefilter_that_cannot_be_built_is_refused(wrong):
    with pytest.raises(ConfigError, match="names no router"):
        ReasoningRouter(prefilter=wrong)


async def test_the_decision_bears_this_routers_name_and_tells_of_all_that_were_asked_about():
    pool = sample_pool(20)
    router = ReasoningRouter(prefilter="cosine")
    asker = ScriptedAsker(lambda request: reply(request.json_schema["properties"]["agents"]["items"]["enum"][3]))
    decision = await router.route(sample_features(), pool, RouteContext(seed=1, asker=asker, top=3))
    assert (decision.router, decision.router_version) == ("reasoning", router.version)
    assert {one.agent_id for one in decision.candidates} == set(decision.reasoning.asked)
    assert chosen(decision) == [decision.reasoning.asked[3]]
    unasked = await router.route(sample_features(), pool, RouteContext(seed=1, top=3))
    assert len(unasked.candidates) == 3


async def test_what_is_learned_moves_the_prefilter():
    router, pool = ReasoningRouter(), sample_pool()
    router.learn(sample_experience(3, pool))
    assert router.sequence == router.prefilter.sequence == 3
    router.skip(5, 7.0)
    assert (router.snapshot().sequence, router.snapshot().at) == (5, 7.0)


def test_a_state_of_a_fitted_prefilter_is_restored_with_its_base():
    fitted, fresh = ReasoningRouter(), ReasoningRouter()
    fitted.prefilter.fit(sample_outcomes(sample_pool()))
    fresh.restore(fitted.snapshot())
    assert fresh.base == fitted.base != ""
    assert fresh.version == fitted.version
    assert fresh.training == {}


def test_a_state_of_another_prefilter_is_refused():
    with pytest.raises(ConfigError, match="a state of parameters"):
        ReasoningRouter(prefilter="knn").restore(ReasoningRouter(prefilter="kernel").snapshot())


def test_a_router_that_no_entry_point_names_may_be_the_prefilter():
    router = ReasoningRouter(prefilter=RatedRouter(quality={"a": 1.0}))
    assert router.parameters["prefilter"] == {
        "router": "rated",
        "arguments": {"quality": {"a": 1.0}},
    }
