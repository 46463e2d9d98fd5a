"""Draws coverage against accuracy as an SVG for light and dark: two lines for each embedder."""

from collections.abc import Sequence

from agentmesh.bench.guard_records import GuardReport
from agentmesh.bench.online_plot import (
    BOTTOM,
    COLOURS,
    HEIGHT,
    LEFT,
    RIGHT,
    STYLE,
    TOP,
    WIDTH,
    Axis,
    frame,
    path,
    text,
)


def coverage_svg(reports: Sequence[GuardReport]) -> str:
    """Return an SVG document: what answered tasks are worth (drawn through) and recall out of scope (dashed)."""
    rows = [row for report in reports for row in report.rows]
    lowest = min(value for row in rows for value in (row.quality, row.oos_recall) if value is not None)
    across = Axis(_below_one(min(row.answered for row in rows)), 1.0, LEFT, WIDTH - RIGHT)
    up = Axis(_below_one(lowest), 1.0, HEIGHT - BOTTOM, TOP)
    first = reports[0]
    title = f"{first.set}, {first.split}: coverage of the guard, and accuracy of what is answered"
    lines = [_lines(report, across, up, place) for place, report in enumerate(reports)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f"<style>{STYLE}</style>{text(LEFT, 22, title)}"
        f"{frame(across, up, 'share of tasks in scope that are answered')}{''.join(lines)}</svg>\n"
    )


def _below_one(low: float) -> float:
    return low if low < 1.0 else 0.0  # an axis needs a length


def _lines(report: GuardReport, across: Axis, up: Axis, place: int) -> str:
    colour, name = COLOURS[place % len(COLOURS)], report.embedder.split("-")[0]
    right = [(across.at(row.answered), up.at(row.quality)) for row in report.rows]
    drawn = _line(colour, right, f"{name}: accuracy", 2 * place)
    turned = [(across.at(row.answered), up.at(row.oos_recall)) for row in report.rows if row.oos_recall is not None]
    return drawn + (_line(colour, turned, f"{name}: oos recall", 2 * place + 1, dashed=True) if turned else "")


def _line(colour: str, points: Sequence[tuple[float, float]], name: str, place: int, *, dashed: bool = False) -> str:
    stroke = f'class="line" stroke="{colour}"' + (' stroke-dasharray="7 3"' if dashed else "")
    x, y = WIDTH - RIGHT + 20, TOP + 10 + 20 * place
    return f'<polyline {stroke} points="{path(points)}"/><path {stroke} d="M{x} {y}h24"/>{text(x + 32, y + 4, name)}'
