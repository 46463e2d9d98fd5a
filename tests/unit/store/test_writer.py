"""The writer: order, group commits, failures and who hears of them, cancellation, the end."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from threading import Event as Gate
from threading import current_thread

import pytest

from agentmesh.errors import DuplicateEventError, StoreError
from agentmesh.events import AnswerChunk, Event
from agentmesh.store import MemoryStore, TraceWriter, open_store
from agentmesh.testing.traces import call, end, start, whole


class GatedStore(MemoryStore):
    """Notes each append, and can be made to wait in one, or to fail: one item of ``failures`` for each append."""

    def __init__(self):
        super().__init__()
        self.gate = Gate()
        self.gate.set()
        self.entered = Gate()
        self.appends = []
        self.threads = set()
        self.failures = []

    def append(self, events):
        self.threads.add(current_thread().name)
        self.entered.set()
        self.gate.wait()
        self.appends.append(len(events))
        if self.failures and (failure := self.failures.pop(0)):
            raise failure
        super().append(events)

    async def hold(self, writer):
        """Keep the writer busy with a run of its own until the gate is set."""
        self.gate.clear()
        self.entered.clear()
        writer.post([start("holding")])
        await asyncio.to_thread(self.entered.wait)


@pytest.fixture
def store():
    return GatedStore()


@pytest.fixture
async def writer(store):
    writer = TraceWriter(store)
    yield writer
    store.gate.set()
    await writer.aclose()


def logged(store):
    return [stored.event for stored in store.tail()]


async def test_a_write_returns_when_its_events_are_stored(store, writer):
    await writer.write(whole("r"))
    assert store.events("r") == whole("r")


async def test_a_post_returns_at_once_and_comes_before_what_is_written_later(store, writer):
    await store.hold(writer)
    writer.post([start("r")])
    assert store.count_runs() == 0
    store.gate.set()
    await writer.write([call("r", 1)])
    assert logged(store) == [start("holding"), start("r"), call("r", 1)]


async def test_whatever_comes_in_during_a_commit_goes_into_the_next_as_one(store, writer):
    await store.hold(writer)
    writes = [asyncio.ensure_future(writer.write(whole(f"r{i}"))) for i in range(100)]
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(*writes)
    assert store.appends == [1, 300]
    assert len(store.threads) == 1


async def test_a_flush_waits_for_everything_posted_before_it(store, writer):
    for event in whole("r"):
        writer.post([event])
    await writer.flush()
    assert store.events("r") == whole("r")


async def test_pieces_of_answers_reach_no_store(store, writer):
    await writer.write([start("r"), AnswerChunk(run_id="r", seq=1, at=0, agent_id="ada", text="8")])
    assert store.appends == [1]


async def test_a_duplicate_fails_its_own_write_and_no_other_of_the_same_commit(store, writer):
    await writer.write(whole("old"))
    await store.hold(writer)
    good, bad, late = (asyncio.ensure_future(writer.write(whole(run_id))) for run_id in ("new", "old", "last"))
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(good, late)
    with pytest.raises(DuplicateEventError, match="'old'"):
        await bad
    assert store.events("new") == whole("new")
    assert store.events("last") == whole("last")


async def test_an_unforeseen_error_reaches_the_one_who_waits(store, writer):
    store.failures = [ValueError("odd"), ValueError("odd")]
    with pytest.raises(ValueError, match="odd"):
        await writer.write(whole("r"))
    await writer.write(whole("s"))


async def test_a_full_disk_fails_all_of_a_commit_after_one_attempt(store, writer):
    await store.hold(writer)
    writes = [asyncio.ensure_future(writer.write(whole(run_id))) for run_id in "abc"]
    await asyncio.sleep(0)
    store.failures = [None, StoreError("disk is full")]
    store.gate.set()
    assert [str(error) for error in await asyncio.gather(*writes, return_exceptions=True)] == ["disk is full"] * 3
    assert store.appends == [1, 9]
    await writer.write(whole("d"))
    assert logged(store) == [start("holding"), *whole("d")]


async def test_the_next_write_of_a_run_says_that_a_post_of_it_failed(store, writer):
    store.failures = [StoreError("disk is full")]
    writer.post([start("r")])
    with pytest.raises(StoreError, match="full"):
        await writer.write([call("r", 1)])
    await writer.write(whole("other"))
    assert logged(store) == whole("other")
    await writer.flush()  # it was told already


async def test_a_flush_says_that_a_post_failed_and_says_it_once(store, writer):
    store.failures = [StoreError("disk is full")]
    writer.post([start("r")])
    with pytest.raises(StoreError, match="full"):
        await writer.flush()
    await writer.flush()


async def test_closing_says_that_a_post_failed(store):
    writer = TraceWriter(store)
    store.failures = [StoreError("disk is full")]
    writer.post([start("r")])
    with pytest.raises(StoreError, match="full"):
        await writer.aclose()


async def test_after_a_lost_event_a_run_gets_no_hole_until_it_is_handed_in_again(store, writer):
    log = whole("r")
    await writer.write(log[:1])
    store.failures = [StoreError("disk is full")]
    for lost in (log[1:2], log[2:]):
        with pytest.raises(StoreError, match="full"):
            await writer.write(lost)
    assert store.events("r") == log[:1]
    await writer.write(log[1:2])
    await writer.write(log[2:])
    assert store.events("r") == log
    assert store.check() == []


async def test_events_of_several_runs_are_refused_together_when_one_would_get_a_hole(store, writer):
    store.failures = [StoreError("disk is full")]
    with pytest.raises(StoreError, match="full"):
        await writer.write([start("r")])
    with pytest.raises(StoreError, match="full"):
        await writer.write([start("s"), call("r", 1)])
    with pytest.raises(StoreError, match="full"):
        await writer.write([call("s", 1)])
    await writer.write([start("r"), start("s")])
    await writer.write([call("r", 1), call("s", 1)])
    assert store.check() == []


async def test_events_are_written_although_the_one_who_waited_was_cancelled(store, writer):
    await store.hold(writer)
    cancelled, other = (asyncio.ensure_future(writer.write(whole(run_id))) for run_id in ("a", "b"))
    await asyncio.sleep(0)
    cancelled.cancel()
    store.gate.set()
    await other
    assert cancelled.cancelled()
    assert store.events("a") == whole("a")


async def test_closing_writes_what_is_left(store):
    writer = TraceWriter(store)
    await store.hold(writer)
    for i in range(50):
        writer.post(whole(f"r{i}"))
    closing = asyncio.ensure_future(writer.aclose())
    await asyncio.sleep(0)
    store.gate.set()
    await closing
    assert store.count_runs() == 51


async def test_a_closed_writer_refuses_events_and_may_be_closed_again(store):
    writer = TraceWriter(store)
    await writer.aclose()
    await writer.aclose()
    with pytest.raises(StoreError, match="closed"):
        writer.post([start("r")])
    with pytest.raises(StoreError, match="closed"):
        await writer.write([start("r")])


def test_a_loop_that_went_away_does_not_stop_the_others(store):
    writer = TraceWriter(store)

    async def leave():
        await store.hold(writer)
        asyncio.ensure_future(writer.write(whole("left"))).add_done_callback(lambda task: task.cancelled())
        await asyncio.sleep(0)

    async def stay():
        await writer.write(whole("stayed"))
        await writer.aclose()

    asyncio.run(leave())
    store.gate.set()
    asyncio.run(stay())
    assert store.events("left") == whole("left")
    assert store.events("stayed") == whole("stayed")


async def test_many_runs_at_once_are_all_stored_in_few_commits(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/mesh.db") as store:
        writer = TraceWriter(store)

        async def run(run_id):
            writer.post([start(run_id)])
            await writer.write([call(run_id, 1)])
            await writer.write([end(run_id, 2)])

        await asyncio.gather(*(run(f"r{i}") for i in range(200)))
        await writer.aclose()
        assert store.count_runs() == 200
        assert store.check() == []
        assert store.events("r7") == whole("r7")


def test_what_was_posted_is_written_although_the_program_ends_without_closing(tmp_path):
    code = f"""
from agentmesh.store import TraceWriter, open_store
from agentmesh.testing.traces import whole
writer = TraceWriter(open_store("sqlite:///{tmp_path}/mesh.db"))
for i in range(100):
    writer.post(whole(f"r{{i}}"))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    with open_store(f"sqlite:///{tmp_path}/mesh.db", read_only=True) as store:
        assert store.count_runs() == 100


class NotedStore(MemoryStore):
    """Notes how many events came in each commit."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[int] = []
        self.committed = Gate()

    def append(self, events: Sequence[Event]) -> None:
        super().append(events)
        self.commits.append(len(events))
        self.committed.set()


async def test_events_that_nobody_waits_for_are_stored_soon_all_the_same() -> None:
    store = NotedStore()
    writer = TraceWriter(store)
    writer.post([start("r")])
    assert await asyncio.to_thread(store.committed.wait, 10)
    await writer.aclose()
    assert store.commits == [1]


async def test_events_that_nobody_waits_for_go_along_with_those_that_somebody_waits_for() -> None:
    store = NotedStore()
    writer = TraceWriter(store)
    for place in range(5):
        writer.post([start(f"r{place}")])
    await writer.write([start("last")])
    await writer.aclose()
    assert store.commits == [6]
