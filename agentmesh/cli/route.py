"""``agentmesh route TASK``: a decision, and nothing else happens."""

import asyncio
from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import app_option, json_option
from agentmesh.cli.output import print_json, print_text
from agentmesh.cli.run import read_task
from agentmesh.cli.target import named_app, open_mesh

if TYPE_CHECKING:
    from agentmesh.records import RouteDecision

ABSTAINED = 3


@click.command()
@click.argument("task")
@click.option(
    "--agents", "max_agents", type=click.IntRange(min=1), default=1, metavar="K", help="Choose up to K agents."
)
@app_option
@json_option
def route(task: str, max_agents: int, app: str | None, as_json: bool) -> int:
    """Say who would be called for TASK; nobody is, and nothing is stored. '-' reads it from stdin."""
    decision = asyncio.run(route_task(named_app(app), read_task(task), max_agents=max_agents))
    if as_json:
        print_json({**decision.model_dump(mode="json"), "explanation": decision.explain()})
    else:
        print_text(decision.explain())
    return ABSTAINED if decision.abstained else 0


async def route_task(name: str, task: str, *, max_agents: int = 1) -> "RouteDecision":
    """Open the mesh called ``name``, decide on one task, and close it."""
    async with open_mesh(name) as mesh:
        return await mesh.route(task, max_agents=max_agents)
