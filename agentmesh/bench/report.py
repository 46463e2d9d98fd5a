"""Renders bench reports: Rich tables for people, JSON for programs."""

import json
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agentmesh.bench.records import LabelReport, LabelRow, OutcomeReport, OutcomeRow, Report
from agentmesh.bench.resampling import Interval, excludes_zero
from agentmesh.bench.team_records import TeamReport

UNKNOWN = "-"


def to_json(reports: Sequence[Report]) -> str:
    """Return what ``bench --json`` prints: an object for one set, a list for several."""
    shapes = [report.model_dump(mode="json") for report in reports]
    return json.dumps(shapes[0] if len(shapes) == 1 else shapes, indent=2)


def render(report: Report) -> RenderableType:
    """Return a report as a table with what was chosen and how it was measured under it."""
    table = _outcome_table(report) if isinstance(report, OutcomeReport) else _label_table(report)
    lines = (*verdicts(report), *_chosen(report), *_team_lines(report), *report.notes)
    return Group(table, *(Text(line) for line in lines))


def _team_lines(report: Report) -> tuple[str, ...]:
    """Tell the curve of a team, and what it is worth to choose the first agent for each task."""
    if not isinstance(report, TeamReport):
        return ()
    wave = report.first_wave
    begins = ", ".join(f"{name} {share:.0%}" for name, share in wave.begins_with.items())
    shares = " against ".join(UNKNOWN if share is None else f"{share:.0%}" for share in wave.cost_shares)
    points = "; ".join(
        f"{point.quality:.3f} at {point.cost_usd_per_1k:.3f} with {point.mean_agents:.2f} agents"
        for point in report.team_curve
    )
    return (
        f"team begins with {begins}; against always {wave.fixed}: {_signed(wave.quality_diff_ci)} points; held to best "
        f"single's quality {_signed(wave.at_best_single_diff_ci)} points, {shares} of its cost.",
        f"team's curve, quality at USD / 1k: {points}.",
    )


def verdicts(report: Report) -> tuple[str, ...]:
    """Say which routers beat kNN and best single: only those whose 95 % interval of the difference excludes 0."""
    if not isinstance(report, OutcomeReport):
        return ()
    lines = []
    for title, field in (("kNN", "vs_knn_ci"), ("best single", "vs_best_single_ci")):
        bounds: dict[str, Interval | None] = {row.router: getattr(row, field) for row in report.rows}
        winners = [name for name, pair in bounds.items() if name != "oracle" and excludes_zero(pair)]
        lines += [f"{name} beats {title}: {_signed(bounds[name])} points." for name in winners]
        if not winners:
            lines.append(f"No router beats {title}: no 95 % interval of the difference lies above 0.")
    return tuple(lines)


def _chosen(report: Report) -> tuple[str, ...]:
    rows: Sequence[OutcomeRow | LabelRow] = report.rows
    return tuple(
        f"{row.router}: " + ", ".join(f"{name} {value}" for name, value in row.chosen.items())
        for row in rows
        if row.chosen
    )


def _outcome_table(report: OutcomeReport) -> Table:
    table = Table(title=f"{report.set}, {report.split}", caption="95 % intervals: paired bootstrap over tasks")
    table.add_column("router")
    columns = ("quality", "95 %", "USD / 1k", "vs kNN", "vs best single", "oracle gap", "balanced", "cheap")
    for name in (*columns, "at best single", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    for row in report.rows:
        table.add_row(*_outcome_cells(row))
    return table


def _outcome_cells(row: OutcomeRow) -> tuple[str, ...]:
    return (
        row.router,
        _decimal(row.quality),
        f"{_decimal(row.quality_ci[0])}-{_decimal(row.quality_ci[1])}",
        _decimal(row.cost_usd_per_1k),
        _signed(row.vs_knn_ci),
        _signed(row.vs_best_single_ci),
        UNKNOWN if row.oracle_gap_share is None else f"{row.oracle_gap_share:.0%}",
        _decimal(row.reward.balanced),
        _decimal(row.reward.cheap),
        _level(row),
        _decimal(row.p50_ms),
        _decimal(row.p99_ms),
    )


def _level(row: OutcomeRow) -> str:
    level = row.at_best_single
    if level is None:
        return UNKNOWN
    share = UNKNOWN if level.cost_share is None else f"{level.cost_share:.0%}"
    return f"{_decimal(level.quality)} at {share} of its cost"


def _label_table(report: LabelReport) -> Table:
    table = Table(title=f"{report.set}, {report.split}", caption="in scope an abstention counts as wrong")
    table.add_column("router")
    for name in ("top-1", "hit@set", "agents", "oos recall", "GQR", "top-1 if it may not abstain", "p50 ms"):
        table.add_column(name, justify="right")
    for row in report.rows:
        table.add_row(
            row.router,
            _decimal(row.top1),
            _decimal(row.hit_at_set),
            f"{row.mean_agents:.2f}",
            _decimal(row.oos_recall),
            _decimal(row.gqr),
            _decimal(row.top1_closed),
            _decimal(row.p50_ms),
        )
    return table


def _decimal(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _signed(bounds: Interval | None) -> str:
    return UNKNOWN if bounds is None else f"{100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f}"
