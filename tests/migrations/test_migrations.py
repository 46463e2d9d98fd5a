"""Old databases are read by today's package, and the migrations make the tables that schema.py describes."""

import importlib.util
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import get_args

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from agentmesh.errors import DuplicateFeedbackError, StoreError
from agentmesh.events import SCHEMA, AnswerChunk, Event
from agentmesh.store import open_store
from agentmesh.store.migrate import scripts, take_steps
from agentmesh.store.postgres import _engine, _parsed
from agentmesh.store.schema import metadata
from agentmesh.store.version import HEAD, VERSION_TABLE
from agentmesh.testing.traces import lesson, mark, score, state, whole

FOLDER = Path(__file__).parent
GOLDEN = sorted((FOLDER / "golden").glob("*.db"))


def load_maker():
    spec = importlib.util.spec_from_file_location("make_golden", FOLDER / "make_golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


maker = load_maker()


def expected_of(golden):
    return maker.Expected.model_validate_json(golden.with_suffix(".json").read_text(encoding="utf-8"))


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request, copied):
    """Return a golden database, and the URL of a copy of it that may be changed."""
    return request.param, copied(request.param)


def test_every_schema_has_its_golden_database():
    assert [path.stem for path in GOLDEN] == [f"schema{number}" for number in range(1, int(HEAD) + 1)]
    assert int(HEAD) >= SCHEMA


def test_a_golden_database_is_migrated_and_reads_as_it_was_written(golden):
    kept, url = golden
    with open_store(url) as store:
        assert maker.read(store) == expected_of(kept)
        assert store.check() == []


def test_a_golden_database_can_be_written_to(golden):
    _, url = golden
    with open_store(url) as store:
        before = {run.id for run in store.runs()}
        store.append(whole("new"))
        assert {run.id for run in store.runs()} == {*before, "new"} > {"full", "failed", "cut"}


def test_a_golden_database_can_be_learned_from_and_marked(golden):
    _, url = golden
    with open_store(url) as store:
        last = store.last_experience()
        learned = store.add_feedback(score("full", source="judge"), [lesson("full", source="judge")])
        marked = store.put_mark(mark(), state(0))
        assert [learned[0].sequence, marked.sequence] == [last + 1, last + 2]
        again = next(item for item in store.experiences() if item.agent_id == "bob")  # schema 1 knew of no stage
        with pytest.raises(DuplicateFeedbackError):
            store.add_feedback(score("full", agent_id="bob"), [again])
        assert store.check() == []


def test_what_was_scored_twice_before_that_was_refused_is_still_read(tmp_path):
    copy = tmp_path / "doubled.db"
    shutil.copyfile(FOLDER / "golden" / "schema1.db", copy)
    columns = "run_id, agent_id, source, at, body"
    with sqlite3.connect(copy) as connection:
        connection.execute(f"INSERT INTO experiences SELECT sequence + 2, {columns} FROM experiences")  # noqa: S608
    connection.close()
    with open_store(f"sqlite:///{copy}") as store:
        assert [item.agent_id for item in store.experiences()] == ["ada", "bob", "ada", "bob"]
        assert store.last_experience() == 4
        assert store.check() == []


def test_an_older_database_is_left_as_it_is_by_a_reader_who_is_told_what_to_do(tmp_path):
    copy = tmp_path / "old.db"
    shutil.copyfile(FOLDER / "golden" / "schema1.db", copy)
    with pytest.raises(StoreError, match=r"schema '0001', not yet those of '.*without read_only, as a run does"):
        open_store(f"sqlite:///{copy}", read_only=True)
    assert copy.read_bytes() == (FOLDER / "golden" / "schema1.db").read_bytes()
    open_store(f"sqlite:///{copy}").close()
    with open_store(f"sqlite:///{copy}", read_only=True) as store:
        assert store.count_runs() == 3


def test_a_process_killed_while_it_migrates_leaves_a_database_that_can_be_migrated(tmp_path):
    copy = tmp_path / "old.db"
    shutil.copyfile(FOLDER / "golden" / "schema1.db", copy)
    code = """
import os, signal, sys
from sqlalchemy import Engine, event
from agentmesh.store import open_store
event.listen(Engine, "commit", lambda connection: "router_marks" in str(connection.exec_driver_sql(
    "SELECT group_concat(name) FROM sqlite_master").scalar()) and os.kill(os.getpid(), signal.SIGKILL))
open_store(sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", code, f"sqlite:///{copy}"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert "router_marks" not in statements(copy)
    with open_store(f"sqlite:///{copy}") as store:
        assert maker.read(store) == expected_of(GOLDEN[0])
        assert store.check() == []


MIGRATING = """
import sys
from multiprocessing import get_context
from agentmesh.store import open_store
import agentmesh.store.migrate, agentmesh.store.sql, agentmesh.store.sqlite, agentmesh.store.postgres
forks = get_context("fork")
barrier = forks.Barrier(len(sys.argv[1:]))
def migrate(url):
    barrier.wait()
    open_store(url, busy_timeout_s=30).close()
