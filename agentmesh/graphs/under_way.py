"""The runs that are under way in a mesh: any of them can be cancelled by its name, from anywhere."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from agentmesh.graphs.patience import CLOSING_S
from agentmesh.types import RunId


class UnderWay:
    """Knows the task of each run that is under way, and which of them were called off by name.

    A run that was called off ends as ``cancelled`` for whoever awaits it, who is not cancelled himself.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._tasks: dict[RunId, asyncio.Task[Any]] = {}
        self._called_off: set[RunId] = set()
        self._all_ended = asyncio.Event()  # set whenever the last run has ended

    @contextmanager
    def counted(self, run_id: RunId) -> Iterator[None]:
        """Count a run as under way, in the task that is running now."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks[run_id] = task
            self._all_ended.clear()
        try:
            yield
        finally:
            self._tasks.pop(run_id, None)
            self._called_off.discard(run_id)
            if not self._tasks:
                self._all_ended.set()

    def call_off(self, run_id: RunId) -> bool:
        """Cancel a run; return whether it is under way."""
        task = self._tasks.get(run_id)
        if task is None:
            return False
        if run_id not in self._called_off:  # a task that is cancelled twice has to be told so twice
            self._called_off.add(run_id)
            task.cancel()
        return True

    def was_called_off(self, run_id: RunId) -> bool:
        """Return whether the cancellation that a run has just met was meant for it alone; then it is taken back."""
        task = self._tasks.get(run_id)
        return task is not None and run_id in self._called_off and not task.uncancel()

    async def aclose(self) -> None:
        """Call all runs off, and wait a little until they have ended."""
        running = [run_id for run_id, task in self._tasks.items() if task is not asyncio.current_task()]
        for run_id in running:
            self.call_off(run_id)
        if running:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_S):
                    await self._all_ended.wait()
