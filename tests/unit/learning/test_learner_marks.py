"""Marks, damaged states and refused outcomes: what a learner does where the log is not plain experiences."""

import sqlite3
from pathlib import Path

import pytest

from agentmesh import open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import StoreError
from agentmesh.events import DecisionMade, RunFinished, RunStarted, TaskPrepared
from agentmesh.learning.learner import LogFollower, learn_until, renewed, restore_router, state_key
from agentmesh.packing import pack_vector
from agentmesh.records import (
    Experience,
    Feedback,
    Limits,
    RouteDecision,
    RouterMark,
    RouterState,
    RunStatus,
    Task,
)
from agentmesh.routing.base import Router
from agentmesh.routing.category import CategoryRouter
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.serving import ServingRouter
from agentmesh.store.base import TraceStore
from agentmesh.store.memory import MemoryStore

EMBEDDER = HashingEmbedder()
KEY = state_key("kernel", EMBEDDER.version)


def add_run(store: TraceStore, run_id: str) -> None:
    """Store the shortest run that may be scored."""
    decision = RouteDecision(
        router="kernel",
        router_version="x@0",
        registry_version="",
        seed=0,
        selected=(),
        candidates=(),
        scores=b"",
        probabilities=b"",
        abstained=True,
    )
    store.append(
        [
            RunStarted(
                run_id=run_id,
                seq=0,
                at=1.0,
                task=Task(text=run_id),
                limits=Limits(),
                registry_version="",
                embedder=EMBEDDER.version,
                router="kernel",
                mesh_seed=0,
                explore=0.0,
            ),
            TaskPrepared(run_id=run_id, seq=1, at=1.0, vector=pack_vector(EMBEDDER.embed([run_id])[0])),
            DecisionMade(run_id=run_id, seq=2, at=1.0, decision=decision),
            RunFinished(run_id=run_id, seq=3, at=1.0, status=RunStatus.ABSTAINED, elapsed_s=0.0),
        ]
    )


def add_experiences(store: TraceStore, count: int, *, dimension: int | None = None) -> list[Experience]:
    """Store outcomes of two agents, the vectors those of the run's text or of another length."""
    stored: list[Experience] = []
    for _ in range(count):
        run_id = f"run-{store.count_runs()}"
        add_run(store, run_id)
        vector = EMBEDDER.embed([run_id])[0][:dimension]
        number = store.count_runs()
        agent = f"agent-{number % 2}"
        learned = Experience(
            run_id=run_id,
            text=run_id,
            vector=pack_vector(vector),
            embedder=EMBEDDER.version,
            agent_id=agent,
            quality=(number % 3) / 2,
            at=1000.0 + number,
        )
        feedback = Feedback(run_id=run_id, score=learned.quality, agent_id=agent, at=learned.at)
        stored += store.add_feedback(feedback, [learned])
    return stored


def put_mark(store: TraceStore, router: Router, *, root: str = "", kind: str = "reset") -> RouterMark:
    """Set the state of the routers built like ``router`` to what it holds."""
    state = router.snapshot().model_copy(update={"router": KEY})
    mark = RouterMark(
        router=KEY,
        root=root or router.parameters_hash,
        parameters=router.parameters_hash,
        kind=kind,  # type: ignore[arg-type]  # the tests name what exists
        at=5.0,
    )
    return store.put_mark(mark, state)


def follower_of(store: TraceStore, router: Router | None = None) -> LogFollower:
    """Return a follower that has taken in the whole log."""
    follower = LogFollower(store, ServingRouter(router or KernelRouter()), EMBEDDER)
    follower.open()
    return follower


def after(store: TraceStore, sequence: int) -> RouterState:
    """Return what a fresh router learns from the experiences after a number, read in one go."""
    router = KernelRouter()
    for experience in store.experiences(sequence):
        router.learn(experience)
    return router.snapshot()


def trained() -> KernelRouter:
    """Return a router that learned from somewhere else."""
    elsewhere = MemoryStore()
    add_experiences(elsewhere, 3)
    router = KernelRouter()
    learn_until(elsewhere, router, EMBEDDER)
    return router


