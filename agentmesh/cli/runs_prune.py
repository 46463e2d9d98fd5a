"""``agentmesh runs prune``: old runs are forgotten, and the space that they took is given back."""

import re
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from agentmesh.cli.app import FAILED
from agentmesh.cli.options import db_option, json_option
from agentmesh.cli.output import note, print_json, print_text
from agentmesh.cli.router_target import agreed, yes_option
from agentmesh.cli.target import open_traces
from agentmesh.display import moment
from agentmesh.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentmesh.store.retention import Pruned, Reclaimed, Retention

UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
STATUSES: Final = ("completed", "abstained", "failed", "over_budget", "cancelled")
DELETED: Final = "deleted"
PATIENCE_S: Final = 30.0
"""How long to wait for a mesh that is writing; each of its commits takes some milliseconds."""


def age(text: str) -> float:
    """Read an age in minutes, hours, days or weeks, and return it in seconds.

    >>> age("30d"), age("1.5h")
    (2592000.0, 5400.0)
    """
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)([mhdw])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no age; give a number with m, h, d or w behind it, such as '30d'.")
    return timedelta(**{UNITS[found[2]]: float(found[1])}).total_seconds()


@click.command()
@click.option(
    "--older-than", "age_s", type=age, required=True, metavar="AGE", help="Those that started before, as 30d."
)
@click.option("--status", "statuses", type=click.Choice(STATUSES), multiple=True, help="Only those that ended so.")
@click.option("--keep-feedback", is_flag=True, help="Keep runs that were scored.")
@click.option("--dry-run", is_flag=True, help="Only say how many would go.")
@click.option("--vacuum", is_flag=True, help="Give the space back to the disk too; nobody can write meanwhile.")
@yes_option
@db_option
@json_option
def prune(
    age_s: float, statuses: "Sequence[str]", db: str | None, *, keep_feedback: bool, as_json: bool, **flags: bool
) -> int:
    """Delete the events of runs that ended, with the runs that they started. What was learned from them stays.

    A run that runs or waits, or started one that does, is never deleted.
    """
    from agentmesh.records import RunStatus
    from agentmesh.store.pruning import prune_runs
    from agentmesh.store.retention import ENDED, Retention

    now = SystemClock().now()
    wanted = frozenset(map(RunStatus, statuses)) or ENDED
    retention = Retention(before=now - age_s, statuses=wanted, keep_feedback=keep_feedback)
    with open_traces(db, read_only=flags["dry_run"], busy_timeout_s=PATIENCE_S) as store:
        found = prune_runs(store, retention, at=None)
        if flags["dry_run"]:
            told(found, retention, "would be deleted", as_json=as_json)
            return 0
        question = f"{found.runs} runs of {store.url} that started before {moment(retention.before)} will be deleted."
        if found.runs and not agreed(f"{question} Go on?", yes=flags["yes"]):
            note("nothing was deleted")
            return FAILED
        done = prune_runs(store, retention, at=now)
        told(done, retention, DELETED, reclaimed=store.vacuum() if flags["vacuum"] else None, as_json=as_json)
    return 0


def told(
    pruned: "Pruned", retention: "Retention", what: str, *, as_json: bool, reclaimed: "Reclaimed | None" = None
) -> None:
    """Say what went, and how much space it gave back."""
    if as_json:
        found = {"runs": pruned.runs, "events": pruned.events, "before": retention.before, "deleted": what == DELETED}
        print_json(found | ({} if reclaimed is None else asdict(reclaimed)))
        return
    print_text(f"{pruned.runs} runs with {pruned.events} events, started before {moment(retention.before)}: {what}")
    if reclaimed is not None:
        before, after = (size / 1e6 for size in (reclaimed.before_bytes, reclaimed.after_bytes))
        print_text(f"{before - after:.1f} MB given back: the database takes {after:.1f} MB after {before:.1f} MB")
