"""Old runs are forgotten: nothing of them stays in the files, and what was learned and what stays is as it was."""

import sqlite3
from contextlib import closing
from threading import Event as Signal
from threading import Thread

import pytest

from agentmesh import Mesh, open_store
from agentmesh.errors import StoreError
from agentmesh.learning.settings import Learning
from agentmesh.playback import replay
from agentmesh.playback.whatif import whatif
from agentmesh.routing.named import router_named
from agentmesh.store.pruning import prune_runs
from agentmesh.store.retention import Retention
from agentmesh.testing.agents import EchoAgent
from agentmesh.testing.traces import whole

TOLD = "the colour of the submarine"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/mesh.db"


def held(folder):
    """Return all bytes of a database's files."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_texts_of_pruned_runs_are_not_in_the_files_any_more_once_they_are_vacuumed(url, tmp_path):
    with open_store(url) as store:
        store.append([event for i in range(50) for event in whole(f"r{i}", text=f"{TOLD} {i} {'x' * 3000}", at=i)])
        store.append(whole("young", text="a new one", at=100))
        assert TOLD.encode() in held(tmp_path)
        prune_runs(store, Retention(before=100), at=200, pause=lambda _: None)
        reclaimed = store.vacuum()
        assert TOLD.encode() not in held(tmp_path)
        assert reclaimed.before_bytes > 300_000 > 200_000 > reclaimed.after_bytes == len(held(tmp_path)) - 32_768
        assert [run.id for run in store.runs()] == ["young"]


def test_a_reader_of_what_was_pruned_keeps_its_space_and_is_named_as_the_reason(url):
    with open_store(url, busy_timeout_s=0.05) as store:
        store.append(whole("old"))
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM events").fetchall()
            store.prune(Retention(before=9), at=10)
            with pytest.raises(StoreError, match=r"somebody reads what it held before.*vacuum again"):
                store.vacuum()
            reader.execute("COMMIT")
        store.vacuum()


def test_a_vacuum_waits_for_a_writer_and_then_says_so(url):
    with open_store(url, busy_timeout_s=0.05) as store:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match=r"cannot vacuum .*is locked.*longer busy_timeout_s"):
                store.vacuum()
        assert store.check() == []


def test_a_vacuum_of_postgresql_gives_space_back_and_waits_for_a_writer(postgres_url):
    with open_store(postgres_url, busy_timeout_s=0.2) as store:
        store.append([event for i in range(50) for event in whole(f"r{i}", text="x" * 3000, at=i)])
        prune_runs(store, Retention(before=100), at=200, pause=lambda _: None)
        told = pytest.raises(StoreError, match=r"cannot vacuum .*lock timeout")
        with open_store(postgres_url) as other, other._database.writing(), told:
            store.vacuum()
        reclaimed = store.vacuum()
        assert reclaimed.after_bytes < reclaimed.before_bytes
        store.append(whole("young"))
        assert store.check() == []


def test_a_store_that_is_only_read_counts_what_would_go_and_deletes_nothing(url):
    with open_store(url) as store:
        store.append(whole("old"))
    with open_store(url, read_only=True) as store:
        assert store.prune(Retention(before=9), at=None).runs == 1
        for work in (lambda: store.prune(Retention(before=9), at=10), store.vacuum):
            with pytest.raises(StoreError, match="opened for reading only"):
                work()


async def test_learning_replay_and_what_if_go_on_after_runs_were_pruned(url):
    agents, off = [EchoAgent(id="ada"), EchoAgent(id="bob")], Learning(mode="off")
    async with Mesh(agents, store=url, router="kernel", embedder="hashing", learning=off) as mesh:
        runs = [await mesh.run(f"question {number}", run_id=f"r{number}") for number in range(6)]
        for run in runs[:5]:
            await mesh.feedback(run.id, 0.5)
        last = await mesh.run("one more", run_id="last")
    with open_store(url) as store:
        before = relearned(store)
        assert store.prune(Retention(before=runs[4].started_at), at=last.started_at).runs == 4
        assert relearned(store) == before
        for run_id in ("r4", "r5", "last"):
            assert (await replay(store, run_id)).differences == ()
        found = await whatif(store, "knn")
        assert found.tasks == 3
        assert found.left_out == {"pruned": 4}
        assert (await whatif(store, "knn", since=runs[4].started_at)).left_out == {}


def relearned(store):
    """Return the state of a router that learns the whole log of a store anew."""
    router = router_named("knn")
    for experience in store.experiences():
        router.learn(experience)
    return router.snapshot()


def test_who_follows_a_store_that_is_pruned_meanwhile_misses_nothing_that_stays(url):
    with open_store(url) as store:
        store.append([event for i in range(120) for event in whole(f"old{i}", at=i)])
        is_over = Signal()

        def write():
            with open_store(url) as mine:
                for i in range(25):
                    mine.append(whole(f"new{i}", at=1000 + i))
            is_over.set()

        writer = Thread(target=write)
        writer.start()
        pruner = Thread(target=lambda: prune_runs(store, Retention(before=1000), at=2000, pause=lambda _: None))
        pruner.start()
        seen, place, is_last = [], 0, False
        with open_store(url, read_only=True) as reader:
            while not is_last:
                is_last = is_over.is_set()  # asked before it is read, so that nothing comes after
                while batch := reader.tail(place, limit=50):
                    seen += [(one.event.run_id, one.event.seq) for one in batch]
                    assert place < batch[0].place
                    place = batch[-1].place
        writer.join()
        pruner.join()
        assert [one for one in seen if one[0].startswith("new")] == [
            (f"new{i}", seq) for i in range(25) for seq in range(3)
        ]
        assert len(seen) == len(set(seen))
        assert store.count_runs() == 25