def test_what_came_before_a_reset_counts_no_more_for_a_learner_under_way() -> None:
    store = MemoryStore()
    add_experiences(store, 5)
    follower = follower_of(store)
    add_experiences(store, 2)
    mark = put_mark(store, KernelRouter())
    add_experiences(store, 3)
    while follower.advance(2):
        pass
    assert mark.sequence == 8
    assert follower.reached == 11
    assert follower.serving.router.snapshot() == after(store, 8)


def test_a_reset_at_the_end_of_the_log_is_honoured() -> None:
    store = MemoryStore()
    add_experiences(store, 5)
    follower = follower_of(store)
    put_mark(store, KernelRouter())
    assert not follower.advance(100)
    assert follower.serving.router.version == f"{KernelRouter().parameters_hash}@6"
    assert follower.serving.router.snapshot().payload == KernelRouter().snapshot().payload


def test_a_router_that_opens_begins_at_the_last_mark_and_learns_on() -> None:
    store = MemoryStore()
    add_experiences(store, 4)
    put_mark(store, KernelRouter())
    mark = put_mark(store, trained(), kind="trained")
    add_experiences(store, 2)
    expected = trained()
    expected.skip(mark.sequence, 0.0)
    learn_until(store, expected, EMBEDDER)
    assert follower_of(store).serving.router.snapshot() == expected.snapshot()


def test_a_mark_of_other_parameters_is_not_this_routers() -> None:
    store = MemoryStore()
    add_experiences(store, 4)
    put_mark(store, KernelRouter(temperature=0.5))
    follower = follower_of(store)
    assert follower.serving.router.snapshot() == after(store, 0)
    assert (follower.reached, follower.serving.router.sequence) == (5, 4)


def test_states_before_and_after_a_reset_are_rebuilt_each_from_its_own_side() -> None:
    store = MemoryStore()
    add_experiences(store, 70)
    follower = follower_of(store)
    add_experiences(store, 4)
    follower.advance(100)
    before = follower.serving.router.snapshot()
    put_mark(store, KernelRouter())
    add_experiences(store, 60)
    follower.advance(100)
    for expected in (before, follower.serving.router.snapshot()):
        rebuilt = KernelRouter()
        restore_router(store, rebuilt, EMBEDDER.version, until=expected.sequence)
        learn_until(store, rebuilt, EMBEDDER, until=expected.sequence)
        assert rebuilt.snapshot() == expected


def damage(path: Path, sequence: int, *, column: str = "payload", value: object = b"scrambled") -> None:
    """Overwrite a part of a stored state, as a bad disk or a newer version would."""
    with sqlite3.connect(path) as connection:
        changed = connection.execute(f"UPDATE router_states SET {column} = ? WHERE sequence = ?", (value, sequence))  # noqa: S608
        assert changed.rowcount == 1
    connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mesh.db"


def grown(path: Path) -> TraceStore:
    """Return a database with snapshots at 64 and 128."""
    store = open_store(f"sqlite:///{path}")
    follower = follower_of(store)
    for count in (64, 64, 2):
        add_experiences(store, count)
        follower.advance(1000)
    assert [sequence for sequence, _ in store.states(KEY, KernelRouter().parameters_hash)] == [64, 128]
    return store


@pytest.mark.parametrize("damaged", [[128], [64, 128]])
def test_a_damaged_state_is_reported_and_an_older_one_or_the_log_serves(path: Path, damaged: list[int]) -> None:
    with grown(path) as store:
        for sequence in damaged:
            damage(path, sequence)
        assert follower_of(store).serving.router.snapshot() == after(store, 0)
        found = store.faults()
        assert [fault.source for fault in found] == ["learner"] * len(damaged)
        assert f"@{damaged[-1]} of {KEY!r} cannot be used" in found[-1].message


def test_a_state_of_another_shape_than_this_version_knows_is_passed_over(path: Path) -> None:
    newer = CategoryRouter().snapshot().payload
    with grown(path) as store:
        damage(path, 128, value=newer)
        assert follower_of(store).serving.router.snapshot() == after(store, 0)
        assert len(store.faults()) == 1


