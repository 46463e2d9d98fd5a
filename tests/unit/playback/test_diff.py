"""Where two stored runs parted, and a stored task run again by the mesh of today."""

from pathlib import Path
from typing import Any

import pytest

from agentmesh import Agent, Limits, Mesh, Task, open_store
from agentmesh.errors import ConfigError, RunNotFoundError
from agentmesh.playback.diff import RunDiff, diff
from agentmesh.playback.rerun import rerun
from agentmesh.store.lookup import find_run
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.agents import CannedAgent, EchoAgent
from agentmesh.testing.traces import call, end, start, whole


async def _run(store: MemoryStore, run_id: str, task: str | Task = "q", *agents: Agent, **options: Any) -> None:
    limits = options.pop("limits", None)
    async with Mesh(agents or [EchoAgent("echo")], store=store, **{"explore": 0, **options}) as mesh:
        await mesh.run(task, run_id=run_id, limits=limits)


def _places(found: RunDiff) -> dict[str, tuple[str | None, str | None]]:
    return {one.where: (one.first, one.second) for one in found.differences}


async def test_two_runs_of_one_task_by_one_mesh_went_the_same_way_whatever_was_scored_since() -> None:
    store = MemoryStore()
    for run_id in ("a", "b"):
        await _run(store, run_id)
    async with Mesh([EchoAgent("echo")], store=store) as mesh:
        await mesh.feedback("a", 1.0)
    assert diff(store, "a", "b").identical


async def test_another_task_another_router_and_other_agents_are_told_by_name() -> None:
    store = MemoryStore()
    await _run(store, "a")
    limits = Limits(max_agents=2)
    await _run(store, "b", "other", EchoAgent("echo"), CannedAgent(["x"], id="new"), router="cheapest", limits=limits)
    found = diff(store, "a", "b")
    assert str(found.event) == "event 0: run_started | run_started"
    places = _places(found)
    assert places["task text"] == ("q", "other")
    assert places["agent 'new'"] == (None, "version 1")
    assert places["decision router"] == ("cascade", "cheapest")
    assert places["call of 'new'"] == (None, "ok")
    assert {"run limits", "score of 'new'", "chance of 'new'", "chosen", "run answer"} <= places.keys()
    assert "agent 'new': none | version 1" in map(str, found.differences)


async def test_a_changed_card_and_another_answer_are_told() -> None:
    store = MemoryStore()
    await _run(store, "a", "q", CannedAgent(["x" * 300], id="one"))
    await _run(store, "b", "q", CannedAgent(["y"], id="one", price_per_call_usd=1))
    places = _places(diff(store, "a", "b"))
    assert places["agent 'one'"] == ("version 1", "version 2")
    first, second = places["run answer"]
    assert (first, second) == ("x" * 199 + "…", "y")
    assert places["call of 'one' cost_usd"][1] == "1"


async def test_runs_without_a_decision_are_compared_as_far_as_they_go() -> None:
    store = MemoryStore()
    store.append([*whole("a"), start("b"), call("b", 1, agent_id="bob", cost_usd=None), end("b", 2)])
    found = diff(store, "a", "b")
    assert str(found.event) == "event 1: call_finished | call_finished"
    assert set(_places(found)) == {"call of 'ada'", "call of 'bob'"}
    await _run(store, "c", "What is 12 * 7?")
    assert _places(diff(store, "a", "c"))["decision"] == (None, "made")
    with pytest.raises(RunNotFoundError, match="nowhere"):
        diff(store, "a", "nowhere")


async def test_a_stored_task_is_run_again_with_the_limits_it_had_and_compared() -> None:
    store = MemoryStore()
    limits = Limits(max_agents=1, max_calls=3)
    await _run(store, "a", "q", CannedAgent(["old"], id="one"), limits=limits)
    async with Mesh([CannedAgent(["new"], id="one")], store=store, explore=0) as mesh:
        done = await rerun(mesh, "a", new_id="again")
        with pytest.raises(RunNotFoundError, match="nowhere"):
            await rerun(mesh, "nowhere")
    assert (done.run.id, done.run.answer, done.diff.first, done.diff.second) == ("again", "new", "a", "again")
    assert _places(done.diff).keys() == {"call of 'one' answer", "run answer"}


async def test_a_run_of_another_store_is_run_again_and_one_that_never_started_is_refused(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'old.db'}") as old:
        old.append([*whole("a", text="hello"), end("cut", 3)])
        async with Mesh([EchoAgent("echo")]) as mesh:
            done = await rerun(mesh, "a", store=old)
            assert "hello" in (done.run.answer or "")
            with pytest.raises(ConfigError, match=r"'cut' .* never started"):
                await rerun(mesh, "cut", store=old)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_run_is_found_by_the_beginning_of_its_id_where_it_alone_begins_so(kind: str, tmp_path: Path) -> None:
    url = None if kind == "memory" else f"sqlite:///{tmp_path / 'runs.db'}"
    with open_store(url) as store:
        ids = ["ab", "abc", "b%d", "b_d", *(f"ab{number}" for number in range(6))]
        store.append([event for place, name in enumerate(ids) for event in whole(name, at=float(place))])
        assert [find_run(store, name) for name in ("abc", "b%", "b_", "ab", "nix")] == [
            "abc",
            "b%d",
            "b_d",
            "ab",
            "nix",
        ]
        with pytest.raises(RunNotFoundError, match="begin with 'a': 'ab5', 'ab4', 'ab3', 'ab2', 'ab1' and more; give"):
            find_run(store, "a")
        with pytest.raises(RunNotFoundError, match="begin with 'b': 'b_d', 'b%d'; give more"):
            find_run(store, "b")


def test_the_runs_of_stages_count_only_where_no_other_run_begins_so() -> None:
    part = start("flow/draft").model_copy(update={"parent": "flow-1"})
    with open_store(None) as store:
        store.append([start("flow-1"), part])
        assert [find_run(store, name) for name in ("fl", "flow/", "flow/draft")] == [
            "flow-1",
            "flow/draft",
            "flow/draft",
        ]
