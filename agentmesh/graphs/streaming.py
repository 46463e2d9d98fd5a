"""A run as a stream of its events, for whoever wants to watch it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias

from agentmesh.events import Event
from agentmesh.protocols import EventSink
from agentmesh.records import Run

Begin: TypeAlias = Callable[[EventSink], Coroutine[Any, Any, Run]]
"""Begins a run that a listener is told of."""


async def streamed(
    begin: Begin, tasks: asyncio.TaskGroup, streaming: set[asyncio.Task[Any]]
) -> AsyncGenerator[Event, None]:
    """Yield the events of a run as they happen; closing the generator cancels the run.

    Args:
        begin: Begins the run.
        tasks: The group that the run becomes a task of.
        streaming: Where that task stands while it runs.

    Raises:
        Exception: whatever the run raised, after the events that came before.
    """
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    running = tasks.create_task(_outcome(begin(lambda event: queue.put_nowait(event))))
    streaming.add(running)
    running.add_done_callback(streaming.discard)
    running.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        outcome = await running
        if isinstance(outcome, Exception):
            raise outcome
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _outcome(work: Coroutine[Any, Any, Run]) -> Run | Exception:
    """Return an error as a value, since one raised in the mesh's task group would end all other runs."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - the worker boundary: whoever reads the stream raises it again
        return error
