"""A damaged file is copied, put right where that can be, and else saved run by run into a new file beside it."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from agentmesh.errors import EmptyStoreError, SchemaVersionError, StoreError
from agentmesh.store import open_store
from agentmesh.store.repair import repair
from agentmesh.testing.traces import decided, lesson, mark, score, start, state, whole

PAGE = 4096
RUNS = 40


def url_of(path):
    return f"sqlite:///{path}"


def execute(path, statement):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def logs(path):
    with open_store(url_of(path), read_only=True) as store:
        assert store.check() == []
        return {run.id: store.events(run.id) for run in store.runs(limit=1000)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Make a database with runs of many lengths, one of them under way, and something learned."""
    path = tmp_path_factory.mktemp("sound") / "mesh.db"
    with open_store(url_of(path)) as store:
        for number in range(RUNS):
            store.append([*whole(f"r{number:02}", text="x" * number * 90), decided(f"r{number:02}", 3, reason="Why.")])
            store.add_feedback(score(f"r{number:02}"), [lesson(f"r{number:02}")])
        store.append([start("open")])
        store.put_mark(mark(), state(0))
    return path


@pytest.fixture
def path(sound, tmp_path):
    return Path(shutil.copyfile(sound, tmp_path / "mesh.db"))


def garbage(file, rng, place):
    file.write(rng.bytes(PAGE))


def zeros(file, rng, place):
    file.write(bytes(PAGE))


def scratch(file, rng, place):
    file.seek(place + int(rng.integers(0, 100)))
    file.write(rng.bytes(60))


def cut(file, rng, place):
    file.truncate(place + int(rng.integers(1, PAGE)))


def header(file, rng, place):
    file.seek(0)
    file.write(rng.bytes(100))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("damage", [garbage, zeros, scratch, cut, header])
