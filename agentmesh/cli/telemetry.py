"""``agentmesh telemetry``: stored runs as spans, to whatever collects OpenTelemetry's."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from agentmesh.cli.options import Function, db_option, json_option, number
from agentmesh.cli.output import note, print_json, print_text
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from agentmesh.store import TraceStore
    from agentmesh.telemetry import SpanPipe

LOST, INTERRUPTED = 1, 130
POLL_S = 0.5


class Way(NamedTuple):
    """From where spans come, to where they go, and whether with what was written."""

    store: "TraceStore"
    pipe: "SpanPipe"
    content: bool


@click.group()
def telemetry() -> None:
    """Send stored runs as spans to a collector of OpenTelemetry."""


def collector_options(function: Function) -> Function:
    """Add the options that say where spans go, and what is told in them."""
    for option in (
        click.option("--content", is_flag=True, help="Also send tasks, answers, errors and reasons."),
        click.option("--service", metavar="NAME", help="What they come from. [OTEL_SERVICE_NAME; default: agentmesh]"),
        click.option(
            "--endpoint",
            metavar="URL",
            help="The collector. [OTEL_EXPORTER_OTLP_ENDPOINT; default: http://localhost:4318]",
        ),
    ):
        function = option(function)
    return db_option(json_option(function))


since_option = click.option(
    "--since", type=number(), metavar="UNIX_SECONDS", help="All runs that started at or after this time."
)


@telemetry.command()
@click.argument("run_ids", metavar="[RUN]...", nargs=-1)
@since_option
@collector_options
def send(run_ids: tuple[str, ...], since: float | None, as_json: bool, **where: Any) -> int:
    """Send the stored runs RUN, each with those that it started, over OTLP/HTTP.

    A run that is sent twice has the same ids. The exit code is 1 where the collector did not take all spans.
    """
    if not run_ids and since is None:
        raise click.UsageError("name a RUN, or give --since.")
    from agentmesh.playback.sending import send_runs, started_since, with_inner
    from agentmesh.store.lookup import find_run

    with _way(**where) as way:
        named = list(with_inner(way.store, [find_run(way.store, run_id) for run_id in run_ids]))
        also = [] if since is None else started_since(way.store, since)
        runs = send_runs(way.store, dict.fromkeys([*named, *also]), way.pipe, content=way.content)
    return _report(way.pipe, runs, as_json=as_json)


@telemetry.command()
@since_option
@click.option("--for", "for_s", type=number(open_low=True), metavar="SECONDS", help="End after this; else on Ctrl-C.")
@collector_options
def follow(since: float | None, for_s: float | None, as_json: bool, **where: Any) -> int:
    """Send each run over OTLP/HTTP as soon as its end is stored, whichever process it is of, and each score.

    With --since, those that are stored already go first.
    """
    from agentmesh.playback.sending import follow as followed
    from agentmesh.playback.sending import send_runs, started_since

    runs, interrupted = 0, False
    with _way(**where) as way:
        try:
            end = way.store.last_place()
            if since is not None:
                runs = send_runs(way.store, started_since(way.store, since), way.pipe, content=way.content)
            for found in followed(way.store, way.pipe, after=end, wait=_waiting(for_s), content=way.content):
                runs += found
        except KeyboardInterrupt:
            interrupted = True
    code = _report(way.pipe, runs, as_json=as_json)
    return INTERRUPTED if interrupted else code


@contextmanager
def _way(*, db: str | None, endpoint: str | None, service: str | None, content: bool) -> Iterator[Way]:
    """Open the store and the way to the collector; at the end, see that what was sent has arrived or is lost."""
    from agentmesh.playback.sending import PATIENCE_S
    from agentmesh.telemetry import open_pipe

    with open_traces(db) as store:
        pipe = open_pipe(endpoint, service_name=service)
        try:
            yield Way(store, pipe, content)
        finally:
            pipe.close(PATIENCE_S)


def _waiting(for_s: float | None) -> Callable[[], bool]:
    """Return what waits a little, and says whether there is time left."""
    from agentmesh.types import SystemClock

    clock, never = SystemClock(), threading.Event()
    begun = clock.monotonic()

    def wait() -> bool:
        left_s = POLL_S if for_s is None else begun + for_s - clock.monotonic()
        never.wait(max(0.0, min(POLL_S, left_s)))
        return left_s > 0

    return wait


def _report(pipe: "SpanPipe", runs: int, *, as_json: bool) -> int:
    counts = pipe.counts
    if as_json:
        print_json({"runs": runs, "spans": counts.sent, "lost": counts.lost})
    else:
        print_text(f"{counts.sent} spans of {runs} runs sent")
    if counts.lost:
        note(f"{counts.lost} spans were lost: the collector did not take them")
    return LOST if counts.lost else 0
