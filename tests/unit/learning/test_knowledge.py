"""Knowledge graphs from recorded sets and from databases: what goes in, what does not, and going on."""

from pathlib import Path

import numpy as np
import pytest

from agentmesh import open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, RecordedSetError, StoreError
from agentmesh.knowledge import KnowledgeGraph, dense_outcomes, from_json, graph_tensors, to_json
from agentmesh.learning.knowledge import gather_knowledge, knowledge_of_set, knowledge_of_store
from agentmesh.packing import pack_vector
from agentmesh.recorded import AgentLine, OutcomeLine, SetInfo, TaskLine, load_set, write_set
from agentmesh.records import AgentCard, Experience, Feedback, RegistrySnapshot
from agentmesh.store.base import TraceStore
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.traces import whole

EMBEDDER = HashingEmbedder(32)
AGENTS = (
    AgentLine(id="ada", description="Adds.", price_per_call_usd=0.01),
    AgentLine(id="bob", description="Knows history."),
)
TASKS = (
    TaskLine(id="t1", split="train", text="add 2 and 3", group="sums", gold="5", context="earlier: Petra"),
    TaskLine(id="t2", split="val", text="who built Petra", group="", gold="Nabataeans"),
    TaskLine(id="t3", split="test", text="who built Zogville", group="SEALED", gold="SEALED"),
)
OUTCOMES = (
    OutcomeLine(task="t1", agent="ada", quality=1.0, cost_usd=0.002),
    OutcomeLine(task="t1", agent="bob", quality=0.25),
    OutcomeLine(task="t2", agent="bob", quality=0.75, cost_usd=0.0),
    OutcomeLine(task="t3", agent="bob", quality=1.0),
)


def outcome_set(folder: Path, tasks=TASKS) -> str:
    info = SetInfo(name="tiny", kind="outcomes")
    write_set(folder / "set", info, agents=AGENTS, tasks=tasks, outcomes=OUTCOMES)
    return str(folder / "set")


def test_the_train_and_val_rows_of_a_set_become_tasks(tmp_path: Path) -> None:
    graph = knowledge_of_set(load_set(outcome_set(tmp_path)), EMBEDDER)
    assert (graph.source, graph.embedder) == ("tiny", EMBEDDER.version)
    assert graph.names("task") == ("t1", "t2")
    assert graph.names("skill") == ("sums",)
    assert graph.task("t1").text == "earlier: Petra\nadd 2 and 3"
    assert graph.agent("ada").price_per_call_usd == 0.01
    assert graph.agent("ada").vector is not None
    quality, cost = dense_outcomes(graph_tensors(graph))
    assert quality.tolist() == pytest.approx(np.array([[1.0, 0.25], [np.nan, 0.75]]), nan_ok=True)
    assert cost.tolist() == pytest.approx(np.array([[0.002, np.nan], [np.nan, 0.0]]), nan_ok=True)


def test_nothing_of_the_test_rows_is_in_the_graph(tmp_path: Path) -> None:
    text = to_json(knowledge_of_set(load_set(outcome_set(tmp_path)), EMBEDDER))
    assert "t3" not in text
    assert "SEALED" not in text
    assert "zogville" not in text.lower()


def test_sets_that_differ_in_right_answers_alone_give_the_same_bytes(tmp_path: Path) -> None:
    others = [task.model_copy(update={"gold": f"other {task.id}"}) for task in TASKS]
    (tmp_path / "other").mkdir()
    first, second = outcome_set(tmp_path), outcome_set(tmp_path / "other", others)
    assert to_json(knowledge_of_set(load_set(first), EMBEDDER)) == to_json(knowledge_of_set(load_set(second), EMBEDDER))


def test_the_tasks_of_a_set_of_labels_are_closed(tmp_path: Path) -> None:
    tasks = [
        TaskLine(id="t1", split="train", text="add", labels=("ada",)),
        TaskLine(id="t2", split="val", text="either", labels=("ada",), acceptable=("bob",)),
        TaskLine(id="t3", split="val", text="neither", labels=()),
    ]
    write_set(tmp_path / "set", SetInfo(name="tiny", kind="labels"), agents=AGENTS, tasks=tasks)
    gathered = gather_knowledge(str(tmp_path / "set"), EMBEDDER)
    assert gathered.taken == 3
    assert len(list(gathered.graph.outcomes())) == 3
    quality, _ = dense_outcomes(graph_tensors(gathered.graph))
    assert quality.tolist() == [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]


def test_a_set_with_test_rows_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordedSetError, match="'tiny' has no tasks to train on"):
        gather_knowledge(outcome_set(tmp_path, [t.model_copy(update={"split": "test"}) for t in TASKS]), EMBEDDER)


def experience(run_id: str, text: str = "did Ada meet Babbage", **values) -> Experience:
    default = {
        "vector": pack_vector(EMBEDDER.embed([text])[0]),
        "embedder": EMBEDDER.version,
        "agent_id": "ada",
        "quality": 1.0,
        "at": 3.0,
        "type_hints": ("history",),
    }
    return Experience(run_id=run_id, text=text, **{**default, **values})


