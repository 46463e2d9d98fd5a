"""Files of a database that are cut, taken away or replaced, while it is closed and while it is open."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agentmesh.errors import StoreError
from agentmesh.store import open_store
from agentmesh.store.repair import repair
from agentmesh.testing.traces import whole

RUNS = 20
KILLED = """
import os, sys
from agentmesh.store import open_store
from agentmesh.testing.traces import whole
store = open_store(sys.argv[1])
for number in range(int(sys.argv[2])):
    store.append(whole(f"r{number:02}"))
os._exit(0)
"""


def url_of(path):
    return f"sqlite:///{path}"


def beside(path, ending):
    return path.with_name(path.name + ending)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Leave a database as a process does that ends while the last runs are in its log alone."""
    path = tmp_path_factory.mktemp("killed") / "mesh.db"
    subprocess.run([sys.executable, "-c", KILLED, url_of(path), str(RUNS)], check=True)
    return path


@pytest.fixture
def left(killed, tmp_path):
    """Return the path of a copy of what was left."""
    for ending in ("", "-wal", "-shm"):
        shutil.copyfile(beside(killed, ending), tmp_path / f"mesh.db{ending}")
    return tmp_path / "mesh.db"


def cut(log, rng):
    os.truncate(log, int(rng.integers(0, log.stat().st_size)))


def change_a_byte(log, rng):
    content = bytearray(log.read_bytes())
    content[int(rng.integers(0, len(content)))] ^= 1 << int(rng.integers(0, 8))
    log.write_bytes(content)


def delete(log, rng):
    log.unlink()


def delete_index(log, rng):
    log.with_name("mesh.db-shm").unlink()


def spoil_index(log, rng):
    index = log.with_name("mesh.db-shm")
    index.write_bytes(rng.bytes(index.stat().st_size))


@pytest.mark.parametrize("damage", [cut, change_a_byte, delete, delete_index, spoil_index])
@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_log_leaves_the_runs_that_were_stored_before_the_damage_each_whole(left, damage, seed):
    damage(beside(left, "-wal"), np.random.default_rng(seed))
    try:
        store = open_store(url_of(left), read_only=True)
    except StoreError as error:  # all of the tables were in the log
        assert "has no tables" in str(error)  # noqa: PT017 - both ends are allowed
        store = open_store(url_of(left))
    with store:
        found = sorted(run.id for run in store.runs(limit=100))
        assert found == [f"r{number:02}" for number in range(len(found))]
        assert all(store.events(run_id) == whole(run_id) for run_id in found)
        assert store.check() == []
    assert len(found) == RUNS or damage not in (delete_index, spoil_index)
    with open_store(url_of(left)) as store:
        store.append(whole("new"))
        assert (store.count_runs(), store.check()) == (len(found) + 1, [])


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_was_emptied_beside_its_log_is_refused_and_the_log_is_kept(left, read_only):
    os.truncate(left, 0)
    log = beside(left, "-wal").read_bytes()
    with pytest.raises(StoreError, match=r"mesh\.db' was emptied, and its log 'mesh\.db-wal' was not"):
        open_store(url_of(left), read_only=read_only)
    assert beside(left, "-wal").read_bytes() == log


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mesh.db"


@pytest.fixture
def store(path):
    with open_store(url_of(path)) as store:
        store.append(whole("first"))
        yield store


def refused(store, match):
    """Say that the store neither writes nor reads nor checks."""
    for ask in (lambda: store.append(whole("lost")), store.count_runs, store.check, store.repair):
        with pytest.raises(StoreError, match=match):
            ask()


def test_a_file_that_is_deleted_while_it_is_open_is_an_error_until_it_is_back(store, path):
    away = path.rename(path.with_name("away.db"))
    refused(store, r"mesh\.db' was deleted while .* was open: nothing is read or written; put it back")
    away.rename(path)
    store.append(whole("second"))
    assert store.count_runs() == 2


def test_a_file_that_is_replaced_while_it_is_open_is_an_error_and_neither_is_written_to(store, path):
    with open_store(url_of(path.with_name("other.db"))) as other:
        other.append(whole("other"))
    away = path.rename(path.with_name("away.db"))
    content = path.with_name("other.db").rename(path).read_bytes()
    refused(store, r"mesh\.db' was replaced while")
    assert path.read_bytes() == content
    away.rename(path)
    assert [run.id for run in store.runs()] == ["first"]


def test_a_file_that_is_emptied_while_it_is_open_is_an_error(store, path):
    os.truncate(path, 0)
    refused(store, r"mesh\.db' was emptied while it was open")


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_a_log_that_is_deleted_while_it_is_open_is_an_error_and_what_was_stored_is_taken_in_at_the_end(
    store, path, ending
):
    store.append(whole("second"))
    beside(path, ending).unlink()
    refused(store, rf"mesh\.db{ending}' was deleted while .*close every store")
    store.close()
    with open_store(url_of(path)) as again:
        assert [run.id for run in again.runs()] == ["second", "first"]
        assert again.check() == []


def test_a_reader_says_too_that_its_file_was_replaced(store, path):
    with open_store(url_of(path), read_only=True) as reader:
        assert reader.count_runs() == 1
        shutil.copyfile(path, path.with_name("copy.db"))
        away = path.rename(path.with_name("away.db"))
        path.with_name("copy.db").rename(path)
        with pytest.raises(StoreError, match="was replaced while"):
            reader.runs()
        away.rename(path)


@pytest.mark.parametrize("seed", range(2))
def test_a_file_that_is_cut_while_it_is_open_serves_nothing_wrong_and_what_can_be_read_is_saved(path, seed):
    kept = {f"r{number:02}": whole(f"r{number:02}", text="x" * 90 * number) for number in range(RUNS)}
    with open_store(url_of(path)) as store:
        store.append([event for log in kept.values() for event in log])
    with open_store(url_of(path)) as store:
        size = path.stat().st_size
        os.truncate(path, int(np.random.default_rng(seed).integers(size // 2, size)))
        for run_id, log in kept.items():
            try:
                assert store.events(run_id) == log
            except StoreError as error:
                assert "malformed" in str(error)  # noqa: PT017 - both ends are allowed
        assert any("mesh.db" in line for line in store.check())
    repaired = repair(url_of(path))
    assert repaired.left
    with open_store(url_of(Path(path.with_name("mesh.salvaged.db")))) as saved:
        assert saved.check() == []
        found = {run.id: saved.events(run.id) for run in saved.runs(limit=100)}
    lost = {line.split("'")[1] for line in repaired.done if line.startswith("lost run")}
    assert found.items() <= kept.items()
    assert found.keys() | lost == kept.keys()