def test_a_mark_whose_state_is_damaged_is_reported_and_learning_goes_on(path: Path) -> None:
    with open_store(f"sqlite:///{path}") as store:
        add_experiences(store, 3)
        follower = follower_of(store)
        mark = put_mark(store, KernelRouter())
        damage(path, mark.sequence)
        add_experiences(store, 2)
        assert not follower.advance(100)
        assert follower.serving.router.snapshot() == after(store, 0)
        assert f"at mark {mark.sequence} cannot be used" in store.faults()[0].message
        assert follower_of(store).serving.router.snapshot() == after(store, 0)


def test_a_mark_whose_state_is_gone_is_reported(path: Path) -> None:
    with open_store(f"sqlite:///{path}") as store:
        add_experiences(store, 3)
        follower = follower_of(store)
        mark = put_mark(store, KernelRouter())
        damage(path, mark.sequence, column="sequence", value=999)
        assert not follower.advance(100)
        assert "is missing from" in store.faults()[0].message
        damage(path, 999, column="at", value="no number")
        damage(path, 999, column="sequence", value=mark.sequence)
        late = LogFollower(store, ServingRouter(renewed(KernelRouter(), after(store, 0))), EMBEDDER)
        assert not late.advance(100)
        assert f"at mark {mark.sequence} cannot be used" in store.faults()[0].message


class MoodyStore(MemoryStore):
    """A store whose states cannot be read now and then."""

    refusals = 0

    def nearest_state(self, router: str, parameters: str, *, until: int | None = None) -> RouterState | None:
        if self.refusals:
            self.refusals -= 1
            raise StoreError(f"cannot read {self.url!r}: unable to open database file")
        return super().nearest_state(router, parameters, until=until)


def test_a_reset_is_not_lost_when_the_store_cannot_be_read_for_a_moment() -> None:
    store = MoodyStore()
    add_experiences(store, 3)
    follower = follower_of(store)
    mark = put_mark(store, KernelRouter())
    add_experiences(store, 2)
    store.refusals = 1
    with pytest.raises(StoreError, match="cannot read"):
        follower.advance(100)
    assert not follower.advance(100)
    assert follower.serving.router.snapshot() == after(store, mark.sequence)


class SqueamishRouter(KernelRouter):
    """A router that refuses one agent."""

    name = "kernel"

    def _learn(self, experience: Experience) -> None:
        if experience.agent_id == "agent-1":
            raise ZeroDivisionError("agent-1")
        super()._learn(experience)


def test_an_outcome_that_a_router_refuses_is_reported_and_passed_over() -> None:
    store = MemoryStore()
    follower = follower_of(store, SqueamishRouter())
    stored = add_experiences(store, 5)
    assert not follower.advance(100)
    refused = [one for one in stored if one.agent_id == "agent-1"]
    assert follower.serving.router.sequence == stored[-1].sequence
    found = store.faults()
    assert [fault.run_id for fault in reversed(found)] == [one.run_id for one in refused]
    assert "cannot learn experience" in found[0].message
    assert "ZeroDivisionError: agent-1" in found[0].message
    rebuilt = SqueamishRouter()
    learn_until(store, rebuilt, EMBEDDER)
    assert rebuilt.snapshot() == follower.serving.router.snapshot()


def test_a_vector_of_another_length_costs_one_outcome() -> None:
    store = MemoryStore()
    follower = follower_of(store)
    add_experiences(store, 2)
    add_experiences(store, 1, dimension=7)
    add_experiences(store, 2)
    follower.advance(100)
    assert follower.serving.router.sequence == 5
    assert len(store.faults()) == 1


def test_a_snapshot_and_a_fault_that_cannot_be_stored_stop_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grown(path).close()
    with open_store(f"sqlite:///{path}", read_only=True) as store:
        follower = LogFollower(store, ServingRouter(KernelRouter()), EMBEDDER)
        while follower.advance(1000):
            pass
        follower.fault("nothing to be done")
        assert follower.serving.router.sequence == 130
        with pytest.raises(StoreError):
            store.put_state(follower.state())
    assert "was not stored" in caplog.text
    assert "nothing to be done" in caplog.text
