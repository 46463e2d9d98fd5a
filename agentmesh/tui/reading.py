"""A run read in parts: the first is shown at once, the rest follows, and of a run that goes on only what is new."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from agentmesh.events import Event, RunStarted, fold
from agentmesh.records import Run
from agentmesh.tui.cells import Cell
from agentmesh.tui.run_presenters import slice_rows
from agentmesh.tui.sources import Source
from agentmesh.tui.sparing import SPARING
from agentmesh.types import RunId

PART: Final = 1000
"""Events that are read at once: about a twentieth of a second."""

LONG: Final = 10_000
"""Events from which on the garbage collector leaves alone what is old."""


@dataclass(frozen=True, slots=True)
class Part:
    """One step of reading: how many events were read by now, and what they come to, unless that is told later."""

    run: Run | None
    count: int
    is_last: bool


@dataclass(slots=True)
class RunReading:
    """What was read of a run so far. Its lists only grow at their ends, so they can be shown while more is read.

    ``slices`` are the rows of the context that agents got.
    """

    run_id: RunId
    events: list[Event] = field(default_factory=list)
    slices: list[tuple[Cell, ...]] = field(default_factory=list)
    is_begun: bool = False
    _folded: int = 0
    _is_done: bool = False

    def parts(self, source: Source, *, goes_on: Callable[[], bool]) -> Iterator[Part]:
        """Read on to the end, for as long as it ``goes_on``, and yield after each step.

        All that was read is folded whenever it has doubled, and at the end: so folding takes no longer than reading.

        Raises:
            AgentMeshError: the source cannot be read now, or knows of no such run.
        """
        is_last = False
        while not (is_last or self._is_done) and goes_on():
            is_last = self._take_part(source) < PART
            count = len(self.events)
            is_told = self.is_begun and count > self._folded and (is_last or count >= 2 * self._folded)
            self._folded = count if is_told else self._folded
            run = fold(self.events) if is_told else None
            if count >= LONG:
                self._spare_collector()
            yield Part(run, count, is_last)

    def let_go(self, *lists: list[Any]) -> Iterator[None]:
        """Forget what was read, and what stands in other lists, and yield after each step: freeing takes its time."""
        every: list[list[Any]] = [self.events, self.slices, *lists]
        try:
            for held in every:
                while held:
                    del held[-PART:]  # of the list itself: tables that showed it may still be there
                    yield
        finally:
            self.end()

    def end(self) -> None:
        """Read no more, and have the collector do all of its work again, where it was kept from that for this run."""
        self._is_done = True
        SPARING.end(self)

    def _spare_collector(self) -> None:
        SPARING.begin(self)
        if self._is_done:  # meanwhile, by another thread: nobody would end it after this
            SPARING.end(self)

    def _take_part(self, source: Source) -> int:
        after = self.events[-1].seq if self.events else -1
        part = source.trace(self.run_id, after=after, limit=PART)
        self.slices += slice_rows(part)
        self.events += part
        self.is_begun = self.is_begun or any(isinstance(event, RunStarted) for event in part)
        return len(part)
