"""The contract of routers, run over every installed one: a new router needs its entry point and no line here."""

import pytest

from agentmesh.plugins import load, names
from agentmesh.routing.base import AgentPool, Router, ScoringRouter
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.testing.routers import RouterContract
from agentmesh.testing.samples import sample_experience, sample_outcomes, sample_pool

pytestmark = pytest.mark.timeout(60)  # the first router that trains imports torch

QUICK = {"gnn": {"hidden": 8, "passes": 1}}
"""Arguments of routers that train for long; the contract trains them for many of its tests."""

TRAINED = {"hidden": 8, "passes": 2, "rate": 0.02}

POLICIES = ("softmax:0.2", "gumbel:0.2", "threshold:0.1")


class TestEveryInstalledRouter(RouterContract):
    @pytest.fixture(autouse=True, params=names("agentmesh.routers"))
    def kind(self, request):
        self.name = request.param
        self.built = load("agentmesh.routers", self.name)

    def make_router(self) -> Router:
        return self.built(**QUICK.get(self.name, {}))

    def test_the_entry_point_is_the_name_of_the_router(self):
        assert self.built.name == self.name

    def test_the_tunables_are_arguments_of_the_constructor(self):
        router = self.make_router()
        tunables = router.tunables if isinstance(router, ScoringRouter) else {}
        for argument, values in tunables.items():
            for value in values:
                assert self.built(**{argument: value}).parameters[argument] == value


@pytest.fixture(scope="module")
def trained():
    router, pool = GnnRouter(**TRAINED), sample_pool()
    router.fit(sample_outcomes(pool, 20))
    assert router.training["passes"] == TRAINED["passes"]
    for sequence in range(1, 13):
        router.learn(sample_experience(sequence, pool))
    return router.snapshot()


class TestTheNetworkAfterItsLastPass(RouterContract):
    """A table of fewer than thirty tasks chooses no checkpoint: what decides here has been trained, once for all."""

    @pytest.fixture(autouse=True)
    def keep(self, trained):
        self.state = trained

    def make_router(self) -> Router:
        return GnnRouter(**TRAINED)

    def taught(self, pool: AgentPool | None = None) -> Router:
        router = self.make_router()
        router.restore(self.state)
        return router


class TestEveryPolicy(RouterContract):
    @pytest.fixture(autouse=True, params=POLICIES)
    def policy(self, request):
        self.text = request.param

    def make_router(self) -> Router:
        return CosineRouter(policy=self.text)

    def test_exploring_always_reaches_every_agent(self):
        if not self.text.startswith("threshold"):
            super().test_exploring_always_reaches_every_agent()
