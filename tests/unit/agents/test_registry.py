"""The registry, while agents come and go."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.agents import Agent, Registry
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import RegistrationError
from agentmesh.records import AgentCard, Task
from agentmesh.testing.agents import EchoAgent
from agentmesh.types import VectorArray


class CountingEmbedder:
    """Embeds by hashing and keeps the batches it was asked for."""

    version = "counting-1"
    dimension = 32
    is_quick = True

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self._embedder = HashingEmbedder(32)

    def embed(self, texts: Sequence[str]) -> VectorArray:
        self.batches.append(list(texts))
        return self._embedder.embed(texts)


class Worker(Agent):
    """An agent of any card."""

    def __init__(self, id: str, description: str = "Works.", **declared: object) -> None:
        self._declared = AgentCard.model_validate({"id": id, "description": description, **declared})
        self.id = id

    def card(self) -> AgentCard:
        return self._declared

    async def run(self, task: Task) -> str:
        return f"{self.id}: {task.text}"


def registry(*agents: Agent) -> Registry:
    return Registry(CountingEmbedder(), agents)


def test_an_added_agent_is_found_by_its_id() -> None:
    agent = EchoAgent()
    mesh = registry()
    assert mesh.add(agent).id == "echo"
    assert mesh.get("echo") is agent
    assert mesh.card("echo") == agent.card()
    assert "echo" in mesh
    assert "other" not in mesh
    assert len(mesh) == 1


def test_agents_are_listed_by_id_in_whatever_order_they_came() -> None:
    assert [card.id for card in registry(Worker("b"), Worker("c"), Worker("a")).cards()] == ["a", "b", "c"]


def test_a_duplicate_id_is_refused() -> None:
    mesh = registry(Worker("a"))
    with pytest.raises(RegistrationError, match="an agent with the id 'a' is registered"):
        mesh.add(Worker("a", "Another."))
    assert mesh.card("a").description == "Works."


def test_agents_added_together_are_added_all_or_none() -> None:
    mesh = registry(Worker("a"))
    with pytest.raises(RegistrationError, match="'b'"):
        mesh.add_all([Worker("b"), Worker("c"), Worker("b")])
    assert len(mesh) == 1


def test_a_class_is_told_to_be_made_into_an_agent() -> None:
    with pytest.raises(RegistrationError, match=r"is a class; register an agent made from it: EchoAgent\(\)"):
        registry(EchoAgent)  # type: ignore[arg-type]


def test_a_bare_function_is_told_of_the_decorator() -> None:
    async def bare(task: Task) -> str:
        return task.text

    with pytest.raises(RegistrationError, match=r"is no agent; register an Agent, or put @agent\(description"):
        registry(bare)  # type: ignore[arg-type]


def test_a_card_with_an_unusable_id_is_refused() -> None:
    with pytest.raises(RegistrationError, match="an id is 1 to 200 printable characters"):
        registry(Worker("line\nbreak"))


def test_a_removed_agent_is_gone() -> None:
    agent = Worker("a")
    mesh = registry(agent, Worker("b"))
    assert mesh.remove("a") is agent
    assert [card.id for card in mesh.cards()] == ["b"]


@pytest.mark.parametrize("act", ["get", "card", "remove", "disable", "enable"])
def test_an_unknown_id_is_answered_with_those_that_exist(act: str) -> None:
    with pytest.raises(RegistrationError, match="no agent has the id 'x'; registered are: 'a', 'b'"):
        getattr(registry(Worker("a"), Worker("b")), act)("x")


def test_an_unknown_id_in_an_empty_registry() -> None:
    with pytest.raises(RegistrationError, match="registered are: none"):
        registry().get("x")


def test_a_long_list_of_ids_is_cut_short_in_the_error() -> None:
    with pytest.raises(RegistrationError, match="'a09' and 90 more"):
        registry(*(Worker(f"a{number:02}") for number in range(100))).get("x")


def test_updating_an_agent_that_is_not_there_is_refused() -> None:
    with pytest.raises(RegistrationError, match="no agent has the id 'a'"):
        registry().update(Worker("a"))


def test_an_update_with_another_card_raises_the_version() -> None:
    mesh = registry(Worker("a"))
    assert mesh.update(Worker("a", "Works better.")).version == 2
    assert mesh.update(Worker("a", "Works best.")).version == 3
    assert mesh.card("a").description == "Works best."


def test_an_update_with_the_same_card_keeps_the_version_and_takes_the_new_agent() -> None:
    mesh = registry(Worker("a"))
    before, second = mesh.version, Worker("a")
    assert mesh.update(second).version == 1
    assert mesh.version == before
    assert mesh.get("a") is second


def test_an_agent_that_comes_back_changed_does_not_pass_for_its_former_self() -> None:
    mesh = registry(Worker("a"))
    mesh.remove("a")
    assert mesh.add(Worker("a", "Works otherwise.")).version == 2


def test_an_agent_that_comes_back_unchanged_keeps_its_version() -> None:
    mesh = registry(Worker("a"))
    mesh.update(Worker("a", "Works better."))
    mesh.remove("a")
    assert mesh.add(Worker("a", "Works better.")).version == 2


def test_a_declared_version_may_run_ahead() -> None:
    mesh = registry(Worker("a", version=5))
    assert mesh.card("a").version == 5
    assert mesh.update(Worker("a", version=7)).version == 7
    assert mesh.update(Worker("a", "Works better.", version=2)).version == 8


def test_versions_go_on_where_an_earlier_process_stopped() -> None:
    earlier = registry(Worker("a"), Worker("b"))
    earlier.update(Worker("a", "Works better."))
    agents = [Worker("a", "Works best."), Worker("b"), Worker("c")]
    later = Registry(CountingEmbedder(), agents)
    later.recall(earlier.cards())
    assert [card.version for card in later.cards()] == [3, 1, 1]


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_version_does_not_depend_on_the_order_of_registration(order: list[str]) -> None:
    assert registry(*map(Worker, order)).version == registry(*map(Worker, "abcd")).version


def test_the_version_names_the_content() -> None:
    flags = frozenset({"pii", "gdpr", "hipaa"})
    same = {
        registry(Worker("a", policy_flags=flags)).version,
        registry(Worker("a", policy_flags=sorted(flags))).version,
    }
    assert len(same) == 1
    assert registry(Worker("a")).version not in same
    assert registry(Worker("a")).version == "9dbc412a47cbc0ff"


def test_the_version_changes_with_every_field() -> None:
    versions = {
        registry(Worker("a", **declared)).version
        for declared in (
            {},
            {"skills": ("x",)},
            {"examples": ("x",)},
            {"group": "x"},
            {"price_per_call_usd": "1"},
            {"latency_s": 1.0},
            {"version": 2},
        )
    }
    assert len(versions) == 7


def test_gates_name_what_refuses_each_agent() -> None:
    mesh = registry(Worker("a", skills=("Python",)), Worker("b", skills=("python",), policy_flags={"pii"}), Worker("c"))
    task = Task(text="?", required_skills=frozenset({"python"}), required_flags=frozenset({"PII"}))
    assert mesh.refused(task) == {"a": "flag:pii", "c": "skill:python"}


def test_a_task_without_requirements_is_refused_by_nobody() -> None:
    assert registry(Worker("a")).refused(Task(text="?")) == {}


def test_a_disabled_agent_is_refused_until_it_is_enabled() -> None:
    mesh = registry(Worker("a"), Worker("b"))
    before = mesh.version
    mesh.disable("a")
    mesh.disable("b", "unhealthy")
    assert mesh.refused(Task(text="?")) == {"a": "disabled", "b": "unhealthy"}
    mesh.enable("a")
    mesh.enable("a")
    assert mesh.refused(Task(text="?")) == {"b": "unhealthy"}
    assert mesh.version == before


def test_being_disabled_is_named_before_a_missing_skill() -> None:
    mesh = registry(Worker("a"))
    mesh.disable("a")
    assert mesh.refused(Task(text="?", required_skills=frozenset({"x"}))) == {"a": "disabled"}


def test_a_disabled_agent_stays_disabled_when_it_is_updated() -> None:
    mesh = registry(Worker("a"))
    mesh.disable("a")
    mesh.update(Worker("a", "Works better."))
    assert mesh.refused(Task(text="?")) == {"a": "disabled"}


def test_a_removed_agent_is_not_disabled_when_it_comes_back() -> None:
    mesh = registry(Worker("a"))
    mesh.disable("a")
    mesh.remove("a")
    mesh.add(Worker("a"))
    assert mesh.refused(Task(text="?")) == {}


def test_the_table_lists_agents_by_id_with_their_versions() -> None:
    mesh = registry(Worker("b", price_per_call_usd="0.5"), Worker("a"))
    mesh.update(Worker("a", "Adds numbers."))
    table = mesh.capabilities()
    assert table.ids == ("a", "b")
    assert table.cards == mesh.cards()
    assert table.versions.tolist() == [2, 1]
    assert table.vectors.shape == (2, 32)
    assert table.registry_version == mesh.version
    assert table.price_per_call[1] == 0.5


def test_the_table_has_a_vector_of_each_name_beside_that_of_the_card() -> None:
    embedder = HashingEmbedder(32)
    table = Registry(embedder, [Worker("pets:feed_cats", "Feeds."), Worker("adder", "Adds.")]).capabilities()
    assert table.name_vectors is not None
    np.testing.assert_allclose(table.name_vectors, embedder.embed(["adder", "feed cats"]), atol=1e-6)
    np.testing.assert_allclose(table.vectors, embedder.embed(["Adds.", "Feeds."]), atol=1e-6)
    assert not table.name_vectors.flags.writeable


def test_an_empty_registry_has_an_empty_table() -> None:
    table = registry().capabilities()
    assert table.vectors.shape == (0, 32)
    assert table.name_vectors is not None
    assert table.name_vectors.shape == (0, 32)


def test_nothing_is_embedded_before_it_is_asked_for_and_then_in_one_batch() -> None:
    embedder = CountingEmbedder()
    mesh = Registry(embedder, [Worker("a", "Adds."), Worker("b", "Sings.", examples=("la", "lala"))])
    assert embedder.batches == []
    assert mesh.capabilities() is mesh.capabilities()
    assert embedder.batches == [["Adds.", "Sings.", "la", "lala", "a", "b"]]


def test_only_what_is_new_is_embedded_again() -> None:
    embedder = CountingEmbedder()
    mesh = Registry(embedder, [Worker("a", "Adds."), Worker("b", "Sings.")])
    mesh.capabilities()
    mesh.add(Worker("c", "Dances."))
    mesh.update(Worker("a", "Multiplies."))
    mesh.remove("b")
    mesh.capabilities()
    assert embedder.batches[1:] == [["Multiplies.", "Dances.", "c"]]


def test_another_price_embeds_nothing() -> None:
    embedder = CountingEmbedder()
    mesh = Registry(embedder, [Worker("a", "Adds.")])
    before = mesh.capabilities()
    mesh.update(Worker("a", "Adds.", price_per_call_usd="2"))
    after = mesh.capabilities()
    assert len(embedder.batches) == 1
    assert after.price_per_call.tolist() == [2.0]
    np.testing.assert_array_equal(after.vectors, before.vectors)


def test_whoever_holds_a_table_goes_on_reading_it() -> None:
    mesh = registry(Worker("a"), Worker("b"))
    held = mesh.capabilities()
    mesh.remove("a")
    assert held.ids == ("a", "b")
    assert mesh.capabilities().ids == ("b",)


def test_threads_that_add_and_read_at_once_lose_nothing() -> None:
    embedder = CountingEmbedder()
    mesh = Registry(embedder)

    def work(number: int) -> int:
        mesh.add(Worker(f"agent-{number:03}", f"Does the work of number {number}."))
        table = mesh.capabilities()
        return len(table.ids) - len(table.vectors)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(100))) == {0}
    assert len(mesh.capabilities()) == 100
    embedded = [text for batch in embedder.batches for text in batch]
    assert len(embedded) == len(set(embedded)) == 200  # each description and each name
