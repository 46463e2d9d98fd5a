"""``agentmesh bench --online`` on the command line."""

import json
from pathlib import Path

import pytest

SMALL = ("--online", "--routers", "random,best_single", "--seeds", "2", "--jobs", "1")


def test_an_online_bench_as_json(command, recorded_set):
    outcome = command("bench", recorded_set, *SMALL, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = outcome.json
    assert (found["set"], found["kind"], found["split"], found["steps"], found["seeds"]) == (
        "tiny",
        "outcomes",
        "all",
        18,
        [0, 1],
    )
    names = [row["router"] for row in found["rows"]]
    assert names == ["random", "best_single", "group_best", "single_best", "oracle"]


def test_flags_reach_the_evaluation(command, recorded_set):
    flags = ("--split", "train", "--steps", "30", "--feedback", "full", "--types", "given", "--scenario", "cheap")
    more = ("--drift", "poet@20:0.1", "--new-agent", "adder@10", "--seeds", "100-101")
    found = command("bench", recorded_set, *SMALL, *flags, *more, "--json").json
    kept = {key: found[key] for key in ("split", "steps", "feedback", "types", "scenario", "seeds")}
    assert kept == {
        "split": "train",
        "steps": 30,
        "feedback": "full",
        "types": "given",
        "scenario": "cheap",
        "seeds": [100, 101],
    }
    assert (found["drift_at"], found["new_agent_at"]) == (20, 10)
    assert found["rows"][0]["drift"]["agent"] == "poet"
    assert found["rows"][0]["new_agent"]["agent"] == "adder"


def test_a_router_with_arguments_is_a_row_under_its_whole_name(command, recorded_set):
    found = command("bench", recorded_set, *SMALL, "--routers", "knn:k=3,knn", "--json").json
    assert [row["router"] for row in found["rows"]][:2] == ["knn:k=3", "knn"]


def test_the_table_the_drawing_and_the_file_come_from_one_call(command, recorded_set):
    outcome = command("bench", recorded_set, *SMALL, "--plot", "regret.svg", "--out", "online.json")
    assert (outcome.code, outcome.err) == (0, "")
    assert "tiny, online over all, 18 tasks" in outcome.out
    assert Path("regret.svg").read_text(encoding="utf-8").startswith("<svg")
    assert len(json.loads(Path("online.json").read_text(encoding="utf-8"))["rows"][0]["curve"]) == 18


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--online", "--split", "test"], 2, "'test' is not for --online; accepted: 'all', 'train'"),
        (["--split", "all"], 2, "'all' needs --online; accepted without it: 'test', 'val'"),
        (["--seeds", "3"], 2, "--seeds needs --online"),
        (["--new-agent", "poet@3"], 2, "--new-agent needs --online"),
        (["--online", "--seeds", "x"], 2, "seeds are 'x'"),
        (["--online", "--steps", "0"], 2, "--steps"),
        (["--online", "--jobs", "0"], 2, "--jobs"),
        (["--online", "--routers", " , "], 2, "routers are ' , '"),
        (["--online", "--routers", "nope"], 1, "'nope'"),
        (["--online", "--drift", "poet@3"], 2, "drift is 'poet@3'; accepted: AGENT@STEP:QUALITY"),
        (["--online", "--drift", "poet@3:2"], 2, "a number from 0 to 1"),
        (["--online", "--drift", "nobody@3:0.2"], 2, "agent 'nobody' is unknown"),
        (["--online", "--drift", "poet@18:0.2"], 2, "drift is at step 18; accepted: 1 to 17"),
        (["--online", "--new-agent", "poet"], 2, "new agent is 'poet'; accepted: AGENT@STEP"),
        (
            ["--online", "--plot", "regret.png"],
            2,
            "'regret.png' cannot be written; accepted: a file that ends in '.svg'",
        ),
        (["--online", "--out", "nowhere/x.json"], 2, "'nowhere/x.json' cannot be written"),
    ],
)
def test_flags_that_cannot_be_used_are_named(command, recorded_set, arguments, code, said):
    outcome = command("bench", recorded_set, *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err.splitlines()[-1]
