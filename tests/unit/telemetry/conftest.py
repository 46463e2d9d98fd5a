"""A collector on loopback, and no word from the environment on where spans go."""

import os
from collections.abc import Iterator

import pytest

from agentmesh.testing.otlp import FakeCollector


@pytest.fixture(autouse=True)
def no_opentelemetry_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what whoever runs the tests told OpenTelemetry."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    """Return a collector that listens."""
    with FakeCollector() as started:
        yield started
