"""``agentmesh whatif --router R``: stored tasks decided again by another router, and what that would have brought."""

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from agentmesh.cli.options import db_option, json_option, number
from agentmesh.cli.output import note, print_json, print_table, print_text
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from agentmesh.playback.whatif import WhatIf

SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def point_in_time(text: str | None, *, now: float) -> float | None:
    """Read a time: a date (UTC unless it says otherwise), Unix seconds, or how long ago.

    >>> point_in_time("1970-01-02", now=0.0), point_in_time("2h", now=9000.0), point_in_time("12.5", now=0.0)
    (86400.0, 1800.0, 12.5)
    """
    if text is None:
        return None
    ago = _DURATION.fullmatch(text)
    if ago is not None:
        return now - float(ago[1]) * SECONDS[ago[2]]
    try:
        return number()(text)
    except click.BadParameter:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time; accepted are dates such as 2026-05-04 or 2026-05-04T12:30, Unix seconds, and how "
            "long ago, such as 90m, 36h or 7d."
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


@click.command()
@click.option("--router", required=True, metavar="R", help="A router's name, or a stored version such as kernel@120.")
@click.option("--since", metavar="T", help="Only runs from then on: a date, Unix seconds, or how long ago (7d, 36h).")
@click.option("--until", metavar="T", help="Only runs before then.")
@click.option(
    "--scenario",
    type=click.Choice(("quality", "balanced", "cheap")),
    help="What a task is worth; by default what it was.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N runs.")
@click.option("--parameters", metavar="HASH", help="Where several routers of this name are stored: which.")
@click.option("--clip", type=number(open_low=True), metavar="W", help="Let no outcome weigh more; this is a bias.")
@click.option("--flips", type=click.IntRange(min=0), default=5, show_default=True, metavar="N", help="Show N flips.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Deals the runs of the outcome model.")
@db_option
@json_option
def whatif(
    router: str, since: str | None, until: str | None, db: str | None, flips: int, as_json: bool, **how: object
) -> None:
    """Decide stored tasks again by another router, and estimate quality, cost and regret.

    No agent is called, and nothing is stored.
    """
    from agentmesh.playback.whatif import whatif as ask
    from agentmesh.types import SystemClock

    now = SystemClock().now()
    times = {"since": point_in_time(since, now=now), "until": point_in_time(until, now=now)}
    with open_traces(db) as store:
        found = asyncio.run(ask(store, router, **times, **how))  # type: ignore[arg-type]  # click has checked each
    if as_json:
        shape = found.model_dump(mode="json")
        told = zip(shape["flips"], found.flips, strict=True)
        shape["flips"] = [{**flip, "margin": one.margin, "reason": one.reason} for flip, one in told]
        print_json(shape)
    else:
        _print(found, flips)


def _print(found: "WhatIf", flips: int) -> None:
    from agentmesh.tui.comparing import (
        ESTIMATES,
        agent_rows,
        estimate_rows,
        flip_line,
        head_lines,
        measures_of,
        remarks,
    )

    print_text("\n".join(head_lines(found)))
    print_text("")
    print_table(("agent", "asked first", f"{found.router} would"), agent_rows(found))
    if found.flips and flips:
        print_text("")
        print_text("\n".join(flip_line(one) for one in found.flips[:flips]))
        if flips < len(found.flips):
            note(f"{flips} of {len(found.flips)} flips; --flips shows more, --json all of them")
    told = measures_of(found)
    if told:
        print_text("")
        rows = [row for measure in told for row in estimate_rows(measure)]
        print_table(ESTIMATES, rows)
        print_text("\n".join(remarks(found)))
