"""``agentmesh router calibrate``, run as the console script runs it."""

from pathlib import Path
from typing import Any

from agentmesh import open_store
from agentmesh.cli.router_cascade import cascade_lines
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.learning.cascade_record import CascadeRecord
from agentmesh.learning.training import publish_router, train_router
from agentmesh.recorded import AgentLine, SetInfo, TaskLine, write_set
from agentmesh.routing.cascade import CascadeRouter
from agentmesh.routing.neighbours import KernelRouter

EMBEDDER = HashingEmbedder()
DB = "sqlite:///agentmesh.db"


def label_set(count: int) -> str:
    agents = [AgentLine(id=name, description=f"Does {name}.") for name in ("sums", "rhymes")]
    tasks = [
        TaskLine(id=f"{split}{kind}{n}", split=split, text=f"{kind} {kind} {n % 5} {n}", group=kind, labels=(kind,))
        for split in ("train", "val")
        for kind in ("sums", "rhymes")
        for n in range(count)
    ]
    write_set(Path("set"), SetInfo(name="tiny", kind="labels"), agents=agents, tasks=tasks)
    return "set"


def trained(source: str) -> None:
    router = CascadeRouter(stages=("linear",))
    with open_store(DB) as store:
        publish_router(store, router, train_router(router, source, EMBEDDER))


def test_a_calibration_says_what_is_answered_and_which_version_holds(command: Any) -> None:
    trained(label_set(20))
    outcome = command("router", "calibrate", "cascade", "--from", "set", "--coverage", "0.9")
    assert outcome.code == 0
    assert "answers 90% of tasks like those in set" in " ".join(outcome.out.split())
    assert "quality of what is answered" in outcome.out
    shown = command("router", "show", "cascade")
    assert "calibrated on 40 tasks in set: 90% to be answered" in shown.out


def test_a_calibration_is_told_as_json(command: Any) -> None:
    trained(label_set(20))
    found = command("router", "calibrate", "auto", "--from", "set", "--json").json
    assert (found["tasks"], found["held_back"], found["kind"]) == (40, 40, "labels")
    assert found["version"].endswith("@2")


def test_too_few_tasks_are_an_error_and_nothing_is_changed(command: Any) -> None:
    trained(label_set(3))
    outcome = command("router", "calibrate", "cascade", "--from", "set")
    assert outcome.code == 2
    assert "cannot be calibrated" in outcome.err
    assert "calibrated" not in command("router", "show", "cascade").out


def test_a_router_without_a_guard_and_a_coverage_out_of_range_are_refused(command: Any) -> None:
    trained(label_set(20))
    with open_store(DB) as store:
        store.put_router("kernel", KernelRouter().parameters_hash, "{}")
    assert command("router", "calibrate", "kernel", "--from", "set").code == 2
    assert command("router", "calibrate", "cascade", "--from", "set", "--coverage", "0").code == 2


def test_show_says_in_words_what_a_cascade_holds_before_and_after(command: Any) -> None:
    trained(label_set(20))
    before = command("router", "show", "cascade")
    assert "guard: none yet, so no task is turned away" in before.out
    assert "linear: at most 10% of all tasks go on to a reasoning model" in before.out
    assert "margin" not in before.out
    command("router", "calibrate", "cascade", "--from", "set", "--coverage", "0.9")
    after = command("router", "show", "cascade").out
    assert "guard: calibrated on tasks of 2 agents; 90% of their like are answered," in after
    assert "those with a margin under" in after
    assert "built with stages [linear (" in after
    section = after.partition("\nCascade\n")[2].partition("\n\n")[0].splitlines()
    assert len(section) == 6
    assert max(map(len, section)) <= 80


def test_what_a_cascade_holds_is_told_to_programs(command: Any) -> None:
    trained(label_set(20))
    command("router", "calibrate", "cascade", "--from", "set")
    for words in (("router", "show", "cascade", "--json"), ("router", "export", "cascade")):
        cascade = command(*words).json["cascade"]
        assert (cascade["guarded"], cascade["coverage"], cascade["known_agents"], cascade["asked"]) == (
            True,
            0.92,
            2,
            12,
        )
        assert [(stage["router"], stage["share"]) for stage in cascade["stages"]] == [("linear", 0.1)]
        assert cascade["stages"][0]["threshold"] > 0


def test_a_router_without_stages_has_no_such_section(command: Any) -> None:
    with open_store(DB) as store:
        store.put_router("kernel", KernelRouter().parameters_hash, "{}")
    assert "Cascade" not in command("router", "show", "kernel").out
    assert command("router", "export", "kernel").json["cascade"] is None


def test_stages_after_one_another_and_without_a_model_are_told() -> None:
    router = CascadeRouter(stages=("kernel", "linear"), shares=(0.3, 0.1), reasoning=None)
    found = CascadeRecord.of(router)
    assert found is not None
    assert list(cascade_lines(found))[1:] == [
        "kernel: at most 30% of all tasks go on to linear",
        "linear: decides what comes to it",
    ]
