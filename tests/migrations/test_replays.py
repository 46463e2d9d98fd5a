"""Every run of every old database is executed again after the migration, on both databases, with the network cut."""

import importlib.util
import re
import socket
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentmesh import open_store, replay
from agentmesh.errors import ReplayError

FOLDER = Path(__file__).parent
GOLDEN = sorted((FOLDER / "golden").glob("*.db"))
RECORDED = sorted((FOLDER / "recorded").glob("*.db"))

REFUSED = {
    "cancelled": "was cancelled; only a run that ended by itself is replayed",
    "cut": "holds no TaskPrepared; only a run that decided and ended is replayed",
    "failed": "holds no TaskPrepared; only a run that decided and ended is replayed",
    "full": "router 'kernel' cannot be built with {'bandwidth': 0.2}",
    "waits": "holds no RunFinished; only a run that decided and ended is replayed",
    "whole/draft": "holds no TaskPrepared; only a run that decided and ended is replayed",
    "whole": "has not ended by itself; only a run that did is replayed",
}
"""Why a run cannot be replayed. Those of the golden databases were never run: their decisions are made up."""

PLAYED = {"schema1": 15, "schema2": 15, "schema3": 19, "schema4": 27}
"""How many runs of each recorded database are replayed."""


def load_maker():
    spec = importlib.util.spec_from_file_location("make_recorded", FOLDER / "make_recorded.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


maker = load_maker()


class Cut(socket.socket):
    """A socket that cannot be made."""

    def __init__(self, *_, **__):
        raise AssertionError("a replay made a socket")


@contextmanager
def network_cut():
    """Cut the network: whoever makes a socket fails the test. The one that libpq holds is none of Python's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", Cut)
        with pytest.raises(AssertionError, match="made a socket"):
            socket.create_connection(("127.0.0.1", 1))
        yield


async def replayed(store):
    """Replay every run of a store; return those that went the same way, and why others are refused."""
    played, refused = [], {}
    with network_cut():
        for line in store.runs(limit=1000):
            try:
                again = await replay(store, line.id)
            except ReplayError as error:
                refused[line.id] = str(error)
            else:
                assert again.differences == (), line.id
                played.append(line.id)
    return played, refused


def check_reasons(refused):
    """See that each run was refused for its own reason."""
    for run_id, why in refused.items():
        assert re.search(re.escape(REFUSED[run_id]), why)


def test_every_schema_has_a_database_of_runs_that_were_made_with_it():
    assert [path.stem for path in RECORDED] == [path.stem for path in GOLDEN]
    with pytest.raises(SystemExit, match="exists"):
        maker.main()


@pytest.mark.parametrize("old", RECORDED, ids=lambda path: path.stem)
async def test_runs_of_an_older_agentmesh_replay_identically_after_the_migration(old, copied):
    with open_store(copied(old)) as store:
        played, refused = await replayed(store)
        check_reasons(refused)
        assert set(refused) <= {"waits", "cancelled"}
        assert len(played) == PLAYED.get(old.stem, len(played)) >= 15
        assert store.check() == []


@pytest.mark.parametrize("old", GOLDEN, ids=lambda path: path.stem)
async def test_made_up_runs_of_a_golden_database_are_refused_for_a_told_reason(old, copied):
    with open_store(copied(old)) as store:
        played, refused = await replayed(store)
        check_reasons(refused)
        assert played == []
        assert {"full", "cut", "failed"} <= set(refused)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_runs_that_paused_forked_or_had_stages_replay_identically_when_made_today(kind, request, tmp_path):
    url = f"sqlite:///{tmp_path}/made.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with open_store(url) as store:
        made = await maker.fill_with_what_is_rare(store)
        played, refused = await replayed(store)
        check_reasons(refused)
        assert {"lost", "approved", "rejected", "whole", "fork-by-hand", "fork-answer", "fork-router"} <= set(played)
        assert set(made) - set(played) == {"waits", "cancelled"}
