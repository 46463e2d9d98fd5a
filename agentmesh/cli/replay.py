"""``agentmesh replay RUN``: the run executed again on its recorded answers, with no network, and compared."""

import asyncio

import click

from agentmesh.cli.options import db_option, json_option
from agentmesh.cli.output import print_json, print_text
from agentmesh.cli.target import open_traces

DIFFERS = 1


@click.command()
@click.argument("run_id", metavar="RUN")
@db_option
@json_option
def replay(run_id: str, db: str | None, as_json: bool) -> int:
    """Execute the stored run RUN again from the database alone; say 'identical' or where the two part."""
    from agentmesh.playback.player import replay as play
    from agentmesh.store.lookup import find_run

    with open_traces(db) as store:
        run_id = find_run(store, run_id)
        played = asyncio.run(play(store, run_id))
    if as_json:
        differences = [difference.model_dump(mode="json") for difference in played.differences]
        print_json({"run_id": run_id, "identical": played.identical, "differences": differences})
    elif played.identical:
        print_text("identical")
    else:
        print_text("\n".join([f"the replay of {run_id} parts from the trace:", *map(str, played.differences)]))
    return 0 if played.identical else DIFFERS