def test_every_run_of_a_damaged_file_is_saved_whole_or_named_as_lost(sound, path, damage, seed):
    rng = np.random.default_rng(seed)
    pages = path.stat().st_size // PAGE
    page = int(rng.integers(pages // 2 if damage is cut else 1, pages))
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        damage(file, rng, page * PAGE)
    repaired = repair(url_of(path))
    assert repaired.done[0].startswith("kept a copy of the file")
    assert path.with_name("mesh.backup.db").stat().st_size >= path.stat().st_size
    before, into = logs(sound), path if not repaired.left else path.with_name("mesh.salvaged.db")
    after = logs(into)
    lost = {line.split("'")[1] for line in repaired.done if line.startswith("lost run")}
    assert after.keys() | lost == before.keys()
    assert not after.keys() & lost
    assert all(after[run_id] == before[run_id] for run_id in after)
    assert after if damage is not header else after == before
    with open_store(url_of(into)) as store:
        store.append(whole("new"))
        assert store.tail()[-1].place > 5 * RUNS + 1  # no place is used twice, also not that of a lost event


def test_runs_with_a_hole_stay_behind_and_marks_without_a_state_too(sound, path):
    execute(path, "DELETE FROM events WHERE run_id = 'r03' AND seq = 1")
    execute(path, "DELETE FROM events WHERE run_id = 'r05' AND seq > 2")
    execute(path, "DELETE FROM events WHERE run_id = 'r07'")
    execute(path, "DELETE FROM router_states")
    execute(path, "UPDATE experiences SET body = '{' WHERE sequence = 9")
    execute(path, "INSERT INTO router_states VALUES ('kernel', 'abc', 900, 0, 'x')")
    execute(path, "UPDATE runs SET status = 'failed' WHERE id = 'r09'")
    repaired = repair(url_of(path))
    assert [line for line in repaired.done if line.startswith(("lost", "left out", "of "))] == [
        "lost run 'r03': 4 of its 5 events could be read",
        "lost run 'r05': 3 of its 5 events could be read",
        "lost run 'r07': 0 of its 5 events could be read",
        "of experiences, 1 rows were damaged, and up to 0 could not be read",
        f"left out mark {RUNS + 1} of router 'kernel' has no state of parameters 'abc': its learning cannot go on",
        "left out states of routers that learned from what was lost: they are made anew from the rest",
    ]
    assert len(repaired.left) == 4
    saved = logs(path.with_name("mesh.salvaged.db"))
    assert saved == {run_id: log for run_id, log in logs(sound).items() if run_id not in {"r03", "r05", "r07"}}
    assert repair(url_of(path)).left == repaired.left  # under further names
    assert len(list(path.parent.glob("mesh.salvaged*.db"))) == len(list(path.parent.glob("mesh.backup*.db"))) == 2


def test_a_file_that_only_lists_wrongly_is_repaired_in_place(sound, path):
    execute(path, "UPDATE runs SET status = 'failed', text = 'odd' WHERE id < 'r05'")
    repaired = repair(url_of(path))
    assert (len(repaired.done), repaired.left) == (7, ())
    assert logs(path) == logs(sound)
    assert not path.with_name("mesh.salvaged.db").exists()
    with open_store(url_of(path.with_name("mesh.backup.db")), read_only=True) as copy:
        assert len(copy.check()) == 6  # the copy is of the file as it was


@pytest.mark.parametrize("content", [b"remember the milk" * 1000, b"SQLite format 3\0", b"\0" * 10_000])
def test_nothing_is_saved_of_a_file_in_which_no_table_can_be_read(tmp_path, content):
    path = tmp_path / "mesh.db"
    path.write_bytes(content)
    repaired = repair(url_of(path))
    assert any("nothing can be saved" in line for line in repaired.done)
    assert len(repaired.left) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mesh.backup.db", "mesh.db"]
    assert path.read_bytes() == (tmp_path / "mesh.backup.db").read_bytes() == content


def test_a_database_of_another_application_is_not_salvaged(tmp_path):
    path = tmp_path / "mesh.db"
    execute(path, "CREATE TABLE milk (bought)")
    repaired = repair(url_of(path))
    assert "nothing can be saved: there is no table of events" in repaired.done
    assert "no agentmesh database" in repaired.left[0]


def test_what_is_missing_empty_or_newer_is_refused_and_no_copy_is_made(path, tmp_path):
    with pytest.raises(StoreError, match="there is no file"):
        repair(url_of(tmp_path / "nothing.db"))
    (tmp_path / "empty.db").touch()
    with pytest.raises(EmptyStoreError):
        repair(url_of(tmp_path / "empty.db"))
    execute(path, "UPDATE agentmesh_schema SET version_num = '9999'")
    with pytest.raises(SchemaVersionError):
        repair(url_of(path))
    with pytest.raises(StoreError, match="cannot copy"):
        repair(url_of(tmp_path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty.db", "mesh.db"]


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_a_damaged_file_of_an_older_schema_is_saved_into_one_of_todays(tmp_path, schema):
    golden = Path(__file__).parents[2] / "migrations" / "golden" / f"schema{schema}.db"
    path = Path(shutil.copyfile(golden, tmp_path / "old.db"))
    execute(path, "DELETE FROM events WHERE run_id = 'full' AND seq = 1")
    repaired = repair(url_of(path))
    assert any(line.startswith("lost run 'full'") for line in repaired.done)
    assert {"failed", "cut"} <= logs(tmp_path / "old.salvaged.db").keys()


def test_a_store_that_is_open_elsewhere_is_not_repaired(path, tmp_path):
    code = "import sys; from agentmesh.store import open_store\nwith open_store(sys.argv[1]): print(); sys.stdin.read()"
    command = [sys.executable, "-c", code, url_of(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(StoreError, match="is open elsewhere; stop what uses it"):
            repair(url_of(path))
        other.stdin.close()
    assert not list(tmp_path.glob("*backup*"))
    assert repair(url_of(path)).left == ()


def test_a_store_that_is_no_file_is_repaired_where_it_is(postgres_url):
    assert repair("memory://").left == ()
    with open_store(postgres_url) as store:
        store.append(whole("r"))
        with store._database.writing() as connection:
            connection.exec_driver_sql("UPDATE runs SET status = 'failed'")
    repaired = repair(postgres_url)
    assert (len(repaired.done), repaired.left) == (1, ())
