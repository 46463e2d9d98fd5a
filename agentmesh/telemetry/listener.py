"""A listener for a mesh that makes spans of its runs while they go on."""

import logging
import threading
from types import TracebackType
from typing import Final, Self

from agentmesh.errors import ConfigError
from agentmesh.events import AnswerChunk, CallFinished, CallStarted, Event, RunFinished, RunStarted
from agentmesh.telemetry.pipe import CLOSE_S, MOST_SPANS, SpanCounts, caller_context, open_pipe
from agentmesh.telemetry.run_spans import RunSpans
from agentmesh.telemetry.spans import Anchor, span_id_of, trace_id_of
from agentmesh.types import RunId

MOST_RUNS: Final = 4096
"""Runs whose end is waited for: those that a process was killed in, or that nobody approves, never end here."""

logger = logging.getLogger(__name__)


class _LiveRun:
    """A run under way: its spans, and what was current before each of its calls."""

    def __init__(self, spans: RunSpans) -> None:
        self.spans = spans
        self.before: dict[tuple[str, int, int], object] = {}


class OtelListener:
    """Sends the spans of each run to a collector: ``Mesh(agents, listeners=[OtelListener()])``.

    A run becomes a child of the span that its caller is in, and what an agent's own libraries trace becomes a child of
    its call. A span is sent when it has ended, in batches, from a thread of its own: whatever the collector does, no
    run waits for it or fails by it. Close it after the mesh, or use it as ``with OtelListener() as spans:``.

    Args:
        endpoint: The collector's URL, as in ``http://localhost:4318``; by default what ``OTEL_EXPORTER_OTLP_ENDPOINT``
            and the other variables of the OTLP exporter say.
        service_name: What the spans are said to come from; by default ``OTEL_SERVICE_NAME``, or ``"agentmesh"``.
        content: Also send what people, agents and models wrote: tasks, answers, errors, reasons.
        most_spans: Spans that may wait to be sent; further ones are lost, and counted.
        most_runs: Runs that may be under way; beyond, the spans of the oldest that have not ended are dropped.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
        ConfigError: an argument, or a variable that the exporter reads, cannot be used.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        service_name: str | None = None,
        content: bool = False,
        most_spans: int = MOST_SPANS,
        most_runs: int = MOST_RUNS,
    ) -> None:
        if most_runs < 1:
            raise ConfigError(f"most_runs is {most_runs!r}; give a number of at least 1")
        self._pipe = open_pipe(endpoint, service_name=service_name, most_spans=most_spans)
        self._context = caller_context()
        self._content = content
        self._most_runs = most_runs
        self._runs: dict[RunId, _LiveRun] = {}
        self._dropped = 0
        self._lock = threading.Lock()  # guards the runs: several meshes in several threads may share a listener
        self._has_failed = False

    @property
    def counts(self) -> SpanCounts:
        """Return what became of the spans so far."""
        return self._pipe.counts

    @property
    def dropped_runs(self) -> int:
        """Return how many runs were given up before they ended."""
        return self._dropped

    def __call__(self, event: Event) -> None:
        """Take one event. It returns at once and raises nothing."""
        if isinstance(event, AnswerChunk):
            return
        try:
            with self._lock:
                self._take(event)
        except Exception:  # the boundary to a library of others: no run may end by what is told of it
            if not self._has_failed:
                self._has_failed = True
                logger.exception("spans of run %r cannot be told; this is logged once", event.run_id)

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Send what has ended, waiting at most so long for the collector; spans that have not ended are dropped."""
        self._dropped += len(self._runs)
        self._runs.clear()
        self._pipe.close(timeout_s)

    def __enter__(self) -> Self:
        """Return the listener itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _take(self, event: Event) -> None:
        run = self._runs.get(event.run_id) or self._begin(event)
        for span in run.spans.take(event):
            self._pipe.send(span)
        if isinstance(event, CallStarted):
            key = (event.agent_id, event.wave, event.attempt)
            run.before[key] = self._context.enter(run.spans.anchor_of_call(*key))
        elif isinstance(event, CallFinished):
            call = event.call
            self._context.leave(run.before.pop((call.agent_id, call.wave, call.attempt), None))
        elif isinstance(event, RunFinished):
            self._runs.pop(event.run_id, None)

    def _begin(self, event: Event) -> _LiveRun:
        if len(self._runs) >= self._most_runs:
            self._runs.pop(next(iter(self._runs)))
            self._dropped += 1
        run = _LiveRun(RunSpans(event.run_id, self._place_of(event), content=self._content))
        self._runs[event.run_id] = run
        return run

    def _place_of(self, event: Event) -> Anchor | None:
        """Return what a run hangs from: its stage, the code that started it, or the run that did."""
        current = self._context.current()
        parent = event.parent if isinstance(event, RunStarted) else None
        if parent is None:
            return current
        known = self._runs.get(parent)
        if known is None:
            return current or Anchor(trace_id_of(parent), span_id_of(parent, "run"))
        stage, of_parent = known.spans.stage_of(event.run_id), known.spans.anchor
        if stage is not None:
            return stage
        return current if current is not None and current.trace_id == of_parent.trace_id else of_parent
