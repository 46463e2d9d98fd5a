"""Learning on the event loop: at once, in short slices, also from what others stored; or not at all."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentmesh import Learning, Mesh, open_store
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import ConfigError, StoreError
from agentmesh.learning import record_feedback
from agentmesh.learning.learner import LogFollower
from agentmesh.learning.live import LoopLearner
from agentmesh.learning.opening import open_learner
from agentmesh.records import Experience, Task
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.serving import ServingRouter
from agentmesh.store.base import TraceStore
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.agents import EchoAgent
from agentmesh.types import VectorArray

LOOP = Learning(mode="loop", poll_s=0.01)
OFF = Learning(mode="off")


async def answered(store: TraceStore, count: int) -> list[str]:
    """Return the ids of ``count`` finished runs that nobody has scored."""
    async with Mesh([EchoAgent("echo")], store=store, learning=OFF) as mesh:
        return [(await mesh.run(f"question {place}")).id for place in range(count)]


async def until(holds: Callable[[], bool]) -> None:
    """Return when a condition holds, which takes a few turns of the event loop."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def follower_of(store: TraceStore, router: KernelRouter | None = None) -> LogFollower:
    return LogFollower(store, ServingRouter(router or KernelRouter()), StaticEmbedder())


async def test_a_score_is_learned_when_feedback_returns() -> None:
    store = MemoryStore()
    (run_id,) = await answered(store, 1)
    async with await open_learner(follower := follower_of(store), LOOP) as learner:
        await learner.take(run_id, 1.0, agent=None, source="user")
        assert follower.serving.router.sequence == 1


async def test_what_another_process_stored_is_learned_by_and_by(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    with open_store(url) as store, open_store(url) as other:
        ids = await answered(store, 3)
        async with await open_learner(follower := follower_of(store), LOOP):
            for run_id in ids:
                record_feedback(other, run_id, 1.0)
            await until(lambda: follower.serving.router.sequence == 3)


async def test_learned_waits_for_all_that_is_stored() -> None:
    store = MemoryStore()
    ids = await answered(store, 3)
    slow_to_look = Learning(mode="loop", poll_s=1000)
    async with await open_learner(follower := follower_of(store), slow_to_look) as learner:
        for run_id in ids:
            record_feedback(store, run_id, 1.0)
        assert follower.serving.router.sequence == 0
        await learner.learned(timeout_s=30)
        assert follower.serving.router.sequence == 3


class SlowRouter(KernelRouter):
    """A router that takes half a millisecond to learn, and counts how often decisions could pass."""

    name = "kernel"

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self.turns_at: list[int] = []

    def _learn(self, experience: Experience) -> None:
        begun = time.perf_counter()
        while time.perf_counter() - begun < 0.0005:
            pass
        self.turns_at.append(self.turns)
        super()._learn(experience)


async def test_decisions_pass_between_slices_of_learning() -> None:
    store, router = MemoryStore(), SlowRouter()
    ids = await answered(store, 40)
    async with await open_learner(follower_of(store, router), Learning(mode="loop", poll_s=1000)) as learner:
        for run_id in ids:
            record_feedback(store, run_id, 1.0)
        learning = asyncio.ensure_future(learner.learned())
        while not learning.done():
            router.turns += 1
            await asyncio.sleep(0)
    assert len(router.turns_at) == 40
    in_one_slice = max(router.turns_at.count(turn) for turn in router.turns_at)
    assert in_one_slice <= 2


async def test_outcomes_come_in_order_although_many_give_feedback_at_once() -> None:
    store = MemoryStore()
    ids = await answered(store, 20)
    async with await open_learner(follower := follower_of(store), LOOP) as learner:
        await asyncio.gather(*(learner.take(run_id, 0.5, agent=None, source="user") for run_id in ids))
        assert follower.serving.router.sequence == 20
    assert store.faults() == []


class SqueamishRouter(KernelRouter):
    """A router that refuses to learn."""

    name = "kernel"

    def _learn(self, experience: Experience) -> None:
        raise ValueError("no")


async def test_an_outcome_that_is_refused_is_kept_as_a_fault() -> None:
    store = MemoryStore()
    ids = await answered(store, 2)
    async with await open_learner(follower := follower_of(store, SqueamishRouter()), LOOP) as learner:
        for run_id in ids:
            await learner.take(run_id, 1.0, agent=None, source="user")
        assert follower.serving.router.sequence == 2
    assert [fault.run_id for fault in store.faults()] == ids[::-1]


class MoodyStore(MemoryStore):
    """A store whose log cannot be read for a while."""

    unreadable = False

    def last_experience(self) -> int:
        if self.unreadable:
            raise StoreError("cannot read 'memory://': disk I/O error")
        return super().last_experience()


async def test_a_score_is_taken_although_the_log_cannot_be_read_and_learned_when_it_can(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MoodyStore()
    (run_id,) = await answered(store, 1)
    async with await open_learner(follower := follower_of(store), LOOP) as learner:
        store.unreadable = True
        await learner.take(run_id, 1.0, agent=None, source="user")
        await until(lambda: caplog.text.count("learning waits") >= 2)
        assert follower.serving.router.sequence == 0
        store.unreadable = False
        await until(lambda: follower.serving.router.sequence == 1)


async def test_learned_gives_up_in_time() -> None:
    store, router = MemoryStore(), SlowRouter()
    ids = await answered(store, 30)
    async with await open_learner(follower_of(store, router), Learning(mode="loop", poll_s=1000)) as learner:
        for run_id in ids:
            record_feedback(store, run_id, 1.0)
        with pytest.raises(TimeoutError):
            await learner.learned(timeout_s=0.001)
        await learner.learned()
        assert router.sequence == 30
    assert store.faults() == []


async def test_a_fault_is_kept_although_who_learned_it_gave_up() -> None:
    class RefusingRouter(SlowRouter):
        def _learn(self, experience: Experience) -> None:
            super()._learn(experience)
            raise ValueError("no")

    store = MemoryStore()
    ids = await answered(store, 30)
    async with await open_learner(
        follower := follower_of(store, RefusingRouter()), Learning(mode="loop", poll_s=1000)
    ) as learner:
        for run_id in ids:
            record_feedback(store, run_id, 1.0)
        learning = asyncio.ensure_future(learner.learned())
        while follower.serving.router.sequence == 0:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)
        learning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await learning
        known = follower.serving.router.sequence
        assert 0 < known < 30
    assert [fault.run_id for fault in reversed(store.faults())] == ids[:known]


class ForgetfulEmbedder(StaticEmbedder):
    """An embedder that cannot embed for a while."""

    version = "forgetful-1"
    forgets = False

    def embed(self, texts: Sequence[str]) -> VectorArray:
        if self.forgets:
            raise RuntimeError("the server is down")
        return super().embed(texts)


async def test_feedback_is_taken_although_its_text_cannot_be_embedded_again(caplog: pytest.LogCaptureFixture) -> None:
    store, embedder = MemoryStore(), ForgetfulEmbedder()
    (run_id,) = await answered(store, 1)
    follower = LogFollower(store, ServingRouter(KernelRouter()), embedder)
    async with await open_learner(follower, LOOP) as learner:
        embedder.forgets = True
        await learner.take(run_id, 1.0, agent=None, source="user")
        assert "learning waits" in caplog.text
        embedder.forgets = False
        await learner.learned(timeout_s=30)
        assert follower.serving.router.sequence == 1


class EndlessStore(MemoryStore):
    """A store whose log is long, and whose reading can be held up."""

    def __init__(self, one: Experience) -> None:
        super().__init__()
        self._one = one
        self.reads = 0
        self.entered, self.let_go = threading.Event(), threading.Event()

    def last_experience(self) -> int:
        return 10**6

    def experiences(self, after: int = 0, *, until: int | None = None, limit: int | None = None) -> list[Experience]:
        self.reads += 1
        self.entered.set()
        self.let_go.wait()
        return [self._one.model_copy(update={"sequence": after + 1 + place}) for place in range(limit or 1)]


async def test_opening_that_is_cancelled_leaves_nobody_behind_who_learns_on() -> None:
    known = MemoryStore()
    (run_id,) = await answered(known, 1)
    store = EndlessStore(record_feedback(known, run_id, 1.0)[0])
    opening = asyncio.ensure_future(open_learner(follower := follower_of(store), LOOP))
    await until(store.entered.is_set)
    opening.cancel()
    await asyncio.sleep(0)
    assert not opening.done()
    store.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert (store.reads, follower.serving.router.sequence) == (1, 1000)


class Slow:
    """A verifier that takes until it is let go."""

    name = "slow"

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def verify(self, task: Task, answer: str) -> float | None:
        self.let_go.wait()
        return 1.0


async def test_slow_verifiers_leave_threads_to_those_who_serve() -> None:
    slow = Slow()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=4))
    async with Mesh([EchoAgent("echo")], verifiers=[slow]) as mesh:
        for place in range(8):
            await mesh.run(f"question {place}")
        try:
            assert await asyncio.wait_for(asyncio.to_thread(lambda: "served"), timeout=30) == "served"
        finally:
            slow.let_go.set()
    assert len(mesh.store.experiences()) == 8


