"""The memory of past outcomes: what it sums, what it forgets, and that its state is kept bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import ConfigError
from agentmesh.packing import pack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import Outcomes
from agentmesh.routing.ledger import Ledger
from agentmesh.routing.observations import Ring, Table
from agentmesh.routing.outcomes import OutcomeMemory
from agentmesh.testing.samples import plain_pool as make_pool

EAST, NORTH = np.eye(2, dtype=np.float32)


def saw(sequence, agent, quality, *, vector=EAST, cost=None, version=1, latency=None, weight=1.0):
    return Experience(
        sequence=sequence,
        run_id=f"run-{sequence}",
        text="t",
        vector=pack_vector(vector.astype(np.float32)),
        agent_id=agent,
        agent_version=version,
        quality=quality,
        cost_usd=cost,
        latency_s=latency,
        weight=weight,
        at=float(sequence),
    )


def table(quality, cost=None, ids=("a", "b")):
    quality = np.array(quality, np.float64)
    vectors = np.stack([(EAST, NORTH)[place % 2] for place in range(len(quality))])
    names = tuple("xyz"[place % 3] for place in range(len(quality)))
    cost = np.full(quality.shape, np.nan) if cost is None else np.array(cost, np.float64)
    return Outcomes(ids, vectors, names, ("",) * len(quality), quality, cost)


def everything(memory, pool):
    return memory.tally(np.ones(len(memory), np.float32), pool)


def test_unobserved_outcomes_count_for_nothing():
    memory = OutcomeMemory(10)
    memory.fit(table([[1.0, np.nan], [0.5, 0.25]], cost=[[0.1, np.nan], [np.nan, np.nan]]))
    tally = everything(memory, make_pool("a", "b"))
    assert tally.weight.tolist() == [2.0, 1.0]
    assert tally.quality.tolist() == [1.5, 0.25]
    assert tally.cost_weight.tolist() == [1.0, 0.0]
    assert tally.cost == pytest.approx([0.1, 0.0])


def test_fitted_and_observed_outcomes_add_up():
    memory = OutcomeMemory(10)
    memory.fit(table([[1.0, 0.0]], cost=[[0.5, 0.25]]))
    memory.learn(saw(1, "b", 1.0, cost=0.75))
    memory.learn(saw(2, "c", 0.5))
    tally = everything(memory, make_pool("c", "b", "a", "stranger"))
    assert tally.weight.tolist() == [1.0, 2.0, 1.0, 0.0]
    assert tally.quality.tolist() == [0.5, 1.0, 1.0, 0.0]
    assert tally.cost_weight.tolist() == [0.0, 2.0, 1.0, 0.0]
    assert tally.cost.tolist() == [0.0, 1.0, 0.5, 0.0]


def test_an_observation_counts_as_much_as_its_evidence_and_its_cost_whole():
    memory = OutcomeMemory(10)
    memory.learn(saw(1, "a", 1.0, cost=0.5))
    memory.learn(saw(2, "a", 0.5, cost=0.25, weight=0.25))
    tally = memory.tally(np.array([1.0, 0.5], np.float32), make_pool("a"))
    assert tally.weight.tolist() == [1.125]
    assert tally.quality.tolist() == [1.0625]
    assert tally.cost_weight.tolist() == [1.5]
    assert tally.cost.tolist() == [0.625]


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_what_observations_count_is_kept_and_whole_ones_take_no_room(weight):
    memory, loaded = OutcomeMemory(10), OutcomeMemory(10)
    memory.learn(saw(1, "a", 0.5, cost=0.25, weight=weight))
    loaded.load(memory.arrays(), memory.meta())
    assert memory.arrays()["ring_values"].shape == (1, 2 if weight == 1.0 else 3)
    for each in (memory, loaded):
        each.learn(saw(2, "a", 1.0, weight=0.5))
    assert everything(loaded, make_pool("a")).weight.tolist() == [weight + 0.5]
    assert loaded.arrays()["ring_values"].tobytes() == memory.arrays()["ring_values"].tobytes()


def test_the_weights_follow_the_order_of_the_similarities():
    memory = OutcomeMemory(10)
    memory.fit(table([[1.0, 0.0], [0.0, 1.0]]))
    memory.learn(saw(1, "a", 0.5, vector=NORTH))
    similarities = memory.similarities(NORTH)
    assert similarities.tolist() == [0.0, 1.0, 1.0]
    tally = memory.tally(similarities, make_pool("a", "b"))
    assert tally.quality.tolist() == [0.5, 1.0]


def test_an_empty_memory_has_no_similarities_and_empty_sums():
    memory = OutcomeMemory(10)
    assert memory.similarities(EAST).shape == (0,)
    assert everything(memory, make_pool("a")).weight.tolist() == [0.0]


def test_beyond_the_bound_the_oldest_observation_is_evicted():
    memory = OutcomeMemory(3)
    for sequence in range(1, 6):
        memory.learn(saw(sequence, f"agent-{sequence}", 1.0))
    tally = everything(memory, make_pool(*(f"agent-{sequence}" for sequence in range(1, 6))))
    assert len(memory) == 3
    assert tally.weight.tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_lifetime_sums_outlive_eviction():
    memory = OutcomeMemory(1)
    memory.learn(saw(1, "a", 1.0, cost=0.5, latency=2.0))
    memory.learn(saw(2, "b", 1.0))
    means = memory.means(make_pool("a"))
    assert (means.count[0], means.quality[0], means.cost[0], means.latency[0]) == (1.0, 1.0, 0.5, 2.0)


def test_only_the_last_fitted_tasks_are_looked_at():
    memory = OutcomeMemory(1)
    memory.fit(table([[1.0, 0.0], [0.0, 1.0]]))
    assert len(memory) == 1
    assert everything(memory, make_pool("a", "b")).quality.tolist() == [0.0, 1.0]
    assert memory.means(make_pool("a", "b")).quality.tolist() == [1.0, 1.0]


def test_fitting_again_forgets_what_was_known():
    memory = OutcomeMemory(10)
    memory.learn(saw(1, "old", 1.0))
    memory.fit(table([[1.0, 0.0]]))
    assert everything(memory, make_pool("old", "a")).weight.tolist() == [0.0, 1.0]


def test_a_new_version_drops_what_was_known_of_the_older_ones():
    memory = OutcomeMemory(10)
    memory.fit(table([[1.0, 0.0]], cost=[[0.5, 0.5]]))
    memory.learn(saw(1, "a", 1.0, cost=0.5))
    memory.learn(saw(2, "b", 1.0))
    memory.learn(saw(3, "a", 0.25, version=2))
    tally = everything(memory, make_pool("a", "b", version=1))
    assert tally.weight.tolist() == [1.0, 2.0]
    assert tally.quality.tolist() == [0.25, 1.0]
    assert tally.cost_weight.tolist() == [0.0, 1.0]
    assert memory.means(make_pool("a")).count.tolist() == [1.0]


def test_dropping_an_agent_keeps_the_order_of_time():
    memory = OutcomeMemory(4)
    for sequence, agent in enumerate(("a", "b", "c", "a", "d", "e"), start=1):
        memory.learn(saw(sequence, agent, 1.0))
    memory.learn(saw(7, "a", 1.0, version=2))
    memory.learn(saw(8, "f", 1.0))
    pool = make_pool("a", "b", "c", "d", "e", "f")
    assert everything(memory, pool).weight.tolist() == [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_an_outcome_of_an_older_version_is_refused():
    memory = OutcomeMemory(10)
    memory.learn(saw(1, "a", 1.0, version=3))
    memory.learn(saw(2, "a", 0.0, version=2))
    assert everything(memory, make_pool("a", version=3)).quality.tolist() == [1.0]
    assert len(memory) == 1


def test_an_agent_whose_card_is_newer_than_its_outcomes_is_unknown():
    memory = OutcomeMemory(10)
    memory.learn(saw(1, "a", 1.0))
    assert everything(memory, make_pool("a", version=2)).weight.tolist() == [0.0]


def test_a_first_sight_of_an_agent_that_was_not_fitted_at_a_new_version_leaves_the_table_alone():
    memory = OutcomeMemory(10)
    memory.fit(table([[1.0, 0.0]]))
    memory.learn(saw(1, "c", 1.0))
    memory.learn(saw(2, "c", 0.5, version=2))
    assert everything(memory, make_pool("a", "b", "c")).weight.tolist() == [1.0, 1.0, 1.0]


def test_a_vector_of_another_length_is_refused():
    memory = OutcomeMemory(10)
    memory.learn(saw(1, "a", 1.0))
    for look in (
        lambda: memory.similarities(np.zeros(3, np.float32)),
        lambda: memory.learn(saw(2, "a", 1.0, vector=np.zeros(3))),
    ):
        with pytest.raises(ConfigError, match=r"length 3.*have 2"):
            look()
    assert memory.means(make_pool("a")).count.tolist() == [1.0]


def test_the_bound_must_be_positive():
    with pytest.raises(ConfigError, match="max_tasks is 0"):
        OutcomeMemory(0)


@given(
    bound=st.integers(1, 5),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 2), st.booleans()), max_size=14),
    fitted=st.booleans(),
)
def test_a_loaded_memory_is_the_same_bit_for_bit(bound, steps, fitted):
    memory, twin = OutcomeMemory(bound), OutcomeMemory(bound)
    if fitted:
        memory.fit(table([[0.3, np.nan], [0.7, 0.1]], cost=[[np.nan, 0.2], [0.1, 0.1]]))
    for sequence, (agent, version, paid) in enumerate(steps, start=1):
        memory.learn(saw(sequence, agent, 0.3, version=version, cost=0.1 if paid else None))
    twin.load(memory.arrays(), memory.meta())
    for one in (memory, twin):
        one.learn(saw(99, "b", 0.7, version=2, vector=NORTH))
    assert twin.meta() == memory.meta()
    for name, array in memory.arrays().items():
        assert array.tobytes() == twin.arrays()[name].tobytes(), name
    pool = make_pool("a", "b", "c")
    assert everything(memory, pool).quality.tobytes() == everything(twin, pool).quality.tobytes()


@given(bound=st.integers(1, 6), agents=st.lists(st.sampled_from("abc"), max_size=20))
def test_the_memory_holds_exactly_the_newest_observations(bound, agents):
    memory = OutcomeMemory(bound)
    for sequence, agent in enumerate(agents, start=1):
        memory.learn(saw(sequence, agent, 1.0))
    kept = agents[-bound:]
    assert everything(memory, make_pool("a", "b", "c")).weight.tolist() == [kept.count(agent) for agent in "abc"]


def test_appending_reserves_rows_by_doubling_and_never_beyond_the_bound():
    ring = Ring()
    for _ in range(100):
        ring.append(EAST, 0, (1.0, 0.5, 1.0), limit=100)
    assert (ring.size, len(ring.vectors)) == (100, 100)


@pytest.mark.parametrize(
    ("lost", "said"),
    [("sums", "lacks 'sums'"), ("table_quality", "lacks 'table_quality'"), ("ring_agents", "lacks 'ring_agents'")],
)
def test_a_state_that_lacks_a_part_is_refused(lost, said):
    memory = OutcomeMemory(10)
    memory.learn(saw(1, "a", 1.0))
    arrays = {name: array for name, array in memory.arrays().items() if name != lost}
    with pytest.raises(ConfigError, match=said):
        OutcomeMemory(10).load(arrays, memory.meta())


def test_a_state_whose_parts_do_not_fit_is_refused():
    memory = OutcomeMemory(10)
    memory.learn(saw(1, "a", 1.0))
    arrays, meta = dict(memory.arrays()), memory.meta()
    wrong = np.zeros((7, 7))
    for name in ("sums", "table_quality", "ring_values"):
        with pytest.raises(ConfigError, match=r"fit|sums"):
            OutcomeMemory(10).load({**arrays, name: wrong}, meta)
    with pytest.raises(ConfigError, match="starts at None"):
        OutcomeMemory(10).load(arrays, {"agents": ["a"]})
    with pytest.raises(ConfigError, match="names agents None"):
        OutcomeMemory(10).load(arrays, {"start": 0})


def test_an_empty_table_adds_nothing():
    sums = np.zeros((4, 3))
    Table.empty().add(np.zeros(0, np.float32), sums)
    assert not sums.any()


def test_a_ledger_counts_each_measure_by_itself():
    ledger = Ledger()
    ledger.learn(saw(1, "a", 0.5, cost=0.25))
    ledger.learn(saw(2, "a", 1.0, latency=3.0))
    means = ledger.means(make_pool("a", "b"))
    assert means.count.tolist() == [2.0, 0.0]
    assert means.quality.tolist() == [1.5, 0.0]
    assert (means.cost_count[0], means.cost[0]) == (1.0, 0.25)
    assert (means.latency_count[0], means.latency[0]) == (1.0, 3.0)
    assert ledger.counts.tolist() == [2.0]
