"""A full disk, a locked file, two processes at once, and processes that are killed while they write."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from agentmesh.errors import StoreError
from agentmesh.store import open_store
from agentmesh.testing.traces import lesson, score, whole

WRITE_RUNS = """
import sys
from multiprocessing import get_context
from agentmesh.store import open_store
from agentmesh.testing.traces import whole
url, names, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
def write(name):
    with open_store(url, busy_timeout_s=15) as store:
        for i in range(count):
            store.append(whole(f"{name}{i}"))
running = [get_context("fork").Process(target=write, args=(name,)) for name in names]
for process in running:
    process.start()
for process in running:
    process.join()
print([process.exitcode for process in running])
"""


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/mesh.db"


def limit_pages(store, pages):
    """Let the database have no more pages, as a full disk would."""
    with store._database.writing() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def test_a_full_database_is_an_error_that_leaves_nothing_half_written(url):
    with open_store(url) as store:
        store.append(whole("first"))
        limit_pages(store, 1)  # SQLite takes the present size when that is more
        with pytest.raises(StoreError, match=r"mesh\.db.* is full.*free some space"):
            store.append([*whole("second"), *whole("third", text="x" * 100_000)])
        assert store.count_runs() == 1
        assert [stored.event for stored in store.tail()] == whole("first")
        assert store.check() == []
        limit_pages(store, 10_000)
        store.append(whole("second"))
        assert store.count_runs() == 2


def test_feedback_on_a_full_disk_stores_neither_score_nor_experience(url):
    with open_store(url) as store:
        store.append(whole("r"))
        limit_pages(store, 1)
        big = lesson("r").model_copy(update={"text": "x" * 100_000})
        with pytest.raises(StoreError, match="is full"):
            store.add_feedback(score("r"), [big])
        assert store.events("r") == whole("r")
        assert store.last_experience() == 0


def test_a_disk_that_refuses_to_write_is_an_error_until_it_writes_again(url):
    code = """
import resource, signal, sys
from agentmesh.errors import StoreError
from agentmesh.store import open_store
from agentmesh.testing.traces import whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
with open_store(sys.argv[1]) as store:
    store.append(whole("first"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        store.append(whole("second", text="x" * 1_000_000))
    except StoreError as error:
        print("StoreError", error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print([run.id for run in store.runs()], store.check())
    store.append(whole("third"))
    print(store.count_runs())
"""
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    first, second, third = done.stdout.splitlines()
    assert first.startswith("StoreError")
    assert "mesh.db" in first
    assert (second, third) == ("['first'] []", "2")


def test_a_file_locked_for_longer_than_the_timeout_is_an_error_and_nothing_is_lost(url, tmp_path):
    with open_store(url, busy_timeout_s=0.05) as store:
        other = sqlite3.connect(tmp_path / "mesh.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"mesh\.db.* is locked.*busy_timeout_s"):
            store.append(whole("r"))
        assert store.count_runs() == 0  # readers do not wait
        other.execute("ROLLBACK")
        other.close()
        store.append(whole("r"))
        assert store.count_runs() == 1


def test_a_writer_waits_for_another_that_is_about_to_finish(url, tmp_path):
    with open_store(url) as store:
        other = sqlite3.connect(tmp_path / "mesh.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        waiting = Thread(target=store.append, args=(whole("r"),))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
        other.execute("COMMIT")
        other.close()
        waiting.join()
        assert store.count_runs() == 1


def test_an_open_reader_does_not_hold_up_the_writer(url, tmp_path):
    with open_store(url, busy_timeout_s=0.05) as store:
        store.append(whole("a"))
        reader = sqlite3.connect(tmp_path / "mesh.db", isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        store.append(whole("b"))
        assert reader.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        reader.close()
        assert store.count_runs() == 2


@pytest.mark.timeout(90)  # it starts several processes
def test_processes_that_make_and_write_the_same_database_at_once_lose_nothing(url, tmp_path, warm_python):
    (tmp_path / "writing.py").write_text(WRITE_RUNS, encoding="utf-8")
    done = warm_python.run(tmp_path / "writing.py", url, "abc", 40, folder=tmp_path)
    assert done.stdout == "[0, 0, 0]\n"
    with open_store(url) as store:
        assert store.count_runs() == 120
        assert store.check() == []
        assert len(store.tail()) == 360


def kill_writers(url, folder, warm_python, *, kills):
    done = warm_python.run(Path(__file__).with_name("killing.py"), url, kills, "runs", folder=folder)
    assert done.returncode == 0, done.stderr
    with open_store(url, read_only=True) as store:
        assert len({run.id.partition("-")[0] for run in store.runs(limit=10**6)}) == kills


@pytest.mark.timeout(90)  # it starts several processes
def test_killed_writers_leave_every_acknowledged_run_and_no_torn_one(url, tmp_path, warm_python):
    kill_writers(url, tmp_path, warm_python, kills=20)


@pytest.mark.soak
def test_two_hundred_killed_writers_leave_every_acknowledged_run_and_no_torn_one(url, tmp_path, warm_python):
    kill_writers(url, tmp_path, warm_python, kills=200)


def test_a_process_killed_while_it_makes_the_database_leaves_one_that_can_be_made(url):
    code = """
import os, signal, sys
from sqlalchemy import Engine, event
from agentmesh.store import open_store
event.listen(Engine, "commit", lambda connection: "agentmesh_schema" in str(connection.exec_driver_sql(
    "SELECT group_concat(name) FROM sqlite_master").scalar()) and os.kill(os.getpid(), signal.SIGKILL))
open_store(sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", code, url], check=False)
    assert done.returncode == -signal.SIGKILL
    with open_store(url) as store:
        store.append(whole("r"))
        assert store.check() == []
