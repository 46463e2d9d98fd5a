"""The app beside work of the same process, on one event loop: both go on until the app is left."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import click
from textual.pilot import Pilot

from agentmesh.mesh import Mesh
from agentmesh.tui.app import WatchApp
from agentmesh.tui.presenters import plain_line
from agentmesh.tui.sources import MeshSource, Source
from agentmesh.tui.terminal import stream_without_terminal
from agentmesh.tui.watching import Watched

T = TypeVar("T")
Work = Coroutine[Any, Any, T]
Autopilot = Callable[[Pilot[object]], Coroutine[Any, Any, None]]

POLL_S: Final = 0.1


async def watch_mesh(mesh: Mesh, source: MeshSource, work: Work[T], *, note: str = "") -> T | None:
    """Show an open mesh in the app while ``work`` gives it tasks, until the app is left.

    Where stdin, stdout or stderr is no terminal, a line is printed for each event, until the work is done.

    Args:
        mesh: The mesh; it must be open, and ``source`` be one of its listeners.
        source: What listens to it.
        work: What gives it tasks. It is cancelled where the app is left before it is done.
        note: What the app says above the runs.

    Returns:
        What the work returned, ``None`` where it was cancelled.
    """
    if stream_without_terminal():
        return await in_lines(source, work)
    return await beside(WatchApp(Watched(source, mesh.store, mesh, note=note)), work)


async def beside(app: WatchApp, work: Work[T], *, pilot: Autopilot | None = None) -> T | None:
    """Show the app while work goes on beside it; what is not done when the app is left is cancelled.

    Args:
        app: The app.
        work: What goes on. Where it fails the app is left, and the error raised.
        pilot: Drives the app, in a terminal that is not there.

    Returns:
        What the work returned, ``None`` where it was cancelled.
    """
    working = asyncio.create_task(work)
    working.add_done_callback(lambda done: app.exit() if not done.cancelled() and done.exception() else None)
    try:
        await app.run_async(headless=pilot is not None, auto_pilot=pilot)
    finally:
        working.cancel()
        await asyncio.wait([working])
    return None if working.cancelled() else working.result()


async def in_lines(source: Source, work: Work[T]) -> T:
    """Print a line for each event until the work is done."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work)
        while not working.done():
            await asyncio.wait([working], timeout=POLL_S)
            await _print_more(source)
    return working.result()


async def _print_more(source: Source) -> None:
    while events := await asyncio.to_thread(source.more):
        click.echo("\n".join(map(plain_line, events)))
