"""The options that say which stored router a command is about."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agentmesh.cli.options import db_option, json_option
from agentmesh.cli.output import is_terminal
from agentmesh.display import escape_line

if TYPE_CHECKING:
    from agentmesh.learning.versions import StoredRouter

Function = TypeVar("Function", bound=Callable[..., Any])


def router_options(function: Function) -> Function:
    """Add ``--parameters``, ``--embedder``, ``--db`` and ``--json``."""
    for option in (
        json_option,
        db_option,
        click.option("--embedder", metavar="NAME", help="Where several are stored: what it learned with."),
        click.option("--parameters", metavar="HASH", help="Where several are stored: the one built with these."),
    ):
        function = option(function)
    return function


def yes_option(function: Function) -> Function:
    """Add ``--yes``."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(function)


def agreed(question: str, *, yes: bool) -> bool:
    """Return whether the person agrees, or has done so by ``--yes``.

    Raises:
        UsageError: nobody can be asked, since stdin is no terminal.
    """
    if yes:
        return True
    if not is_terminal(sys.stdin):
        raise click.UsageError(f"{escape_line(question)} Nobody can be asked here; give --yes.")
    return click.confirm(escape_line(question), err=True)


def called(stored: "StoredRouter") -> str:
    """Return a stored router's name with what tells it from others.

    >>> from agentmesh.learning.versions import StoredRouter
    >>> called(StoredRouter(name="kernel", embedder="static-1", root="8cbf35509507", parameters="8cbf35509507"))
    "router 'kernel' (parameters 8cbf35509507, embedder static-1)"
    """
    return f"router {stored.name!r} (parameters {stored.root}, embedder {stored.embedder or 'not known'})"
