"""Rows that say otherwise than the events are found and drawn anew, on SQLite and on PostgreSQL alike."""

import pytest

from agentmesh.errors import StoreError
from agentmesh.records import LearningFault
from agentmesh.store import RunFilter, open_store
from agentmesh.testing.traces import decided, end, start, whole


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    return f"sqlite:///{tmp_path}/mesh.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def store(url):
    with open_store(url) as store:
        store.append([*whole("r"), decided("r", 3, reason="Because."), *whole("sound")])
        yield store


def execute(store, *statements):
    with store._database.writing() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        ("UPDATE runs SET status = 'failed', cost_usd = '9' WHERE id = 'r'", "status, cost_usd"),
        ("UPDATE runs SET folded_text = 'odd', last_seq = 1 WHERE id = 'r'", "last_seq, folded_text"),
        ("UPDATE runs SET started_at = NULL, agents = '[]' WHERE id = 'r'", "started_at, agents"),
        ("DELETE FROM run_agents WHERE run_id = 'r'", "run_agents"),
        ("INSERT INTO run_agents VALUES ('nobody', 'r', 1.0)", "run_agents"),
        ("UPDATE run_reasons SET folded_reason = 'odd'", "run_reasons"),
        ("INSERT INTO run_reasons VALUES ('sound', 'odd')", "run_reasons"),
    ],
)
def test_a_row_that_says_otherwise_than_the_events_is_named_and_drawn_anew(store, statement, columns):
    before = store.runs(), store.tail()
    execute(store, statement)
    (line,) = store.check()
    assert line.endswith(f"say otherwise than its events: {columns}")
    (done,) = store.repair()
    assert line in done
    assert store.check() == []
    assert (store.runs(), store.tail()) == before
    assert [run.id for run in store.runs(RunFilter(reason="because"))] == ["r"]
    assert [run.id for run in store.runs(RunFilter(agent_id="ada"))] == ["sound", "r"]


def test_the_loss_of_the_last_events_is_named_and_is_not_hidden_by_a_repair(store):
    execute(store, "DELETE FROM events WHERE run_id = 'r' AND seq > 1")
    found = store.check()
    assert found == ["run 'r' holds 2 events but its last seq is 3: 2 are missing"]
    assert store.repair() == []
    assert store.check() == found


def test_a_body_that_is_another_event_than_its_row_says_is_named(store):
    execute(store, "UPDATE events SET body = replace(body, '\"sound\"', '\"r\"') WHERE run_id = 'sound' AND seq = 1")
    (line,) = store.check()
    assert line.startswith("event 1 of run 'sound' in")
    assert "its body is event 1 of run 'r'" in line
    assert store.repair() == []


def test_a_store_opened_for_reading_is_not_repaired(store, url):
    with open_store(url, read_only=True) as reader, pytest.raises(StoreError, match="reading only"):
        reader.repair()


def test_rows_that_belong_to_no_run_go_and_a_run_without_a_row_gets_one(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/mesh.db") as store:
        store.append([*whole("r"), decided("r", 3, reason="Because."), start("gone"), end("gone", 1)])
        before = store.runs(), store.tail()
        with store._database._writer.raw_connection() as connection:  # by hand, since foreign keys forbid it
            connection.execute("PRAGMA foreign_keys=OFF")
            connection.execute("DELETE FROM runs WHERE id = 'r'")
            connection.execute("INSERT INTO run_agents VALUES ('ada', 'nobody', 1.0)")
            connection.execute("PRAGMA foreign_keys=ON")
        found = store.check()
        assert found == [
            "agents or a reason are kept of run 'nobody', which has no row",
            "agents or a reason are kept of run 'r', which has no row",
            "run 'r' has events and no row: no list shows it",
        ]
        assert len(store.repair()) == 2
        assert store.check() == []
        assert (store.runs(), store.tail()) == before


def test_indexes_that_lack_a_row_are_made_anew(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/mesh.db") as store:
        store.append([*whole("a"), *whole("b")])
        execute(
            store,
            "PRAGMA writable_schema=ON",
            "UPDATE sqlite_master SET sql = sql || ' WHERE id > ''a''' WHERE name = 'ix_runs_status'",
            "PRAGMA writable_schema=OFF",
        )
    with open_store(f"sqlite:///{tmp_path}/mesh.db") as store:
        store.append(whole("A"))  # the index says that it leaves this one out
        execute(
            store,
            "PRAGMA writable_schema=ON",
            "UPDATE sqlite_master SET sql = replace(sql, ' WHERE id > ''a''', '') WHERE name = 'ix_runs_status'",
            "PRAGMA writable_schema=OFF",
        )
    with open_store(f"sqlite:///{tmp_path}/mesh.db") as store:
        assert any("ix_runs_status" in line for line in store.check())
        assert store.repair() == ["made the indexes anew"]
        assert store.check() == []


def test_indexes_and_counters_of_postgres_are_put_right(postgres_url):
    with open_store(postgres_url) as store:
        store.append(whole("r"))
        store.add_fault(LearningFault(at=1, message="m"))
        execute(
            store,
            "SELECT setval('events_place_seq', 1)",
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_runs_status'::regclass",
        )
        assert store.repair() == [
            "made the index ix_runs_status anew",
            "set the counter events_place_seq to the last place of events",
        ]
        assert store.check() == []
        store.append(whole("s"))
