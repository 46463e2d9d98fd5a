"""The way of spans to a collector: what can be said of it without OpenTelemetry, and how it is loaded."""

import re
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Final, Protocol

from agentmesh.addresses import without_password
from agentmesh.errors import ConfigError, MissingExtraError
from agentmesh.telemetry.spans import Anchor, FinishedSpan

SDK: Final = "agentmesh.telemetry.sdk"
"""The one module that imports OpenTelemetry."""

MOST_SPANS: Final = 8192
"""Spans that may wait to be sent: some 1,000 runs, and some 20 MB."""

CLOSE_S: Final = 5.0
"""Seconds that a closing pipe waits for a collector."""

TRACES_PATH: Final = "/v1/traces"
_HTTP_URL = re.compile(r"https?://[^\s/]+\S*")


@dataclass(frozen=True, slots=True)
class SpanCounts:
    """What became of spans: how many the collector took, how many were lost, and how many are on their way."""

    sent: int = 0
    lost: int = 0
    waiting: int = 0


class SpanPipe(Protocol):
    """Takes spans towards a collector; ``agentmesh.telemetry.sdk.OtlpPipe`` is the one in use."""

    @property
    def counts(self) -> SpanCounts:
        """Return what became of the spans so far."""
        ...

    @property
    def room(self) -> int:
        """Return how many more spans may wait."""
        ...

    def send(self, span: FinishedSpan) -> bool:
        """Take a span and return at once; return whether there was room for it."""
        ...

    def settle(self, timeout_s: float) -> bool:
        """Wait until what was taken is sent or lost; return whether it is."""
        ...

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Send what waits, for at most so long; what is left then is lost. Closing twice is harmless."""
        ...


class CallerContext(Protocol):
    """What OpenTelemetry knows of the code that runs now: the span it is in."""

    def current(self) -> Anchor | None:
        """Return the span that is current, ``None`` where there is none."""
        ...

    def enter(self, anchor: Anchor) -> object:
        """Make a span the current one of the code that runs now; return what was before."""
        ...

    def leave(self, before: object) -> None:
        """Put back what was before."""
        ...


def open_pipe(
    endpoint: str | None = None, *, service_name: str | None = None, most_spans: int = MOST_SPANS
) -> SpanPipe:
    """Open a pipe to a collector that speaks OTLP over HTTP.

    Args:
        endpoint: Its URL, as in ``http://localhost:4318``; by default what ``OTEL_EXPORTER_OTLP_ENDPOINT`` says.
        service_name: What the spans are said to come from; by default what ``OTEL_SERVICE_NAME`` says, or
            ``"agentmesh"``.
        most_spans: How many may wait; further ones are lost, and counted.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
        ConfigError: the endpoint, or a variable that the exporter reads, cannot be used.
    """
    if most_spans < 1:
        raise ConfigError(f"most_spans is {most_spans!r}; give a number of at least 1")
    url = None if endpoint is None else traces_url(endpoint)
    pipe: SpanPipe = loaded().OtlpPipe(url, service_name=service_name, most_spans=most_spans)
    return pipe


def caller_context() -> CallerContext:
    """Return what knows the span that the calling code is in.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """
    context: CallerContext = loaded().ActiveContext()
    return context


def traces_url(endpoint: str) -> str:
    """Return where a collector takes spans.

    >>> traces_url("http://localhost:4318"), traces_url("https://otel.example/api/v1/traces")
    ('http://localhost:4318/v1/traces', 'https://otel.example/api/v1/traces')

    Raises:
        ConfigError: it is no URL of HTTP.
    """
    if _HTTP_URL.fullmatch(endpoint) is None:
        raise ConfigError(
            f"the endpoint is {without_password(endpoint)!r}; expected a URL such as 'http://localhost:4318'"
        )
    return endpoint if endpoint.endswith(TRACES_PATH) else f"{endpoint.rstrip('/')}{TRACES_PATH}"


def loaded() -> ModuleType:
    """Load the module that needs OpenTelemetry.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(SDK)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("opentelemetry"):
            raise
        raise MissingExtraError(error.name, extra="otel") from error
