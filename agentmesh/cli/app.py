"""The table of commands, the group that loads a command only when it is called, and the boundary where errors end.

``agentmesh --help`` imports click and this module, nothing else: a command's module is imported when it runs.
"""

import importlib
import io
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

import click

from agentmesh.display import escape_line
from agentmesh.errors import AgentMeshError, BudgetError, ConfigError, MissingExtraError

FAILED, USAGE, ABSTAINED, OVER_BUDGET, WAITING, INTERRUPTED = 1, 2, 3, 4, 5, 130
"""Exit codes besides 0. A shell, too, reports 128 + SIGINT for a program that Ctrl-C ended."""


class Entry(NamedTuple):
    """Where a command lives, and its line in the help."""

    module: str
    function: str
    help: str


COMMANDS = {
    "demo": Entry("agentmesh.cli.demo", "demo", "Watch a router learn on 700 real questions, offline."),
    "run": Entry("agentmesh.cli.run", "run", "Have a task routed, answered and recorded by your mesh."),
    "route": Entry("agentmesh.cli.route", "route", "Say who would be called for a task; nobody is."),
    "agents": Entry("agentmesh.cli.agents", "agents", "List, measure, compare and describe agents."),
    "watch": Entry("agentmesh.cli.watch", "watch", "Watch the routing as it happens, or play a stored run again."),
    "runs": Entry("agentmesh.cli.runs", "runs", "List, show, compare, resume, fork, export and prune runs."),
    "explain": Entry("agentmesh.cli.explain", "explain", "Say why a run's agents were chosen."),
    "feedback": Entry("agentmesh.cli.feedback", "feedback", "Score a run, 0 to 1, so that the router learns."),
    "replay": Entry("agentmesh.cli.replay", "replay", "Execute a stored run again, offline, and compare."),
    "rerun": Entry("agentmesh.cli.rerun", "rerun", "Run a stored task again, live, and compare."),
    "whatif": Entry("agentmesh.cli.whatif", "whatif", "Decide stored tasks by another router; estimate its worth."),
    "router": Entry("agentmesh.cli.router", "router", "Train a router, show what it learned, set it back."),
    "knowledge": Entry("agentmesh.cli.knowledge", "knowledge", "Build, show and export a graph of past tasks."),
    "team": Entry("agentmesh.cli.team", "team", "Fit a team that is asked in waves, or show one."),
    "telemetry": Entry("agentmesh.cli.telemetry", "telemetry", "Send stored runs to a collector of OpenTelemetry."),
    "bench": Entry("agentmesh.cli.bench", "bench", "Measure routers on recorded sets."),
    "doctor": Entry("agentmesh.cli.doctor", "doctor", "Check this installation."),
}


class LazyGroup(click.Group):
    """A group whose commands stand in ``COMMANDS`` and are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - same
        """Import the module of a command and return the command; ``None`` when there is none of this name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), entry.function)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}:{entry.function} is {command!r}; a click command was expected")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - same
        """Write the list of commands from the table, so that help imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


class Session:
    """What the options of the group say to the boundary."""

    debug = False


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agentmesh-routing", prog_name="agentmesh")
@click.option("--debug", is_flag=True, help="Print a traceback when a command fails.")
@click.pass_obj
def agentmesh(session: Session, debug: bool) -> None:
    """Route tasks to the agents that do them best for the money, by learning from outcomes.

    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 used wrongly, 3 nobody was
    chosen, 4 over budget, 5 waiting for approval, 130 interrupted.
    """
    session.debug = debug


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; ``arguments`` are those of the process when not given."""
    session = Session()
    _print_what_the_terminal_cannot()
    try:
        code = agentmesh.main(arguments, prog_name="agentmesh", standalone_mode=False, obj=session)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary of the command line: each error ends as one line
        return _report(error, debug=session.debug)
    return code if isinstance(code, int) else 0


def exit_code(error: BaseException) -> int:
    """Return the exit code that an error ends the process with.

    >>> exit_code(ConfigError("AGENTMESH_EMBEDDER is 'nope'"))
    2
    """
    if isinstance(error, ConfigError) and not isinstance(error, MissingExtraError):
        return USAGE
    return OVER_BUDGET if isinstance(error, BudgetError) else FAILED


def _report(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    message = str(error)
    if not isinstance(error, AgentMeshError):
        message = f"unexpected {type(error).__name__}: {message} ('agentmesh --debug ...' prints the traceback)"
    click.echo(f"Error: {escape_line(message)}", err=True)
    return exit_code(error)


def _print_what_the_terminal_cannot() -> None:
    """Write characters that an output's encoding lacks as escapes, so that no text can end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
