"""``agentmesh run TASK``: the answer on stdout, who gave it and what it cost on stderr."""

import asyncio
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import app_option, json_option, limit_options
from agentmesh.cli.output import note, print_json, print_text
from agentmesh.cli.target import named_app, open_mesh
from agentmesh.cli.text import seconds, usd
from agentmesh.errors import ConfigError

if TYPE_CHECKING:
    from agentmesh.records import Limits, Run

EXIT_CODES = {"completed": 0, "failed": 1, "abstained": 3, "over_budget": 4}


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
    limits = Limits(cost_usd=cost_usd, timeout_s=timeout_s, max_agents=max_agents)
    finished = asyncio.run(run_task(name, read_task(task), limits))
    if as_json:
        print_json(finished.model_dump(mode="json"))
    elif finished.answer is not None:
        print_text(finished.answer)
    note(trace_line(finished))
    return EXIT_CODES[finished.status]


async def run_task(name: str, task: str, limits: "Limits") -> "Run":
    """Open the mesh called ``name``, run one task, and close it."""
    async with open_mesh(name) as mesh:
        return await mesh.run(task, limits=limits)


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
    """Say in one line which run this was, who was called, what it cost and how long it took."""
    called = list(dict.fromkeys(call.agent_id for call in run.calls))
    parts = [f"run {run.id}", run.status.value.replace("_", " "), ", ".join(called) or "nobody called"]
    parts += [usd(run.cost_usd), seconds(run.elapsed_s)]
    return " | ".join(parts) + (f" | {run.error}" if run.error else "")
