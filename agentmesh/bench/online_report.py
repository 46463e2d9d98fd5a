"""Renders online reports: Rich tables for people, JSON for programs."""

import json
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agentmesh.bench.online_records import DriftResult, NewAgentResult, OnlineReport, OnlineRow
from agentmesh.bench.resampling import Interval
from agentmesh.types import JsonValue

UNKNOWN = "-"
OPTIONAL = ("accuracy_last_1000", "drift", "new_agent")


def to_json(reports: Sequence[OnlineReport]) -> str:
    """Return what ``bench --online --json`` prints: an object for one set, a list for several."""
    shapes = [_shape(report) for report in reports]
    return json.dumps(shapes[0] if len(shapes) == 1 else shapes, indent=2)


def to_file_json(reports: Sequence[OnlineReport]) -> str:
    """Return the same with the notes, and with each row's curve of regret."""
    shapes = []
    for report in reports:
        curves = [[point.model_dump(mode="json") for point in row.curve] for row in report.rows]
        rows = [{**_row_shape(row), "curve": curve} for row, curve in zip(report.rows, curves, strict=True)]
        shapes.append({**_shape(report), "rows": rows, "notes": list(report.notes)})
    return json.dumps(shapes[0] if len(shapes) == 1 else shapes, indent=2)


def _shape(report: OnlineReport) -> dict[str, JsonValue]:
    shape: dict[str, JsonValue] = report.model_dump(mode="json")
    shape["rows"] = [_row_shape(row) for row in report.rows]
    return shape


def _row_shape(row: OnlineRow) -> dict[str, JsonValue]:
    shape: dict[str, JsonValue] = row.model_dump(mode="json")
    return {key: value for key, value in shape.items() if key not in OPTIONAL or value is not None}


def render(report: OnlineReport) -> RenderableType:
    """Return a report as tables, with how it was measured under them."""
    falls = [(row.router, row.drift) for row in report.rows if row.drift]
    arrivals = [(row.router, row.new_agent) for row in report.rows if row.new_agent]
    tables = [_main_table(report)]
    if falls:
        tables.append(_drift_table(falls))
    if arrivals:
        tables.append(_new_agent_table(arrivals))
    return Group(*tables, *(Text(line) for line in report.notes))


def _main_table(report: OnlineReport) -> Table:
    title = f"{report.set}, online over {report.split}, {report.steps} tasks"
    table = Table(
        title=title, caption="95 % intervals: bootstrap over seeds and tasks; differences to pheromone paired"
    )
    table.add_column("router")
    columns = ["quality", "95 %", "last 20 %", "95 %", "minus pheromone, last 20 %", "regret", "USD / 1k", "reward"]
    if report.kind == "labels":
        columns.append("last 1,000")
    for name in (*columns, "decide ms", "learn ms"):
        table.add_column(name, justify="right")
    for row in report.rows:
        table.add_row(*_main_cells(row, with_last=report.kind == "labels"))
    return table


def _main_cells(row: OnlineRow, *, with_last: bool) -> tuple[str, ...]:
    last = (_decimal(row.accuracy_last_1000),) if with_last else ()
    return (
        f"({row.router})" if row.is_reference else row.router,
        _decimal(row.quality),
        _range(row.quality_ci),
        _decimal(row.quality_last_20pct),
        _range(row.last_20pct_ci),
        _signed(row.vs_pheromone_last_20pct_ci),
        f"{row.regret:.1f}",
        _decimal(row.cost_usd_per_1k),
        _decimal(row.reward),
        *last,
        _decimal(row.p50_ms),
        _decimal(row.learn_p50_ms),
    )


def _drift_table(falls: Sequence[tuple[str, DriftResult]]) -> Table:
    found = falls[0][1]
    where = f"on {found.group}" if found.group else "on all tasks"
    table = Table(title=f"{found.agent} falls {where}; the new best is {found.new_best}")
    table.add_column("router")
    names = ("share before", "tasks to under 10 %", "share after 150", "tasks to recover", "quality after 150")
    for name in (*names, "new best's"):
        table.add_column(name, justify="right")
    for router, drift in falls:
        table.add_row(
            router,
            _percent(drift.share_before),
            _counts(drift.tasks_until_share_10pct),
            _percent(drift.share_after_150),
            _counts(drift.tasks_until_recovered),
            _decimal(drift.quality_after_150),
            _decimal(drift.new_best_after_150),
        )
    return table


def _new_agent_table(arrivals: Sequence[tuple[str, NewAgentResult]]) -> Table:
    table = Table(title=f"{arrivals[0][1].agent} comes; its share of the tasks")
    table.add_column("router")
    for name in ("tasks 100 to 300", "by group_best", "from 200 on", "by group_best"):
        table.add_column(name, justify="right")
    for router, new in arrivals:
        shares = (new.share, new.reference_share, new.share_later, new.reference_share_later)
        table.add_row(router, *map(_percent, shares))
    return table


def _counts(counts: Sequence[int | None]) -> str:
    return ", ".join("never" if count is None else str(count) for count in counts)


def _decimal(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0%}"


def _range(bounds: Interval) -> str:
    return f"{_decimal(bounds[0])}-{_decimal(bounds[1])}"


def _signed(bounds: Interval | None) -> str:
    return UNKNOWN if bounds is None else f"{100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f}"
