"""``agentmesh runs diff A B``: where two stored runs parted."""

from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import db_option, json_option
from agentmesh.cli.output import print_json, print_text
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from agentmesh.playback.diff import RunDiff

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

    with open_traces(db) as store:
        found = diff(store, find_run(store, first), find_run(store, second))
    if as_json:
        print_json({**found.model_dump(mode="json"), "identical": found.identical})
    else:
        print_text("\n".join(diff_lines(found)))
    return 0 if found.identical else DIFFERS


def diff_lines(found: "RunDiff") -> list[str]:
    """Tell in lines where two runs parted."""
    if found.identical:
        return [f"{found.first} and {found.second} went the same way"]
    lines = [f"{found.first} | {found.second}"]
    if found.forked is not None:
        origin = found.first if found.forked == found.second else found.second
        lines.append(f"{found.forked} was forked from {origin} at event {found.forked_at}")
    if found.event is not None:
        lines.append(f"they part at {found.event}")
    return [*lines, *map(str, found.differences)]
