"""From a URL to a store, and what becomes of databases that are missing, foreign, newer, damaged or not writable."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from agentmesh.errors import ConfigError, SchemaVersionError, StoreError
from agentmesh.store import MemoryStore, open_store
from agentmesh.testing.traces import whole


def url_of(path):
    return f"sqlite:///{path}"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mesh.db"


@pytest.fixture
def made(path):
    """Return the path of a database with one run."""
    with open_store(url_of(path)) as store:
        store.append(whole("r"))
    return path


@pytest.fixture
def made_before(tmp_path):
    """Return the path of a database that an older agentmesh made."""
    golden = Path(__file__).parents[2] / "migrations" / "golden" / "schema1.db"
    return Path(shutil.copyfile(golden, tmp_path / "old.db"))


def test_no_url_keeps_traces_in_memory():
    assert isinstance(open_store(), MemoryStore)
    assert isinstance(open_store("memory://"), MemoryStore)


def test_opening_a_store_in_memory_loads_no_database():
    code = "import sys; from agentmesh.store import open_store; open_store(); print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_was_stored_is_there_after_opening_again(made):
    with open_store(url_of(made)) as store:
        assert store.url == url_of(made)
        assert store.events("r") == whole("r")


def test_a_relative_path_starts_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///here.db").close()
    assert (tmp_path / "here.db").exists()


@pytest.mark.parametrize("name", ["a b.db", "q?mode=ro.db", "h#a.db", "100%20.db", "é&=.db", ":memory:.db"])
def test_any_file_name_will_do(tmp_path, name):
    with open_store(url_of(tmp_path / name)) as store:
        store.append(whole("r"))
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mesh.db", "'sqlite:///mesh.db'"),
        ("", "'memory://'"),
        ("sqlite:///", "'memory://'"),
        ("sqlite:///:memory:", "'memory://'"),
        ("sqlite://mesh.db", "'sqlite:///path/to/file.db'"),
        ("mysql://localhost/mesh", "'postgresql://user@host/database'"),
        ("sqlite:///a\0b.db", "'sqlite:///path/to/file.db'"),
    ],
)
def test_a_url_that_names_no_store_is_refused_with_what_would_be_accepted(url, said):
    with pytest.raises(ConfigError, match=re.escape(repr(url))) as caught:
        open_store(url)
    assert said in str(caught.value)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"'.*/missing' does not exist"):
        open_store(url_of(tmp_path / "missing" / "mesh.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    with pytest.raises(StoreError, match="is a folder"):
        open_store(url_of(tmp_path))


def test_a_name_too_long_for_the_file_system_is_refused(tmp_path):
    with pytest.raises(StoreError, match="name too long"):
        open_store(url_of(tmp_path / ("x" * 300)))


def test_an_empty_file_becomes_a_database(path):
    path.touch()
    with open_store(url_of(path)) as store:
        store.append(whole("r"))
        assert store.count_runs() == 1


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_named_and_left_alone(path, read_only):
    path.write_bytes(b"not a database, whatever its name says\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"mesh\.db.*not a database"):
        open_store(url_of(path), read_only=read_only)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_another_application_is_left_untouched(path, read_only):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE events (id)")
        other.execute("CREATE TABLE alembic_version (version_num)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"no agentmesh database.*alembic_version, events"):
        open_store(url_of(path), read_only=read_only)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_a_newer_schema_asks_for_an_upgrade(made, read_only):
    execute(made, "UPDATE agentmesh_schema SET version_num = '9999'")
    with pytest.raises(SchemaVersionError, match=r"'9999'.*upgrade agentmesh"):
        open_store(url_of(made), read_only=read_only)


def test_an_event_of_a_newer_schema_asks_for_an_upgrade(made):
    execute(made, "UPDATE events SET schema = 99 WHERE seq = 1")
    with open_store(url_of(made)) as store, pytest.raises(SchemaVersionError, match=r"event 1 of run 'r'.*99"):
        store.run("r")


@pytest.mark.parametrize("body", ["", "{", "[]", '{"kind": "run_started"}', '{"kind": "odd"}', '{"kind": "\\ud800"}'])
def test_a_damaged_event_is_named(made, body):
    execute(made, "UPDATE events SET body = ? WHERE seq = 1", body)
    with open_store(url_of(made)) as store:
        with pytest.raises(StoreError, match=r"event 1 of run 'r' in .*damaged"):
            store.run("r")
        with pytest.raises(StoreError, match=r"place 2 in .*damaged"):
            store.tail()
        (line,) = store.check()
        assert "event 1 of run 'r'" in line


def test_a_damaged_registry_is_named(path):
    with open_store(url_of(path)) as store:
        execute(path, "INSERT INTO registries VALUES ('v', '{')")
        with pytest.raises(StoreError, match=r"registry 'v' in .* is damaged"):
            store.registry("v")


def test_a_database_whose_pages_were_overwritten_is_reported_by_the_check(path):
    with open_store(url_of(path)) as store:
        for i in range(200):
            store.append(whole(f"r{i}"))
    with path.open("r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(b"\xff" * 20_000)
    with open_store(url_of(path)) as store:
        found = store.check()
        assert any("mesh.db" in line for line in found)


def test_a_missing_database_is_an_error_for_a_reader_and_nothing_is_made(tmp_path, path):
    with pytest.raises(StoreError, match=r"no file '.*mesh\.db'"):
        open_store(url_of(path), read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_an_error_for_a_reader_and_stays_empty(path):
    path.touch()
    with pytest.raises(StoreError, match=r"has no tables.*without read_only"):
        open_store(url_of(path), read_only=True)
    assert path.stat().st_size == 0


def test_a_writer_may_refuse_to_make_a_database_and_migrates_one_that_is_there(path, made_before):
    with pytest.raises(StoreError, match="there is no file"):
        open_store(url_of(path), create=False)
    assert not path.exists()
    path.touch()
    with pytest.raises(StoreError, match="no tables"):
        open_store(url_of(path), create=False)
    assert path.stat().st_size == 0
    with open_store(url_of(made_before), create=False) as store:
        store.append(whole("r"))
        assert store.check() == []


def test_a_reader_sees_everything_and_may_write_nothing(made):
    before = made.read_bytes()
    with open_store(url_of(made), read_only=True) as store:
        assert store.events("r") == whole("r")
        with pytest.raises(StoreError, match="reading only"):
            store.append(whole("s"))
        assert store.count_runs() == 1
    assert made.read_bytes() == before
    assert list(made.parent.iterdir()) == [made]


def test_a_database_of_todays_schema_is_opened_without_loading_alembic(made):
    code = (
        "import sys; from agentmesh.store import open_store; open_store(sys.argv[1]); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, url_of(made)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_reader_sees_what_a_writer_adds_meanwhile(made):
    with open_store(url_of(made), read_only=True) as reader, open_store(url_of(made)) as writer:
        writer.append(whole("s"))
        assert reader.count_runs() == 2


def test_text_that_is_no_utf8_survives(path):
    log = whole("r", text="half a pair: \ud83d, and \\ud83d spelled out, in Ä" + "B" * 300)
    with open_store(url_of(path)) as store:
        store.append(log)
        assert store.events("r") == log
        assert store.runs()[0].text.startswith("half a pair: \\ud83d, and")
        assert store.count_runs() == 1


def test_an_id_that_is_no_utf8_is_an_error_and_writes_nothing(path):
    with open_store(url_of(path)) as store:
        with pytest.raises(StoreError, match="surrogates"):
            store.append([*whole("a"), *whole("\ud800")])
        assert store.tail() == []


def test_a_number_beyond_64_bits_is_an_error(path):
    with open_store(url_of(path)) as store, pytest.raises(StoreError, match="too large"):
        store.tail(2**64)


def execute(path, statement, *values):
    with sqlite3.connect(path) as connection:
        connection.execute(statement, values)
    connection.close()
