"""``agentmesh run TASK``: the answer on stdout, who gave it and what it cost on stderr."""

import asyncio
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from agentmesh.cli.app import ABSTAINED, FAILED, OVER_BUDGET, WAITING
from agentmesh.cli.options import app_option, json_option, limit_options
from agentmesh.cli.output import note, print_json, print_text
from agentmesh.cli.target import named_app, open_mesh
from agentmesh.display import moment, seconds, shorten, usd
from agentmesh.errors import ConfigError

if TYPE_CHECKING:
    from agentmesh.records import Limits, Run

EXIT_CODES = {"completed": 0, "abstained": ABSTAINED, "over_budget": OVER_BUDGET, "waiting": WAITING}


@click.command()
@click.argument("task")
@app_option
@limit_options
@json_option
def run(
    task: str, app: str | None, cost_usd: Decimal | None, timeout_s: float | None, max_agents: int | None, as_json: bool
) -> int:
    """Have TASK routed, answered and recorded by your mesh; '-' reads it from stdin."""
    from agentmesh.records import Limits

    name = named_app(app)
    given = {"cost_usd": cost_usd, "timeout_s": timeout_s, "max_agents": max_agents}
    limits = Limits.model_validate({limit: value for limit, value in given.items() if value is not None})
    finished = asyncio.run(run_task(name, read_task(task), limits))
    return report(finished, as_json=as_json)


async def run_task(name: str, task: str, limits: "Limits") -> "Run":
    """Open the mesh called ``name``, run one task, and close it."""
    async with open_mesh(name) as mesh:
        return await mesh.run(task, limits=limits)


def report(run: "Run", *, as_json: bool) -> int:
    """Print the answer of a run, or all of it as JSON, and how it stands; return the exit code that says so."""
    if as_json:
        print_json(run.model_dump(mode="json"))
    elif run.answer is not None:
        print_text(run.answer)
    note(trace_line(run))
    for line in waiting_lines(run):
        note(line)
    return EXIT_CODES.get(run.status, FAILED)


def read_task(task: str) -> str:
    """Return the task that was typed, or what stdin holds when it is ``-``: long texts do not fit a command line.

    Raises:
        ConfigError: stdin holds no text in its encoding.
    """
    try:
        return sys.stdin.read() if task == "-" else task
    except UnicodeDecodeError as error:
        raise ConfigError(f"the task on stdin is no {error.encoding} text: {error.reason} at {error.start}") from error


def trace_line(run: "Run") -> str:
    """Say in one line which run this was, who was called or how many stages ended, its cost and its time."""
    called = ", ".join(dict.fromkeys(call.agent_id for call in run.calls))
    staged = f"{len(run.stages)} stage{'' if len(run.stages) == 1 else 's'} ended" if run.stages else ""
    parts = [f"run {run.id}", run.status.value.replace("_", " "), called or staged or "nobody called"]
    parts += [usd(run.cost_usd), seconds(run.elapsed_s)]
    return " | ".join(parts) + (f" | {run.error}" if run.error else "")


def waiting_lines(run: "Run") -> list[str]:
    """Say what a run waits for, a line each, and how it is answered."""
    lines = []
    for request in run.waiting_for:
        known = [f"estimated at {usd(request.estimate_usd)}" if request.estimate_usd is not None else usd(None)]
        known += [request.reason] if request.reason else []
        known += [f"until {moment(request.expires_at)}"] if request.expires_at is not None else []
        lines.append(f"May {request.agent_id} be asked {shorten(request.text, 80)!r}? {'; '.join(known)}")
    if lines:
        lines.append(f"'agentmesh runs approve {run.id}' lets it go on; 'agentmesh runs reject {run.id}' does without")
    return lines
