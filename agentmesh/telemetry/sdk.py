"""Spans through OpenTelemetry's own SDK to a collector: the one module that imports it.

No global provider is set, so whatever else in the process makes spans is left alone.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from agentmesh.errors import ConfigError
from agentmesh.telemetry.pipe import CLOSE_S, SpanCounts
from agentmesh.telemetry.spans import Anchor, FinishedSpan, nanoseconds

SCOPE: Final = "agentmesh"
SERVICE: Final = "agentmesh"
UNNAMED_SERVICE: Final = "unknown_service"
"""What OpenTelemetry calls a service, at the beginning, that nobody has named."""

QUEUE: Final = 2048
"""OpenTelemetry's own queue, at least as long as it has it by default; a shorter one refuses the default batches."""

logger = logging.getLogger(__name__)


class OtlpPipe:
    """Sends spans in batches, from a thread of the SDK's, to where a collector takes them.

    Args:
        url: Where that is; by default what the environment says.
        service_name: What the spans are said to come from.
        most_spans: How many may wait to be sent.

    Raises:
        ConfigError: a variable that the SDK reads cannot be used.
    """

    def __init__(self, url: str | None, *, service_name: str | None, most_spans: int) -> None:
        self._tally = Tally(most_spans)
        self._ids = _PlannedIds()
        self._lock = threading.Lock()  # guards the ids that are planned for the next span
        self._closing = threading.Lock()  # guards against two threads that close
        self._is_closed = False
        try:
            self._exporter = _CountedExporter(OTLPSpanExporter(endpoint=url), self._tally)
            self._batches = BatchSpanProcessor(self._exporter, max_queue_size=max(most_spans, QUEUE))
        except (ValueError, OSError, RuntimeError) as error:
            raise ConfigError(f"OpenTelemetry cannot be set up as the environment says: {error}") from error
        self._provider = TracerProvider(
            sampler=ParentBased(ALWAYS_ON),
            resource=_resource(service_name),
            id_generator=self._ids,
            shutdown_on_exit=False,  # it would wait for a collector that is down for half a minute
        )
        self._provider.add_span_processor(self._batches)
        self._tracer = self._provider.get_tracer(SCOPE)

    @property
    def counts(self) -> SpanCounts:
        """Return what became of the spans so far."""
        return self._tally.counts()

    @property
    def room(self) -> int:
        """Return how many more spans may wait."""
        return self._tally.most - self._tally.counts().waiting

    def send(self, span: FinishedSpan) -> bool:
        """Take a span and return at once; return whether there was room for it."""
        if not span.own.is_sampled:
            return True
        if self._is_closed or not self._tally.take():
            self._tally.lose(1)
            return False
        with self._lock:
            self._ids.planned = span.own
            began = self._tracer.start_span(
                span.name,
                _under(span.parent),
                kind=SpanKind.CLIENT if span.is_client else SpanKind.INTERNAL,
                attributes=span.attributes,
                links=[Link(_context_of(anchor)) for anchor in span.links],
                start_time=nanoseconds(span.began_at),
            )
        if not began.is_recording():  # the environment switches OpenTelemetry off
            self._tally.forget()
            return True
        for moment in span.moments:
            began.add_event(moment.name, moment.attributes, nanoseconds(moment.at))
        if span.error is not None:
            began.set_status(Status(StatusCode.ERROR, span.error or None))
        began.end(nanoseconds(span.ended_at))
        return True

    def settle(self, timeout_s: float) -> bool:
        """Wait until what was taken is sent or lost; return whether it is."""
        flushing = threading.Thread(target=self._batches.force_flush, daemon=True)
        flushing.start()
        flushing.join(timeout_s)
        return self.counts.waiting == 0

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Send what waits, for at most so long; what is left then is lost. Closing twice is harmless."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)  # it has no limit of its own to set
        ending.start()
        ending.join(timeout_s)
        if ending.is_alive():
            self._exporter.shutdown()  # which ends the waits between its attempts
        self._tally.give_up()


