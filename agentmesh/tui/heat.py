"""Trails as a heat map for the terminal: a row for each type of task, a column for each agent, a digit in each cell.

The digit says what the colour says, so that the map reads the same without colour.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from agentmesh.display import shorten

if TYPE_CHECKING:
    from agentmesh.routing.trails import TrailMap
    from agentmesh.types import FloatArray

MOST_ROWS: Final = 40
LABEL: Final = 24  # characters of a type's name
CELL: Final = 4  # characters of a cell: brackets around the digit, and a space; also room for the number 999
UNSEEN: Final = "·"

# From dark and cold to light and warm; black text reads on the upper half, white on the rest.
SHADES: Final = (
    "#2c1e5c", "#3b2f80", "#3f4a94", "#3a6599", "#35809b", "#379a93", "#51b27f", "#86c766", "#bfd750", "#f4e45a",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """An agent at a stage, whatever stood before it.

    Shapes:
        trail, evidence: (types,) the trail is the mean over the steps to it, each as heavy as its evidence.
    """

    label: str
    trail: "FloatArray"
    evidence: "FloatArray"


def columns_of(trails: "TrailMap") -> list[Column]:
    """Return the agents of a map, the one with the most evidence first; those alike by stage and name."""
    places: dict[tuple[int, str], list[int]] = {}
    for place, edge in enumerate(trails.edges):
        places.setdefault((edge.stage, edge.agent_id), []).append(place)
    has_stages = len({stage for stage, _ in places}) > 1
    columns = []
    for (stage, agent_id), found in sorted(places.items()):
        evidence = trails.evidence[:, found]
        weights = evidence + (evidence.sum(axis=1, keepdims=True) <= 0)  # alike where there is none
        trail = (trails.trail[:, found] * weights).sum(axis=1) / weights.sum(axis=1)
        label = f"{agent_id} (stage {stage + 1})" if has_stages else agent_id
        columns.append(Column(label, trail, evidence.sum(axis=1)))
    return sorted(columns, key=lambda column: -float(column.evidence.sum()))


def step(value: float, low: float, high: float) -> int:
    """Return the tenth of the range that a trail lies in, 0 to 9.

    >>> [step(value, 0.1, 0.9) for value in (0.1, 0.5, 0.9)]
    [0, 5, 9]
    """
    share = (value - low) / (high - low) if high > low else 0.0
    return int(min(max(share * 10, 0.0), 9.0))


def amount(evidence: float) -> str:
    """Return how many outcomes there are; evaporated ones are parts of one.

    >>> amount(12345.6), amount(2.0), amount(0.123)
    ('12,346', '2', '0.12')
    """
    return f"{evidence:,.0f}" if evidence >= 100 else f"{evidence:.2g}"


def heat_map(trails: "TrailMap", *, width: int) -> RenderableType:
    """Draw trails within ``width`` characters: the most used agents that fit, the types with the largest share."""
    if not trails.types or not trails.edges:
        return Text("No trail yet: nothing was learned.")
    columns = columns_of(trails)
    rows = (-trails.share).argsort(kind="stable")[:MOST_ROWS].tolist()
    names = [shorten(trails.types[row], LABEL) for row in rows]
    label = max(map(len, names))
    shown = columns[: max(1, (width - label - 7) // CELL)]
    head = Text(" " * (label + 7) + "".join(f"{place + 1:^{CELL}}" for place in range(len(shown))), style="bold")
    lines = [head, *(_row(trails, row, f"{name:<{label}}", shown) for row, name in zip(rows, names, strict=True))]
    return Group(*lines, *_legend(trails, columns, shown=len(shown), rows=len(rows)))


def _row(trails: "TrailMap", row: int, label: str, shown: Sequence[Column]) -> Text:

    seen = [float(column.trail[row]) if column.evidence[row] > 0 else -inf for column in shown]
    best = seen.index(max(seen))
    line = Text(f"{label} {trails.share[row]:>4.0%}  ")
    for place, value in enumerate(seen):
        if not isfinite(value):
            line.append(f"{UNSEEN:^{CELL - 1}} ", style="dim")
            continue
        shade = step(value, trails.low, trails.high)
        style = f"{'black' if shade > 4 else 'white'} on {SHADES[shade]}"
        line.append(f"[{shade}]" if place == best else f" {shade} ", style=style)
        line.append(" ")
    return line


def _legend(trails: "TrailMap", columns: Sequence[Column], *, shown: int, rows: int) -> Iterator[Text]:

    scale = f"0-9: the trail, from {trails.low:.2f} to {trails.high:.2f}; [best of the row]; {UNSEEN} no outcome yet."
    yield Text(f"\n{scale}", style="dim")
    for place, column in enumerate(columns[:shown], start=1):
        yield Text(f"{place:>3} {shorten(column.label, 60)}, {amount(float(column.evidence.sum()))} outcomes")
    left_out = [(len(columns) - shown, "agents with fewer outcomes"), (len(trails.types) - rows, "smaller types")]
    for count, what in left_out:
        if count:
            yield Text(f"Left out: {count} {what}; --json has all.", style="dim")


class HeatMap:
    """Draws trails as wide as the place they are shown in."""

    def __init__(self, trails: "TrailMap") -> None:
        self._trails = trails

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw within the width that is there."""
        yield heat_map(self._trails, width=options.max_width)