running = [forks.Process(target=migrate, args=(url,)) for url in sys.argv[1:]]
for process in running:
    process.start()
for process in running:
    process.join()
print({process.exitcode for process in running})
"""


@pytest.mark.timeout(120)  # it starts many processes
def test_processes_that_migrate_each_golden_database_at_once_leave_it_as_it_was_written(copied_anew):
    urls = [copied_anew(golden) for golden in GOLDEN]
    at_once = [*urls[:1] * 6, *urls[1:] * 2]  # the oldest has the longest way
    done = subprocess.run([sys.executable, "-c", MIGRATING, *at_once], capture_output=True, text=True, check=True)
    assert done.stdout == "{0}\n", done.stderr
    for golden, url in zip(GOLDEN, urls, strict=True):
        with open_store(url) as store:
            assert maker.read(store) == expected_of(golden)
            assert store.check() == []


def test_the_newest_golden_database_holds_every_kind_of_event():
    stored = {event.kind for run in expected_of(GOLDEN[-1]).runs for event in run.events}
    members = get_args(get_args(Event)[0])
    assert stored == {member.model_fields["kind"].default for member in members} - {
        AnswerChunk.model_fields["kind"].default
    }


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_maker_still_makes_what_the_newest_golden_database_holds(kind, request, tmp_path):
    url = f"sqlite:///{tmp_path}/made.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with open_store(url) as store:
        maker.fill(store)
        assert maker.read(store) == expected_of(GOLDEN[-1])


def test_a_golden_database_is_never_made_again():
    with pytest.raises(SystemExit, match="exists"):
        maker.main()


def test_the_migrations_end_in_todays_schema():
    assert scripts().get_current_head() == HEAD


def made_by_migrations(path):
    open_store(f"sqlite:///{path}").close()
    return create_engine(f"sqlite:///{path}")


def differences(engine):
    """Return in what the tables of a database are not those that schema.py describes."""
    with engine.connect() as connection:
        found = compare_metadata(
            MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}), metadata
        )
    engine.dispose()
    return found


def test_each_new_database_of_a_process_is_what_the_migrations_make_though_only_the_first_takes_their_steps(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/steps.db")
    with engine.begin() as connection:
        take_steps(connection, since=None, until="head")
    engine.dispose()
    for name in ("first", "second"):
        open_store(f"sqlite:///{tmp_path}/{name}.db").close()
    steps, first, second = (dump(tmp_path / f"{name}.db") for name in ("steps", "first", "second"))
    assert f"('{HEAD}')" in steps
    assert steps == first == second


def dump(path):
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump())


def test_the_migrations_make_what_schema_describes_as_alembic_sees_it(tmp_path):
    assert differences(made_by_migrations(tmp_path / "mesh.db")) == []


def test_the_migrations_make_what_schema_describes_in_postgres_down_to_the_order_of_text(new_postgres_url):
    migrated, described = new_postgres_url(), new_postgres_url()
    open_store(migrated).close()
    engine = _engine(_parsed(described), wait_s=5.0)
    metadata.create_all(engine)
    engine.dispose()
    assert differences(_engine(_parsed(migrated), wait_s=5.0)) == []
    found = columns_of(migrated)
    assert found - {column for column in found if column[0] == VERSION_TABLE} == columns_of(described)


def columns_of(url):
    """Return table, name, type, collation and whether it may be null of each column of a table, and the indexes."""
    with psycopg.connect(url) as connection:
        columns = "table_name, column_name, data_type, collation_name, is_nullable"
        mine = "table_schema = current_schema() AND table_name NOT LIKE 'v\\_%'"
        found = connection.execute(f"SELECT {columns} FROM information_schema.columns WHERE {mine}").fetchall()  # noqa: S608
        found += connection.execute(
            "SELECT tablename, indexname, replace(indexdef, current_schema() || '.', '') "
            "FROM pg_indexes WHERE schemaname = current_schema()"
        ).fetchall()
    return set(found)


def statements(path):
    """Return the statements that a SQLite file keeps for its tables and indexes."""
    with sqlite3.connect(path) as connection:
        found = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type != 'view'"
        ).fetchall()
    connection.close()
    return {name: " ".join(sql.split()) for name, sql in found if not name.startswith("sqlite_")}


def test_the_migrations_make_what_schema_describes_to_the_letter(tmp_path):
    made_by_migrations(tmp_path / "migrated.db").dispose()
    engine = create_engine(f"sqlite:///{tmp_path}/described.db")
    metadata.create_all(engine)
    engine.dispose()
    migrated = statements(tmp_path / "migrated.db")
    del migrated[VERSION_TABLE]
    assert migrated == statements(tmp_path / "described.db")
