"""``agentmesh runs prune``, run as the console script runs it."""

import io

import pytest

from agentmesh.store import open_store
from agentmesh.testing.traces import score, start, whole
from agentmesh.types import SystemClock

DB = "sqlite:///agentmesh.db"
DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def stored(folder):
    """Store runs of 40 days ago, one of them scored and one not ended, and one of today."""
    now = SystemClock().now()
    with open_store(DB) as store:
        store.append([*whole("old", at=now - 40 * DAY_S), *whole("scored", at=now - 40 * DAY_S), *whole("new", at=now)])
        store.append([start("lost", at=now - 40 * DAY_S)])
        store.add_feedback(score("scored"))


def left():
    """Return the runs that are stored, by id."""
    with open_store(DB, read_only=True) as store:
        return sorted(run.id for run in store.runs())


def test_old_runs_that_ended_are_deleted_and_told_of(command):
    outcome = command("runs", "prune", "--older-than", "30d", "--yes", "--json")
    assert (outcome.code, left()) == (0, ["lost", "new"])
    assert outcome.json | {"before": 0} == {"runs": 2, "events": 7, "before": 0, "deleted": True}


def test_a_dry_run_says_what_would_go_and_deletes_nothing(command):
    outcome = command("runs", "prune", "--older-than", "5w", "--keep-feedback", "--dry-run")
    assert outcome.code == 0
    assert outcome.out.startswith("1 runs with 3 events, started before ")
    assert outcome.out.endswith("Z: would be deleted\n")
    assert left() == ["lost", "new", "old", "scored"]


def test_scored_runs_are_kept_and_space_is_given_back_where_asked(command):
    outcome = command("runs", "prune", "--older-than", "960h", "--keep-feedback", "--vacuum", "--yes")
    assert (outcome.code, left()) == (0, ["lost", "new", "scored"])
    assert "1 runs with 3 events" in outcome.out
    assert "MB given back: the database takes 0." in outcome.out


def test_only_those_that_ended_as_named_are_deleted(command):
    assert command("runs", "prune", "--older-than", "30d", "--status", "failed", "--yes").code == 0
    assert left() == ["lost", "new", "old", "scored"]


def test_without_a_terminal_it_must_be_agreed_to_beforehand(command):
    outcome = command("runs", "prune", "--older-than", "30d")
    assert outcome.code == 2
    assert "2 runs of sqlite:///agentmesh.db that started before" in outcome.err
    assert "give --yes" in outcome.err
    assert len(left()) == 4


class Person(io.StringIO):
    """Somebody at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code", "left_over"), [("n\n", 1, 4), ("y\n", 0, 2)])
def test_at_a_terminal_the_person_is_asked(command, typed, code, left_over, monkeypatch):
    monkeypatch.setattr("sys.stdin", Person(typed))
    outcome = command("runs", "prune", "--older-than", "30d")
    assert (outcome.code, len(left())) == (code, left_over)
    assert ("nothing was deleted" in outcome.err) is (left_over == 4)


@pytest.mark.parametrize("age", ["30", "d", "-3d", "1e3d", "30 days", ""])
def test_an_age_that_cannot_be_read_is_told(command, age):
    outcome = command("runs", "prune", "--older-than", age, "--yes")
    assert outcome.code == 2
    assert "is no age; give a number with m, h, d or w behind it" in outcome.err
