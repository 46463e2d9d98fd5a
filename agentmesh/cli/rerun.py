"""``agentmesh rerun RUN``: a stored task run again, live, and where the new run parts from the stored one."""

import asyncio
from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import app_option, json_option
from agentmesh.cli.output import note, print_json, print_text
from agentmesh.cli.run import EXIT_CODES, trace_line
from agentmesh.cli.target import named_app, open_mesh, open_traces

if TYPE_CHECKING:
    from agentmesh.playback.rerun import Rerun


@click.command()
@click.argument("run_id", metavar="RUN")
@app_option
@click.option("--db", metavar="URL", help="Where RUN is stored, if that is not the store of the mesh.")
@json_option
def rerun(run_id: str, app: str | None, db: str | None, as_json: bool) -> int:
    """Run the task of the stored run RUN again with your mesh, and say where the two part. Agents are called."""
    from agentmesh.tui.comparing import diff_lines

    done = asyncio.run(_again(run_id, named_app(app), db))
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        note(trace_line(done.run))
        print_text("\n".join(diff_lines(done.diff)))
    return EXIT_CODES.get(done.run.status, 0)


async def _again(run_id: str, app: str, db: str | None) -> "Rerun":
    from agentmesh.playback.rerun import rerun as again
    from agentmesh.store.lookup import find_run

    async with open_mesh(app) as mesh:
        if db is None:
            return await again(mesh, await asyncio.to_thread(find_run, mesh.store, run_id))
        with open_traces(db) as store:
            return await again(mesh, find_run(store, run_id), store=store)
