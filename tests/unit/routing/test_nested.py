import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.named import router_named
from agentmesh.routing.nested import heads_of, member, named_as, payloads_of, restore_all
from agentmesh.testing.samples import sample_experience, sample_pool


def test_a_member_is_a_router_its_name_or_how_it_is_written_down():
    knn = router_named("knn", {"k": 7})
    assert member(knn) is knn
    assert member("knn").name == "knn"
    assert dict(member(named_as(knn)).parameters) == dict(knn.parameters)


@pytest.mark.parametrize("named", [{"name": "knn"}, {"router": "knn", "arguments": []}, {"router": 3}])
def test_what_names_no_router_is_refused(named):
    with pytest.raises(ConfigError, match="names no router"):
        member(named)


def test_a_router_that_rates_nobody_cannot_be_a_member():
    with pytest.raises(ConfigError, match="rates no agents"):
        member("reasoning")


def test_states_go_into_arrays_and_come_back():
    first, second = router_named("knn"), router_named("linear")
    for sequence in range(1, 6):
        for router in (first, second):
            router.learn(sample_experience(sequence, sample_pool()))
    arrays, meta = payloads_of((first, second)), heads_of((first, second))
    twins = (router_named("knn"), router_named("linear"))
    restore_all(twins, arrays, meta)
    assert [twin.snapshot() for twin in twins] == [first.snapshot(), second.snapshot()]


def test_a_state_that_does_not_fit_changes_none_of_them():
    routers = (router_named("knn"), router_named("linear"))
    others = (router_named("knn"), router_named("knn"))
    arrays, meta = payloads_of(others), heads_of(others)
    routers[0].learn(sample_experience(1, sample_pool()))
    before = [router.snapshot() for router in routers]
    for bad in (meta, meta[:1], "none", [meta[0], 5]):
        with pytest.raises(ConfigError):
            restore_all(routers, arrays, bad)
    assert [router.snapshot() for router in routers] == before
