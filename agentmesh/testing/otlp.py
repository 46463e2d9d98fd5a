"""A collector on loopback that speaks OTLP over HTTP: it keeps the spans that it is sent, and fails on demand.

Needs the extra ``otel``, for the messages of the protocol.
"""

import gzip
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeAlias

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from agentmesh.errors import ConfigError

Plain: TypeAlias = str | bool | int | float | tuple["Plain", ...]


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span as a collector got it. Ids are in hexadecimal, ``parent`` is "" at a root, times are in nanoseconds."""

    name: str
    trace: str
    id: str
    parent: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Plain]
    events: tuple[tuple[str, int, Mapping[str, Plain]], ...]
    links: tuple[tuple[str, str], ...]
    is_error: bool
    message: str
    is_client: bool
    resource: Mapping[str, Plain]


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it came: its path, its headers by names in lower case, and its body, unpacked."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class FakeCollector:
    """Takes spans on a free port of 127.0.0.1 while its ``with`` block lasts.

    ``statuses`` are what requests are answered with, one by one, and then 200. One that is refused leaves no spans.
    With ``held`` a request is answered only once that is set.
    """

    def __init__(self, statuses: Iterable[int] = (), *, held: threading.Event | None = None) -> None:
        """Take the script. Nothing listens before the ``with`` block is entered."""
        self.requests: list[ReceivedRequest] = []
        """Every request that came in whole, in order, those that were refused among them."""
        self.spans: list[ReceivedSpan] = []
        """The spans of those that were not."""
        self.asked = threading.Event()
        """Set when the first request has come in."""
        self._statuses = iter(statuses)
        self._held = held
        self._lock = threading.Lock()  # guards the lists and the script, which all handler threads use
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Return the URL to give an exporter, ``http://127.0.0.1:PORT``.

        Raises:
            ConfigError: the ``with`` block is not entered.
        """
        if self._server is None:
            raise ConfigError("this FakeCollector is not running; use it as `with FakeCollector() as collector:`")
        return f"http://127.0.0.1:{self._server.server_port}"

    def named(self, beginning: str) -> list[ReceivedSpan]:
        """Return the spans whose names begin so, by when they began."""
        return sorted((span for span in self.spans if span.name.startswith(beginning)), key=lambda span: span.start_ns)

    def one(self, beginning: str) -> ReceivedSpan:
        """Return the only span whose name begins so.

        Raises:
            ConfigError: there is none, or there are several.
        """
        found = self.named(beginning)
        if len(found) != 1:
            raise ConfigError(f"{len(found)} spans begin with {beginning!r}, of {[span.name for span in self.spans]!r}")
        return found[0]

    def __enter__(self) -> Self:
        """Start to listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        # a short poll, because leaving the block waits for one
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Answer what is held, and stop listening."""
        if self._held is not None:
            self._held.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = None

    def respond(self, request: ReceivedRequest) -> int:
        """Keep a request, and its spans unless it is refused; return the status of the answer."""
        with self._lock:
            self.requests.append(request)
            status = next(self._statuses, 200)
            if status == 200:
                self.spans += read_spans(request.body)
        self.asked.set()
        if self._held is not None:
            self._held.wait()
        return status


def read_spans(body: bytes) -> list[ReceivedSpan]:
    """Return the spans in the body of a request."""
    message = ExportTraceServiceRequest.FromString(body)
    return [
        _received(span, _plain(group.resource.attributes))
        for group in message.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _received(span: Span, resource: Mapping[str, Plain]) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_plain(span.attributes),
        events=tuple((event.name, event.time_unix_nano, _plain(event.attributes)) for event in span.events),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        is_error=span.status.code == span.status.STATUS_CODE_ERROR,
        message=span.status.message,
        is_client=span.kind == Span.SPAN_KIND_CLIENT,
        resource=resource,
    )


def _plain(attributes: Sequence[KeyValue]) -> dict[str, Plain]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: AnyValue) -> Plain:
    if value.WhichOneof("value") == "array_value":
        return tuple(_value(one) for one in value.array_value.values)
    found: Plain = getattr(value, value.WhichOneof("value") or "string_value")
    return found


def _handler(collector: FakeCollector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            status = collector.respond(ReceivedRequest(self.path, headers, plain))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Print nothing."""

    return Handler
