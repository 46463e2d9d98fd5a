"""Routers that were trained once for all tests: each test gets its own, restored from the state of the training."""

from dataclasses import replace

import pytest

from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.state import pack_state, unpack_state
from agentmesh.testing.grounds import ground_labels, ground_outcomes

ARGUMENTS = {"hidden": 16, "passes": 4, "rate": 0.01, "neighbours": 24, "entities": True, "seed": 1}
ALONE = {**ARGUMENTS, "passes": 20, "rate": 0.02, "like": False, "clusters": 1}
"""One skill and no neighbours: the product head has to tell tasks apart."""


def trained_on(table, *, val=None, arguments=ARGUMENTS):
    router = GnnRouter(**arguments)
    router.fit(table, val=val)
    return router.snapshot()


def restored(state, arguments=ARGUMENTS):
    router = GnnRouter(**arguments)
    router.restore(state)
    return router


@pytest.fixture(scope="session")
def after_training():
    return trained_on(ground_outcomes(120, seed=10), val=ground_outcomes(60, seed=11))


@pytest.fixture(scope="session")
def after_training_on_labels():
    return trained_on(ground_labels(120), val=ground_labels(60, seed=1))


@pytest.fixture
def router(after_training):
    return restored(after_training)


@pytest.fixture
def label_router(after_training_on_labels):
    return restored(after_training_on_labels)


@pytest.fixture(scope="session")
def after_training_the_head():
    table = ground_outcomes(28, agents=8)  # so few that no checkpoint is chosen: the last pass stays
    return trained_on(replace(table, groups=("",) * 28), arguments=ALONE)


@pytest.fixture
def head_router(after_training_the_head):
    """A router whose product head carries the choice."""
    return restored(after_training_the_head, ALONE)


@pytest.fixture
def altered():
    """Return what gives a twin of a router whose state was changed by ``change(arrays, meta)``."""

    def twin_of(router, change):
        state = router.snapshot()
        arrays, meta = unpack_state(state.payload)
        arrays = {name: array.copy() for name, array in arrays.items()}
        change(arrays, meta["router"])
        twin = GnnRouter(**router.parameters)
        twin.restore(state.model_copy(update={"payload": pack_state(arrays, meta)}))
        return twin

    return twin_of
