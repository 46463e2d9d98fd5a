"""How a router came to what it is, in lines: the slider over its history, what changed, and the learning curve."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from agentmesh.display import moment, shorten
from agentmesh.tui.charts import LABEL, chart
from agentmesh.tui.heat import amount

if TYPE_CHECKING:
    from agentmesh.learning.changes import TrailChange, TrailChanges
    from agentmesh.learning.curve import CurvePoint
    from agentmesh.learning.history import Stop

MARKS: Final = {"start": "○", "stored": "■", "mark": "▲", "learned": "·"}
SLIDER: Final = "○ start  ■ stored  ▲ set by hand  · learned anew"
"""What the marks on the slider mean."""

MOST_MOVED: Final = 5
"""Rises that are told, and falls."""

MOVED: Final = "(by, from -> to, which, outcomes)"

COMPARED: Final = 1000
"""Trails that moved most, among which rises and falls are looked for."""

HEIGHT: Final = 4


def slider_lines(stops: Sequence["Stop"], place: int, *, is_reading: bool = False) -> list[str]:
    """Return where among its versions a router is shown, which one that is, and where it comes from."""
    if not stops:
        return ["no version yet"]
    stop = stops[place]
    track = "".join(f"[{MARKS[one.kind]}]" if number == place else MARKS[one.kind] for number, one in enumerate(stops))
    when = "" if stop.at is None else f"  {moment(stop.at)}"
    return [
        f"p ◂ {track} ▸ n  {place + 1} of {len(stops)}",
        f"{stop.version}{when}",
        f"{_outcomes(stop)}; {_origin(stop)}{' ... reading' if is_reading else ''}",
    ]


def _outcomes(stop: "Stop") -> str:
    since = "" if stop.since is None else f" since mark {stop.since}"
    return f"{stop.outcomes:,} outcomes{since}"


def _origin(stop: "Stop") -> str:
    match stop.kind:
        case "start":
            return "nothing learned yet"
        case "stored":
            return "state stored whole"
        case "mark":
            return f"set by hand: {shorten(stop.note, 60)}"
        case "learned":
            return f"learned anew from {stop.base}"


def changed_lines(found: "TrailChanges | None", earlier: "Stop | None") -> list[str]:
    """Return what came and went since the version before, and which trails rose and fell most."""
    if found is None or earlier is None:
        return []
    lines = [f"Changed since {earlier.version}"]
    for what, names in (
        ("new types", found.new_types),
        ("retired types", found.retired_types),
        ("new agents", found.new_agents),
        ("gone agents", found.gone_agents),
    ):
        if names:
            lines.append(f"{what}: {shorten(', '.join(names), 200)}")
    rises = [change for change in found.trails if change.size > 0][:MOST_MOVED]
    falls = [change for change in found.trails if change.size < 0][:MOST_MOVED]
    moved = [f"rose most {MOVED}", *map(_moved, rises)] if rises else []
    moved += [f"fell most {MOVED}", *map(_moved, falls)] if falls else []
    return lines + moved if len(lines) > 1 or moved else [*lines, "no trail moved by 0.001 or more"]


def _moved(change: "TrailChange") -> str:
    before, after = change.trail_before or 0.0, change.trail_after or 0.0
    behind = f"{shorten(change.previous, 20)} > " if change.previous else ""
    outcomes = f"{amount(change.evidence_before)} -> {amount(change.evidence_after)}"
    trail = f"{shorten(change.type, 24)}: {behind}{shorten(change.agent_id, 30)}"
    return f"  {change.size:+.3f}  {before:.2f} -> {after:.2f}  {trail} ({outcomes})"


def curve_lines(points: Sequence["CurvePoint"], place: int | None = None) -> list[str]:
    """Return how quality and cost of what was learned moved; a mark shows where in the log ``place`` lies."""
    if not points:
        return ["nothing was learned yet"]
    last = points[-1].until
    lines = ["mean quality, 0 to 1, the oldest outcome first", *chart([one.quality for one in points], height=HEIGHT)]
    lines += [_axis(points, place), _foot(len(points), last)]
    costs = [one.cost_usd for one in points]
    if any(cost is not None for cost in costs):
        lines += ["mean cost of a call, USD", *chart(costs, height=HEIGHT, form=".5f", least=0.0)]
        lines += [_axis(points, place), _foot(len(points), last)]
    return [*lines, _column(points)]


def _column(points: Sequence["CurvePoint"]) -> str:
    """Return what a column of the curve rests on."""
    each, longest = max(one.n for one in points), max(one.until - one.after for one in points)
    if longest == 1:
        return "a column: one outcome, of any agent, whichever router asked"
    rest = f"the last {each} of {longest:,}" if each < longest else f"{each}"
    return f"a column: the mean of {rest} outcomes, of any agent, whichever router asked"


def _axis(points: Sequence["CurvePoint"], place: int | None) -> str:
    """Return the axis, with a mark under the column that a place of the log lies in."""
    under = None if place is None else next((number for number, one in enumerate(points) if place <= one.until), None)
    line = "".join("▲" if number == under else "─" for number in range(len(points)))
    return " " * LABEL + " └" + line


def _foot(width: int, last: int) -> str:
    """Return the ends of the axis, as numbers in the log.

    >>> _foot(20, 700)
    'outcome  1                700'
    """
    return f"{'outcome':>{LABEL}}  1" + f"{last:,}".rjust(max(width - 1, 0))
