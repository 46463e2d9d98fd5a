"""Draws cumulative regret as an SVG for light and dark: a panel a set, and in it a line with its 95 % band a router."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from agentmesh.bench.online_records import CurvePoint, OnlineReport, OnlineRow
from agentmesh.bench.online_reference import GROUP_BEST, ORACLE

WIDTH, HEIGHT = 900, 420
LEFT, TOP, RIGHT, BOTTOM = 70, 40, 250, 50
TICKS: Final = 6
MOST_LETTERS: Final = 24  # of a name in the legend
COLOURS: Final = (  # of middle lightness, so that each stands out on white and on black
    "#3b82f6",
    "#e11d48",
    "#10a37f",
    "#d97706",
    "#8b5cf6",
    "#06a0c0",
    "#84a313",
    "#d946a8",
    "#b45309",
    "#8a8f98",
)
STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}"
    ".axis{stroke:#57606a;stroke-width:1}.grid{stroke:#8c959f;stroke-opacity:.3}"
    ".line{fill:none;stroke-width:2}.band{fill-opacity:.15;stroke:none}.mark{stroke:#8c959f;stroke-dasharray:4 4}"
    "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.axis{stroke:#9ea7b3}}"
)


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values from ``low`` to ``high`` to pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of ``value``."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return about six round values within the range.

        >>> Axis(0, 5000, 0, 1).ticks()
        [0.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0]
        """
        rough = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [round(place * step, 10) for place in range(first, last + 1)]


def regret_svg(reports: Sequence[OnlineReport]) -> str:
    """Return an SVG document with a panel for each report, below one another."""
    panels = [
        f'<g transform="translate(0 {place * HEIGHT})">{_panel(report)}</g>' for place, report in enumerate(reports)
    ]
    height = HEIGHT * len(reports)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f"<style>{STYLE}</style>{''.join(panels)}</svg>\n"
    )


def _panel(report: OnlineReport) -> str:
    rows = [row for row in report.rows if row.router not in (GROUP_BEST, ORACLE)]  # the zero line, and far below it
    points = [point for row in rows for point in row.curve]
    low, high = min(0.0, *(point.low for point in points)), max(0.0, *(point.high for point in points))
    across = Axis(0.0, float(report.steps), LEFT, WIDTH - RIGHT)
    up = Axis(low, high if high > low else low + 1.0, HEIGHT - BOTTOM, TOP)
    ordered = sorted(rows, key=lambda row: -row.regret)
    lines = [_line(row, across, up, place) for place, row in enumerate(rows)]
    apart = min(20.0, (HEIGHT - TOP - BOTTOM) / len(rows))
    legend = [_legend(row, rows.index(row), TOP + 10 + apart * place) for place, row in enumerate(ordered)]
    title = f"{report.set}: cumulative regret, {len(report.seeds)} seeds, {report.feedback} feedback, {report.scenario}"
    return "".join(
        [text(LEFT, 22, title), frame(across, up), _changes(report, across), *lines, *legend],
    )


def frame(across: Axis, up: Axis, below: str = "tasks") -> str:
    """Return the axes with their ticks and grid; ``below`` names what runs across."""
    parts = []
    for tick in up.ticks():
        y = up.at(tick)
        parts.append(f'<path class="grid" d="M{across.start:.1f} {y:.1f}H{across.end:.1f}"/>')
        parts.append(text(across.start - 8, y + 4, f"{tick:g}", anchor="end"))
    for tick in across.ticks():
        x = across.at(tick)
        parts.append(f'<path class="axis" d="M{x:.1f} {up.start:.1f}v5"/>')
        parts.append(text(x, up.start + 20, f"{tick:g}", anchor="middle"))
    parts.append(
        f'<path class="axis" d="M{across.start:.1f} {up.end:.1f}V{up.start:.1f}H{across.end:.1f}" fill="none"/>'
    )
    parts.append(text((across.start + across.end) / 2, up.start + 40, below, anchor="middle"))
    return "".join(parts)


def _changes(report: OnlineReport, across: Axis) -> str:
    parts = []
    for step, what in ((report.drift_at, "drift"), (report.new_agent_at, "new agent")):
        if step is not None:
            x = across.at(step)
            parts.append(f'<path class="mark" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
            parts.append(text(x + 4, TOP + 12, what))
    return "".join(parts)


def _line(row: OnlineRow, across: Axis, up: Axis, place: int) -> str:
    start = CurvePoint(step=0, regret=0.0, low=0.0, high=0.0)
    points = (start, *row.curve)
    middle = path([(across.at(point.step), up.at(point.regret)) for point in points])
    edge = [(across.at(point.step), up.at(point.low)) for point in points]
    edge += [(across.at(point.step), up.at(point.high)) for point in reversed(points)]
    colour = _colour(place)
    return (
        f'<polygon class="band" fill="{colour}" points="{path(edge)}"/>'
        f'<polyline class="line" stroke="{colour}"{_dash(row, place)} points="{middle}"/>'
    )


def path(points: Sequence[tuple[float, float]]) -> str:
    """Return points as SVG writes them."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _legend(row: OnlineRow, colour: int, y: float) -> str:
    x, name = (
        WIDTH - RIGHT + 20,
        row.router if len(row.router) <= MOST_LETTERS else row.router[: MOST_LETTERS - 1] + "…",
    )
    stroke = f'stroke="{_colour(colour)}"{_dash(row, colour)}'
    return f'<path class="line" {stroke} d="M{x} {y:.1f}h24"/>' + text(x + 32, y + 4, f"{name} {row.regret:.0f}")


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _dash(row: OnlineRow, place: int) -> str:
    if row.is_reference:
        return ' stroke-dasharray="2 4"'
    return ' stroke-dasharray="7 3"' if place >= len(COLOURS) else ""


def text(x: float, y: float, said: str, *, anchor: str = "start") -> str:
    """Return a line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'
