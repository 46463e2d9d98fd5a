"""``agentmesh watch``: the routing as it happens, in an app; with ``--plain`` in lines."""

import gc
from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import db_option, json_option, number
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from pathlib import Path

    from agentmesh.store import TraceStore
    from agentmesh.tui.sources import Source

WAIT_S = 1.0
"""How long a database that is locked, or whose server is away, is waited for: it is said then, and tried again."""

theme_option = click.option(
    "--theme", envvar="AGENTMESH_THEME", metavar="NAME", help="Colours: mesh-dark, -light, -contrast or -blue-orange."
)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--plain", is_flag=True, help="Print a line for each event, for logs and pipes.")
@click.option("--speed", type=number(0.1, 100), default=1.0, show_default=True, help="Play RUN so much faster.")
@click.option(
    "--recent", type=click.IntRange(min=0), metavar="N", help="Begin with the last N runs. [default: 100; 10 in lines]"
)
@click.option("--web", is_flag=True, help="Serve the app to a browser on this machine.")
@click.option("--port", type=click.IntRange(1024, 65535), metavar="N", help="Where --web serves it. [default: any]")
@click.option("--served", is_flag=True, hidden=True)  # the app behind a page: its stdout is a pipe to the server
@theme_option
@db_option
@json_option
def watch(
    run_id: str | None,
    plain: bool,
    speed: float,
    recent: int | None,
    web: bool,
    port: int | None,
    served: bool,
    theme: str | None,
    db: str | None,
    as_json: bool,
) -> int:
    """Watch runs as they are routed, by whichever process; or play the stored run RUN again.

    Ctrl-C ends the lines and --web, q the app. --json prints each event as a line of JSON; with --web, the address.
    """
    if web or port is not None:
        from agentmesh.cli.watch_web import app_arguments, check_shown, serve

        if plain or not web:
            raise click.UsageError("--web goes with --port, and not with --plain.")
        check_shown(db, run_id, theme)
        arguments = app_arguments(run_id, db=db, theme=theme, speed=speed, recent=recent)
        return serve(arguments, port=port, as_json=as_json)
    if not (plain or as_json or served):
        check_terminal("'agentmesh watch --plain' prints lines")
    with open_traces(db, busy_timeout_s=WAIT_S) as store:
        source = source_of(store, run_id, speed, recent if recent is not None else 10 if plain or as_json else 100)
        if plain or as_json:
            from agentmesh.cli.watch_lines import print_lines

            print_lines(source, ends=run_id is not None, as_json=as_json)
            return 0
        from agentmesh.tui.layout import layout_path

        return show(source, store, theme, layout_at=layout_path())


def check_terminal(instead: str) -> None:
    """Check that there is a terminal for the app.

    Raises:
        UsageError: there is none; ``instead`` says what works without.
    """
    from agentmesh.tui.terminal import stream_without_terminal

    if name := stream_without_terminal():
        raise click.UsageError(f"{name} is no terminal, and the app needs one; {instead}.")


def source_of(store: "TraceStore", run_id: str | None, speed: float, recent: int) -> "Source":
    """Return what is to be watched: the store as it grows, or one run of it."""
    from agentmesh.store.lookup import find_run
    from agentmesh.tui.family import Family
    from agentmesh.tui.sources import PlayedSource, TailSource
    from agentmesh.types import SystemClock

    if run_id is None:
        return TailSource(store, recent=recent)
    return PlayedSource(Family.of(store, find_run(store, run_id)), SystemClock(), speed=speed)


def show(source: "Source", store: "TraceStore", theme: str | None = None, *, layout_at: "Path | None" = None) -> int:
    """Open the app, and return its exit code when it is left; how it looked is kept in the file ``layout_at``."""
    from agentmesh.tui.app import WatchApp
    from agentmesh.tui.layout import read_layout, write_layout
    from agentmesh.tui.watching import Watched

    layout = read_layout(layout_at) if layout_at else None
    # what is loaded by then stays: to look through it again and again costs pauses, in which no key is heard
    app = WatchApp(Watched(source, store), theme=theme, layout=layout, settled=gc.freeze)
    gc.freeze()  # and so that it starts sooner
    app.run()
    if app.failure is not None:
        raise app.failure
    if layout_at is not None:
        write_layout(layout_at, app.layout)
    return app.return_code or 0
