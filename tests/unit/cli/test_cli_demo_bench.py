"""The demo and the bench, at the sizes of a test."""

import re
from pathlib import Path

import pytest

from agentmesh.cli.output import print_drawn


def test_the_demo_as_json_prints_its_figures_and_names_its_database(command):
    outcome = command("demo", "--limit", "5", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = outcome.json
    assert set(found) == {"tasks", "quality", "cost_usd_per_1k", "share_of_best_single_cost", "baselines", "db"}
    assert set(found["baselines"]) == {"random", "cheapest", "best_single", "knn", "pheromone", "gnn", "oracle"}
    assert (found["tasks"], found["db"]) == (5, "sqlite:///agentmesh-demo.db")
    assert Path("agentmesh-demo.db").is_file()


def test_the_demo_prints_a_table_and_the_next_commands_which_work(command):
    outcome = command("demo", "--limit", "5", "--db", "sqlite:///new.db")
    assert "pheromone router, learning as it goes" in outcome.out
    assert re.search(r"gnn router, trained on [0-9,]+ other questions, learning on", outcome.out)
    assert "agentmesh explain demo-0005 --db sqlite:///new.db" in outcome.out
    assert command("explain", "demo-0005", "--db", "sqlite:///new.db").out.startswith("Chosen by router")
    assert command("replay", "demo-0005", "--db", "sqlite:///new.db").out == "identical\n"


def test_a_demo_beside_the_file_of_another_takes_a_new_one(command):
    Path("agentmesh-demo.db").touch()
    assert command("demo", "--limit", "1", "--json").json["db"] == "sqlite:///agentmesh-demo-2.db"


def test_a_demo_in_a_database_with_runs_exits_2(command, run_id):
    outcome = command("demo", "--db", "sqlite:///agentmesh.db")
    assert outcome.code == 2
    assert "'sqlite:///agentmesh.db' holds 1 runs" in outcome.err
    assert command("runs", "list", "--json").json[0]["id"] == run_id


def test_bench_of_one_set_as_json_is_an_object(command, recorded_set):
    outcome = command("bench", recorded_set, "--routers", "cosine", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert (outcome.json["set"], outcome.json["kind"], outcome.json["split"]) == ("tiny", "outcomes", "test")
    assert {"random", "cosine", "knn", "oracle"} <= {row["router"] for row in outcome.json["rows"]}


def test_bench_of_several_sets_as_json_is_a_list(command, recorded_set):
    found = command("bench", recorded_set, recorded_set, "--routers", "cosine", "--split", "val", "--json").json
    assert [report["split"] for report in found] == ["val", "val"]


def test_bench_of_a_team_needs_recorded_answers(command, recorded_set):
    outcome = command("bench", recorded_set, "--team")
    assert outcome.code == 1
    assert "no answer is recorded; a team needs the column 'answer'" in outcome.err


def test_bench_takes_one_of_team_and_online(command, recorded_set):
    outcome = command("bench", recorded_set, "--team", "--online")
    assert outcome.code == 2
    assert "--team and --online are two benches" in outcome.err


def test_bench_prints_a_table(command, recorded_set):
    outcome = command("bench", recorded_set, "--routers", "cosine")
    assert "tiny, test" in outcome.out
    assert "oracle" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere"], 1, "nowhere"),
        (["--routers", " , "], 2, "names no router"),
        (["--routers", "nope"], 1, "'nope'"),
        (["--embedder", "nope"], 1, "'nope'"),
        (["--split", "train"], 2, "'train'"),
        ([], 2, "FOLDER..."),
    ],
)
def test_bench_names_what_it_cannot_use(command, recorded_set, arguments, code, said):
    folder = [] if arguments in ([], ["nowhere"]) else [recorded_set]
    outcome = command("bench", *folder, *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err.splitlines()[-1]


def test_a_drawing_cannot_steer_the_terminal(capsys):
    print_drawn("a \x1b]0;title\x07 and \u202e back")
    assert capsys.readouterr().out == "a \\x1b]0;title and \\u202e back\n"
