"""``agentmesh whatif --router R``: stored tasks decided again by another router, and what that would have brought."""

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from agentmesh.cli.options import db_option, json_option, number
from agentmesh.cli.output import note, print_json, print_table, print_text
from agentmesh.cli.target import open_traces
from agentmesh.display import moment, shorten

if TYPE_CHECKING:
    from agentmesh.playback.estimates import Measure, PolicyValue
    from agentmesh.playback.redecided import Flip
    from agentmesh.playback.whatif import WhatIf

SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
METHODS: Final = {"replay": "replay", "snips": "SNIPS", "doubly_robust": "doubly robust"}

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
    print_text("\n".join(_head(found)))
    print_text("")
    print_table(("agent", "asked first", f"{found.router} would"), _agents(found))
    if found.flips and flips:
        print_text("")
        print_text("\n".join(_flip(one) for one in found.flips[:flips]))
        if flips < len(found.flips):
            note(f"{flips} of {len(found.flips)} flips; --flips shows more, --json all of them")
    told = [*found.measures, *([] if found.regret is None else [found.regret])]
    if told:
        print_text("")
        rows = [row for measure in told for row in _rows(measure)]
        print_table(("estimate", "by", "value", "95 % interval", "gain", "ESS"), rows)
        print_text("\n".join(_remarks(found)))


def _head(found: "WhatIf") -> list[str]:
    how = "cross-fitted in blocks of time" if found.mode == "cross_fitted" else "as it is in this version"
    lines = [
        f"{found.router} ({found.version}), {how}, scenario {found.scenario}",
        f"{found.tasks} tasks from {moment(found.first_at)} to {moment(found.last_at)}",
        f"agreement {found.agreement:.1%}, {len(found.flips)} flips",
        f"in_sample: {str(found.in_sample).lower()}; {found.judged} tasks judged",
    ]
    if found.why:
        lines.append(f"not judged: {found.why}")
    if found.in_sample:
        lines.append("no estimate: it would be judged on what it may have learned")
    lines += [f"left out: {count} runs, {why}" for why, count in found.left_out.items()]
    return lines


def _agents(found: "WhatIf") -> list[tuple[str, ...]]:
    return [(shorten(share.agent_id, 40), f"{share.done}", f"{share.other:.1f}") for share in found.agents]


def _flip(flip: "Flip") -> str:
    from agentmesh.decisions import in_lines

    return in_lines(f"{flip.run_id}: {flip.before or 'nobody'} -> {flip.after or 'nobody'}; {flip.reason}", indent="")


def _rows(measure: "Measure") -> list[tuple[str, ...]]:
    return [_row(measure, value) for value in measure.estimates]


def _row(measure: "Measure", value: "PolicyValue") -> tuple[str, ...]:
    low, high = value.interval
    numbers = (_number(value.value), f"{_number(low)} to {_number(high)}")
    gain = "" if value.gain is None else f"{value.gain:+.3g}"
    return (measure.name, METHODS[value.method], *numbers, gain, f"{value.effective:.0f}")


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) >= 0.1 else f"{value:.3g}"


def _remarks(found: "WhatIf") -> list[str]:
    lines = []
    for measure in (*found.measures, *([] if found.regret is None else [found.regret])):
        if measure.logged is not None and not measure.refusal:
            lines.append(f"{measure.name} of what was done: {_number(measure.logged)}, over {measure.scored} runs")
        if measure.refusal:
            lines.append(f"no estimate of {measure.name}: {measure.refusal}")
    if found.regret is not None and found.regret.against is not None:
        lines.append(f"regret is against asking {found.regret.against} alone, always")
    if found.clip is not None:
        lines.append(f"weights were clipped at {found.clip:g}, so the estimates lean towards what was done")
    return lines
