"""The knowledge commands, run as the console script runs them."""

import json
from pathlib import Path

import networkx
import numpy as np
import pytest

from agentmesh import open_store
from agentmesh.cli.app import main
from agentmesh.embed.static import StaticEmbedder
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Feedback
from agentmesh.testing.traces import whole

DB = "sqlite:///other.db"


def teach(*runs: str, db: str = DB, **values) -> None:
    """Store an experience for each run."""
    embedder = StaticEmbedder()
    vector = pack_vector(embedder.embed(["who built Petra"])[0])
    default = {
        "text": "who built Petra",
        "vector": vector,
        "embedder": embedder.version,
        "agent_id": "ada",
        "quality": 1.0,
        "at": 3.0,
    }
    with open_store(db) as store:
        for run_id in runs:
            store.append(whole(run_id))
            one = Experience(run_id=run_id, **{**default, **values})
            store.add_feedback(Feedback(run_id=run_id, score=1.0, at=3.0), [one])


def build(command, *arguments, source=DB):
    return command("knowledge", "build", "--from", source, "--out", "graph.json", *arguments)


def test_build_from_a_set_says_what_the_graph_holds(command, recorded_set):
    outcome = build(command, source=recorded_set)
    assert (outcome.code, outcome.err) == (0, "")
    first, second = outcome.out.splitlines()
    assert first.startswith("graph.json: +18 tasks, +2 agents, +")
    assert first.endswith(", +36 outcomes from tiny")
    assert second.startswith("it holds 18 tasks, 2 agents, ")
    assert json.loads(Path("graph.json").read_text())["source"] == "tiny"


def test_build_tells_all_as_json(command, recorded_set):
    found = build(command, "--json", "--embedder", "hashing", source=recorded_set).json
    assert (found["file"], found["source"], found["sequence"], found["taken"]) == ("graph.json", "tiny", 0, 36)
    assert found["embedder"].startswith("hashing-1-")
    assert found["added"] == found["total"]
    assert (found["total"]["tasks"], found["passed_over"]) == (18, 0)


def test_a_file_of_the_same_database_is_continued(command):
    teach("r1", "r2")
    assert build(command, "--json").json["added"]["tasks"] == 2
    teach("r3")
    found = build(command, "--json").json
    assert (found["added"]["tasks"], found["total"]["tasks"], found["sequence"]) == (1, 3, 3)
    continued = Path("graph.json").read_text()
    outcome = build(command, "--fresh")
    assert outcome.out.startswith("graph.json: +3 tasks, +1 agents, +2 entities, +3 outcomes from sqlite:///other.db\n")
    assert Path("graph.json").read_text() == continued


def test_a_set_is_built_again_over_its_own_file(command, recorded_set):
    build(command, source=recorded_set)
    outcome = build(command, source=recorded_set)
    assert (outcome.code, outcome.out.split(",")[0]) == (0, "graph.json: +0 tasks")


def test_experiences_that_were_passed_over_are_told(command):
    teach("r1")
    teach("r2", vector=pack_vector(np.ones(3, dtype=np.float32)))
    assert "1 experiences could not be taken in and were passed over" in build(command).out


@pytest.mark.parametrize("arguments", [["--embedder", "hashing"], []])
def test_a_file_that_cannot_be_continued_exits_2_and_is_kept(command, arguments, recorded_set):
    teach("r1")
    build(command)
    before = Path("graph.json").read_bytes()
    outcome = build(command, *arguments, source=DB if arguments else recorded_set)
    assert (outcome.code, outcome.out) == (2, "")
    assert "Error: the graph was built " in outcome.err
    assert "--fresh" in outcome.err
    assert Path("graph.json").read_bytes() == before
    assert build(command, *arguments, "--fresh").code == 0


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("nowhere", 1, "nowhere"),
        ("sqlite:///nowhere.db", 1, "nowhere.db"),
        ("sqlite:///", 2, "names no store"),
    ],
)
def test_build_names_a_source_it_cannot_use(command, source, code, said):
    outcome = build(command, source=source)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err
    assert not Path("graph.json").exists()
    assert command("knowledge", "show", "--from", source).code == code


def test_an_empty_database_is_told_and_nothing_is_written(command):
    with open_store(DB) as store:
        store.append(whole("r1"))
    outcome = build(command)
    assert (outcome.code, outcome.out) == (1, "")
    assert "holds no experience to build a graph from" in outcome.err
    assert not Path("graph.json").exists()


