"""``agentmesh feedback``: what it says, how it exits, and what it leaves in the database."""

import pytest

from agentmesh.store import open_store

DB = "sqlite:///agentmesh.db"


def faults():
    with open_store(DB, read_only=True) as store:
        return [(fault.run_id, fault.source, fault.message) for fault in store.faults()]


def test_a_score_is_told_with_whom_it_counts_for(command, run_id):
    outcome = command("feedback", run_id, "0.5", "--json")
    assert outcome.code == 0
    assert outcome.json == {
        "run_id": run_id,
        "score": 0.5,
        "agent": None,
        "source": "user",
        "learned_for": ["mathematician"],
    }
    assert faults() == []


def test_a_score_by_a_lesser_source_is_kept_and_said_to_teach_nothing(command, run_id):
    command("feedback", run_id, "1", "--source", "verifier:exact")
    outcome = command("feedback", run_id, "0")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"run {run_id} is scored 0; it teaches nothing: a better source came before\n"
    assert command("feedback", run_id, "0", "--source", "judge:small", "--json").json["learned_for"] == []


def test_a_second_score_by_the_same_source_exits_1(command, run_id):
    command("feedback", run_id, "1")
    outcome = command("feedback", run_id, "0")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("Error: source 'user' has scored")
    assert [fault[:2] for fault in faults()] == [(run_id, "user")]


@pytest.mark.parametrize(
    ("arguments", "code", "said", "is_kept"),
    [
        (["nobody", "1"], 1, "no run 'nobody'", True),
        (["RUN", "1", "--agent", "historian"], 2, "agent 'historian' was not called", True),
        (["RUN", "1", "--source", " "], 2, "the source is ' '", True),
        (["--", "RUN", "nan"], 2, "nan", False),
        (["--", "RUN", "-1"], 2, "-1", False),
        (["--", "RUN", "good"], 2, "good", False),
        (["RUN"], 2, "Missing argument 'SCORE'", False),
    ],
)
def test_a_score_that_is_refused_exits_as_the_table_says_and_is_kept_as_a_fault(
    command, run_id, arguments, code, said, is_kept
):
    outcome = command("feedback", *(run_id if word == "RUN" else word for word in arguments))
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err
    assert [said in message for *_, message in faults()] == [True] * is_kept


def test_a_run_that_has_not_finished_is_not_scored(command, run_id):
    with open_store(DB) as store:
        first = store.events(run_id)[0]
        store.append([first.model_copy(update={"run_id": "open"})])
    outcome = command("feedback", "open", "1")
    assert outcome.code == 1
    assert "run 'open' in 'sqlite:///agentmesh.db' has not finished" in outcome.err
    assert faults()[0][0] == "open"
