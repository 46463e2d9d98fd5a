"""The demo in the app, and an app beside a mesh of one's own, driven by a pilot."""

import asyncio

import pytest

from agentmesh import Learning, Mesh, agent, open_store
from agentmesh.cli.app import main
from agentmesh.demo.earned import earned, in_the_end, intro, under_way
from agentmesh.demo.run import fresh_store_url, run_demo
from agentmesh.demo.stream import Answered
from agentmesh.demo.team import load_team
from agentmesh.errors import AgentError, ConfigError
from agentmesh.tui.app import WatchApp
from agentmesh.tui.beside import beside, watch_mesh
from agentmesh.tui.demo import KEYS, watch_demo
from agentmesh.tui.sources import MeshSource
from agentmesh.tui.watching import Watched
from tests.tui.apps import reads, text_of, until

FEW = 6
COLUMNS = 78
"""What a line of the app has room for on 80 columns."""


async def test_the_demo_says_what_is_routed_where_and_what_it_earned(tmp_path) -> None:
    url, seen = fresh_store_url(tmp_path), []

    async def look(pilot):
        app = pilot.app
        seen.append(await reads(pilot, f"of {FEW} scores", "are answered", "q leaves"))
        await pilot.press("enter")
        await until(pilot, lambda: "would need" in text_of(app))
        await pilot.press("q")

    came = await watch_demo(url, limit=FEW, pace_s=0.0, pilot=look)
    assert came is not None
    assert (came.done, came.total) == (FEW, FEW)
    lines = seen[0].splitlines()
    assert [line.strip() for line in lines[1:4]] == f"{in_the_end(came)} {KEYS}".splitlines()
    assert f"{came.share_of_best_single_cost:.0%} of best single ({came.best_single_id})" in seen[0]
    for word in ("state", "task", "asked", "score", "margin", "USD", "worth", "utility of the agent asked", "? Help"):
        assert word in seen[0]
    assert seen[0].count("+ done") == FEW
    with open_store(url) as store:
        assert store.count_runs() == FEW
    plain = await run_demo(fresh_store_url(tmp_path), limit=FEW)
    assert (plain.quality, plain.cost_usd_per_1k) == (came.own.quality, came.own.cost_usd_per_1k)
    assert plain.best_single == came.best_single_id
    assert plain.baselines.best_single == came.best_single


async def test_leaving_the_demo_half_way_ends_it_cleanly(tmp_path) -> None:
    url = fresh_store_url(tmp_path)

    async def leave(pilot):
        await until(pilot, lambda: "1 of 3" in text_of(pilot.app))
        assert "Each question goes to one of 12 recorded models" in text_of(pilot.app)
        await pilot.press("q")

    came = await watch_demo(url, limit=3, pace_s=60.0, pilot=leave)
    assert came is not None
    assert came.done == 1
    with open_store(url) as store:
        assert (store.count_runs(), store.check()) == (1, [])
    with pytest.raises(ConfigError, match="holds 1 runs"):
        await watch_demo(url, limit=3)
    with pytest.raises(ConfigError, match="there is no theme 'pink'; choose mesh-dark"):
        await watch_demo("memory://", limit=1, theme="pink")


@pytest.mark.parametrize("done", [1, 7])
def test_what_the_demo_says_fits_a_terminal_of_80_columns(done: int) -> None:
    team = load_team(done)
    answered = [Answered(row, None, team.agents[0].id, 1.0, 0.0001) for row in range(done)]
    so_far = earned(team, answered).model_copy(update={"done": 700, "total": 700})
    lines = [*intro(team).splitlines(), under_way(so_far), *f"{in_the_end(so_far)} {KEYS}".splitlines()]
    assert max(map(len, lines)) <= COLUMNS
    assert len(in_the_end(so_far).splitlines()) == 3


@pytest.mark.parametrize("command", [["demo", "--watch"], ["watch"]])
def test_without_a_terminal_the_app_is_not_opened(command: list[str], capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    assert "stdout is no terminal, and the app needs one; 'agentmesh" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@agent(description="Solves arithmetic.", price_per_call_usd="0.001")
async def maths(task):
    return "84"


async def test_a_mesh_without_a_terminal_is_watched_in_lines(capsys) -> None:
    with open_store() as store:
        source = MeshSource(store)
        async with Mesh([maths], store=store, learning=Learning(mode="off"), listeners=[source]) as mesh:
            run = await watch_mesh(mesh, source, mesh.run("What is 12 * 7?"))
    said = capsys.readouterr().out
    assert run is not None
    assert run.answer == "84"
    for word in ("started: 'What is 12 * 7?'", "maths is asked", "completed, 0.001 USD"):
        assert word in said


async def test_an_app_beside_work_ends_when_the_work_fails_and_goes_on_when_it_is_done() -> None:
    with open_store() as store:
        source = MeshSource(store)

        is_shown = asyncio.Event()

        async def fail():
            await is_shown.wait()
            raise AgentError("it broke")

        async def wait(pilot):
            is_shown.set()
            await until(pilot, lambda: pilot.app._exit)

        with pytest.raises(AgentError, match="it broke"):
            await beside(WatchApp(Watched(source, store)), fail(), pilot=wait)

        async def look(pilot):
            await until(pilot, lambda: "Runs, newest first" in text_of(pilot.app))
            await pilot.press("q")

        assert await beside(WatchApp(Watched(source, store)), asyncio.sleep(0, "done"), pilot=look) == "done"
        assert await beside(WatchApp(Watched(source, store)), asyncio.sleep(60, "late"), pilot=look) is None
