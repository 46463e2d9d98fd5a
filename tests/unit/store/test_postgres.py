"""PostgreSQL: what it refuses and says, who waits for whom, servers that go away, and several processes at once."""

import importlib.util
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from agentmesh.errors import ConfigError, EmptyStoreError, SchemaVersionError, StoreError
from agentmesh.records import LearningFault, RegistrySnapshot
from agentmesh.store import TraceWriter, open_store
from agentmesh.store.base import StoredEvent
from agentmesh.store.postgres import PostgresDatabase
from agentmesh.store.sql import SqlStore
from agentmesh.testing.postgres import PostgresServer, find_postgres
from agentmesh.testing.traces import lesson, mark, score, start, state, whole

FOLDER = Path(__file__).parent


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CutWire = load("cutting").CutWire
NUMBERS = count()
PASSWORD = quote(PostgresServer.PASSWORD, safe="")


def logged(store):
    return [stored.event for stored in store.tail()]


def execute(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement)


# --- opening


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url: url.replace("mesh@", "mesh:s3cret@"), "password authentication failed.*check user and password"),
        (lambda url: url, "no password supplied.*PGPASSWORD"),
        (lambda url: url.replace("/guarded", "/nowhere"), '"nowhere" does not exist.*createdb'),
        (lambda url: url.replace("@127.0.0.1", ":s3cret@nowhere.invalid"), "nowhere.invalid.*check the host's name"),
        (lambda url: re.sub(r"mesh@([\d.]+):\d+", r"mesh:s3cret@\1:1", url), "refused.*check host and port"),
        (lambda url: url.replace("mesh@", "mesh:s3cret@") + "?colour=red", "colour.*accepted are"),
    ],
)
def test_what_keeps_a_database_from_being_opened_is_said_with_what_to_do(guarded_postgres, change, said):
    with pytest.raises(StoreError, match=f"(?s)cannot open .*{said}") as caught:
        open_store(change(guarded_postgres.url("guarded")))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://mesh:s3cret@host:port/db", "postgresql://mesh:s3@cret@host/db"])
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url):
    with pytest.raises(ConfigError) as caught:
        open_store(url)
    assert "'postgresql://mesh@host" in str(caught.value)
    assert "s3" not in str(caught.value)


def test_a_url_of_an_unknown_kind_is_refused_without_its_password():
    with pytest.raises(ConfigError, match=r"'mysql://ada@host/db' names no store; accepted are .*'postgresql://"):
        open_store("mysql://ada:s3cret@host/db")


def test_the_password_opens_the_store_and_is_shown_nowhere(guarded_postgres):
    url = guarded_postgres.url("guarded", user=f"mesh:{PASSWORD}")
    with open_store(url) as store:
        store.append(whole("r"))
        assert store.url == guarded_postgres.url("guarded")
        shown = [store.url, repr(store), repr(vars(store)), repr(store._database._writer)]
        assert not any(secret in text for secret in (PASSWORD, PostgresServer.PASSWORD) for text in shown)
        with open_store(store.address, read_only=True) as other:
            assert other.events("r") == whole("r")


def test_without_psycopg_the_extra_is_named():
    code = "import sys; sys.modules['psycopg'] = None; from agentmesh.store import open_store; open_store(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, "postgresql://h/d"], capture_output=True, text=True, check=False)
    assert (
        "MissingExtraError: 'psycopg' is not installed; run: pip install 'agentmesh-routing[postgres]'" in done.stderr
    )


def test_a_database_without_tables_is_made_by_who_may_write_alone(postgres_url):
    for how in ({"read_only": True}, {"create": False}):
        with pytest.raises(EmptyStoreError, match="has no tables; open it once without read_only"):
            open_store(postgres_url, **how)
    with open_store(postgres_url) as store:
        store.append(whole("r"))
    with open_store(postgres_url, read_only=True) as store:
        assert store.events("r") == whole("r")
        with pytest.raises(StoreError, match="reading only"):
            store.append(whole("s"))


def test_a_database_of_another_application_is_left_untouched(postgres_url):
    execute(postgres_url, "CREATE TABLE theirs (id int)")
    with pytest.raises(StoreError, match="no agentmesh database: it holds the tables theirs"):
        open_store(postgres_url)
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute(tables).fetchone() == (1,)


