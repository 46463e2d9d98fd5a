"""``agentmesh runs export`` and ``import`` as a user types them."""

import json
from pathlib import Path

import pytest

OTHER = "sqlite:///other.db"


@pytest.fixture
def scored(command, run_id: str) -> str:
    """Return the id of a run that was scored."""
    assert command("feedback", run_id, "1").code == 0
    return run_id


def test_a_run_that_is_carried_to_another_database_shows_and_replays_there_as_before(command, scored, folder: Path):
    told = command("runs", "export", "out.jsonl.gz", "--json").json
    assert (told["runs"], told["experiences"], told["without"]) == (1, 1, [])
    taken = command("runs", "import", "out.jsonl.gz", "--db", OTHER, "--json").json
    assert (taken["runs"], taken["learned"], taken["db"]) == (1, 1, OTHER)
    for words in (
        ("runs", "show", scored),
        ("runs", "show", scored, "--events"),
        ("explain", scored),
        ("runs", "list"),
    ):
        assert command(*words, "--db", OTHER).out == command(*words).out
    replayed = command("replay", scored, "--db", OTHER, "--json")
    assert (replayed.code, replayed.json["identical"]) == (0, True), replayed.err
    again = command("runs", "import", "out.jsonl.gz", "--db", OTHER)
    assert "0 runs are new, 0 went on, 1 were there; 0 events" in again.out
    whatif = ("whatif", "--router", "random", "--json")
    there, here = command(*whatif, "--db", OTHER), command(*whatif)
    assert (there.code, there.json) == (here.code, here.json), there.err


def test_what_is_exported_is_told_in_words(command, scored):
    assert "1 runs with" in command("runs", "export", "out").out
    assert "0 runs with" in command("runs", "export", "none.jsonl", "--status", "failed", "--learned", "none").out
    failed = command("runs", "export", "out")
    assert failed.code == 1
    assert "'out' is there already" in failed.err
    assert command("runs", "export", "out", "--force").code == 0


def test_a_set_of_logged_runs_says_that_it_is_sparse(command, scored):
    told = command("runs", "export", "set", "--as", "set", "--json").json
    assert told == {"out": "set", "tasks": 1, "agents": 1, "outcomes": 1, "complete": 1, "sparse": False}
    run = command("run", "When did the French Revolution begin in world history?", "--app", "app:mesh", "--json").json
    command("feedback", run["id"], "0.5")
    again = command("runs", "export", "set", "--as", "set", "--force")
    assert "2 tasks, 2 agents, 2 of 4 outcomes" in again.out
    assert "whatif" in again.err
    none = command("runs", "export", "whole", "--as", "set", "--complete")
    assert (none.code, "2 of 4 are known" in none.err) == (1, True)


def test_routing_data_goes_out_and_in(command, scored):
    assert "1 tasks" in command("runs", "export", "data", "--as", "llmrouter", "--no-text").out
    assert "1 tasks, 1 agents, 1 outcomes" in command("runs", "import", "data", "--as", "llmrouter", "--out", "set").out
    told = command("runs", "import", "data", "--as", "llmrouter", "--out", "set", "--force", "--json").json
    assert (told["tasks"], told["repeated"], told["out"]) == (1, 0, "set")
    assert command("knowledge", "build", "--from", "set", "--out", "graph.json").code == 0


def test_a_registry_that_is_gone_is_told_on_the_side(command, scored, folder: Path):
    import sqlite3

    with sqlite3.connect(folder / "agentmesh.db") as connection:
        connection.execute("DELETE FROM registries")
    connection.close()
    assert "cannot be replayed" in command("runs", "export", "out.jsonl").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("export x --no-text", "--no-text needs --as set or llmrouter"),
        ("export x --complete", "--complete needs --as set"),
        ("export x --as set --learned none", "--learned belongs to --as jsonl"),
        ("export x --since never", "'never' is not a number"),
        ("import app.py --as llmrouter", "give --out SET"),
        ("import app.py --out y", "need --as llmrouter"),
        ("import gone.jsonl --db sqlite:///new.db", "'gone.jsonl' does not exist"),
    ],
)
def test_options_that_do_not_go_together_are_used_wrongly(command, words: str, message: str):
    done = command("runs", *words.split())
    assert (done.code, message in done.err) == (2, True), done.err
    assert not Path("new.db").exists()


def test_a_file_that_is_none_and_a_database_that_is_none_are_clear_errors(command, folder: Path):
    (folder / "notes.jsonl").write_text(json.dumps({"a": 1}) + "\n", encoding="utf-8")
    for words, message in (
        (("import", "notes.jsonl", "--db", OTHER), "line 1 of 'notes.jsonl' is no record"),
        (("export", "x.jsonl", "--db", "sqlite:///gone.db"), "there is no file"),
    ):
        done = command("runs", *words)
        assert (done.code, message in done.err) == (1, True), done.err