async def test_off_stores_scores_and_learns_nothing() -> None:
    store = MemoryStore()
    (run_id,) = await answered(store, 1)
    async with await open_learner(follower := follower_of(store), OFF) as learner:
        await learner.take(run_id, 1.0, agent=None, source="user")
        assert follower.serving.router.sequence == 0
        with pytest.raises(ConfigError, match="learns nothing"):
            await learner.learned()
    assert store.last_experience() == 1


class Right:
    """Finds every answer right."""

    name = "right"

    def verify(self, task: Task, answer: str) -> float | None:
        return 1.0


class Wrongly:
    """A verifier that cannot even say its name."""

    @property
    def name(self) -> str:
        raise ZeroDivisionError

    def verify(self, task: Task, answer: str) -> float | None:
        return 1.0


async def test_a_run_is_scored_and_learned_and_a_score_that_is_refused_costs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    ids = await answered(store, 2)
    async with await open_learner(follower := follower_of(store), LOOP) as learner:
        await learner.score(store.run(ids[0]), [Right()], None, seed=0)
        await learner.score(store.run(ids[0]), [Right()], None, seed=0)
        await learner.score(store.run(ids[1]), [Right()], None, seed=0)
        assert follower.serving.router.sequence == 2
    assert "a score by 'verifier:right' was refused" in caplog.text
    assert [fault.run_id for fault in store.faults()] == [ids[0]]


async def test_a_run_that_cannot_be_scored_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    (run_id,) = await answered(store, 1)
    async with await open_learner(follower_of(store), LOOP) as learner:
        await learner.score(store.run(run_id), [Wrongly()], None, seed=0)
    assert "could not be scored" in caplog.text


async def test_a_store_in_memory_is_learned_from_on_the_loop() -> None:
    async with await open_learner(follower_of(MemoryStore()), Learning()) as learner:
        assert isinstance(learner, LoopLearner)
