"""Routers that were trained once for all tests: each test gets its own, restored from the state of the training."""

import pytest

from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.testing.grounds import ground_labels, ground_outcomes

ARGUMENTS = {"hidden": 16, "passes": 4, "rate": 0.01, "neighbours": 24, "entities": True}


def trained_on(table, val):
    router = GnnRouter(**ARGUMENTS)
    router.fit(table, val=val)
    return router.snapshot()


def restored(state):
    router = GnnRouter(**ARGUMENTS)
    router.restore(state)
    return router


@pytest.fixture(scope="session")
def after_training():
    return trained_on(ground_outcomes(120), ground_outcomes(60, seed=1))


@pytest.fixture(scope="session")
def after_training_on_labels():
    return trained_on(ground_labels(120), ground_labels(60, seed=1))


@pytest.fixture
def router(after_training):
    return restored(after_training)


@pytest.fixture
def label_router(after_training_on_labels):
    return restored(after_training_on_labels)