def test_a_database_of_a_newer_schema_asks_for_an_upgrade(postgres_url):
    open_store(postgres_url).close()
    execute(postgres_url, "UPDATE agentmesh_schema SET version_num = '9999'")
    with pytest.raises(SchemaVersionError, match=r"'9999'.*upgrade agentmesh"):
        open_store(postgres_url)


# --- what is stored


def test_text_of_every_kind_is_stored_searched_and_read_as_it_is(postgres_url):
    text = "NUL \0, DLE \x10\x11, half a pair \ud83d, '; DROP TABLE runs; --, %s, \u202e, 🜚" + "x" * 300_000 + "Ende\0"
    with open_store(postgres_url) as store:
        store.append(whole("r\0\x10", text=text))
        assert store.events("r\0\x10") == whole("r\0\x10", text=text)
        assert store.runs()[0].text.startswith("NUL \0, DLE \x10\x11, half a pair \\ud83d")
        store.put_router("knn", "h\0", "a\0b")
        assert store.router_parameters("knn", "h\0") == "a\0b"
        with pytest.raises(StoreError, match="surrogates"):
            store.append(whole("\ud83d"))
        with pytest.raises(StoreError, match="out of range"):
            store.tail(2**64)
        assert store.count_runs() == 1


def test_the_check_finds_indexes_that_are_not_valid_and_counters_that_are_behind(postgres_url):
    with open_store(postgres_url) as store:
        store.append(whole("r"))
        store.add_fault(LearningFault(at=1, message="m"))
        assert store.check() == []
        execute(postgres_url, "SELECT setval('events_place_seq', 1)")
        execute(postgres_url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_runs_status'::regclass")
        found = store.check()
        assert any("the counter events_place_seq is behind" in line for line in found)
        assert any("the index ix_runs_status is not valid" in line for line in found)
        assert len(found) == 2


# --- who waits for whom


def test_no_place_is_seen_before_a_lower_one_since_writers_wait_for_one_another(postgres_url):
    with (
        SqlStore(PostgresDatabase(postgres_url)) as first,
        open_store(postgres_url) as second,
        open_store(postgres_url, busy_timeout_s=0.05) as hasty,
        ThreadPoolExecutor(1) as thread,
    ):
        with first._database.writing() as connection:
            places = [connection.exec_driver_sql("SELECT nextval('events_place_seq')").scalar() for _ in range(3)]
            waiting = thread.submit(second.append, whole("late"))
            with pytest.raises(StoreError, match="another process is writing to it"):
                hasty.append(whole("hasty"))
            assert second.tail() == []
            assert not waiting.done()
        waiting.result()
        assert min(stored.place for stored in second.tail()) > max(places)


def test_a_reader_sees_one_state_while_a_writer_goes_on(postgres_url):
    with open_store(postgres_url) as store, SqlStore(PostgresDatabase(postgres_url, read_only=True)) as other:
        store.append(whole("r"))
        count = "SELECT count(*) FROM events"
        with other._database.reading() as connection:
            assert connection.exec_driver_sql(count).scalar() == 3
            store.append(whole("s"))
            assert connection.exec_driver_sql(count).scalar() == 3
        assert other.count_runs() == 2


def test_two_meshes_in_one_database_do_not_wait_for_one_another(new_postgres_url):
    one, other = new_postgres_url(), new_postgres_url()
    with SqlStore(PostgresDatabase(one)) as first, open_store(other, busy_timeout_s=0.05) as second:
        with first._database.writing():
            second.append(whole("r"))
        assert first.count_runs() == 0
        assert second.count_runs() == 1


# --- several processes


@pytest.mark.timeout(90)  # it starts a process that forks two
def test_several_processes_write_at_once_and_who_follows_them_misses_no_event_and_no_number(postgres_url):
    with open_store(postgres_url):
        pass  # makes the tables
    command = [sys.executable, str(FOLDER / "feeding.py"), postgres_url, "40", "p-", "q-"]
    with (
        open_store(postgres_url, read_only=True) as reader,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running,
    ):
        seen: list[StoredEvent] = []
        while len(seen) < 320:
            has_ended = running.poll() is not None
            more = reader.tail(seen[-1].place if seen else 0, limit=7)
            seen += more
            if has_ended and not more:
                break
        given = json.loads(running.communicate()[0])
        assert len({(stored.event.run_id, stored.event.seq) for stored in seen}) == 320
        assert seen == reader.tail(limit=10**6)
        assert sorted(given["p-"] + given["q-"]) == [item.sequence for item in reader.experiences()] == [*range(1, 81)]
        assert reader.check() == []


@pytest.mark.timeout(90)  # it starts a process that forks others
def test_what_was_acknowledged_before_a_kill_is_stored_exactly_once(postgres_url, tmp_path, warm_python):
    done = warm_python.run(FOLDER / "killing.py", postgres_url, 3, "feedback", folder=tmp_path)
    assert done.returncode == 0, done.stderr


# --- servers that go away


@pytest.fixture
def server(postgres_server):
    """Return our own server, which runs again at the end."""
    yield postgres_server
    postgres_server.kill()
    postgres_server.start()


@pytest.fixture
def url(server):
    name = f"apart_{next(NUMBERS)}"
    execute(server.url(), f"CREATE SCHEMA {name}")
    return f"{server.url()}?options=-csearch_path%3D{name}"


async def test_events_wait_for_a_server_that_was_killed_and_are_stored_once_it_runs_again(server, url):
    with open_store(url, busy_timeout_s=30) as store:
        store.append(whole("before"))
        writer = TraceWriter(store)
        server.kill()
        for i in range(20):
            writer.post(whole(f"r{i}"))
        server.start()
        await writer.aclose()
        assert {run.id for run in store.runs()} == {"before", *(f"r{i}" for i in range(20))}
        assert store.check() == []


def test_a_server_that_stays_away_is_a_clear_error_and_what_was_refused_can_be_stored_later(server, url):
    with open_store(url, busy_timeout_s=0.1) as store:
        store.append([start("r")])
        server.kill()
        with pytest.raises(StoreError, match=r"cannot write .*refused.*that the server is running"):
            store.append(whole("r")[1:])
        with pytest.raises(StoreError, match="cannot read"):
            store.runs()
        server.start()
        store.append(whole("r")[1:])
        assert logged(store) == whole("r")


@pytest.fixture
def wire(server):
    with CutWire(server.port, b"COMMIT\0") as wire:
        yield wire


@pytest.fixture
def far_store(wire, url, server):
    """Return a store whose next commit takes effect, and whose answer is lost."""
    with open_store(url.replace(f":{server.port}", f":{wire.port}")) as store:
        store.append(whole("r"))
        wire.armed = True
        yield store
    assert wire.cuts == 1


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (lambda store: store.append(whole("s")), lambda store: (store.events("s"), store.count_runs())),
        (lambda store: store.add_feedback(score("r"), [lesson("r")]), lambda store: (store.events("r"), store.check())),
        (lambda store: store.put_state(state(3)), lambda store: store.states("kernel", "abc")),
        (lambda store: store.put_router("knn", "abc", "{}"), lambda store: store.routers()),
        (
            lambda store: store.put_registry(RegistrySnapshot(version="1", cards=())),
            lambda store: store.registry("1"),
        ),
    ],
    ids=["events", "feedback", "state", "parameters", "registry"],
)
def test_what_a_commit_stored_whose_answer_was_lost_is_not_stored_twice(far_store, write, read):
    with open_store() as memory:
        memory.append(whole("r"))
        assert write(far_store) == write(memory)
        assert read(far_store) == read(memory)


def test_a_mark_whose_commit_was_not_answered_is_an_error_that_says_that_it_may_be_stored(far_store):
    with pytest.raises(StoreError, match=r"lost during a commit.*may be stored or not"):
        far_store.put_mark(mark(), state(0))
    assert [item.sequence for item in far_store.marks("kernel", "abc")] == [1]


# --- the server for tests


def test_a_server_that_cannot_be_made_or_started_says_why(server, tmp_path):
    with pytest.raises(StoreError, match=r"initdb failed: .*nowhere"), PostgresServer(Path("/nowhere")):
        raise AssertionError("it started")
    server.kill()
    server._settings["no_such_setting"] = "1"
    with pytest.raises(StoreError, match=r"did not start: .*no_such_setting"):
        server.start()
    del server._settings["no_such_setting"]


def test_programs_that_are_nowhere_are_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_postgres([str(tmp_path / "postgresql")]) is None
