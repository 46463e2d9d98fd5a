"""The demo from end to end: 700 real questions, one by one, to 12 recorded chat models."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from agentmesh.addresses import without_password
from agentmesh.demo.baselines import figure, table_baselines
from agentmesh.demo.explaining import three_decisions
from agentmesh.demo.records import Baselines, DemoResult, Figure, Progress
from agentmesh.demo.stream import Answered, answer_all, mesh_of
from agentmesh.demo.team import Team, load_team
from agentmesh.demo.trained import shipped_gnn, trained_on
from agentmesh.errors import ConfigError
from agentmesh.mesh import Mesh
from agentmesh.routing.base import Router
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.types import SystemClock

ProgressSink = Callable[[Progress], None]


async def run_demo(store_url: str, *, limit: int | None = None, progress: ProgressSink | None = None) -> DemoResult:
    """Route every question, reveal only the called agent's outcome, learn from it, and sum up.

    The same questions give the same decisions on every machine. Nothing needs the network.

    Args:
        store_url: A store without runs, for instance ``fresh_store_url(Path())``.
        limit: How many questions, from the first; all 700 by default.
        progress: Told after every question how many are done and what they were worth.

    Raises:
        ConfigError: ``limit`` is less than 1, or the store holds runs already.
        StoreError: the store cannot be opened or written.
    """
    clock = SystemClock()
    begin = clock.monotonic()
    team = await asyncio.to_thread(load_team, limit)
    await asyncio.to_thread(_check_empty, store_url)
    trained = await asyncio.to_thread(shipped_gnn)
    gnn_tasks = trained_on(trained)
    knn, pheromone, gnn = [await _learned_beside(team, router) for router in ("knn", "pheromone", trained)]
    mesh = mesh_of(team, router="auto", store=store_url)
    answered = await _answers(team, mesh, progress)
    tables, own = table_baselines(team), figure_of(answered)
    return DemoResult(
        tasks=len(answered),
        quality=own.quality,
        cost_usd_per_1k=own.cost_usd_per_1k,
        share_of_best_single_cost=own.cost_usd_per_1k / tables.best_single.cost_usd_per_1k,
        baselines=Baselines(
            random=tables.random,
            cheapest=tables.cheapest,
            best_single=tables.best_single,
            knn=knn,
            pheromone=pheromone,
            gnn=gnn,
            oracle=tables.oracle,
        ),
        db=without_password(store_url),
        router=mesh.router.name,
        best_single=tables.best_single_id,
        cheapest=tables.cheapest_id,
        gnn_tasks=gnn_tasks,
        explained=three_decisions(answered, tables.best_single_id),
        elapsed_s=clock.monotonic() - begin,
    )


def fresh_store_url(folder: Path) -> str:
    """Return the URL of a SQLite file in ``folder`` that does not exist yet: agentmesh-demo.db, or the next number."""
    number, path = 1, folder / "agentmesh-demo.db"
    while path.exists():
        number += 1
        path = folder / f"agentmesh-demo-{number}.db"
    return f"sqlite:///{path}"


def open_empty(store_url: str) -> TraceStore:
    """Open the store of a demo, which starts from nothing.

    Raises:
        ConfigError: it holds runs already.
        StoreError: it cannot be opened.
    """
    store = open_store(store_url)
    runs = store.count_runs()
    if runs:
        store.close()
        raise ConfigError(
            f"the store {store.url!r} holds {runs} runs; the demo starts from nothing: name a new database"
        )
    return store


def _check_empty(store_url: str) -> None:
    open_empty(store_url).close()


async def _learned_beside(team: Team, router: str | Router) -> Figure:
    """Return what another router brings that learns on the same questions; its traces are not kept."""
    return figure_of(await _answers(team, mesh_of(team, router=router, store=None), None))


async def _answers(team: Team, mesh: Mesh, progress: ProgressSink | None) -> list[Answered]:
    answered: list[Answered] = []
    async with mesh:
        async for one in answer_all(team, mesh):
            answered.append(one)
            if progress is not None:
                progress(_progress(answered, len(team.tasks)))
    return answered


def _progress(answered: list[Answered], total: int) -> Progress:
    so_far = figure_of(answered)
    return Progress(done=len(answered), total=total, quality=so_far.quality, cost_usd_per_1k=so_far.cost_usd_per_1k)


def figure_of(answered: Sequence[Answered]) -> Figure:
    """Return the means of what was answered."""
    return figure(np.array([one.quality for one in answered]), np.array([one.cost_usd for one in answered]))
