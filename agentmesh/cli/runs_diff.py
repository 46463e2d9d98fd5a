"""``agentmesh runs diff A B``: where two stored runs parted."""

import click

from agentmesh.cli.options import db_option, json_option
from agentmesh.cli.output import print_json, print_text
from agentmesh.cli.target import open_traces

DIFFERS = 1


@click.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@db_option
@json_option
def diff_runs(first: str, second: str, db: str | None, as_json: bool) -> int:
    """Say where the stored runs A and B parted. The exit code is 1 where they did."""
    from agentmesh.playback.diff import diff
    from agentmesh.store.lookup import find_run
    from agentmesh.tui.comparing import diff_lines

    with open_traces(db) as store:
        found = diff(store, find_run(store, first), find_run(store, second))
    if as_json:
        print_json({**found.model_dump(mode="json"), "identical": found.identical})
    else:
        print_text("\n".join(diff_lines(found)))
    return 0 if found.identical else DIFFERS
