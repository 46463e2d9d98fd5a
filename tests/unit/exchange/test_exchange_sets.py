"""Stored runs as recorded sets and as routing data: what was seen is in them, and nothing else."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from agentmesh.bench.run import bench
from agentmesh.errors import ExchangeError
from agentmesh.events import CallFinished, Event
from agentmesh.exchange import SetExported, export_llmrouter, export_set, import_llmrouter
from agentmesh.recorded import load_set
from agentmesh.records import AgentCall, AgentCard, Answer, CallStatus, RegistrySnapshot, Task, Usage
from agentmesh.store import MemoryStore, RunFilter
from agentmesh.testing.traces import end, score, start

ADA = AgentCard(id="ada", description="Adds.", price_in_per_m_usd=2, price_out_per_m_usd=4, examples=("1 + 1",))
BOB = AgentCard(id="bob", description="Rhymes.", price_per_call_usd="0.01", group="poets")


def asked(run_id: str, text: str, at: float, *agents: str, status: CallStatus = CallStatus.OK) -> list[Event]:
    """Return the log of a run that asked these agents."""
    begun = start(run_id, at=at).model_copy(update={"task": Task(text=text, type_hints=("sums",))})
    answer = (
        Answer(text=f"{run_id}!", usage=Usage(input_tokens=10, output_tokens=5)) if status is CallStatus.OK else None
    )
    calls = [
        CallFinished(
            run_id=run_id,
            seq=seq,
            at=at,
            call=AgentCall(agent_id=agent_id, status=status, answer=answer, cost_usd="0.5", latency_s=1.5),
        )
        for seq, agent_id in enumerate(agents, start=1)
    ]
    return [begun, *calls, end(run_id, len(calls) + 1)]


def logged(count: int = 0) -> MemoryStore:
    """Return a store of runs that asked one agent, and of one text that both were asked about."""
    store = MemoryStore()
    store.put_registry(RegistrySnapshot(version="r", cards=(ADA, BOB, AgentCard(id="idle", description="Waits."))))
    for number in range(count):
        store.append(asked(f"r{number}", f"add {number} and {number % 7}", number, "ada" if number % 2 else "bob"))
        store.add_feedback(score(f"r{number}", number % 4 / 4))
    store.append([*asked("first", "both \ud83d", 100, "ada"), *asked("again", "both \ud83d", 101, "bob")])
    store.add_feedback(score("first", 0.25))
    store.add_feedback(score("again", 1.0, agent_id="bob", source="verifier:exact"))
    store.add_feedback(score("again", 0.0, agent_id="bob", source="judge"))
    return store


def test_a_set_holds_what_was_seen_of_each_agent_and_nothing_else(tmp_path):
    assert export_set(logged(7), tmp_path / "set") == SetExported(tasks=8, agents=2, outcomes=9, complete=1)
    found = load_set(tmp_path / "set")
    assert [(task.id, task.split) for task in found.tasks] == [
        *((f"r{number}", "train") for number in range(5)),
        ("r5", "val"),
        ("r6", "test"),
        ("first", "test"),
    ]
    assert found.tasks[-1].text == "both \\ud83d"
    assert "9 of 16 outcomes are known" in found.info.note
    assert [card.model_copy(update={"version": 1}) for card in found.agents] == [ADA, BOB]
    rows = found.open("train")
    assert rows.groups[0] == "sums"
    assert np.isnan(rows.table.quality).sum() == 5
    assert np.nanmax(rows.table.quality, axis=1).tolist() == [0.0, 0.25, 0.5, 0.75, 0.0]
    assert np.nanmax(rows.table.cost) == 0.5
    assert np.nanmax(rows.table.input_tokens) == 10
    assert np.nanmax(rows.table.latency_s) == 1.5
    assert found.responses("val") == {("r5", "ada"): "r5!"}


def test_only_tasks_of_which_all_is_known_make_a_complete_set(tmp_path):
    assert export_set(logged(7), tmp_path / "set", complete=True) == SetExported(
        tasks=1, agents=2, outcomes=2, complete=1
    )
    rows = load_set(tmp_path / "set").open("all")
    assert rows.table.quality.tolist() == [[0.25, 1.0]]
    alone = MemoryStore()
    alone.put_registry(RegistrySnapshot(version="r", cards=(ADA, BOB)))
    alone.append([*asked("a", "one", 1, "ada"), *asked("b", "two", 2, "bob")])
    alone.add_feedback(score("a"))
    alone.add_feedback(score("b"))
    with pytest.raises(ExchangeError, match=r"no task .* all 2 agents; 2 of 4 are known.*whatif"):
        export_set(alone, tmp_path / "none", complete=True)


@pytest.mark.parametrize("name", ["set", "folder", "data.jsonl"])
def test_nothing_known_makes_no_set(name, tmp_path):
    store = MemoryStore()
    store.put_registry(RegistrySnapshot(version="r", cards=(ADA, BOB.model_copy(update={"version": 2}))))
    store.append([start("open"), *asked("unscored", "x", 1, "ada"), *asked("older", "z", 3, "bob")])
    store.append([*asked("team", "y", 2, "ada", "bob"), *asked("no", "w", 4, "ada", status=CallStatus.CANCELLED)])
    store.add_feedback(score("team"))  # of which agent it is nobody knows
    store.add_feedback(score("older"))  # of an agent as it was
    export = export_set if name == "set" else export_llmrouter
    with pytest.raises(ExchangeError, match="no such run with a scored answer"):
        export(store, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_agent_that_failed_is_worth_nothing_unasked(tmp_path):
    store = logged()
    store.append(asked("failed", "x", 1, "ada", status=CallStatus.FAILED))
    export_set(store, tmp_path / "set", where=RunFilter(prefix="failed"))
    assert load_set(tmp_path / "set").open("all").table.quality.tolist() == [[0.0]]


def test_without_text_a_set_has_no_word_of_tasks_and_answers(tmp_path):
    export_set(logged(7), tmp_path / "set", text=False)
    tasks = gzip.decompress((tmp_path / "set" / "tasks.jsonl.gz").read_bytes()).decode()
    assert "add" not in tasks
    assert '"text":""' in tasks
    assert not (tmp_path / "set" / "responses.jsonl.gz").exists()
    assert len(load_set(tmp_path / "set").tasks) == 8


def test_a_bench_reads_a_sparse_set_and_says_how_little_its_figures_mean(tmp_path):
    export_set(logged(39), tmp_path / "set")
    report = bench(tmp_path / "set", routers=["cosine"])
    assert {row.router for row in report.rows} >= {"random", "cosine", "oracle"}
    assert "Sparse: of 16 outcomes on test 9 are known" in report.notes[2]
    assert "On 7 of 8 tasks one agent is known" in report.notes[2]


def test_a_set_is_replaced_by_force_alone_and_keeps_no_old_answers(tmp_path):
    export_set(logged(7), tmp_path / "set")
    with pytest.raises(ExchangeError, match="is there already"):
        export_set(logged(3), tmp_path / "set")
    export_set(logged(3), tmp_path / "set", text=False, force=True)
    assert len(load_set(tmp_path / "set").tasks) == 4
    assert not (tmp_path / "set" / "responses.jsonl.gz").exists()


def test_routing_data_goes_out_and_comes_in_as_a_set(tmp_path):
    assert export_llmrouter(logged(7), tmp_path / "data").outcomes == 9
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "default_llm.json",
        "default_routing_test_data.jsonl",
        "default_routing_train_data.jsonl",
    ]
    line = json.loads((tmp_path / "data" / "default_routing_train_data.jsonl").read_text("utf-8").splitlines()[1])
    assert (line["task_name"], line["query"], line["model_name"]) == ("sums", "add 1 and 1", "ada")
    assert (line["performance"], line["token_num"], line["embedding_id"], line["response"]) == (0.25, 15, 1, "r1!")
    assert (line["ground_truth"], line["metric"], line["response_time"]) == (None, None, 1.5)
    told = import_llmrouter(tmp_path / "data", tmp_path / "set")
    assert (told.tasks, told.agents, told.outcomes, told.repeated, told.shared) == (8, 2, 9, 0, 0)
    found = load_set(tmp_path / "set")
    assert found.count("test") == 2
    assert {card.id: card.description for card in found.agents} == {"ada": "Adds.", "bob": "Rhymes."}
    rows = found.open("train")
    assert np.nanmax(rows.table.cost) == pytest.approx((10 * 2 + 5 * 4) / 1e6)
    assert (found.responses("train") | found.responses("val"))["q1", "ada"] == "r1!"


def test_routing_data_goes_into_one_file_and_leaves_answers_out(tmp_path):
    export_llmrouter(logged(7), tmp_path / "data.jsonl", answers=False)
    lines = [json.loads(line) for line in (tmp_path / "data.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 9
    assert {line["response"] for line in lines} == {None}


def routing(*lines: dict[str, object]) -> str:
    usual = {"task_name": "sums", "query": "1 + 1", "model_name": "m", "performance": 1.0}
    return "".join(json.dumps(usual | line) + "\n" for line in lines)


def test_routing_data_of_others_becomes_a_set_split_by_query(tmp_path):
    lines = [{"query": f"add {number}", "model_name": name} for number in range(60) for name in ("m", "n")]
    more = [{"query": "ADD  1"}, {"performance": None}, {"ground_truth": 2, "choices": {"text": ["2"]}, "new": 1}]
    (tmp_path / "data.jsonl").write_text(routing(*lines, *more), "utf-8")
    (tmp_path / "models.json").write_text(
        json.dumps({"m": {"feature": "Small.", "input_price": 1, "size": "7B"}}), "utf-8"
    )
    told = import_llmrouter(tmp_path / "data.jsonl", tmp_path / "set", models=tmp_path / "models.json")
    assert (told.tasks, told.agents, told.outcomes, told.repeated, told.unscored) == (61, 2, 121, 1, 1)
    found = load_set(tmp_path / "set")
    assert all(found.count(split) for split in ("train", "val", "test"))
    assert [card.description for card in found.agents] == ["Small.", "n"]
    assert np.isnan(found.open("train").table.cost).all()


def test_a_query_that_is_fitted_on_is_not_tested_on(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "default_routing_train_data.jsonl").write_text(routing({}, {"query": "2 + 2"}), "utf-8")
    (tmp_path / "data" / "default_routing_test_data.jsonl").write_text(
        routing({"model_name": "n"}, {"query": "3"}), "utf-8"
    )
    told = import_llmrouter(tmp_path / "data", tmp_path / "set")
    assert (told.tasks, told.outcomes, told.shared) == (3, 3, 1)
    assert load_set(tmp_path / "set").count("test") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (routing({}, {"performance": 2}), r"data.jsonl:2: performance: .* got 2"),
        (routing({}, {"model_name": ""}), "data.jsonl:2: model_name"),
        (routing({}) + "{", "data.jsonl:2"),
        ('{"query": "x", "model_name": "m"}\n', "data.jsonl:1: performance: Field required"),
        (routing({"performance": None}), "no line with a performance"),
        (None, "is missing"),
    ],
)
def test_a_bad_line_of_routing_data_is_named(text: str | None, message: str, tmp_path: Path):
    if text is not None:
        (tmp_path / "data.jsonl").write_text(text, "utf-8")
    with pytest.raises(ExchangeError, match=message):
        import_llmrouter(tmp_path / "data.jsonl", tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(("text", "message"), [("[]", "no file of models"), (None, "cannot be read")])
def test_a_bad_file_of_models_is_named(text: str | None, message: str, tmp_path: Path):
    (tmp_path / "data.jsonl").write_text(routing({}), "utf-8")
    if text is not None:
        (tmp_path / "models.json").write_text(text, "utf-8")
    with pytest.raises(ExchangeError, match=message):
        import_llmrouter(tmp_path / "data.jsonl", tmp_path / "set", models=tmp_path / "models.json")
