"""The log of experiences as a table to fit a router on."""

from typing import Any

import numpy as np
import pytest

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.learning.pools import pool_of_cards, pool_of_log
from agentmesh.learning.tables import table_of
from agentmesh.packing import pack_vector
from agentmesh.records import AgentCard, Experience, RegistrySnapshot
from agentmesh.routing.inputs import TaskFeatures
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.store.memory import MemoryStore

EMBEDDER = HashingEmbedder()


def outcome(run_id: str, agent_id: str = "ada", quality: float = 1.0, **more: Any) -> Experience:
    known = {"text": run_id, "vector": pack_vector(EMBEDDER.embed([run_id])[0]), "at": 1.0, **more}
    return Experience(run_id=run_id, agent_id=agent_id, quality=quality, **known)


def test_an_empty_log_is_a_table_without_rows() -> None:
    table = table_of([])
    assert (len(table), table.agent_ids, table.quality.shape, table.vectors.shape) == (0, (), (0, 0), (0, 0))
    pool = pool_of_cards([AgentCard(id="ada", description="Adds.")], EMBEDDER)
    assert pool.name_vectors is not None
    assert pool.name_vectors == pytest.approx(EMBEDDER.embed(["ada"]), abs=1e-6)
    known = table_of([], pool)
    assert (len(known), known.agent_ids, known.quality.shape) == (0, ("ada",), (0, 1))
    assert known.vectors.shape == (0, EMBEDDER.dimension)


def test_one_agent_that_always_failed_is_one_column_of_zeros() -> None:
    table = table_of([outcome("r1", quality=0.0), outcome("r2", quality=0.0)])
    assert table.quality.tolist() == [[0.0], [0.0]]
    assert np.isnan(table.cost).all()


def test_several_scores_of_one_answer_become_their_mean_by_weight() -> None:
    table = table_of([outcome("r1", quality=1.0), outcome("r1", quality=0.0, source="judge", weight=0.5)])
    assert table.quality.round(6).tolist() == [[0.666667]]


def test_cost_and_propensity_stand_beside_the_quality_they_came_with() -> None:
    table = table_of([outcome("r1", cost_usd=0.25, propensity=0.9), outcome("r1", "bob")])
    assert table.cost[0, 0] == 0.25
    assert table.propensity is not None
    assert table.propensity[0, 0] == 0.9
    assert np.isnan([table.cost[0, 1], table.propensity[0, 1]]).all()


def test_outcomes_of_older_versions_of_an_agent_are_left_out() -> None:
    log = [outcome("r1", agent_version=1), outcome("r2", agent_version=2), outcome("r2", "bob")]
    table = table_of(log)
    assert (table.texts, table.agent_ids) == (("r2",), ("ada", "bob"))


def test_the_first_type_hint_that_names_a_type_is_the_group() -> None:
    table = table_of([outcome("r1", type_hints=("(other)", "sums", "hard")), outcome("r2")])
    assert table.groups == ("sums", "")


def test_only_the_newest_tasks_are_kept() -> None:
    table = table_of([outcome(f"r{place}") for place in range(5)], max_tasks=2)
    assert table.texts == ("r3", "r4")


def test_stages_of_one_run_are_tasks_of_their_own() -> None:
    assert len(table_of([outcome("r1"), outcome("r1", quality=0.0, stage=1)])) == 2


def test_a_vector_of_another_length_is_left_out() -> None:
    short = outcome("r2", vector=pack_vector(np.ones(3, np.float32)))
    assert table_of([outcome("r1"), short]).texts == ("r1",)


def test_with_a_pool_its_agents_are_the_columns_also_those_nobody_called() -> None:
    cards = [AgentCard(id="bob", description="Builds."), AgentCard(id="ada", description="Adds.", version=2)]
    pool = pool_of_cards(cards, EMBEDDER)
    table = table_of([outcome("r1"), outcome("r2", agent_version=2), outcome("r3", "gone")], pool)
    assert (table.agent_ids, table.texts) == (("bob", "ada"), ("r2",))
    assert table.quality[0, 1] == 1.0
    assert table.versions.tolist() == [1, 2]


def test_the_pool_of_a_log_has_the_stored_cards_and_empty_ones_for_the_rest() -> None:
    store = MemoryStore()
    card = AgentCard(id="ada", description="Adds.", version=3)
    store.put_registry(RegistrySnapshot(version="v", cards=(card, AgentCard(id="idle", description="Waits."))))
    pool = pool_of_log(store, [outcome("r1", agent_version=3), outcome("r1", "bob", agent_version=2)], EMBEDDER)
    assert pool.ids == ("ada", "bob")
    assert pool.versions.tolist() == [3, 2]
    assert not pool.vectors[1].any()


def test_what_was_fitted_with_a_pool_holds_for_the_versions_in_it() -> None:
    pool = pool_of_cards([AgentCard(id="ada", description="Adds.", version=4)], EMBEDDER)
    router = KernelRouter(curiosity=0.0)
    router.fit(table_of([outcome(f"r{place}", quality=0.0, agent_version=4) for place in range(20)], pool))
    features = TaskFeatures(vector=EMBEDDER.embed(["r1"])[0], text="r1")
    assert router.score(features, pool)[0] < 0.1


def test_what_is_given_beside_the_outcomes_enters_the_fingerprint() -> None:
    log = [outcome("r1", propensity=0.5)]
    pool = pool_of_log(MemoryStore(), log, EMBEDDER)
    newer = pool_of_cards([AgentCard(id="ada", description="", version=1, price_per_call_usd=0.5)], EMBEDDER)
    prints = [table_of(log).fingerprint(), table_of(log, pool).fingerprint(), table_of(log, newer).fingerprint()]
    assert len(set(prints)) == 3
    assert table_of([outcome("r1", propensity=0.6)]).fingerprint() != prints[0]
    assert table_of(log, pool).fingerprint() == prints[1]
