"""The contract of routers, run over every installed one: a new router needs its entry point and no line here."""

import pytest

from agentmesh.plugins import load, names
from agentmesh.routing.base import Router, ScoringRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.testing.routers import RouterContract

POLICIES = ("softmax:0.2", "gumbel:0.2", "threshold:0.1")


class TestEveryInstalledRouter(RouterContract):
    @pytest.fixture(autouse=True, params=names("agentmesh.routers"))
    def kind(self, request):
        self.name = request.param
        self.built = load("agentmesh.routers", self.name)

    def make_router(self) -> Router:
        return self.built()

    def test_the_entry_point_is_the_name_of_the_router(self):
        assert self.built.name == self.name

    def test_the_tunables_are_arguments_of_the_constructor(self):
        router = self.make_router()
        assert isinstance(router, ScoringRouter)
        for argument, values in router.tunables.items():
            for value in values:
                assert self.built(**{argument: value}).parameters[argument] == value


class TestEveryPolicy(RouterContract):
    @pytest.fixture(autouse=True, params=POLICIES)
    def policy(self, request):
        self.text = request.param

    def make_router(self) -> Router:
        return CosineRouter(policy=self.text)

    def test_exploring_always_reaches_every_agent(self):
        if not self.text.startswith("threshold"):
            super().test_exploring_always_reaches_every_agent()