def teach(store: TraceStore, *experiences: Experience) -> None:
    for one in experiences:
        store.append(whole(one.run_id))
        store.add_feedback(Feedback(run_id=one.run_id, score=one.quality, at=3.0), [one])


def register(store: TraceStore, *cards: AgentCard) -> None:
    store.put_registry(RegistrySnapshot(version=f"r{len(cards)}{cards[0].version}", cards=cards))


def test_the_runs_of_a_database_become_tasks() -> None:
    store = MemoryStore()
    register(store, AgentCard(id="ada", description="Adds.", skills=("maths",)), AgentCard(id="idle", description=""))
    teach(store, experience("r1"), experience("r2", quality=0.0, cost_usd="0.5", agent_id="unregistered"))
    graph = knowledge_of_store(store, EMBEDDER)
    assert graph.names("task") == ("r1", "r2")
    assert graph.names("agent") == ("ada", "idle", "unregistered")
    assert graph.linked("has", "ada") == {"maths": 1}
    assert graph.linked("of", "r1") == {"history": 1}
    assert (graph.sequence, graph.source, graph.embedder) == (2, "memory://", EMBEDDER.version)


def test_a_graph_that_is_continued_is_the_graph_built_at_once() -> None:
    store = MemoryStore()
    register(store, AgentCard(id="ada", description="Adds."))
    teach(store, experience("r1"), experience("r2", "what is the square root of 4"))
    first = from_json(to_json(knowledge_of_store(store, EMBEDDER)))
    teach(store, experience("r3", "is the square root of 2 rational"), experience("r4", agent_id="bob"))
    continued = knowledge_of_store(store, EMBEDDER, graph=first)
    assert continued is first
    assert to_json(continued) == to_json(knowledge_of_store(store, EMBEDDER))
    before = to_json(continued)
    assert to_json(knowledge_of_store(store, EMBEDDER, graph=continued)) == before


def test_a_newer_card_drops_what_its_older_version_did() -> None:
    store = MemoryStore()
    register(store, AgentCard(id="ada", description="Adds."))
    teach(store, experience("r1"))
    graph = knowledge_of_store(store, EMBEDDER)
    register(store, AgentCard(id="ada", description="Multiplies.", version=2))
    knowledge_of_store(store, EMBEDDER, graph=graph)
    assert list(graph.outcomes()) == []
    assert graph.agent("ada").description == "Multiplies."


def test_experiences_of_another_embedder_are_embedded_again() -> None:
    store = MemoryStore()
    other = pack_vector(np.ones(7, dtype=np.float32))
    teach(store, experience("r1", "who built Petra", vector=other, embedder="other-1"))
    graph = knowledge_of_store(store, EMBEDDER)
    assert graph.task("r1").vector.tolist() == EMBEDDER.embed(["who built Petra"])[0].tolist()


def test_experiences_that_cannot_be_taken_in_are_passed_over(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    nan = pack_vector(np.full(32, np.nan, dtype=np.float32))
    with open_store(url) as store:
        teach(
            store,
            experience("r1", vector=b"1234"),
            experience("r2", vector=nan),
            experience("r3", agent_version=2),
            experience("r4", agent_version=1),
        )
    told: list[str] = []
    gathered = gather_knowledge(url, EMBEDDER, say=told.append)
    assert (gathered.taken, gathered.passed_over, gathered.graph.sequence) == (1, 3, 4)
    assert told == [f"learning from {url}"]
    assert gather_knowledge(url, EMBEDDER, graph=gathered.graph).taken == 0


@pytest.mark.parametrize("vectors", [(), (b"123",)])
def test_a_database_without_a_usable_experience_is_refused(vectors) -> None:
    store = MemoryStore()
    register(store, AgentCard(id="ada", description="Adds."))
    teach(store, *(experience(f"r{place}", vector=vector) for place, vector in enumerate(vectors)))
    said = rf"holds no experience to build a graph from \({len(vectors)} passed over\)"
    with pytest.raises(StoreError, match=said):
        knowledge_of_store(store, EMBEDDER)


def test_a_graph_of_something_else_is_not_continued(tmp_path: Path) -> None:
    store = MemoryStore()
    teach(store, experience("r1"))
    graph = knowledge_of_store(store, EMBEDDER)
    with pytest.raises(ConfigError, match="built with the embedder 'hashing-1-32', this one is 'hashing-1-64'"):
        knowledge_of_store(store, HashingEmbedder(64), graph=graph)
    graph.sequence = 9
    with pytest.raises(ConfigError, match="has taken in experience 9, 'memory://' ends at 1"):
        knowledge_of_store(store, EMBEDDER, graph=graph)
    graph.source = "sqlite:///other.db"
    with pytest.raises(ConfigError, match=r"was built from 'sqlite:///other\.db', not from 'memory://'"):
        knowledge_of_store(store, EMBEDDER, graph=graph)
    with pytest.raises(ConfigError, match="not from 'tiny'"):
        gather_knowledge(outcome_set(tmp_path), EMBEDDER, graph=graph)


def test_the_graph_of_a_small_set_has_the_usual_bounds(tmp_path: Path) -> None:
    graph = knowledge_of_set(load_set(outcome_set(tmp_path)), EMBEDDER)
    assert graph.max_tasks == KnowledgeGraph().max_tasks
