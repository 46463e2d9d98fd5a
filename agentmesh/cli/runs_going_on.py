"""``agentmesh runs approve|reject|resume RUN``: what a run waits for is answered, and it goes on."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agentmesh.cli.app import FAILED
from agentmesh.cli.options import app_option, db_option, json_option
from agentmesh.cli.output import note, print_json, print_text
from agentmesh.cli.run import report, trace_line
from agentmesh.cli.target import named_app, named_mesh, open_mesh, open_traces
from agentmesh.errors import AgentMeshError
from agentmesh.types import SystemClock

if TYPE_CHECKING:
    from agentmesh.graphs.replies import Said
    from agentmesh.mesh import Mesh
    from agentmesh.records import Run
    from agentmesh.types import RunId

Function = TypeVar("Function", bound=Callable[..., Any])


def answer_options(function: Function) -> Function:
    """Add the argument RUN and the options that an answer takes."""
    for option in (
        json_option,
        db_option,
        app_option,
        click.option("--note", default="", metavar="TEXT", help="Why; it is kept with the run."),
        click.option("--by", default="", metavar="NAME", help="Who says so; it is kept with the run."),
        click.option("--agent", metavar="ID", help="Answer for this agent only, not for all that are waited for."),
        click.argument("run_id", metavar="RUN"),
    ):
        function = option(function)
    return function


@click.command()
@answer_options
@click.option("--edit", "text", metavar="TEXT", help="Have the agent asked this instead.")
def approve(run_id: str, app: str | None, db: str | None, *, as_json: bool, **said: Any) -> int:
    """Approve what the stored run RUN waits for.

    With a mesh (--app) the run goes on at once. With a database alone (--db) the answer is written down, and the run
    goes on with 'agentmesh runs resume'.
    """
    from agentmesh.graphs.replies import Said

    return answer(run_id, Said.approving(**said), app, db, as_json=as_json)


@click.command()
@answer_options
def reject(run_id: str, app: str | None, db: str | None, *, as_json: bool, **said: Any) -> int:
    """Reject what the stored run RUN waits for; other agents may stand in. As for 'approve', a mesh goes on at once."""
    from agentmesh.graphs.replies import Said

    return answer(run_id, Said("reject", **said), app, db, as_json=as_json)


@click.command()
@click.argument("run_id", metavar="RUN", required=False)
@click.option("--all", "all_runs", is_flag=True, help="Go on with all that were answered, have expired, or were lost.")
@app_option
@json_option
def resume(run_id: str | None, app: str | None, all_runs: bool, as_json: bool) -> int:
    """Go on with the stored run RUN of your mesh: one that was answered, or whose process was lost.

    One that another process is at work on is left to it. No agent is called again whose answer is recorded.
    """
    if (run_id is None) is not all_runs:
        raise click.UsageError("Name one RUN, or give --all.")
    name = named_app(app)
    if run_id is not None:
        return report(asyncio.run(resumed(name, run_id)), as_json=as_json)
    went_on, errors = asyncio.run(resumed_all(name))
    if as_json:
        print_json([run.model_dump(mode="json") for run in went_on])
    elif went_on:
        print_text("\n".join(map(trace_line, went_on)))
    for error in errors:
        note(f"Error: {error}")
    return FAILED if errors else 0


def answer(run_id: str, said: "Said", app: str | None, db: str | None, *, as_json: bool) -> int:
    """Have a mesh take an answer and go on, or write it into a database."""
    from agentmesh.graphs.replies import record_answer
    from agentmesh.store.lookup import find_run

    name = named_mesh(app, db)
    if name:
        return report(asyncio.run(answered(name, run_id, said)), as_json=as_json)
    with open_traces(db, read_only=False) as store:
        run_id = find_run(store, run_id)
        ready = record_answer(store, run_id, said, now=SystemClock().now())
        run = store.run(run_id)
    report(run, as_json=as_json)
    if ready is not None:
        note(f"it is written down; 'agentmesh runs resume {ready} --app MODULE:ATTRIBUTE' goes on with the run")
    return 0


async def answered(name: str, run_id: str, said: "Said") -> "Run":
    """Open the mesh called ``name``, and have it take an answer."""
    from agentmesh.store.lookup import find_run

    async with open_mesh(name) as mesh:
        run_id = await asyncio.to_thread(find_run, mesh.store, run_id)
        if said.verdict == "reject":
            return await mesh.reject(run_id, said.agent, by=said.by, note=said.note)
        return await mesh.approve(run_id, said.agent, by=said.by, text=said.text, note=said.note)


async def resumed(name: str, run_id: str) -> "Run":
    """Open the mesh called ``name``, and have it go on with a run."""
    from agentmesh.store.lookup import find_run

    async with open_mesh(name) as mesh:
        return await mesh.resume(await asyncio.to_thread(find_run, mesh.store, run_id))


async def resumed_all(name: str) -> "tuple[list[Run], list[AgentMeshError]]":
    """Open the mesh called ``name``, go on with all runs that wait for nobody, and return what kept others from it.

    It looks again until there is nothing new: what was part of a run that has ended meanwhile is then an orphan itself.
    """
    went_on: list[Run] = []
    errors: list[AgentMeshError] = []
    seen: set[RunId] = set()
    async with open_mesh(name) as mesh:
        while fresh := [run_id for run_id in await _waiting_for_nobody(mesh) if run_id not in seen]:
            seen.update(fresh)
            for run_id in fresh:
                try:
                    went_on.append(await mesh.resume(run_id))
                except AgentMeshError as error:
                    errors.append(error)
    return went_on, errors


async def _waiting_for_nobody(mesh: "Mesh") -> "list[RunId]":
    """Return the runs to go on with: those that were answered or have expired, and those whose process is gone."""
    from agentmesh.graphs.replies import resumable

    paused = await asyncio.to_thread(resumable, mesh.store, now=SystemClock().now())
    return [*paused, *(summary.id for summary in await mesh.orphans() if summary.id not in paused)]
