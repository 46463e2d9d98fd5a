"""A graph as text: exact both ways, and every way a file can be wrong is named."""

import base64
import json

import networkx
import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.knowledge import KnowledgeBuilder, KnowledgeGraph, from_json, graph_tensors, to_graphml, to_json
from tests.unit.knowledge.conftest import TEXTS, vector


@pytest.fixture
def text(builder) -> str:
    builder.graph.sequence, builder.graph.embedder, builder.graph.source = 7, "hashing-1-64", "sqlite:///x.db"
    builder.add_outcome("t2", "historian", quality=1.0)
    return to_json(builder.graph)


def test_a_graph_comes_back_as_it_was(builder, text):
    again = from_json(text)
    assert to_json(again) == text
    assert (again.sequence, again.embedder, again.source) == (7, "hashing-1-64", "sqlite:///x.db")
    assert again.task("t1").vector.tobytes() == builder.graph.task("t1").vector.tobytes()
    assert again.outcome("t2", "historian") == builder.graph.outcome("t2", "historian")
    assert again.linked("knows", "historian") == builder.graph.linked("knows", "historian")
    before, after = (graph_tensors(graph) for graph in (builder.graph, again))
    for name in ("heads", "tails", "knows", "like", "mentions"):
        for side in ("source", "target", "weight"):
            assert getattr(getattr(after, name), side).tolist() == getattr(getattr(before, name), side).tolist()


def test_a_graph_that_was_read_is_continued_like_one_that_was_not(builder, text):
    again = KnowledgeBuilder(graph=from_json(text))
    for one in (builder, again):
        one.add_task("t5", "did Petra see the square root", vector("did Petra see the square root"))
        one.add_outcome("t5", "newcomer", quality=1.0)
    assert to_json(again.graph) == to_json(builder.graph)


def test_a_failure_kept_on_a_closed_task_comes_back():
    builder = KnowledgeBuilder()
    builder.add_task("c", "x", vector("x"), closed=True)
    for quality in (1.0, 0.0, 0.0):
        builder.add_outcome("c", "a", quality=quality)
    found = from_json(to_json(builder.graph)).outcome("c", "a")
    assert found is not None
    assert found.count == 3


def test_an_empty_graph_comes_back():
    text = to_json(KnowledgeGraph(max_tasks=3, max_entities=4, like_within=2))
    again = from_json(text)
    assert (again.max_tasks, again.max_entities, again.like_within) == (3, 4, 2)
    assert to_json(again) == text


def test_a_text_that_was_cut_short_is_refused_wherever_it_was_cut(text):
    for end in range(0, len(text), 97):
        with pytest.raises(ConfigError, match="no whole JSON"):
            from_json(text[:end])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "its format is 'list'"),
        ("{}", "its format is None"),
        ("[" * 100_000, "no whole JSON"),
        ('{"format": "agentmesh-knowledge", "version": 2}', "is of version 2, this agentmesh reads up to 1"),
        ('{"format": "agentmesh-knowledge", "version": 0}', "version: "),
        ('{"format": "agentmesh-knowledge", "version": 1}', "max_tasks: Field required"),
    ],
)
def test_what_is_no_graph_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        from_json(text)


def broken(text: str, *path, value) -> str:
    data = json.loads(text)
    inner = data
    for part in path[:-1]:
        inner = inner[part]
    if path[-1] == "+":
        inner.append(value if value is not None else inner[0])
    else:
        inner[path[-1]] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("tasks", 0, "vector"), "A", "tasks.0.vector: "),
        (("tasks", 0, "vector"), "AAA=", "vectors are empty or of several lengths"),
        (("tasks", 0, "vector"), "AAAAAA==", "vectors are empty or of several lengths"),
        (("agents", 0, "vector"), "AAAAAA==", "vectors are empty or of several lengths"),
        (("tasks", 0, "at"), float("nan"), "tasks.0.at: "),
        (("tasks", 0, "name"), "\ud800", "no whole JSON"),
        (("tasks", 0, "order"), 1, "numbers of each task do not rise"),
        (("arrived",), 3, "numbers of each task do not rise to below 3"),
        (("named",), 1, "numbers of each entity do not rise"),
        (("tasks", 1, "name"), "t1", "one task stands there twice"),
        (("entities", 1, "name"), "petra", "one entity stands there twice"),
        (("agents", "+"), None, "one agent stands there twice"),
        (("tasks", 0, "mentions"), [["nope", 1]], "names what is no entity"),
        (("tasks", 0, "mentions"), [["petra", 1], ["petra", 1]], "names what is no entity, or one twice"),
        (("tasks", 0, "mentions", 0, 1), 0, "tasks.0.mentions"),
        (("tasks", 0, "triples", 0, 0), "rome", "a triple of what it does not name"),
        (("tasks", 3, "like"), [["t4", 0.5]], "is like a task that did not come before it"),
        (("tasks", 3, "like"), [["t9", 0.5]], "is like a task that did not come before it"),
        (("tasks", 3, "mentions"), [], "no task names the entity '2'"),
        (("outcomes", 0, "task"), "t9", "has no task, no agent, or stands there twice"),
        (("outcomes", 0, "agent"), "nobody", "has no task, no agent, or stands there twice"),
        (("outcomes", "+"), None, "has no task, no agent, or stands there twice"),
        (("outcomes", 0, "quality"), 1.5, "outcomes.0.quality: "),
        (("outcomes", 0, "costs"), 0, "has 0 costs"),
        (("outcomes", 0, "costs"), 2, "has 2 costs"),
        (("terms", "capacity"), 0, "terms.capacity: "),
        (("tasks", 0, "gold"), "x", "tasks.0.gold: Extra inputs"),
    ],
)
def test_a_graph_that_contradicts_itself_is_refused(text, path, value, said):
    with pytest.raises(ConfigError, match=said):
        from_json(broken(text, *path, value=value))


def test_a_vector_with_a_number_that_is_none_is_refused(builder, text):
    nan = np.full(64, np.nan, dtype="<f4").tobytes()
    with pytest.raises(ConfigError, match="NaN or infinity"):
        from_json(broken(text, "tasks", 0, "vector", value=base64.b64encode(nan).decode()))


def test_graphml_holds_nodes_and_edges_as_plain_attributes(builder):
    read = networkx.parse_graphml(to_graphml(builder.graph))
    nx = builder.graph.nx
    assert (read.is_directed(), len(read.nodes), len(read.edges)) == (True, len(nx.nodes), len(nx.edges))
    [task] = [found for _, found in read.nodes(data=True) if found["name"] == "t2"]
    assert task == {"kind": "task", "name": "t2", "text": TEXTS["t2"], "at": 1.0, "order": 1, "closed": False}
    solved = [found for *_, found in read.edges(data=True) if found["kind"] == "solved"]
    assert {"kind": "solved", "quality": 0.9, "cost_usd": 0.02, "count": 1, "weight": 1.0} in solved


def test_graphml_replaces_what_xml_cannot_hold():
    builder = KnowledgeBuilder()
    builder.add_task("a\0b\x1b", "bell \x07 \ufffe <&> \u202e", vector("x"))
    [task] = [found for _, found in networkx.parse_graphml(to_graphml(builder.graph)).nodes(data=True)]
    assert task["name"] == "a\ufffdb\ufffd"
    assert task["text"] == "bell \ufffd \ufffd <&> \u202e"


def test_graphml_of_an_empty_graph_is_xml():
    assert len(networkx.parse_graphml(to_graphml(KnowledgeGraph()))) == 0
