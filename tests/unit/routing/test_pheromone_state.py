"""What the pheromone router refuses to be built with, and to be restored from."""

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.base import RouteContext
from agentmesh.routing.pheromone import PheromoneRouter
from agentmesh.routing.state import pack_state, unpack_state
from agentmesh.testing.samples import decided, sample_experience, sample_features, sample_outcomes, sample_pool

POOL = sample_pool()
BAD = [
    ("types", -1),
    ("types", 1001),
    ("types", 2.5),
    ("types", "four"),
    ("types", True),
    ("types", np.int64(4)),
    ("stages", "ab"),
    ("stages", 3),
    ("stages", ["ab"]),
    ("stages", [[]]),
    ("stages", [["a", 3]]),
    ("specialists", "no"),
    ("alpha", -0.1),
    ("alpha", 1.1),
    ("alpha", float("nan")),
    ("gate", -0.1),
    ("gate", 1.1),
    ("gate", None),
    ("penalty", -0.1),
    ("penalty", 1.1),
    ("half_life_days", 0.0),
    ("half_life_days", float("nan")),
    ("bounds", (0.5,)),
    ("bounds", (0.0, 0.9)),
    ("bounds", (0.1, 1.0)),
    ("bounds", (0.9, 0.1)),
    ("bounds", ("a", "b")),
    ("bounds", 0.5),
    ("smoothing", 0.0),
    ("smoothing", -1.0),
    ("rate", -0.1),
    ("rate", 2.1),
    ("curiosity", -0.1),
    ("anneal", -1.0),
    ("drift", -1.0),
    ("drift", "never"),
    ("load_weight", -0.1),
    ("policy", "luck"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_an_argument_of_the_wrong_kind_or_out_of_range_is_named(name, value):
    with pytest.raises(ConfigError, match=name):
        PheromoneRouter(**{name: value})


@pytest.mark.parametrize(
    "arguments",
    [
        {"alpha": None},
        {"alpha": 0},
        {"half_life_days": np.inf},
        {"types": 0},
        {"stages": (("a",), ["b", "c"])},
        {"bounds": [0.1, 0.9]},
        {"drift": 0},
    ],
)
def test_arguments_at_the_ends_of_their_ranges_are_taken(arguments):
    router = PheromoneRouter(**arguments)
    assert PheromoneRouter(**router.parameters).parameters_hash == router.parameters_hash


# --- the state


def taught():
    """Return a router that was fitted and has learned outcomes of two stages, some of them with types of their own."""
    router = PheromoneRouter(types=4)
    router.fit(sample_outcomes(POOL))
    for number in range(1, 41):
        kind = {
            "type_hints": ("new",) if number % 3 else (),
            "stage": number % 2,
            "previous": "agent-01" * (number % 2),
        }
        router.learn(sample_experience(number, POOL).model_copy(update=kind))
    return router


ARRAYS, META = unpack_state(taught().snapshot().payload)
DAMAGE = {
    "is missing": lambda array: None,
    "lacks its last row": lambda array: array[:-1],
    "lacks its last column": lambda array: array[..., :-1],
    "has one axis more": lambda array: array[None],
    "is empty": lambda array: np.zeros(0, array.dtype),
}
NO_DAMAGE = {  # what these leave is a state as good as any
    ("_window", "lacks its last row"),
    ("drift", "lacks its last row"),
    ("recogniser", "is empty"),
}


def refuse(payload):
    """Have a router refuse a state, and see that it stays as it was."""
    router, other = PheromoneRouter(types=4), taught()
    for number in range(1, 4):
        router.learn(sample_experience(number, POOL))
    before = router.snapshot()
    decision = decided(router, sample_features(), POOL, RouteContext(seed=1))
    with pytest.raises(ConfigError):
        router.restore(other.snapshot().model_copy(update={"payload": payload}))
    assert router.snapshot() == before
    assert decided(router, sample_features(), POOL, RouteContext(seed=1)) == decision


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_a_state_with_a_damaged_array_is_refused_and_leaves_the_router_as_it_was(name, damage):
    if (name, damage) in NO_DAMAGE:
        taught().restore(rebuilt(name, DAMAGE[damage](ARRAYS[name])))
    else:
        refuse(rebuilt(name, DAMAGE[damage](ARRAYS[name])).payload)


def rebuilt(name, array):
    arrays = {key: value for key, value in {**ARRAYS, name: array}.items() if value is not None}
    return taught().snapshot().model_copy(update={"payload": pack_state(arrays, META)})


@pytest.mark.parametrize("value", [None, "text", [], {}, 0.5, [["no", 1]]], ids=str)
@pytest.mark.parametrize("name", sorted(META["router"]))
def test_a_state_with_a_damaged_value_is_refused_and_leaves_the_router_as_it_was(name, value):
    refuse(pack_state(ARRAYS, {**META, "router": {**META["router"], name: value}}))


@pytest.mark.parametrize("name", sorted(META["router"]))
def test_a_state_that_lacks_a_value_is_refused_and_leaves_the_router_as_it_was(name):
    rest = {key: value for key, value in META["router"].items() if key != name}
    refuse(pack_state(ARRAYS, {**META, "router": rest}))


def test_a_state_that_counts_less_than_no_outcome_is_refused():
    refuse(pack_state(ARRAYS, {**META, "router": {**META["router"], "count": -100}}))


def test_a_state_of_a_router_with_other_arguments_is_refused():
    with pytest.raises(ConfigError, match="parameters"):
        PheromoneRouter(types=5).restore(taught().snapshot())
