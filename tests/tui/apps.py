"""The real app on a store, in a terminal that is not there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.events import Key
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from agentmesh.store import TraceStore
from agentmesh.tui.app import WatchApp
from agentmesh.tui.screens.run import RunScreen
from agentmesh.tui.sources import Source, TailSource
from agentmesh.tui.watching import Watched
from agentmesh.tui.widgets.rows import Rows
from tests.tui.story import StandingClock, told_store

SMALL, LARGE = (80, 24), (160, 48)
POLL_S = 0.02
ROUNDS = 1500
"""How often it is seen whether something is so before it is given up: half a minute, which a busy machine may need."""

AT_ONCE = 200
"""Rounds in which the app is only given its turn: what it has to do takes no more, unless it waits for a thread."""


@asynccontextmanager
async def shown(
    store: TraceStore | None = None, *, source: Source | None = None, size: tuple[int, int] = SMALL, **watched: object
) -> AsyncIterator[tuple[WatchApp, Pilot]]:
    """Show a store in the app, the story by default, once the first screen shows all runs of it that are known."""
    store = told_store() if store is None else store
    app = WatchApp(Watched(source or TailSource(store), store, clock=StandingClock(), **watched))
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.watched.board.runs or not store.runs(limit=1))
        if app.played is None:
            await until(pilot, lambda: len(app.screen.query_one(Rows)) == len(app.watched.board.runs))
        else:
            await until(pilot, lambda: isinstance(app.screen, RunScreen))  # it is opened by itself
        await settled(pilot)
        yield app, pilot


async def until(pilot: Pilot, is_so: Callable[[], object]) -> None:
    """Let the app work until something is so; on a busy machine that may take its time."""
    for _ in range(ROUNDS):
        if is_so():
            return
        await asyncio.sleep(POLL_S)  # a pause of the pilot would have the whole screen painted each time
    raise AssertionError(f"it did not come to be so in {ROUNDS} rounds; the screen shows\n{text_of(pilot.app)}")


async def settled(pilot: Pilot) -> None:
    """Let the app work until it has done all that it was told, and drawn it; what a worker brings comes later.

    A pause of the pilot ends when the process is idle. So is one that a busy machine gives no turn, and a message that
    one part of the app sends another is then still to come.
    """
    app = pilot.app
    for number in range(AT_ONCE + ROUNDS):
        await asyncio.sleep(0 if number < AT_ONCE else POLL_S)
        if app._exit or app._exception is not None:
            return
        if all(_rests(part) for part in (app, *app._registry) if part._running):
            if not _has_to_draw(app.screen):
                return
            with app._context():  # another app may have been made since
                app.screen._on_timer_update()  # sooner than by itself
    raise AssertionError(f"the app did not come to rest; the screen shows\n{text_of(app)}")


async def press(pilot: Pilot, *keys: str) -> None:
    """Press keys one after the other, each when the app is done with the one before, and wait until it is with all."""
    for key in keys:
        pilot.app.post_message(Key(key, key if len(key) == 1 else None))
        await settled(pilot)


async def click(pilot: Pilot, place: type[Widget] | str, offset: tuple[int, int] = (0, 0), *, times: int = 1) -> None:
    """Click somewhere, and wait until the app is done with it."""
    await pilot.click(place, offset=offset, times=times)
    await settled(pilot)


async def reads(pilot: Pilot, *words: str) -> str:
    """Wait until all the words stand on the screen at once, and return all that does then."""
    seen = [text_of(pilot.app)]
    await until(pilot, lambda: all(word in seen[-1] for word in words) or seen.append(text_of(pilot.app)))
    return seen[-1]


def text_of(app: WatchApp) -> str:
    """Return what stands on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


def _rests(part: MessagePump) -> bool:
    """Return whether a part of the app waits for a message, and none is there."""
    queue = part._message_queue
    return queue.empty() and bool(queue.ready_event._waiters)


def _has_to_draw(screen: Screen) -> bool:
    """Return whether a screen is to be laid out or drawn, or to call what waits for that."""
    flags = screen._layout_required, screen._scroll_required, screen._repaint_required, screen._recompose_required
    return any(flags) or bool(screen._dirty_widgets) or bool(screen._callbacks)
