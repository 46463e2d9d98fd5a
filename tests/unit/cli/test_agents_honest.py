"""``agents probe``, ``agents overlap`` and ``agents describe``, run as the console script runs them."""

import json

import pytest

from agentmesh.testing import FakeOpenAIServer, ServerFault

DB = "sqlite:///agentmesh.db"
MATH = "What is 12 * 7, an arithmetic word problem?"


@pytest.fixture
def tasks(folder):
    lines = [
        {"text": "12 * 7?", "gold": "84", "type_hint": "math"},
        {"text": "When did the revolution begin?", "gold": "In 1789.", "type_hint": "history"},
        {"text": "fail", "gold": "1", "type_hint": "math"},
    ]
    (folder / "tasks.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return "tasks.jsonl"


def test_a_probe_asks_every_agent_and_reports_each_kind_of_task(command, tasks):
    outcome = command("agents", "probe", "--app", "app:mesh", "--tasks", tasks, "--json")
    assert outcome.code == 0, outcome.err
    historian, mathematician = outcome.json["skills"]
    assert (mathematician["overall"]["n"], mathematician["overall"]["failures"]) == (3, 1)
    assert [(kind["kind"], kind["quality"]) for kind in mathematician["kinds"]] == [("history", 0.0), ("math", 0.5)]
    assert [(kind["kind"], kind["quality"]) for kind in historian["kinds"]] == [("history", 1.0), ("math", 0.0)]
    assert outcome.json["cost_usd"] == "1.5006"
    assert "6 calls on 3 tasks | 1.501 USD" in outcome.err
    assert "agent 'mathematician' on task 'line 3': ValueError: no idea\\x1b[31m" in outcome.err


def test_a_probe_prints_a_line_for_each_agent_and_kind(command, tasks):
    out = command("agents", "probe", "--app", "app:mesh", "--tasks", tasks, "--agent", "historian").out.splitlines()
    assert out[0].split("\t") == ["agent", "kind", "n", "quality", "95 %", "cost", "latency", "failures", "claimed"]
    rows = [line.split("\t") for line in out[1:]]
    assert [(row[0], row[1], row[2], row[3], row[4], row[8]) for row in rows] == [
        ("historian", "(all)", "3", "0.333", "0.061 to 0.792", "history"),
        ("", "history", "1", "1.000", "0.207 to 1.000", "yes"),
        ("", "math", "2", "0.000", "0.000 to 0.658", "no"),
    ]


def test_a_claimed_skill_that_no_task_was_of_is_told(command, folder):
    (folder / "one.jsonl").write_text('{"text": "12 * 7?", "gold": "84"}\n', encoding="utf-8")
    out = command("agents", "probe", "--app", "app:mesh", "--tasks", "one.jsonl").out
    assert "\tmath\t0\t-\t-\t-\t-\t-\tyes, not measured" in out


def test_a_probe_that_reaches_its_limit_exits_with_4_and_says_what_was_not_asked(command, tasks):
    outcome = command("agents", "probe", "--app", "app:mesh", "--tasks", tasks, "--max-cost", "0.6", "--timeout", "5")
    assert outcome.code == 4
    assert "2 calls did not fit the limit and were not made" in outcome.err


def test_a_probe_draws_some_of_the_tasks(command, tasks):
    outcome = command("agents", "probe", "--app", "app:mesh", "--tasks", tasks, "--limit", "1", "--json")
    assert outcome.json["tasks"] == 1


def test_answers_that_nobody_can_score_are_told(command, folder):
    (folder / "open.jsonl").write_text('{"text": "12 * 7?"}\n', encoding="utf-8")
    outcome = command("agents", "probe", "--app", "app:mesh", "--tasks", "open.jsonl")
    assert "2 answers could not be scored" in outcome.err
    assert "mathematician\t(all)\t0\t-\t-\t0.0002 USD" in outcome.out


def test_a_probe_reads_a_recorded_set(command, recorded_set):
    outcome = command("agents", "probe", "--app", "app:mesh", "--set", recorded_set)
    assert outcome.code == 1
    assert "no open task of" in outcome.err


@pytest.mark.parametrize("chosen", [[], ["--set", "x", "--tasks", "y"], ["--tasks", "y", "--db", DB]])
def test_a_probe_needs_one_source_of_tasks_or_scores(command, chosen: list[str]):
    outcome = command("agents", "probe", "--app", "app:mesh", *chosen)
    assert outcome.code == 2
    assert "give one of --set FOLDER, --tasks FILE and --db URL" in outcome.err


def test_an_unknown_agent_cannot_be_probed(command, tasks, run_id):
    outcome = command("agents", "probe", "--app", "app:mesh", "--tasks", tasks, "--agent", "poet")
    assert outcome.code == 1
    assert "no agent has the id 'poet'" in outcome.err
    outcome = command("agents", "probe", "--db", DB, "--agent", "poet")
    assert outcome.code == 2
    assert "known are: 'historian', 'mathematician'" in outcome.err


def test_the_scores_of_a_database_are_summed_up_and_nobody_is_asked(command, run_id):
    command("feedback", run_id, "1", "--db", DB)
    outcome = command("agents", "probe", "--db", DB, "--json")
    assert [(one["agent_id"], one["overall"]["n"]) for one in outcome.json["skills"]] == [
        ("historian", 0),
        ("mathematician", 1),
    ]
    table = command("agents", "probe", "--db", DB, "--agent", "mathematician")
    assert table.out.splitlines()[1].startswith("mathematician\t(all)\t1\t1.000\t0.207 to 1.000\t0.0002 USD\t")
    assert "historian" not in table.out
    assert "no two of them on the same tasks" in table.err


def test_pairs_neighbours_and_the_rule_behind_them_are_printed(command):
    outcome = command("agents", "overlap", "--app", "app:mesh")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == "agents\tcosine\texpected\tstrayed examples\tclose calls\tmean margin"
    assert lines[1].startswith("historian / mathematician\t0.")
    assert lines[1].endswith(" %\t-\t-\t-")
    assert lines[3] == "agent\tnearest other\tcosine\texpected"
    assert "never picked" not in outcome.out
    assert "measured on the val tasks of clinc150 and hwu64" in outcome.err


def test_with_a_database_close_calls_and_agents_never_picked_are_told(command, run_id):
    outcome = command("agents", "overlap", "--app", "app:mesh", "--db", DB)
    assert outcome.out.splitlines()[1].split("\t")[4] == "1"
    assert "never picked in 1 decisions\tcould have been\tby chance\tchance of never" in outcome.out
    assert outcome.out.splitlines()[-1] == "historian\t1\t0.5\t0.5"


def test_without_a_mesh_the_cards_of_the_newest_run_are_compared(command, run_id):
    outcome = command("agents", "overlap", "--json", "--embedder", "hashing", "--most", "1", "--last", "1")
    assert outcome.code == 0, outcome.err
    assert (outcome.json["embedder"], outcome.json["agents"], outcome.json["decisions"]) == ("hashing-1-512", 2, 1)
    assert [one["agent_id"] for one in outcome.json["unpicked"]] == ["historian"]


def test_without_mesh_and_database_there_is_nothing_to_compare(command):
    outcome = command("agents", "overlap")
    assert outcome.code == 1
    assert "agentmesh.db" in outcome.err


def test_where_nothing_was_measured_for_the_meshs_embedder_that_is_said(command, folder):
    source = """
from agentmesh import Mesh
from agentmesh.embed.hashing import HashingEmbedder
from app import historian, mathematician

class House(HashingEmbedder):
    version = "house-1"

mesh = Mesh([historian, mathematician], embedder=House())
"""
    (folder / "house.py").write_text(source, encoding="utf-8")
    outcome = command("agents", "overlap", "--app", "house:mesh")
    assert "with house-1 no confusion was measured: pairs are ranked by cosine" in outcome.err
    assert outcome.out.splitlines()[1].split("\t")[2] == "-"


def described(command, *arguments, reply="Answers questions on past ages."):
    """Run ``agents describe`` on a loopback endpoint; return what it printed, and what the model was shown."""
    with FakeOpenAIServer([reply]) as server:
        outcome = command("agents", "describe", *arguments, "--model", "small", "--base-url", server.base_url)
        assert outcome.code == 0, outcome.err
        bodies = [request.body for request in server.requests]
    shown = [body["messages"][1]["content"] for body in bodies]
    return outcome.out, outcome.err, shown


def test_a_draft_stands_beside_the_old_description_and_nothing_is_changed(command, folder):
    (folder / "good.jsonl").write_text('{"text": "Who built Petra?"}\n', encoding="utf-8")
    out, err, shown = described(command, "--app", "app:mesh", "--agent", "historian", "--from", "good.jsonl")
    lines = out.splitlines()
    assert lines[0] == "old: Answers questions on world history."
    assert lines[1].startswith("     nearest other: mathematician, cosine 0.")
    assert lines[2] == "new: Answers questions on past ages."
    assert lines[3].startswith("     nearest other: mathematician, cosine 0.")
    assert lines[4].startswith("nothing was changed")
    assert "<task>Who built Petra?</task>" in shown[0]
    assert "1 tasks shown | cost unknown" in err
    assert "world history" in command("agents", "list", "--app", "app:mesh").out


def test_the_tasks_of_a_database_that_were_scored_best_are_shown(command, run_id):
    command("feedback", run_id, "1", "--db", DB)
    out, _, shown = described(command, "--db", DB, "--agent", "mathematician", "--json")
    assert json.loads(out)["examples"] == [MATH]
    assert f"<task>{MATH}</task>" in shown[0]


def test_a_new_agent_is_described_by_a_file_alone(command, folder):
    (folder / "good.jsonl").write_text('{"text": "Who built Petra?"}\n', encoding="utf-8")
    out, _, shown = described(command, "--from", "good.jsonl")
    assert out.splitlines()[:2] == ["new: Answers questions on past ages.", "     no other agent to compare with"]
    assert "<other>" not in shown[0]


def test_the_endpoint_and_model_of_the_settings_are_used(command, folder, monkeypatch):
    (folder / "good.jsonl").write_text('{"text": "Who built Petra?"}\n', encoding="utf-8")
    with FakeOpenAIServer(["Knows history."], api_key="hidden") as server:
        monkeypatch.setenv("AGENTMESH_CHAT_URL", server.base_url)
        monkeypatch.setenv("AGENTMESH_CHAT_MODEL", "small")
        monkeypatch.setenv("AGENTMESH_CHAT_KEY", "hidden")
        outcome = command("agents", "describe", "--from", "good.jsonl")
    assert outcome.code == 0, outcome.err
    assert "new: Knows history." in outcome.out


def test_a_failing_endpoint_ends_the_command_with_its_message(command, folder):
    (folder / "good.jsonl").write_text('{"text": "Who built Petra?"}\n', encoding="utf-8")
    with FakeOpenAIServer([ServerFault(status=503, message="overloaded")]) as server:
        outcome = command(
            "agents", "describe", "--from", "good.jsonl", "--model", "small", "--base-url", server.base_url
        )
    assert outcome.code == 1
    assert "overloaded" in outcome.err


def test_who_is_to_be_described_must_be_named_and_known(command):
    outcome = command("agents", "describe", "--app", "app:mesh")
    assert outcome.code == 2
    assert "give --agent ID, --from FILE, or both" in outcome.err
    outcome = command("agents", "describe", "--app", "app:mesh", "--agent", "poet", "--model", "small")
    assert outcome.code == 2
    assert "no agent has the id 'poet'; known are: 'historian', 'mathematician'" in outcome.err


def test_without_an_example_or_a_model_nobody_is_asked(command):
    outcome = command("agents", "describe", "--app", "app:mesh", "--agent", "historian")
    assert outcome.code == 2
    assert "no chat model is named" in outcome.err
    with FakeOpenAIServer() as server:
        outcome = command(
            "agents",
            "describe",
            "--app",
            "app:mesh",
            "--agent",
            "historian",
            "--model",
            "m",
            "--base-url",
            server.base_url,
        )
        assert server.requests == []
    assert outcome.code == 2
    assert "has no example task" in outcome.err
