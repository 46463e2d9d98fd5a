"""The commands on a user's mesh and on its database, run as the console script runs them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agentmesh.cli.agents import price
from agentmesh.cli.runs import account
from agentmesh.records import AgentCard, Run, RunStatus, Task

MATH = "What is 12 * 7, an arithmetic word problem?"


def test_run_prints_the_answer_alone_on_stdout_and_one_trace_line_on_stderr(command):
    outcome = command("run", MATH, "--app", "app:mesh")
    assert (outcome.code, outcome.out) == (0, "84\n")
    [line] = outcome.err.splitlines()
    assert "completed | mathematician | 0.0002 USD | " in line


def test_run_as_json_prints_the_whole_run(command):
    outcome = command("run", MATH, "--app", "app:mesh", "--json")
    assert outcome.json["answer"] == "84"
    assert outcome.json["calls"][0]["agent_id"] == "mathematician"


def test_run_reads_a_long_task_from_stdin(command, monkeypatch, tmp_path):
    (tmp_path / "task.txt").write_text(MATH + " " * 100_000 + "x", encoding="utf-8")
    with (tmp_path / "task.txt").open(encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        outcome = command("run", "-", "--app", "app:mesh", "--json")
    assert len(outcome.json["task"]["text"]) == len(MATH) + 100_001


def test_a_task_on_stdin_that_is_no_text_exits_2(command, monkeypatch, tmp_path):
    (tmp_path / "task.bin").write_bytes(b"caf\xe9 \xff")
    with (tmp_path / "task.bin").open(encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        outcome = command("run", "-", "--app", "app:mesh")
    assert outcome.code == 2
    assert outcome.err.startswith("Error: the task on stdin is no utf-8 text")


def test_run_takes_the_app_from_the_environment(command, monkeypatch):
    monkeypatch.setenv("AGENTMESH_APP", "app:build")
    assert command("run", MATH).out == "84\n"


def test_run_without_an_app_exits_2_with_an_example(command):
    outcome = command("run", MATH)
    assert outcome.code == 2
    assert "from agentmesh import Mesh, Task, agent" in outcome.err
    assert outcome.out == ""


def test_run_of_an_agent_that_fails_exits_1_and_names_what_it_said(command):
    outcome = command("run", "fail please", "--app", "app:alone")
    assert (outcome.code, outcome.out) == (1, "")
    assert "failed | mathematician" in outcome.err
    assert "\x1b" not in outcome.err


def test_run_under_a_budget_of_nothing_exits_4(command):
    outcome = command("run", MATH, "--app", "app:mesh", "--max-cost", "0")
    assert outcome.code == 4
    assert "over budget" in outcome.err


def test_run_with_two_agents_asks_both(command):
    outcome = command("run", MATH, "--app", "app:mesh", "--agents", "2", "--json")
    assert {call["agent_id"] for call in outcome.json["calls"]} == {"mathematician", "historian"}


@pytest.mark.parametrize("task", ["", "   "])
def test_run_of_an_empty_task_exits_2(command, task):
    outcome = command("run", task, "--app", "app:mesh")
    assert outcome.code == 2
    assert outcome.err.startswith("Error: the task is")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-cost", "-1"),
        ("--max-cost", "nan"),
        ("--max-cost", "much"),
        ("--timeout", "0"),
        ("--timeout", "inf"),
        ("--agents", "0"),
    ],
)
def test_run_refuses_a_limit_that_is_none(command, option, value):
    outcome = command("run", MATH, "--app", "app:mesh", option, value)
    assert outcome.code == 2
    assert value in outcome.err


def test_an_answer_that_would_colour_the_terminal_is_shown_escaped(command):
    outcome = command("run", "a colour word problem of arithmetic", "--app", "app:alone")
    assert outcome.out == "84\\x1b[31m\n"


def test_route_names_the_choice_and_stores_nothing(command):
    outcome = command("route", MATH, "--app", "app:mesh")
    assert outcome.code == 0
    assert outcome.out.startswith("Chosen by router")
    assert command("runs", "list", "--json").json == []


def test_route_as_json_carries_the_decision_and_its_explanation(command):
    decision = command("route", MATH, "--app", "app:mesh", "--json").json
    assert decision["selected"][0]["agent_id"] == "mathematician"
    assert decision["explanation"].startswith("Chosen by")


def test_route_without_an_app_exits_2(command):
    assert command("route", MATH).code == 2


def test_agents_list_shows_the_agents_of_the_app_with_their_prices(command):
    outcome = command("agents", "list", "--app", "app:mesh")
    assert outcome.out.splitlines() == [
        "agent\tprice\tskills\tdescription",
        "historian\t0.5 USD a call\thistory\tAnswers questions on world history.",
        "mathematician\t0.0002 USD a call\tmath\tSolves arithmetic word problems.",
    ]


@pytest.mark.usefixtures("run_id")
def test_agents_list_without_an_app_shows_those_of_the_newest_run(command):
    assert [card["id"] for card in command("agents", "list", "--json").json] == ["historian", "mathematician"]


def test_agents_list_of_a_database_without_runs_is_empty(command):
    command("route", MATH, "--app", "app:mesh")
    assert command("agents", "list", "--json").json == []


@pytest.mark.usefixtures("run_id")
def test_runs_list_shows_the_newest_first_and_how_many_more_there_are(command):
    later = command("run", "Who ruled France, a question on world history?", "--app", "app:mesh", "--json").json["id"]
    outcome = command("runs", "list", "--limit", "1")
    assert outcome.out.splitlines()[1].startswith(later)
    assert outcome.err == "1 of 2 runs; --limit and --offset show others\n"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--text", "ARITHMETIC"], 1),
        (["--text", "nothing like it"], 0),
        (["--agent", "historian"], 0),
        (["--status", "completed"], 1),
        (["--status", "failed"], 0),
        (["--since", "0"], 1),
        (["--since", "99999999999"], 0),
        (["--offset", "1"], 0),
    ],
)
@pytest.mark.usefixtures("run_id")
def test_runs_list_finds_what_is_asked_for(command, options, found):
    assert len(command("runs", "list", "--json", *options).json) == found


def test_runs_show_tells_the_task_the_choice_the_calls_and_the_answer(command, run_id):
    out = command("runs", "show", run_id).out
    assert MATH in out
    assert "Chosen by router" in out
    assert "mathematician ok, 0.0002 USD" in out
    assert out.endswith("Answer\n84\n")


def test_runs_show_tells_answers_that_stood_against_each_other(command):
    run_id = command("run", MATH, "--app", "app:mesh", "--agents", "2", "--json").json["id"]
    out = command("runs", "show", run_id).out
    assert "Answers that stood against each other" in out
    assert "Left out\n  " in out
    assert "outvoted: " in out


def test_runs_show_tells_what_the_answers_agree_on():
    run = Run(id="r", task=Task(text="q"), status=RunStatus.COMPLETED, agreed=("It is in Jordan.",), started_at=0.0)
    assert "Agreed\n  It is in Jordan.\n" in account(run)


def test_runs_show_with_events_prints_the_trace(command, run_id):
    kinds = [event["kind"] for event in command("runs", "show", run_id, "--events").json]
    assert (kinds[0], kinds[-1]) == ("run_started", "run_finished")


def test_runs_show_as_json_prints_the_run(command, run_id):
    assert command("runs", "show", run_id, "--json").json["id"] == run_id


@pytest.mark.parametrize("words", [("runs", "show"), ("explain",), ("replay",)])
@pytest.mark.usefixtures("run_id")
def test_an_unknown_run_exits_1_and_is_named(command, words):
    outcome = command(*words, "no-such-run")
    assert outcome.code == 1
    assert outcome.err.startswith("Error: ")
    assert "'no-such-run'" in outcome.err


@pytest.mark.parametrize("words", [("runs", "list"), ("explain", "x"), ("replay", "x"), ("feedback", "x", "1")])
def test_a_database_that_is_not_there_is_named_and_not_created(command, words):
    outcome = command(*words)
    assert outcome.code == 1
    assert "'sqlite:///agentmesh.db'" in outcome.err
    assert not Path("agentmesh.db").exists()


def test_a_file_that_is_no_database_is_named_and_kept(command):
    Path("notes.txt").write_text("remember the milk" * 100, encoding="utf-8")
    outcome = command("runs", "list", "--db", "sqlite:///notes.txt")
    assert outcome.code == 1
    assert "notes.txt" in outcome.err
    assert Path("notes.txt").read_text(encoding="utf-8") == "remember the milk" * 100


@pytest.mark.usefixtures("run_id")
def test_the_database_of_the_environment_is_used_and_db_stands_above_it(command, monkeypatch):
    Path("agentmesh.db").rename("kept.db")
    monkeypatch.setenv("AGENTMESH_DB", "sqlite:///kept.db")
    assert len(command("runs", "list", "--json").json) == 1
    assert command("runs", "list", "--db", "sqlite:///other.db").code == 1


@pytest.mark.usefixtures("run_id")
def test_runs_list_that_is_whole_says_no_more(command):
    assert command("runs", "list").err == ""


def test_explain_says_who_was_chosen_and_why(command, run_id):
    outcome = command("explain", run_id)
    assert outcome.out.startswith("Chosen by router")
    assert "* mathematician: score" in outcome.out


def test_explain_as_json_carries_the_decision(command, run_id):
    found = command("explain", run_id, "--json").json
    assert found["run_id"] == run_id
    assert found["decision"]["selected"][0]["agent_id"] == "mathematician"


def test_feedback_says_for_whom_it_counts(command, run_id):
    assert command("feedback", run_id, "1").out == f"run {run_id} is scored 1; it counts for mathematician\n"


def test_feedback_is_learned_by_the_mesh_that_opens_the_database_next(command, run_id):
    before = command("route", MATH, "--app", "app:build", "--json").json
    command("feedback", run_id, "1.0", "--json")
    after = command("route", MATH, "--app", "app:build", "--json").json
    assert before["router_version"].endswith("@0")
    assert after["router_version"].endswith("@1")


def test_feedback_for_an_agent_that_was_not_called_exits_2_and_names_it(command, run_id):
    outcome = command("feedback", run_id, "1", "--agent", "historian")
    assert outcome.code == 2
    assert "'historian'" in outcome.err


@pytest.mark.parametrize("score", ["1.01", "-0.1", "nan", "good"])
def test_feedback_refuses_a_score_that_is_none(command, run_id, score):
    outcome = command("feedback", "--", run_id, score)
    assert outcome.code == 2
    assert "is not a number from 0 to 1" in outcome.err


def test_replay_of_an_untouched_trace_is_identical(command, run_id):
    assert command("replay", run_id).out == "identical\n"
    assert command("replay", run_id, "--json").json == {"run_id": run_id, "identical": True, "differences": []}


def test_replay_of_a_changed_trace_exits_1_and_says_where_it_parts(command, run_id):
    with closing(sqlite3.connect("agentmesh.db")) as database:
        [[body]] = database.execute("select body from events where kind = 'decision_made'").fetchall()
        changed = body.replace('"explored":false', '"explored":true')
        database.execute("update events set body = ? where kind = 'decision_made'", [changed])
        database.commit()
    outcome = command("replay", run_id)
    assert outcome.code == 1
    assert outcome.out.splitlines()[0] == f"the replay of {run_id} parts from the trace:"
    assert "explored: recorded True, replayed False" in outcome.out


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ({"price_per_call_usd": "0.10"}, "0.1 USD a call"),
        ({"price_in_per_m_usd": "2.50", "price_out_per_m_usd": 10}, "2.5 / 10 USD per M tokens"),
        ({"price_in_per_m_usd": "2.50"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_prices_are_told_in_a_few_words(prices, words):
    assert price(AgentCard(id="a", description="b", **prices)) == words
