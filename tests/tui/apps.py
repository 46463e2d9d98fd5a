"""The real app on a store, in a terminal that is not there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from agentmesh.store import TraceStore
from agentmesh.tui.app import WatchApp
from agentmesh.tui.sources import Source, TailSource
from agentmesh.tui.watching import Watched
from tests.tui.story import StandingClock, told_store

SMALL, LARGE = (80, 24), (160, 48)


@asynccontextmanager
async def shown(
    store: TraceStore | None = None, *, source: Source | None = None, size: tuple[int, int] = SMALL, **watched: object
) -> AsyncIterator[tuple[WatchApp, Pilot]]:
    """Show a store in the app, the story by default, once the app has seen all of it."""
    store = told_store() if store is None else store
    app = WatchApp(Watched(source or TailSource(store), store, clock=StandingClock(), **watched))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.watched.board.totals.events > 0 or not store.runs(limit=1))
        yield app, pilot


async def until(pilot: Pilot, is_so, *, rounds: int = 200) -> None:
    """Let the app work until something is so."""
    for _ in range(rounds):
        await pilot.pause(0.02)
        if is_so():
            return
    raise AssertionError(f"it did not come to be so in {rounds} rounds")


def text_of(app: WatchApp) -> str:
    """Return what stands on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)
