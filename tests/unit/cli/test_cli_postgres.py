"""Commands on a PostgreSQL database: they work as on a file, and never show its password."""

import re

from agentmesh import open_store
from agentmesh.testing.traces import lesson, score, whole


def test_store_commands_take_a_postgres_url_and_never_show_its_password(command, folder, guarded_url, monkeypatch):
    told = [command("doctor", "--db", guarded_url, "--json")]
    assert "no tables yet; the first run makes them" in told[-1].out
    with open_store(guarded_url) as store:
        store.append([*whole("r1", text="Wer baute Petra?"), *whole("r2")])
        store.add_feedback(score("r1"), [lesson("r1")])
    assert [run["id"] for run in command("runs", "list", "--db", guarded_url, "--json").json] == ["r2", "r1"]
    monkeypatch.setenv("AGENTMESH_DB", guarded_url)
    told += [
        command("doctor", "--json"),
        command("runs", "list"),
        command("runs", "show", "r1"),
        command("feedback", "r2", "0.5"),
        command("knowledge", "build", "--from", guarded_url, "--out", "graph.json"),
        command("router", "train", "kernel", "--from", guarded_url, "--db", f"sqlite:///{folder}/other.db"),
    ]
    assert "2 runs, no damage found" in told[1].out
    for outcome in told:
        assert "wide" not in outcome.out + outcome.err


def test_a_database_that_cannot_be_opened_exits_1_and_its_password_is_not_shown(command, folder, guarded_url):
    wrong = re.sub(r"mesh:.*@", "mesh:s3cret@", guarded_url)
    for arguments in (("runs", "list"), ("doctor",)):
        outcome = command(*arguments, "--db", wrong)
        assert outcome.code == 1
        assert "password authentication failed" in outcome.out + outcome.err
        assert "s3cret" not in outcome.out + outcome.err
