"""Stored routers: found, rebuilt at a version, reset and rolled back, and what is said when that cannot be done."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, PluginError, StoreError
from agentmesh.learning.learner import state_key
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.learning.versions import (
    find_routers,
    only_router,
    parsed_version,
    place_of,
    put_router_mark,
    reset_router,
    rollback_router,
    router_at,
    routers_in,
)
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Feedback, RouterMark, RouterState
from agentmesh.routing.category import CategoryRouter
from agentmesh.routing.inputs import Outcomes
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.stores import whole

EMBEDDER = HashingEmbedder()
KEY = state_key("kernel", EMBEDDER.version)
KERNEL = KernelRouter().parameters_hash


def learned(sequence: int, quality: float) -> Experience:
    run_id = f"r{sequence}"
    vector = pack_vector(EMBEDDER.embed([f"question {sequence}"])[0])
    known = {"embedder": EMBEDDER.version, "agent_id": "ada", "source": "user", "at": float(sequence)}
    return Experience(run_id=run_id, text=f"question {sequence}", vector=vector, quality=quality, **known)


def teach(store: MemoryStore, *qualities: float) -> None:
    """Add one run with feedback for each quality."""
    first = store.count_runs() + 1
    for place, quality in enumerate(qualities, start=first):
        experience = learned(place, quality)
        store.append(whole(experience.run_id, at=float(place)))
        store.add_feedback(Feedback(run_id=experience.run_id, score=quality, at=float(place)), [experience])


def kernel_store(*qualities: float) -> MemoryStore:
    """Return a store in which a kernel router has a state after the first experience."""
    store = MemoryStore()
    store.put_router("kernel", KERNEL, json.dumps(dict(KernelRouter().parameters)))
    teach(store, *qualities)
    if qualities:
        keep_state(store, 1)
    return store


def keep_state(store: MemoryStore, sequence: int) -> None:
    router = KernelRouter()
    for experience in store.experiences(until=sequence):
        router.learn(experience)
    store.put_state(router.snapshot().model_copy(update={"router": KEY}))


def plain(store: MemoryStore, after: int, until: int) -> KernelRouter:
    """Return a fresh router that has learned a part of the log."""
    router = KernelRouter()
    for experience in store.experiences(after, until=until):
        router.learn(experience)
    return router


def kernel(store: MemoryStore):
    return only_router(find_routers(store, "kernel"))


def test_a_stored_router_is_found_with_its_states() -> None:
    store = kernel_store(1.0, 0.0)
    [found] = routers_in(store)
    assert (found.name, found.embedder, found.root, found.parameters) == ("kernel", EMBEDDER.version, KERNEL, KERNEL)
    assert [state.version for state in found.states] == [f"{KERNEL}@1"]
    assert (found.sequence, found.at) == (1, 1.0)


def test_a_router_without_a_state_is_found_with_the_embedder_of_the_newest_run() -> None:
    store = MemoryStore()
    store.put_router("kernel", KERNEL, "{}")
    assert (kernel(store).embedder, kernel(store).sequence, kernel(store).at) == ("", 0, None)
    store.append(whole("r"))
    assert kernel(store).embedder == "e"


def test_a_trained_router_is_one_with_the_router_it_was_built_as() -> None:
    store = kernel_store()
    fitted = KernelRouter()
    table = Outcomes(("ada",), EMBEDDER.embed(["a"]), ("a",), ("",), np.ones((1, 1)), np.full((1, 1), np.nan))
    fitted.fit(table)
    store.put_router("kernel", fitted.parameters_hash, "{}")
    mark = RouterMark(router=KEY, root=KERNEL, parameters="", kind="trained", at=9.0)
    put_router_mark(store, mark, fitted)
    [found] = routers_in(store)
    assert (found.root, found.parameters, found.sequence, found.at) == (KERNEL, fitted.parameters_hash, 1, 9.0)
    assert router_at(store, found).base == fitted.base


def test_routers_are_listed_with_the_newest_state_first() -> None:
    store = kernel_store(1.0, 1.0)
    other = KernelRouter(curiosity=0.0)
    store.put_router("kernel", other.parameters_hash, json.dumps(dict(other.parameters)))
    store.put_state(other.snapshot().model_copy(update={"router": KEY, "sequence": 2}))
    assert [router.root for router in find_routers(store, "kernel")] == [other.parameters_hash, KERNEL]
    assert [router.root for router in find_routers(store, "kernel", parameters=KERNEL)] == [KERNEL]
    for embedder in (EMBEDDER.version, "hashing"):
        assert len(find_routers(store, "kernel", embedder=embedder)) == 2


def test_auto_finds_what_it_stands_for() -> None:
    store = kernel_store()
    store.put_router("cascade", "c", "{}")
    assert [router.name for router in find_routers(store, "auto")] == ["cascade"]


def test_what_is_not_stored_is_named_with_what_is() -> None:
    store = kernel_store()
    with pytest.raises(StoreError, match=f"no router 'linear' is stored.*'kernel' '{KERNEL}'"):
        find_routers(store, "linear")
    with pytest.raises(StoreError, match="no router 'kernel' with parameters 'abc' with embedder 'x'"):
        find_routers(store, "kernel", parameters="abc", embedder="x")
    with pytest.raises(StoreError, match="stored are: none"):
        find_routers(MemoryStore(), "kernel")


def test_a_change_does_not_guess_between_several() -> None:
    store = kernel_store(1.0)
    other = KernelRouter(curiosity=0.0)
    store.put_router("kernel", other.parameters_hash, "{}")
    with pytest.raises(ConfigError, match="stored more than once; name the parameters or the embedder of one"):
        only_router(find_routers(store, "kernel"))


@pytest.mark.parametrize("version", ["", "abc", "abc@", "@3", "abc@x", "abc@-1", "abc@²"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match="expected '<parameters hash>@<number>'"):
        parsed_version(version)


@given(st.integers(0, 6))
@settings(max_examples=7)
def test_a_router_is_rebuilt_at_any_number_of_the_log(sequence: int) -> None:
    store = kernel_store(1.0, 0.0, 0.5, 1.0, 0.0, 1.0)
    rebuilt = router_at(store, kernel(store), f"{KERNEL}@{sequence}")
    assert rebuilt.snapshot() == plain(store, 0, sequence).snapshot()


def test_without_a_version_a_router_is_rebuilt_from_the_whole_log() -> None:
    store = kernel_store(1.0, 0.0, 0.5)
    assert router_at(store, kernel(store)).version == f"{KERNEL}@3"


def test_a_version_after_the_log_is_refused() -> None:
    store = kernel_store(1.0)
    with pytest.raises(ConfigError, match="is not there yet; the log ends at 1"):
        router_at(store, kernel(store), f"{KERNEL}@2")


def test_a_version_of_other_parameters_than_those_then_is_refused() -> None:
    store = kernel_store(1.0)
    with pytest.raises(ConfigError, match=f"never was at 'abc@1'; at that number it was '{KERNEL}@1'"):
        place_of(store, kernel(store), "abc@1")


def test_a_reset_router_knows_only_what_comes_after() -> None:
    store = kernel_store(1.0, 1.0)
    mark = reset_router(store, kernel(store))
    assert (mark.sequence, mark.kind, mark.parameters) == (3, "reset", KERNEL)
    teach(store, 0.0)
    again = router_at(store, kernel(store))
    assert again.sequence == 4
    assert again.snapshot().payload == plain(store, 3, 4).snapshot().payload


def test_versions_before_a_reset_stay() -> None:
    store = kernel_store(1.0, 0.0)
    before = router_at(store, kernel(store)).snapshot()
    reset_router(store, kernel(store))
    assert router_at(store, kernel(store), f"{KERNEL}@2").snapshot() == before


def test_a_router_is_rolled_back_and_learns_on() -> None:
    store = kernel_store(1.0, 0.0, 0.0)
    earlier = router_at(store, kernel(store), f"{KERNEL}@1").snapshot()
    mark = rollback_router(store, kernel(store), f"{KERNEL}@1")
    assert (mark.sequence, mark.kind, mark.target) == (4, "rollback", 1)
    assert router_at(store, kernel(store)).snapshot().payload == earlier.payload
    teach(store, 0.5)
    learned_on = plain(store, 0, 1)
    learned_on.learn(store.experiences(4)[0])
    assert router_at(store, kernel(store)).snapshot().payload == learned_on.snapshot().payload


def test_a_rollback_reaches_back_over_a_reset() -> None:
    store = kernel_store(1.0, 0.0)
    before = router_at(store, kernel(store)).snapshot()
    reset_router(store, kernel(store))
    rollback_router(store, kernel(store), f"{KERNEL}@2")
    assert router_at(store, kernel(store)).snapshot().payload == before.payload


def test_a_rollback_of_a_trained_router_leads_back_to_what_it_was() -> None:
    store = kernel_store(1.0)
    fitted = KernelRouter()
    table = Outcomes(("ada",), EMBEDDER.embed(["a"]), ("a",), ("",), np.zeros((1, 1)), np.full((1, 1), np.nan))
    fitted.fit(table)
    put_router_mark(store, RouterMark(router=KEY, root=KERNEL, parameters="", kind="trained", at=2.0), fitted)
    teach(store, 0.5)
    assert router_at(store, kernel(store)).version == f"{fitted.parameters_hash}@3"
    with pytest.raises(ConfigError, match="never was"):
        rollback_router(store, kernel(store), f"{KERNEL}@3")
    rollback_router(store, kernel(store), f"{KERNEL}@1")
    assert router_at(store, kernel(store)).version == f"{KERNEL}@4"
    rollback_router(store, kernel(store), f"{fitted.parameters_hash}@2")
    assert router_at(store, kernel(store)).base == fitted.base


def fitted_by_its_user(store: MemoryStore) -> KernelRouter:
    """Store a router that was fitted before its first use, without its state."""
    router = KernelRouter()
    table = Outcomes(("ada",), EMBEDDER.embed(["a"]), ("a",), ("",), np.zeros((1, 1)), np.full((1, 1), np.nan))
    router.fit(table)
    store.put_router("kernel", router.parameters_hash, json.dumps(dict(router.parameters)))
    store.append(whole("fitted"))
    return router


def test_a_router_fitted_by_its_user_is_reset_to_what_it_was_fitted_on() -> None:
    store = MemoryStore()
    router = fitted_by_its_user(store)
    store.put_state(router.snapshot().model_copy(update={"router": KEY}))
    teach(store, 1.0)
    mark = reset_router(store, kernel(store))
    assert mark.parameters == router.parameters_hash
    assert router_at(store, kernel(store)).snapshot().payload == router.snapshot().payload


def test_a_router_whose_first_state_is_gone_is_not_reset() -> None:
    store = MemoryStore()
    fitted_by_its_user(store)
    with pytest.raises(StoreError, match="the state that router 'kernel' started from is not in 'memory://'"):
        reset_router(store, kernel(store))
    with pytest.raises(StoreError, match=r"cannot be rebuilt at .*@0: no state of"):
        router_at(store, kernel(store))


def test_a_router_that_never_learned_is_not_reset() -> None:
    store = kernel_store()
    with pytest.raises(ConfigError, match="'kernel' has learned nothing yet"):
        reset_router(store, kernel(store))


def test_a_router_without_an_entry_point_is_found_but_not_rebuilt() -> None:
    store = MemoryStore()
    store.put_router("mine", "abc", "{}")
    with pytest.raises(PluginError, match="'mine'"):
        router_at(store, only_router(find_routers(store, "mine")))


def test_parameters_that_are_missing_or_damaged_are_named() -> None:
    store = MemoryStore()
    store.put_state(RouterState(router=KEY, parameters="abc", sequence=0, at=0.0, payload=b""))
    with pytest.raises(StoreError, match="holds no parameters 'abc' of router 'kernel'"):
        router_at(store, kernel(store))
    store.put_router("kernel", "abc", "{")
    with pytest.raises(StoreError, match=r"the parameters of router 'kernel' in 'memory://' are damaged: '{'"):
        router_at(store, kernel(store))


def test_a_state_that_cannot_be_read_is_passed_over_and_told() -> None:
    store = kernel_store(1.0, 0.0)
    store.put_state(RouterState(router=KEY, parameters=KERNEL, sequence=2, at=0.0, payload=b"damaged"))
    told: list[str] = []
    assert router_at(store, kernel(store), on_fault=told.append).snapshot() == plain(store, 0, 2).snapshot()
    assert len(told) == 1
    assert f"{KERNEL}@2" in told[0]
    assert router_at(store, kernel(store)).sequence == 2


def test_a_mark_whose_state_cannot_be_read_is_an_error() -> None:
    store = kernel_store(1.0)
    mark = reset_router(store, kernel(store))
    store.put_state(RouterState(router=KEY, parameters=KERNEL, sequence=mark.sequence, at=0.0, payload=b"damaged"))
    with pytest.raises(StoreError, match=f"'kernel' cannot be rebuilt at {KERNEL}@2: .*cannot be used"):
        router_at(store, kernel(store))


def test_experiences_of_another_embedder_are_embedded_again() -> None:
    store = kernel_store(1.0)
    store.append(whole("other"))
    foreign = learned(1, 1.0).model_copy(update={"run_id": "other", "embedder": "e", "vector": b""})
    store.add_feedback(Feedback(run_id="other", score=1.0, at=5.0), [foreign])
    assert router_at(store, kernel(store)).sequence == 2


def test_category_states_are_rebuilt_as_well() -> None:
    store = MemoryStore()
    router = CategoryRouter()
    store.put_router("category", router.parameters_hash, json.dumps(dict(router.parameters)))
    teach(store, 1.0, 0.0)
    for experience in store.experiences():
        router.learn(experience)
    store.put_state(router.snapshot().model_copy(update={"router": state_key("category", EMBEDDER.version)}))
    assert router_at(store, find_routers(store, "category")[0]).snapshot() == router.snapshot()


def test_an_embedder_of_another_version_than_the_one_installed_is_refused() -> None:
    assert EmbedderOf(EMBEDDER.version).dimension == EMBEDDER.dimension
    gone = EmbedderOf("hashing-0-512")
    with pytest.raises(ConfigError, match="the embedder 'hashing-0-512' is needed; installed is 'hashing-1-512'"):
        gone.embed(["a"])


def test_an_embedder_is_built_once() -> None:
    late = EmbedderOf(EMBEDDER.version)
    assert np.array_equal(late.embed(["a"]), EMBEDDER.embed(["a"]))
    assert np.array_equal(late.embed(["b"]), EMBEDDER.embed(["b"]))


def restored(state: RouterState) -> KernelRouter:
    """Return a router in ``state``."""
    router = KernelRouter()
    router.restore(state)
    return router


@given(st.lists(st.one_of(st.floats(0, 1), st.just("reset"), st.integers(0, 20)), max_size=10))
@settings(max_examples=25)
def test_every_version_is_rebuilt_whatever_was_learned_reset_and_rolled_back(steps: list[float | str | int]) -> None:
    """A float is an outcome, an integer a rollback to that number of the log so far, and the rest are resets."""
    store = kernel_store(1.0)
    versions = {0: KernelRouter().snapshot(), 1: plain(store, 0, 1).snapshot()}
    for step in steps:
        last = store.last_experience()
        twin = restored(versions[last])
        if isinstance(step, float):
            teach(store, step)
            twin.learn(store.experiences(last)[0])
        elif isinstance(step, int):
            target = step % (last + 1)
            rollback_router(store, kernel(store), f"{KERNEL}@{target}")
            twin = restored(versions[target])
        else:
            reset_router(store, kernel(store))
            twin = KernelRouter()
        versions[last + 1] = twin.snapshot().model_copy(update={"sequence": last + 1})
    for sequence, state in versions.items():
        assert router_at(store, kernel(store), f"{KERNEL}@{sequence}").snapshot() == state
