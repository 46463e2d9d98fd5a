"""Training a router before its first task: from sets, from databases, and what is refused."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from agentmesh import open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, RecordedSetError, StoreError
from agentmesh.learning.training import publish_router, train_router
from agentmesh.learning.versions import find_routers, only_router, router_at
from agentmesh.packing import pack_vector
from agentmesh.recorded import AgentLine, OutcomeLine, SetInfo, TaskLine, write_set
from agentmesh.records import Experience, Feedback, RouterState
from agentmesh.routing.base import Router
from agentmesh.routing.category import CategoryRouter
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.stores import whole

EMBEDDER = HashingEmbedder()
AGENTS = (AgentLine(id="adder", description="Adds."), AgentLine(id="poet", description="Rhymes."))


def tasks(*splits: str, labels: bool = False) -> list[TaskLine]:
    """Return a sum and a rhyme for each split; which agent is right is known by the text."""
    lines = []
    for place, split in enumerate(splits):
        for right, text in (("adder", f"add {place} and 2"), ("poet", f"a rhyme on the moon {place}")):
            lines.append(
                TaskLine(
                    id=f"{right}{place}",
                    split=split,
                    text=text,
                    group=right,
                    labels=(right,) if labels else None,
                    context="earlier: hello" if place % 2 else "",
                )
            )
    return lines


def outcomes(lines: list[TaskLine], *, hidden: frozenset[tuple[str, str]] = frozenset()) -> list[OutcomeLine]:
    return [
        OutcomeLine(task=line.id, agent=agent.id, quality=float(line.group == agent.id), cost_usd=0.01)
        for line in lines
        for agent in AGENTS
        if (line.split, agent.id) not in hidden
    ]


def outcome_set(folder: Path, *splits: str, hidden: frozenset[tuple[str, str]] = frozenset()) -> str:
    lines = tasks(*splits)
    info = SetInfo(name="tiny", kind="outcomes")
    write_set(folder / "set", info, agents=AGENTS, tasks=lines, outcomes=outcomes(lines, hidden=hidden))
    return str(folder / "set")


SPLIT = ("train",) * 6 + ("val",) * 3 + ("test",) * 2


def test_a_router_is_fitted_on_train_and_val_and_checked_on_val(tmp_path: Path) -> None:
    router, told = CategoryRouter(), list[str]()
    found = train_router(router, outcome_set(tmp_path, *SPLIT), EMBEDDER, say=told.append)
    assert (found.kind, found.tasks, found.agents, found.outcomes) == ("outcomes", 18, 2, 36)
    assert found.held_out is not None
    assert (found.held_out.tasks, found.held_out.quality) == (6, 1.0)
    assert (found.held_out.best_single, found.held_out.best_single_quality) == ("adder", 0.5)
    assert told == ["embedding 18 tasks of tiny", "checking category on val", "fitting category"]
    assert router.base


def test_labels_count_as_right_or_wrong(tmp_path: Path) -> None:
    write_set(tmp_path / "set", SetInfo(name="tiny", kind="labels"), agents=AGENTS, tasks=tasks(*SPLIT, labels=True))
    found = train_router(CategoryRouter(), str(tmp_path / "set"), EMBEDDER)
    assert found.kind == "labels"
    assert found.held_out is not None
    assert found.held_out.quality == 1.0


@pytest.mark.parametrize("splits", [("train", "train"), ("all", "all"), ("val", "val")])
def test_a_set_of_one_part_is_fitted_and_not_checked(tmp_path: Path, splits: tuple[str, ...]) -> None:
    found = train_router(CategoryRouter(), outcome_set(tmp_path, *splits), EMBEDDER)
    assert (found.tasks, found.held_out) == (4, None)


def test_a_set_with_test_rows_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordedSetError, match="'tiny' has no tasks to train on"):
        train_router(CategoryRouter(), outcome_set(tmp_path, "test"), EMBEDDER)


def test_what_came_of_test_tasks_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with_test, without = CategoryRouter(), CategoryRouter()
    train_router(with_test, outcome_set(tmp_path, *SPLIT), EMBEDDER)
    train_router(without, outcome_set(tmp_path / "other", *SPLIT[:9]), EMBEDDER)
    assert with_test.snapshot() == without.snapshot()


def test_the_check_chooses_among_agents_whose_outcome_is_known(tmp_path: Path) -> None:
    folder = outcome_set(tmp_path, *SPLIT, hidden=frozenset({("val", "poet")}))
    found = train_router(CategoryRouter(), folder, EMBEDDER)
    assert found.held_out is not None
    assert (found.held_out.tasks, found.held_out.quality) == (6, 0.5)


def test_a_best_single_agent_never_seen_on_val_leaves_the_check_out(tmp_path: Path) -> None:
    folder = outcome_set(tmp_path, *SPLIT, hidden=frozenset({("val", "adder")}))
    assert train_router(CategoryRouter(), folder, EMBEDDER).held_out is None


def test_a_router_that_abstains_is_counted_with_the_first_agent(tmp_path: Path) -> None:
    found = train_router(CategoryRouter(policy="threshold:2.0"), outcome_set(tmp_path, *SPLIT), EMBEDDER)
    assert found.held_out is not None
    assert found.held_out.quality == 0.5


def test_a_router_that_learns_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'cosine' learns nothing from outcomes"):
        train_router(CosineRouter(), outcome_set(tmp_path, *SPLIT), EMBEDDER)


def test_a_router_that_has_learned_is_refused(tmp_path: Path) -> None:
    router, folder = CategoryRouter(), outcome_set(tmp_path, *SPLIT)
    train_router(router, folder, EMBEDDER)
    with pytest.raises(ConfigError, match="'category' has learned already"):
        train_router(router, folder, EMBEDDER)


def taught_database(folder: Path, *vectors: bytes) -> str:
    """Write a database with a run and an experience for each vector."""
    url = f"sqlite:///{folder / 'other.db'}"
    with open_store(url) as store:
        for place, vector in enumerate(vectors):
            run_id = f"r{place}"
            store.append(whole(run_id))
            experience = Experience(
                run_id=run_id, text="q", vector=vector, embedder=EMBEDDER.version, agent_id="ada", quality=1.0, at=3.0
            )
            store.add_feedback(Feedback(run_id=run_id, score=1.0, at=3.0), [experience])
    return url


def vector_of(text: str) -> bytes:
    return pack_vector(EMBEDDER.embed([text])[0])


def test_a_database_teaches_its_experiences(tmp_path: Path) -> None:
    url, router, told = taught_database(tmp_path, vector_of("a"), vector_of("b")), KernelRouter(), list[str]()
    found = train_router(router, url, EMBEDDER, say=told.append)
    assert (found.kind, found.tasks, found.agents, found.outcomes, found.refused) == ("experiences", 2, 1, 2, 0)
    assert told == [f"learning from {url}"]
    plain = KernelRouter()
    with open_store(url, read_only=True) as store:
        for experience in store.experiences():
            plain.learn(experience)
    assert router.snapshot() == plain.snapshot()


def test_an_experience_that_cannot_be_learned_is_counted(tmp_path: Path) -> None:
    short = pack_vector(np.ones(3, dtype=np.float32))
    found = train_router(KernelRouter(), taught_database(tmp_path, vector_of("a"), short), EMBEDDER)
    assert (found.outcomes, found.refused) == (1, 1)


def test_a_database_without_experiences_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no experience that router 'kernel' can learn"):
        train_router(KernelRouter(), taught_database(tmp_path), EMBEDDER)


class FittedOnly(CategoryRouter):
    """A router that is of no use before it was fitted."""

    trains: bool = True


def test_a_router_that_trains_is_fitted_on_the_log_of_a_database(tmp_path: Path) -> None:
    short = pack_vector(np.ones(3, dtype=np.float32))
    url, router, told = taught_database(tmp_path, vector_of("a"), vector_of("b"), short), FittedOnly(), list[str]()
    found = train_router(router, url, EMBEDDER, say=told.append)
    assert (found.kind, found.tasks, found.agents, found.outcomes) == ("experiences", 2, 1, 2)
    assert told == [f"learning from {url}", "fitting category"]
    assert router.base
    assert router.sequence == 0


def test_a_router_that_trains_is_not_fitted_on_an_empty_log(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no experience that router 'category' can learn"):
        train_router(FittedOnly(), taught_database(tmp_path), EMBEDDER)


def test_a_published_router_is_what_a_mesh_would_find(tmp_path: Path) -> None:
    router, store = CategoryRouter(clusters=4), MemoryStore()
    training = train_router(router, outcome_set(tmp_path, *SPLIT), EMBEDDER)
    mark = publish_router(store, router, training)
    assert (mark.sequence, mark.kind, mark.root) == (1, "trained", CategoryRouter(clusters=4).parameters_hash)
    assert mark.parameters == router.parameters_hash != mark.root
    assert mark.note.startswith("36 outcomes of 18 tasks in ")
    served = router_at(store, only_router(find_routers(store, "category")))
    assert served.version == f"{router.parameters_hash}@1"
    assert served.snapshot().payload == router.snapshot().payload


class Counting(Router):
    """A router of somebody's own that only counts."""

    name: ClassVar[str] = "counting"

    def __init__(self) -> None:
        self.count = 0

    async def route(self, *arguments: Any) -> Any:
        raise AssertionError("not asked here")

    def learn(self, experience: Experience) -> None:
        self.count = experience.sequence

    def snapshot(self) -> RouterState:
        return RouterState(router=self.name, parameters=self.parameters_hash, sequence=self.count, at=0.0, payload=b"")

    def restore(self, state: RouterState) -> None:
        self.count = state.sequence

    def skip(self, sequence: int, at: float) -> None:
        self.count = sequence

    @property
    def parameters(self) -> dict[str, Any]:
        return {}

    @property
    def sequence(self) -> int:
        return self.count


def test_a_router_of_ones_own_learns_from_a_database_and_not_from_a_set(tmp_path: Path) -> None:
    router = Counting()
    assert train_router(router, taught_database(tmp_path, vector_of("a")), EMBEDDER).outcomes == 1
    assert router.count == 1
    with pytest.raises(ConfigError, match="'counting' cannot be fitted on a set"):
        train_router(Counting(), outcome_set(tmp_path, *SPLIT), EMBEDDER)