class Tally:
    """Counts spans on their way, so that no more wait than may, and says once that some were lost."""

    def __init__(self, most: int) -> None:
        """Let at most so many spans wait."""
        self.most = most
        self._lock = threading.Lock()  # guards the counts, which the mesh's thread and the exporter's write
        self._sent = self._lost = self._waiting = 0
        self._has_said = False

    def counts(self) -> SpanCounts:
        """Return what became of the spans so far."""
        with self._lock:
            return SpanCounts(self._sent, self._lost, self._waiting)

    def take(self) -> bool:
        """Count a span as waiting, if there is room."""
        with self._lock:
            if self._waiting >= self.most:
                return False
            self._waiting += 1
            return True

    def forget(self) -> None:
        """Count a span no longer."""
        with self._lock:
            self._waiting -= 1

    def settle(self, number: int, *, sent: bool) -> None:
        """Count spans that waited as sent or lost."""
        with self._lock:
            number = min(number, self._waiting)  # those of a pipe that was closed are counted
            self._waiting -= number
            self._sent += number if sent else 0
        if not sent and number:
            self.lose(number)

    def give_up(self) -> None:
        """Count whatever still waits as lost."""
        self.settle(self.most, sent=False)

    def lose(self, number: int) -> None:
        """Count spans as lost, and log it the first time."""
        with self._lock:
            self._lost += number
            is_first, self._has_said = not self._has_said, True
        if is_first:
            logger.warning("spans are being lost: the collector does not take them, or not as fast as they come")


class ActiveContext:
    """The span that the calling code is in, as OpenTelemetry's context has it."""

    def current(self) -> Anchor | None:
        """Return the span that is current, ``None`` where there is none."""
        found = trace.get_current_span().get_span_context()
        if not found.is_valid:
            return None
        return Anchor(found.trace_id, found.span_id, found.trace_flags.sampled, found.trace_state.to_header())

    def enter(self, anchor: Anchor) -> object:
        """Make a span the current one of the code that runs now; return what was before."""
        before = otel_context.get_current()
        otel_context.attach(trace.set_span_in_context(NonRecordingSpan(_context_of(anchor)), before))
        return before

    def leave(self, before: object) -> None:
        """Put back what was before; not by its token, which holds in one task alone."""
        if isinstance(before, otel_context.Context):
            otel_context.attach(before)


class _PlannedIds(IdGenerator):
    """Gives the next span the ids that are planned for it."""

    def __init__(self) -> None:
        self.planned = Anchor(0, 0)

    def generate_span_id(self) -> int:
        return self.planned.span_id

    def generate_trace_id(self) -> int:
        return self.planned.trace_id


class _CountedExporter(SpanExporter):
    """An exporter whose spans are counted when it is done with them."""

    def __init__(self, inner: SpanExporter, tally: Tally) -> None:
        self._inner = inner
        self._tally = tally
        self._is_shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            self._tally.settle(len(spans), sent=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        if not self._is_shut:
            self._is_shut = True
            self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _resource(service_name: str | None) -> Resource:
    if service_name is not None:
        return Resource.create({SERVICE_NAME: service_name})
    found = Resource.create()
    is_named = not str(found.attributes[SERVICE_NAME]).startswith(UNNAMED_SERVICE)
    return found if is_named else found.merge(Resource({SERVICE_NAME: SERVICE}))


def _under(parent: Anchor | None) -> otel_context.Context:
    """Return a context in which a span hangs from another one, or from none."""
    empty = otel_context.Context()
    return empty if parent is None else trace.set_span_in_context(NonRecordingSpan(_context_of(parent)), empty)


def _context_of(anchor: Anchor) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if anchor.is_sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([anchor.state]) if anchor.state else None
    return SpanContext(anchor.trace_id, anchor.span_id, is_remote=False, trace_flags=flags, trace_state=state)
