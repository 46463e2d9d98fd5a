"""``router export-sft``, run as the console script runs it."""

import json

import pytest

DB = "sqlite:///agentmesh.db"
MATH = "What is 12 * 7, an arithmetic word problem?"


def test_a_scored_run_becomes_a_row(command, folder, run_id):
    command("feedback", run_id, "1", "--db", DB)
    outcome = command("router", "export-sft", "--out", "rows.jsonl", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json == {"out": "rows.jsonl", "rows": 1, "nobody": 0, "reasoned": 0}
    row = json.loads((folder / "rows.jsonl").read_text(encoding="utf-8"))
    assert (row["task"], row["ids"]) == (MATH, ["mathematician"])
    assert sorted(card["id"] for card in row["cards"]) == ["historian", "mathematician"]


def test_a_recorded_set_becomes_rows_without_its_test_tasks(command, folder, recorded_set):
    outcome = command(
        "router", "export-sft", "--from", recorded_set, "--out", "rows.jsonl", "--most", "1", "--seed", "3"
    )
    assert outcome.code == 0, outcome.err
    assert "18 rows are written to 'rows.jsonl': 0 where nobody fits" in outcome.out
    assert "in the clear" in outcome.out
    texts = [json.loads(line)["task"] for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert "add 7 and 2" not in texts


def test_rows_are_written_as_chats_where_that_is_asked_for(command, folder, recorded_set):
    words = (
        "router",
        "export-sft",
        "--from",
        recorded_set,
        "--out",
        "chats.jsonl",
        "--format",
        "messages",
        "--most",
        "1",
    )
    assert command(*words, "--json").json["rows"] == 18
    for line in (folder / "chats.jsonl").read_text(encoding="utf-8").splitlines():
        rules, material, reply = json.loads(line)["messages"]
        assert "up to 1" in rules["content"]
        assert material["content"].endswith("</task>")
        assert len(json.loads(reply["content"])["agents"]) == 1


def test_a_format_that_is_not_known_is_refused(command, recorded_set):
    assert command("router", "export-sft", "--from", recorded_set, "--out", "y", "--format", "csv").code == 2


def test_the_same_seed_writes_the_same_bytes(command, folder, recorded_set):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        command("router", "export-sft", "--from", recorded_set, "--out", name, "--seed", seed)
    first, again, other = ((folder / name).read_bytes() for name in "abc")
    assert first == again != other


def test_without_a_good_score_nothing_is_written(command, folder, run_id):
    command("feedback", run_id, "0.3", "--db", DB)
    outcome = command("router", "export-sft", "--db", DB, "--out", "rows.jsonl")
    assert outcome.code == 2
    assert "nothing to write" in outcome.err
    assert not (folder / "rows.jsonl").exists()
    assert command("router", "export-sft", "--db", DB, "--out", "rows.jsonl", "--least-quality", "0.3").code == 0


def test_a_set_and_a_database_at_once_are_refused(command):
    assert command("router", "export-sft", "--from", "x", "--db", DB, "--out", "y").code == 2


def test_too_few_cards_are_refused(command, recorded_set):
    outcome = command("router", "export-sft", "--from", recorded_set, "--out", "y", "--cards", "1")
    assert outcome.code == 2
    assert "1 cards are asked for and up to 3 right agents" in outcome.err


@pytest.mark.parametrize("said", ["in the clear", "--least-quality"])
def test_the_help_says_that_texts_are_written_in_the_clear(command, said: str):
    assert said in " ".join(command("router", "export-sft", "--help").out.split())
