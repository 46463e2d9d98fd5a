"""The real app on a store, in a terminal that is not there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.events import Key
from textual.pilot import Pilot

from agentmesh.store import TraceStore
from agentmesh.tui.app import WatchApp
from agentmesh.tui.screens.live import LiveScreen
from agentmesh.tui.sources import Source, TailSource
from agentmesh.tui.watching import Watched
from agentmesh.tui.widgets.rows import Rows
from tests.tui.story import StandingClock, told_store

SMALL, LARGE = (80, 24), (160, 48)
POLL_S = 0.02


@asynccontextmanager
async def shown(
    store: TraceStore | None = None, *, source: Source | None = None, size: tuple[int, int] = SMALL, **watched: object
) -> AsyncIterator[tuple[WatchApp, Pilot]]:
    """Show a store in the app, the story by default, once the first screen shows all runs of it that are known."""
    store = told_store() if store is None else store
    app = WatchApp(Watched(source or TailSource(store), store, clock=StandingClock(), **watched))
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.watched.board.runs or not store.runs(limit=1))
        await until(
            pilot,
            lambda: (
                not isinstance(app.screen, LiveScreen)  # a run that is played is opened by itself
                or len(app.screen.query_one(Rows)) == len(app.watched.board.runs)
            ),
        )
        yield app, pilot


async def until(pilot: Pilot, is_so: Callable[[], object], *, rounds: int = 300) -> None:
    """Let the app work until something is so; on a busy machine that may take its time."""
    for _ in range(rounds):
        if is_so():
            return
        await asyncio.sleep(POLL_S)  # a pause of the pilot would have the whole screen painted each time
    raise AssertionError(f"it did not come to be so in {rounds} rounds; the screen shows\n{text_of(pilot.app)}")


async def press(pilot: Pilot, *keys: str) -> None:
    """Press keys one after the other; the pilot's own way waits for each until the whole process is idle."""
    for key in keys:
        pilot.app.post_message(Key(key, key if len(key) == 1 else None))
        for _ in range(3):  # from the app to the screen, from there to the widget, and back
            await pilot.pause(0)


async def reads(pilot: Pilot, *words: str) -> str:
    """Wait until all the words stand on the screen, and return all that does."""
    await until(pilot, lambda: all(word in text_of(pilot.app) for word in words))
    return text_of(pilot.app)


def text_of(app: WatchApp) -> str:
    """Return what stands on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)
