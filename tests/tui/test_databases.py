"""Databases that are locked, newer, away for a while, or watched by two at once."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from agentmesh.cli.app import main
from agentmesh.store import TraceStore, open_store
from agentmesh.testing.postgres import PostgresServer
from agentmesh.tui.app import WatchApp
from tests.tui.apps import LARGE, press, reads, shown, until
from tests.tui.story import sum_asked, told_store

pytestmark = pytest.mark.timeout(60)  # as in test_faults


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database that holds the story, with no log beside it."""
    path = tmp_path / "watched.db"
    told_store(f"sqlite:///{path}").close()
    run_in(path, "PRAGMA journal_mode=DELETE")
    return path


def run_in(path: Path, *statements: str) -> sqlite3.Connection:
    """Run statements on a connection of their own, and return it."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    return connection


def said(app: WatchApp, words: str) -> bool:
    """Say whether a note in the corner, whose lines break where there is room, holds these words."""
    return any(words in note.message for note in app._notifications)


def holds_all_once(app: WatchApp, store: TraceStore) -> bool:
    """Say whether the app has counted each stored event, and none twice."""
    return app.watched.board.totals.events == len(store.tail(limit=1000))


async def test_a_database_that_is_locked_is_told_and_followed_once_it_is_free(path: Path) -> None:
    url = f"sqlite:///{path}"
    with open_store(url, read_only=True, busy_timeout_s=0.05) as store:
        async with shown(store, size=LARGE) as (app, pilot):
            await reads(pilot, "4 ended")
            with closing(run_in(path, "BEGIN EXCLUSIVE")):
                await reads(pilot, "trying again")
                await until(pilot, lambda: said(app, "is locked; another process is writing to it"))
                app.open_run("sum")
                await until(pilot, lambda: any("locked" in str(one.content) for one in app.screen.query("#headline")))
            await reads(pilot, "would need", "What is 12 * 7?")
            with open_store(url) as writer:
                writer.append(sum_asked("later", 20.0).events)
            await press(pilot, "escape")
            await reads(pilot, "5 ended")
            assert holds_all_once(app, store)


NEWER = "UPDATE agentmesh_schema SET version_num = '9999'"


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["BEGIN EXCLUSIVE"], "is locked; another process is writing to it: try again"),
        ([NEWER], "upgrade agentmesh"),
    ],
)
def test_a_database_that_cannot_be_read_yet_is_told_as_by_other_commands(
    statements: list[str], said: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(run_in(path, *statements)):
        assert main(["watch", "--plain", "--db", f"sqlite:///{path}"]) == 1
    assert said in capsys.readouterr().err


@pytest.fixture
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """Return our own server, which runs again at the end."""
    yield postgres_server
    postgres_server.kill()
    postgres_server.start()


async def test_a_server_that_was_away_is_told_and_followed_without_a_gap_or_a_double(server: PostgresServer) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA watched")
    url = f"{server.url()}?options=-csearch_path%3Dwatched"
    with told_store(url) as writer, open_store(url, read_only=True, busy_timeout_s=0.05) as store:
        async with shown(store, size=LARGE) as (app, pilot):
            await reads(pilot, "4 ended")
            server.kill()
            await reads(pilot, "trying again")
            await until(pilot, lambda: said(app, "check host and port, and that the server is running"))
            server.start()
            writer.append(sum_asked("later", 20.0).events)
            await reads(pilot, "5 ended")
            assert holds_all_once(app, store)


async def test_two_apps_on_one_database_both_see_all_of_it_and_the_scores_given_in_the_other(path: Path) -> None:
    url = f"sqlite:///{path}"
    with open_store(url) as writer, open_store(url, read_only=True) as one, open_store(url, read_only=True) as other:
        async with shown(one, size=LARGE) as first, shown(other, size=LARGE) as second:
            for after_s in (20.0, 21.0):
                writer.append(sum_asked(f"after {after_s}", after_s).events)
            for _, pilot in (first, second):
                await reads(pilot, "6 ended")
            for (app, pilot), keys in ((first, ["enter"]), (second, ["j", "enter"])):
                await press(pilot, *keys)
                await reads(pilot, "would need")
                await press(pilot, "plus")
                await until(pilot, lambda app=app: said(app, "scored 1"))
            for app, pilot in (first, second):
                await until(pilot, lambda app=app: holds_all_once(app, one))
                assert [app.watched.board.runs[f"after {after_s}"].quality for after_s in (20.0, 21.0)] == [1.0, 1.0]
