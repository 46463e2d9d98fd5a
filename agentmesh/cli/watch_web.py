"""``agentmesh watch --web``: the app in a browser on this machine, until Ctrl-C."""

import asyncio
import secrets
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING

from agentmesh.cli.output import note, print_json, print_text
from agentmesh.cli.target import open_traces
from agentmesh.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType

    from agentmesh.tui.web import WebServer

SERVER = "agentmesh.tui.web"
NEEDED = ("aiohttp", "aiohttp_jinja2", "jinja2", "textual_serve")


def app_arguments(run_id: str | None, **options: object) -> Sequence[str]:
    """Return the program that is the app, and what it is given: what was given to this command, and no more.

    >>> app_arguments("-x y", speed=2.0, db=None)[1:]
    ['-P', '-m', 'agentmesh', 'watch', '--served', '--speed=2.0', '--', '-x y']
    """
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return [sys.executable, "-P", "-m", "agentmesh", "watch", "--served", *given, *(["--", run_id] if run_id else [])]


def check_shown(db: str | None, run_id: str | None, theme: str | None) -> None:
    """Check here what each app would find missing, where it is told to nobody but its page.

    Raises:
        ConfigError: there is no such theme.
        StoreError: the database cannot be read, or holds no such run.
    """
    from agentmesh.cli.watch import source_of
    from agentmesh.tui.themes import theme_named

    if theme is not None:
        theme_named(theme)
    with open_traces(db) as store:
        source_of(store, run_id, speed=1.0, recent=0)


def serve(arguments: Sequence[str], *, port: int | None, as_json: bool) -> int:
    """Serve the app until Ctrl-C or a signal to end, say where, and return the exit code.

    Raises:
        ConfigError: the port is taken.
        MissingExtraError: what serves it is not installed.
    """
    server = loaded().WebServer(arguments, secret=secrets.token_urlsafe(16), port=port)
    asyncio.run(_served(server, as_json))
    return 0


def loaded() -> "ModuleType":
    """Load the module that needs textual-serve.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(SERVER)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in NEEDED:
            raise
        raise MissingExtraError(package, extra="web") from error


async def _served(server: "WebServer", as_json: bool) -> None:
    stdout = sys.stdout

    def tell(url: str) -> None:
        with redirect_stdout(stdout):
            print_json({"url": url}) if as_json else print_text(f"Watch at {url}")
            stdout.flush()
        note("Ctrl-C ends it.")

    with redirect_stdout(sys.stderr):  # the package prints there why an app failed, which is no result
        await server.serve_until(asyncio.Event(), told=tell)
