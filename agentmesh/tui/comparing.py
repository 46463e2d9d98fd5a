"""What a comparison says, in lines: of two runs, or of what was done and what another router would have done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from agentmesh.decisions import in_lines
from agentmesh.display import moment, shorten

if TYPE_CHECKING:
    from agentmesh.playback.diff import RunDiff
    from agentmesh.playback.estimates import Measure, PolicyValue
    from agentmesh.playback.redecided import Flip
    from agentmesh.playback.whatif import WhatIf

METHODS: Final = {"replay": "replay", "snips": "SNIPS", "doubly_robust": "doubly robust"}
ESTIMATES: Final = ("estimate", "by", "value", "95 % interval", "gain", "ESS")
FLIPS: Final = 8
"""Flips that a screen shows; ``agentmesh whatif --json`` has all."""


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


def whatif_lines(found: "WhatIf") -> list[str]:
    """Tell all of a what-if in lines."""
    lines = [*head_lines(found), "", *columns(("agent", "asked first", f"{found.router} would"), agent_rows(found))]
    measures = measures_of(found)
    if measures:
        rows = [row for measure in measures for row in estimate_rows(measure)]
        lines += ["", *(columns(ESTIMATES, rows) if rows else []), *remarks(found)]
    return lines + (["", *map(flip_line, found.flips[:FLIPS])] if found.flips else [])


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table as lines.

    >>> columns(("a", "b"), [("one", "2")])
    ['a    b', 'one  2']
    """
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (titles, *rows)
    ]


def measures_of(found: "WhatIf") -> list["Measure"]:
    """Return what was measured, regret last."""
    return [*found.measures, *([] if found.regret is None else [found.regret])]


def head_lines(found: "WhatIf") -> list[str]:
    """Return what was asked, of which tasks, and whether it can be judged."""
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


def agent_rows(found: "WhatIf") -> list[tuple[str, ...]]:
    """Return for each agent how often it was asked first, and how often the other router would."""
    return [(shorten(share.agent_id, 40), f"{share.done}", f"{share.other:.1f}") for share in found.agents]


def flip_line(flip: "Flip") -> str:
    """Return a task on which the other router would have picked somebody else, and why."""
    return in_lines(f"{flip.run_id}: {flip.before or 'nobody'} -> {flip.after or 'nobody'}; {flip.reason}", indent="")


def estimate_rows(measure: "Measure") -> list[tuple[str, ...]]:
    """Return a row for each way in which a measure was estimated."""
    return [_row(measure, value) for value in measure.estimates]


def _row(measure: "Measure", value: "PolicyValue") -> tuple[str, ...]:
    low, high = value.interval
    numbers = (_number(value.value), f"{_number(low)} to {_number(high)}")
    gain = "" if value.gain is None else f"{value.gain:+.3g}"
    return (measure.name, METHODS[value.method], *numbers, gain, f"{value.effective:.0f}")


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) >= 0.1 else f"{value:.3g}"


def remarks(found: "WhatIf") -> list[str]:
    """Return what must be said beside the estimates."""
    lines = []
    for measure in measures_of(found):
        if measure.logged is not None and not measure.refusal:
            lines.append(f"{measure.name} of what was done: {_number(measure.logged)}, over {measure.scored} runs")
        if measure.refusal:
            lines.append(f"no estimate of {measure.name}: {measure.refusal}")
    if found.regret is not None and found.regret.against is not None:
        lines.append(f"regret is against asking {found.regret.against} alone, always")
    if found.clip is not None:
        lines.append(f"weights were clipped at {found.clip:g}, so the estimates lean towards what was done")
    return lines
