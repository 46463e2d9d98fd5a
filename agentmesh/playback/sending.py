"""Sends stored runs to a collector as the spans that they would have been: the same ids each time it is done."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from agentmesh.errors import RunNotFoundError
from agentmesh.events import Event, FeedbackGiven, RunFinished, RunStarted, fold
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.telemetry.lineage import ParentSpans
from agentmesh.telemetry.pipe import SpanPipe
from agentmesh.telemetry.run_spans import RunSpans
from agentmesh.telemetry.spans import Anchor, FinishedSpan, span_id_of, trace_id_of
from agentmesh.types import RunId

PAGE: Final = 1000
MOST_PARENTS: Final = 256
"""Runs that started others and are remembered, so that a workflow is read once for all its stages."""

PATIENCE_S: Final = 60.0
"""Seconds in which a collector has to take what waits; one attempt of the exporter's gives up after ten."""


class StoredSpans:
    """Makes the spans of stored runs.

    Args:
        store: Where the runs are.
        content: Also tell what people and agents wrote.
    """

    def __init__(self, store: TraceStore, *, content: bool = False) -> None:
        self._store = store
        self._content = content
        self._parents: dict[RunId, ParentSpans] = {}

    def of_run(self, run_id: RunId, *, until: int | None = None) -> list[FinishedSpan]:
        """Return the spans of a run, up to an event; those of one that has not ended stand as they do.

        Raises:
            RunNotFoundError: it is not stored.
        """
        events = [event for event in self._store.events(run_id) if until is None or event.seq <= until]
        spans = self._begin(events)
        told = [span for event in events for span in spans.take(event)]
        if _has_ended(events):
            return told
        return told + spans.unfinished(fold(events).status)

    def since(self, event: Event) -> list[FinishedSpan]:
        """Return the spans that can be told now that an event is stored: of a whole run at its end, or of a score."""
        if isinstance(event, RunFinished):
            return self.of_run(event.run_id, until=event.seq)
        if isinstance(event, FeedbackGiven):
            return self._begin(self._store.events(event.run_id)).take(event)
        return []

    def _begin(self, events: list[Event]) -> RunSpans:
        first = events[0]
        place = self._place_of(first) if isinstance(first, RunStarted) else None
        return RunSpans(first.run_id, place, content=self._content)

    def _place_of(self, started: RunStarted) -> Anchor | None:
        """Return what a run hangs from, ``None`` where nothing started it."""
        if started.parent is None:
            return None
        parent = self._parents.get(started.parent) or self._remembered(started.parent)
        if parent is None:
            return Anchor(trace_id_of(started.parent), span_id_of(started.parent, "run"))
        return parent.place_of(started)

    def _remembered(self, run_id: RunId) -> ParentSpans | None:
        try:
            events = self._store.events(run_id)
        except RunNotFoundError:  # it was pruned, or is kept elsewhere
            return None
        parent = ParentSpans(self._begin(events).anchor, run_id, events)
        if _has_ended(events):  # otherwise there is more to come
            if len(self._parents) >= MOST_PARENTS:
                del self._parents[next(iter(self._parents))]
            self._parents[run_id] = parent
        return parent


def with_inner(store: TraceStore, run_ids: Iterable[RunId]) -> Iterator[RunId]:
    """Yield runs, and after each the runs that it started, and those that they did."""
    for run_id in run_ids:
        yield run_id
        yield from with_inner(store, _listed(store, RunFilter(parent=run_id)))


def started_since(store: TraceStore, since: float) -> list[RunId]:
    """Return the runs that were started at or after a time, those that others started among them, oldest first."""
    return _listed(store, RunFilter(since=since))


def send_runs(store: TraceStore, run_ids: Iterable[RunId], pipe: SpanPipe, *, content: bool = False) -> int:
    """Send the spans of runs, as fast as the collector takes them; return how many runs there were.

    Raises:
        RunNotFoundError: one of them is not stored.
    """
    spans, count = StoredSpans(store, content=content), 0
    for run_id in run_ids:
        _send(spans.of_run(run_id), pipe)
        count += 1
    return count


def follow(
    store: TraceStore, pipe: SpanPipe, *, after: int, wait: Callable[[], bool], content: bool = False
) -> Iterator[int]:
    """Send each run when its end is stored, and each score that it is given; yield how many runs there were, by pages.

    Args:
        store: Where runs are stored, by this process or others.
        pipe: Where the spans go.
        after: The place in the store to begin behind.
        wait: Called where there is nothing new; it returns whether to go on.
        content: Also tell what people and agents wrote.
    """
    spans, place = StoredSpans(store, content=content), after
    going = True
    while going:
        news = store.tail(place, limit=PAGE)
        for one in news:
            _send(spans.since(one.event), pipe)
            place = one.place
        yield sum(isinstance(one.event, RunFinished) for one in news)
        going = bool(news) or wait()


def _listed(store: TraceStore, where: RunFilter) -> list[RunId]:
    """Return runs, oldest first; further ones may be stored meanwhile, and shift those that are listed."""
    found: dict[RunId, None] = {}
    offset = 0
    while page := store.runs(where, limit=PAGE, offset=offset):
        found |= dict.fromkeys(one.id for one in page)
        offset += PAGE
    return list(found)[::-1]


def _send(spans: list[FinishedSpan], pipe: SpanPipe) -> None:
    """Hand spans over, waiting for the collector where there is no room for more."""
    for span in spans:
        if pipe.room == 0:
            pipe.settle(PATIENCE_S)
        pipe.send(span)


def _has_ended(events: list[Event]) -> bool:
    return any(isinstance(event, RunFinished) for event in events)
