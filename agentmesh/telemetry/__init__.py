"""OpenTelemetry spans of runs, by the GenAI semantic conventions, to any OTLP endpoint. Needs the extra ``otel``."""

from agentmesh.telemetry.listener import OtelListener as OtelListener
from agentmesh.telemetry.pipe import SpanCounts as SpanCounts
from agentmesh.telemetry.pipe import SpanPipe as SpanPipe
from agentmesh.telemetry.pipe import open_pipe as open_pipe
from agentmesh.telemetry.run_spans import RunSpans as RunSpans
from agentmesh.telemetry.spans import Anchor as Anchor
from agentmesh.telemetry.spans import FinishedSpan as FinishedSpan
from agentmesh.telemetry.spans import Moment as Moment

__all__ = ["Anchor", "FinishedSpan", "Moment", "OtelListener", "RunSpans", "SpanCounts", "SpanPipe", "open_pipe"]
