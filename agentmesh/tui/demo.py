"""The demo in the app: its mesh works in this process, at a pace that a person can follow."""

import asyncio
from decimal import Decimal
from typing import Final

from agentmesh.demo.earned import earned, in_the_end, intro, under_way
from agentmesh.demo.records import Earned
from agentmesh.demo.run import open_empty
from agentmesh.demo.stream import Answered, answer_all, mesh_of
from agentmesh.demo.team import Team, load_team
from agentmesh.mesh import Mesh
from agentmesh.tui.app import WatchApp
from agentmesh.tui.beside import Autopilot, beside
from agentmesh.tui.board import Board
from agentmesh.tui.sources import MeshSource
from agentmesh.tui.watching import Watched

PACE_S: Final = 0.05
"""The pause before each question: 700 of them take less than a minute."""

KEYS: Final = "Enter opens a question, 3 the models, q leaves."
"""What to do when all are answered."""

SLOW: Final = 10
"""Questions at the beginning that come slower, for the first rows to be read."""


async def watch_demo(
    store_url: str,
    *,
    limit: int | None = None,
    pace_s: float = PACE_S,
    theme: str | None = None,
    pilot: Autopilot | None = None,
) -> Earned | None:
    """Show the demo in the app until it is left, and return what was earned; ``None`` before the first answer.

    The questions, and what is decided, are those of :func:`agentmesh.demo.run.run_demo`.

    Args:
        store_url: A store without runs.
        limit: How many questions, from the first; all by default.
        pace_s: The pause before each question, longer before the first ones.
        theme: The colours, by the name of a theme.
        pilot: Drives the app, in a terminal that is not there.

    Raises:
        ConfigError: ``limit`` is less than 1, the store holds runs already, or there is no such theme.
        StoreError: the store cannot be opened or written.
    """
    team = await asyncio.to_thread(load_team, limit)
    answered: list[Answered] = []
    with await asyncio.to_thread(open_empty, store_url) as store:
        source = MeshSource(store)
        async with mesh_of(team, router="auto", store=store, listeners=[source]) as mesh:
            watched = Watched(source, store, mesh, board=Board(kept=len(team.tasks)), note=intro(team))
            app = WatchApp(watched, theme=theme)
            await beside(app, _answer(team, mesh, app, answered, pace_s), pilot=pilot)
    return earned(team, answered) if answered else None


async def _answer(team: Team, mesh: Mesh, app: WatchApp, answered: list[Answered], pace_s: float) -> None:
    """Have the questions answered one by one, and say what was earned so far."""
    async for one in answer_all(team, mesh):
        answered.append(one)
        so_far = earned(team, answered)
        price = Decimal(so_far.best_single.cost_usd_per_1k) / 1000
        app.watched.board.known_single = (so_far.best_single_id, price)
        app.watched.note = f"{intro(team)}\n{under_way(so_far)}"
        app.draw_soon()
        await asyncio.sleep(pace_s * max(SLOW - one.row, 1))
    app.watched.note = f"{in_the_end(earned(team, answered))} {KEYS}"
    app.draw_soon()
