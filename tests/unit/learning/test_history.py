"""The history of a stored router and its learning curve: where it can be shown, and that it is what it was there."""

import json
from itertools import count

import numpy as np
import pytest

from agentmesh.learning.curve import learning_curve
from agentmesh.learning.history import STEP, router_at_stop, stops_of
from agentmesh.learning.versions import StoredRouter, reset_router, rollback_router, router_at, routers_in
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Feedback
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.stores import whole

EMBEDDER = "hashing-1-512"
KERNEL = KernelRouter().parameters_hash
VECTORS = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)


def teach(store: MemoryStore, outcomes: int) -> None:
    for number in range(store.count_runs() + 1, store.count_runs() + outcomes + 1):
        known = {
            "embedder": EMBEDDER,
            "agent_id": "ada",
            "cost_usd": None if number % 2 else "0.5",
            "at": float(number),
        }
        vector = pack_vector(VECTORS[number % 16])
        outcome = Experience(run_id=f"r{number}", text=f"t{number}", vector=vector, quality=number % 4 / 4, **known)
        store.append(whole(outcome.run_id, at=float(number)))
        store.add_feedback(Feedback(run_id=outcome.run_id, score=outcome.quality, at=outcome.at), [outcome])


def kernel_store(outcomes: int, *, kept: int) -> MemoryStore:
    """Return a store of so many outcomes, with the state after ``kept`` of them."""
    store, router = MemoryStore(), KernelRouter()
    store.put_router("kernel", KERNEL, json.dumps(dict(router.parameters)))
    teach(store, outcomes)
    for experience in store.experiences(until=kept):
        router.learn(experience)
    store.put_state(router.snapshot().model_copy(update={"router": f"kernel+{EMBEDDER}"}))
    return store


def only(store: MemoryStore) -> StoredRouter:
    [found] = routers_in(store)
    return found


def test_a_router_can_be_shown_at_the_start_at_what_is_stored_between_and_at_the_end() -> None:
    store = kernel_store(40, kept=20)
    stops = stops_of(store, only(store), parts=4)
    told = [(stop.sequence, stop.kind, stop.base, stop.outcomes, stop.at) for stop in stops]
    assert told == [
        (0, "start", 0, 0, None),
        (10, "learned", 0, 10, 10.0),
        (20, "stored", 20, 20, 20.0),
        (30, "learned", 20, 30, 30.0),
        (40, "learned", 20, 40, 40.0),
    ]
    assert stops[-1].version == f"{KERNEL}@40"


def test_places_that_would_take_long_are_left_out_but_for_the_end() -> None:
    store = kernel_store(40, kept=20)
    assert [stop.sequence for stop in stops_of(store, only(store), parts=8, reach=5)] == [0, 5, 20, 25, 40]


def test_marks_are_places_that_say_what_was_done_and_outcomes_count_from_there() -> None:
    store = kernel_store(20, kept=20)
    reset_router(store, only(store))
    teach(store, 5)
    rollback_router(store, only(store), f"{KERNEL}@20")
    teach(store, 5)
    told = {stop.sequence: (stop.kind, stop.outcomes, stop.since, stop.note) for stop in stops_of(store, only(store))}
    assert told[20] == ("stored", 20, None, "")
    assert told[21] == ("mark", 0, 21, "reset")
    assert told[27] == ("mark", 0, 27, "rollback to 20")
    assert told[32] == ("learned", 5, 27, "")


def test_marks_of_other_routers_are_no_outcomes() -> None:
    store = kernel_store(10, kept=10)
    other = KernelRouter(curiosity=0.0)
    store.put_router("kernel", other.parameters_hash, json.dumps(dict(other.parameters)))
    store.put_state(other.snapshot().model_copy(update={"router": f"kernel+{EMBEDDER}"}))
    reset_router(store, next(router for router in routers_in(store) if router.root != KERNEL))
    ours = next(router for router in routers_in(store) if router.root == KERNEL)
    last = stops_of(store, ours)[-1]
    assert (last.sequence, last.kind, last.outcomes) == (11, "learned", 10)


@pytest.mark.parametrize("place", [0, 1, 2, -1])
def test_a_router_is_rebuilt_at_a_place_as_it_was_there(place: int) -> None:
    store = kernel_store(STEP + 50, kept=10)
    stop = stops_of(store, only(store), parts=3)[place]
    rebuilt = router_at_stop(store, only(store), stop)
    assert rebuilt.snapshot() == router_at(store, only(store), stop.version).snapshot()


def test_rebuilding_ends_between_two_steps_where_nobody_waits_any_more() -> None:
    store = kernel_store(STEP + 50, kept=10)
    asked = count()
    assert router_at_stop(store, only(store), stops_of(store, only(store))[-1], goes_on=lambda: next(asked) < 1) is None
    assert next(asked) == 2


def test_a_curve_reads_the_end_of_each_part_of_the_log() -> None:
    store = kernel_store(40, kept=10)
    points = learning_curve(store, columns=4, read=4)
    assert [(point.after, point.until, point.n) for point in points] == [
        (0, 10, 4),
        (10, 20, 4),
        (20, 30, 4),
        (30, 40, 4),
    ]
    assert [point.quality for point in points] == [0.375] * 4
    assert {point.cost_usd for point in points} == {0.5}
    few = learning_curve(kernel_store(3, kept=1))
    assert [(point.quality, point.cost_usd) for point in few] == [(0.25, None), (0.5, 0.5), (0.75, None)]
    assert learning_curve(MemoryStore()) == ()
