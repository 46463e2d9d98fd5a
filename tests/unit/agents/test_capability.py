"""Capability vectors, gates and factors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.agents.capability import (
    build_table,
    capability_texts,
    capability_vectors,
    granted,
    load_factor,
    name_text,
    refusing_gate,
    similarity_factor,
    snapshot_table,
)
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.packing import pack_vector
from agentmesh.records import AgentCard, RegistrySnapshot, Task

EMBEDDER = HashingEmbedder(64)


def card(id: str = "a", description: str = "Adds numbers.", **declared: object) -> AgentCard:
    return AgentCard.model_validate({"id": id, "description": description, **declared})


def vector(*texts: str) -> np.ndarray:
    return capability_vectors([texts], EMBEDDER)[0]


def test_skills_are_read_with_the_description() -> None:
    assert capability_texts(card(skills=["math", "law"])) == ("Adds numbers. Skills: math, law",)


@pytest.mark.parametrize(
    ("agent_id", "text"),
    [
        ("lists_createOrAdd", "lists create or add"),
        ("org/team:pin_change", "pin change"),
        ("team:", "team"),
        ("--", "--"),
    ],
)
def test_a_name_is_read_as_words_without_its_namespace(agent_id: str, text: str) -> None:
    assert name_text(card(agent_id)) == text


def test_a_stored_registry_is_laid_out_as_it_was() -> None:
    vectors, names = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)[::-1]
    snapshot = RegistrySnapshot(
        version="v",
        cards=(card("a"), card("b")),
        vectors=pack_vector(vectors),
        name_vectors=pack_vector(names),
    )
    table = snapshot_table(RegistrySnapshot.model_validate_json(snapshot.model_dump_json()))
    assert (table.ids, table.registry_version) == (("a", "b"), "v")
    assert table.vectors.tolist() == vectors.tolist()
    assert table.name_vectors is not None
    assert table.name_vectors.tolist() == names.tolist()


def test_a_registry_stored_before_names_had_vectors_has_none() -> None:
    snapshot = RegistrySnapshot(version="v", cards=(card("a"),), vectors=pack_vector(np.ones(3, np.float32)))
    old = snapshot.model_dump_json(exclude={"name_vectors"})
    assert snapshot_table(RegistrySnapshot.model_validate_json(old)).name_vectors is None


def test_a_description_alone_is_its_own_vector() -> None:
    np.testing.assert_allclose(vector("Adds numbers."), EMBEDDER.embed(["Adds numbers."])[0], atol=1e-6)


def test_description_and_examples_weigh_half_each_however_many_examples_there_are() -> None:
    description, example = EMBEDDER.embed(["zebra", "one and two"])
    many = vector("zebra", *["one and two"] * 7)
    np.testing.assert_allclose(many, vector("zebra", "one and two"), atol=1e-6)
    np.testing.assert_allclose(many @ description, many @ example, atol=1e-6)


def test_vectors_are_of_length_one_and_float32() -> None:
    vectors = capability_vectors([("adds numbers", "1 plus 1"), ("knows law",)], EMBEDDER)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_an_agent_of_unknown_words_gets_zeros() -> None:
    assert not vector("!!!", "...").any()


def test_no_agents_give_an_empty_table_of_the_right_width() -> None:
    assert capability_vectors([], EMBEDDER).shape == (0, 64)


@given(st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=4), min_size=1, max_size=6))
def test_an_agents_vector_does_not_depend_on_its_neighbours(groups: list[list[str]]) -> None:
    together = capability_vectors([tuple(group) for group in groups], EMBEDDER)
    alone = np.stack([vector(*group) for group in groups])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_unknown_prices_and_latencies_are_nan_in_the_table() -> None:
    cards = [card("a", price_per_call_usd="0.5", latency_s=2.0), card("b", price_in_per_m_usd="1.25", version=3)]
    table = build_table(cards, np.zeros((2, 4), dtype=np.float32), "v")
    np.testing.assert_array_equal(table.price_per_call, [0.5, np.nan])
    np.testing.assert_array_equal(table.price_in_per_m, [np.nan, 1.25])
    np.testing.assert_array_equal(table.price_out_per_m, [np.nan, np.nan])
    np.testing.assert_array_equal(table.latency_s, [2.0, np.nan])
    assert table.versions.tolist() == [1, 3]
    assert len(table) == 2


def test_a_table_cannot_be_written_to() -> None:
    table = build_table([card()], np.zeros((1, 4), dtype=np.float32), "v")
    for array in (table.vectors, table.price_per_call, table.latency_s, table.versions):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def needs(*, skills: set[str] | None = None, flags: set[str] | None = None) -> Task:
    return Task(text="?", required_skills=frozenset(skills or ()), required_flags=frozenset(flags or ()))


def test_a_task_without_requirements_passes_every_gate() -> None:
    assert refusing_gate(needs(), skills=frozenset(), flags=frozenset()) is None


def test_a_missing_skill_is_named() -> None:
    assert refusing_gate(needs(skills={"sql", "python"}), skills=granted(["SQL"]), flags=frozenset()) == "skill:python"


def test_a_missing_flag_is_named() -> None:
    assert refusing_gate(needs(flags={"pii"}), skills=granted(["sql"]), flags=frozenset()) == "flag:pii"


def test_skills_compare_without_regard_to_case() -> None:
    assert refusing_gate(needs(skills={"Python"}), skills=granted(["PYTHON"]), flags=frozenset()) is None


def test_skills_and_flags_are_not_taken_for_one_another() -> None:
    assert refusing_gate(needs(flags={"pii"}), skills=granted(["pii"]), flags=frozenset()) == "flag:pii"


def test_similarity_is_the_cosine_and_never_negative() -> None:
    vectors = np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    factor = similarity_factor(vectors, np.array([0.8, 0.6], dtype=np.float32))
    np.testing.assert_allclose(factor, [0.8, 0.6, 0.0], atol=1e-6)
    assert factor.dtype == np.float64


@pytest.mark.parametrize(
    ("running", "limit", "free"), [(0, 2, 1.0), (1, 2, 0.5), (2, 2, 0.0), (3, 2, 0.0), (9, None, 1)]
)
def test_load_is_the_free_share_of_the_capacity(running: int, limit: int | None, free: float) -> None:
    assert load_factor(running, limit) == free