def test_an_embedder_that_is_not_there_exits_1(command):
    outcome = build(command, "--embedder", "nope")
    assert outcome.code == 1
    assert "'nope'" in outcome.err


def test_a_folder_that_is_not_there_exits_2(command):
    teach("r1")
    outcome = command("knowledge", "build", "--from", DB, "--out", "no/graph.json")
    assert (outcome.code, outcome.out) == (2, "")
    assert "cannot be written" in outcome.err


def test_show_prints_the_graph_in_a_file(command, recorded_set):
    build(command, source=recorded_set)
    outcome = command("knowledge", "show", "graph.json")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].startswith("graph of tiny, embedder ")
    assert lines[1].startswith("nodes: 18 task, ")
    assert lines[2].startswith("edges: 18 solved, 18 failed, ")
    assert next(line for line in lines if line.startswith("adder\t")).split("\t")[:7] == [
        "adder",
        "1",
        "9",
        "9",
        "0.500",
        "0.001 USD",
        "adder 100% of 9",
    ]
    assert {"Agents", "Skills", "Most frequent entities"} <= set(lines)


def test_show_of_a_source_is_that_of_its_file(command, recorded_set):
    build(command, source=recorded_set)
    shown, direct = command("knowledge", "show", "graph.json"), command("knowledge", "show", "--from", recorded_set)
    assert shown.out == direct.out


def test_what_there_is_none_of_has_no_table(command):
    teach("r1", text="hello")
    assert "Skills" not in command("knowledge", "show", "--from", DB).out


def test_show_as_json_is_the_summary(command):
    teach("r1")
    found = command("knowledge", "show", "--from", DB, "--json").json
    assert (found["source"], found["sequence"], found["nodes"]["task"]) == (DB, 1, 1)
    [agent] = found["agents"]
    assert (agent["agent_id"], agent["solved"], agent["cost_usd"]) == ("ada", 1, None)
    assert agent["entities"] == [{"name": "petra", "kind": "name", "tasks": 1}]


def test_what_a_task_names_cannot_steer_a_terminal(command):
    teach("r1", type_hints=("\x1b[31mred",))
    assert "\x1b" not in command("knowledge", "show", "--from", DB).out


@pytest.mark.parametrize("arguments", [[], ["graph.json", "--from", DB]])
def test_show_wants_one_source(command, arguments):
    outcome = command("knowledge", "show", *arguments)
    assert outcome.code == 2
    assert "give either FILE or --from" in outcome.err


@pytest.mark.parametrize("words", [["show", "graph.json"], ["export", "graph.json", "--out", "out.json"]])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "is no text"),
        (b'{"format": "agentmesh-knowl', "no whole JSON"),
        (b'{"format": "agentmesh-knowledge", "version": 99}', "is of version 99"),
        (b"[]", "is no knowledge graph"),
    ],
)
def test_a_file_that_cannot_be_read_exits_2(command, words, content, said):
    if content is not None:
        Path("graph.json").write_bytes(content)
    outcome = command("knowledge", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert "'graph.json'" in outcome.err
    assert not Path("out.json").exists()


def test_a_damaged_file_is_not_built_over_without_fresh(command):
    teach("r1")
    Path("graph.json").write_text("precious notes")
    assert build(command).code == 2
    assert Path("graph.json").read_text() == "precious notes"
    assert build(command, "--fresh").code == 0


def test_export_writes_json_that_is_the_file_itself(command):
    teach("r1")
    build(command)
    outcome = command("knowledge", "export", "graph.json", "--out", "copy.json")
    assert (outcome.code, outcome.out) == (0, "")
    assert "the graph of 'sqlite:///other.db' is written to 'copy.json'" in outcome.err
    assert Path("copy.json").read_bytes() == Path("graph.json").read_bytes()


def test_export_writes_graphml(command):
    teach("r1")
    build(command)
    found = command("knowledge", "export", "graph.json", "--format", "graphml", "--out", "g.graphml", "--json").json
    assert (found["file"], found["format"], found["total"]["tasks"]) == ("g.graphml", "graphml", 1)
    names = {node["name"] for _, node in networkx.read_graphml("g.graphml").nodes(data=True)}
    assert {"r1", "ada", "petra"} <= names


def test_a_command_that_is_stopped_leaves_the_file_as_it_was(command, monkeypatch):
    teach("r1")
    build(command)
    before = Path("graph.json").read_bytes()
    Path(".graph.json.draft").mkdir()
    teach("r2")
    assert main(["knowledge", "build", "--from", DB, "--out", "graph.json"]) != 0
    assert Path("graph.json").read_bytes() == before
