"""Renders studies: Rich tables for people, JSON for programs."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agentmesh.bench.ablation import AblationReport
from agentmesh.bench.leave_one_out_rows import EnteringAgent, LeaveOneOutReport
from agentmesh.bench.resampling import Interval, excludes_zero
from agentmesh.bench.seed_records import LabelSeedReport, LabelSeedSummary, SeedReport, SeedSummary
from agentmesh.bench.training_time import TimeReport

UNKNOWN = "-"
OVER_BOTH = "95 % intervals: bootstrap over tasks and seeds; of differences, paired"

StudyReport = SeedReport | LabelSeedReport | LeaveOneOutReport | AblationReport | TimeReport


def render(report: StudyReport) -> RenderableType:
    """Return a report as tables, with what may be said of it and how it was measured under them."""
    if isinstance(report, SeedReport):
        parts: list[RenderableType] = [_outcome_table(report), _seed_table(report), *_lines(verdicts(report))]
    elif isinstance(report, LabelSeedReport):
        parts = [_label_table(report), _label_seed_table(report)]
    elif isinstance(report, LeaveOneOutReport):
        parts = [_entering_table(report), _agent_table(report)]
    elif isinstance(report, AblationReport):
        parts = [_ablation_table(report)]
    else:
        parts = [_train_table(report), _decision_table(report)]
    return Group(*parts, *_lines(report.notes))


def _lines(texts: Sequence[str]) -> list[RenderableType]:
    return [Text(text) for text in texts]


def verdicts(report: SeedReport) -> tuple[str, ...]:
    """Say whether the router under study beats kNN and best single: only where the interval lies above 0."""
    own = next(row for row in report.rows if row.router == report.router)
    lines = []
    for title, bounds in (("kNN", own.vs_knn_ci), ("best single", own.vs_best_single_ci)):
        if excludes_zero(bounds):
            lines.append(f"{own.router} beats {title}: {_signed(bounds)} points.")
        elif bounds is not None:
            lines.append(f"{own.router} does not beat {title}: the interval is {_signed(bounds)} points.")
    return tuple(lines)


def _table(title: str, first: str, columns: Sequence[str], caption: str = "") -> Table:
    table = Table(title=title, caption=caption or None)
    table.add_column(first)
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _outcome_table(report: SeedReport) -> Table:
    table = _table(
        f"{report.set}, {report.split}, {len(report.seeds)} seeds",
        "router",
        (
            "quality", "95 %", f"lead over {report.router}", "vs kNN", "vs best single", "USD / 1k",
            "at best single's level", "difference", "p50 ms", "p99 ms",
        ),
        OVER_BOTH,
    )  # fmt: skip
    for row in report.rows:
        table.add_row(*_outcome_cells(row))
    return table


def _outcome_cells(row: SeedSummary) -> tuple[str, ...]:
    level = row.at_best_single
    return (
        row.router,
        _decimal(row.quality),
        _range(row.quality_ci),
        _signed(row.lead_ci),
        _signed(row.vs_knn_ci),
        _signed(row.vs_best_single_ci),
        _decimal(row.cost_usd_per_1k),
        UNKNOWN if level is None else f"{level.quality:.3f} at {_percent(level.cost_share)} of its cost",
        UNKNOWN if level is None else _signed(level.quality_diff_ci),
        _decimal(row.p50_ms),
        _decimal(row.p99_ms),
    )


def _seed_table(report: SeedReport) -> Table:
    columns = ("quality", "USD / 1k", "at best single's level", "its cost share", "train s", "p50 ms", "p99 ms")
    table = _table(f"{report.router} by seed", "seed", columns)
    for row in report.seeds:
        table.add_row(
            str(row.seed),
            _decimal(row.quality),
            _decimal(row.cost_usd_per_1k),
            _decimal(row.level_quality),
            _percent(row.level_cost_share),
            f"{row.train_s:.0f}",
            _decimal(row.p50_ms),
            _decimal(row.p99_ms),
        )
    return table


def _label_table(report: LabelSeedReport) -> Table:
    lead = f"lead over {report.router}"
    table = _table(
        f"{report.set}, {report.split}, {len(report.seeds)} seeds",
        "router",
        ("top-1", "95 %", lead, "top-1 if it may not abstain", "95 %", lead, "oos recall", "p50 ms"),
        OVER_BOTH,
    )
    for row in report.rows:
        table.add_row(*_label_cells(row))
    return table


def _label_cells(row: LabelSeedSummary) -> tuple[str, ...]:
    return (
        row.router,
        _decimal(row.top1),
        _range(row.top1_ci),
        _signed(row.lead_ci),
        _decimal(row.top1_closed),
        _range(row.closed_ci),
        _signed(row.closed_lead_ci),
        _decimal(row.oos_recall),
        _decimal(row.p50_ms),
    )


def _label_seed_table(report: LabelSeedReport) -> Table:
    columns = ("top-1", "top-1 if it may not abstain", "oos recall", "train s", "p50 ms", "p99 ms")
    table = _table(f"{report.router} by seed", "seed", columns)
    for row in report.seeds:
        figures = (row.top1, row.top1_closed, row.oos_recall)
        times = (f"{row.train_s:.0f}", _decimal(row.p50_ms), _decimal(row.p99_ms))
        table.add_row(str(row.seed), *map(_decimal, figures), *times)
    return table


def _entering_table(report: LeaveOneOutReport) -> Table:
    table = _table(
        f"{report.set}, {report.split}: each agent enters untrained on, with so many outcomes",
        "outcomes",
        ("by", "quality", "95 %", f"lead over {report.router}", "share given to it"),
        "95 % intervals: bootstrap over tasks and agents; of differences, paired",
    )
    for row in report.rows:
        share = _percent(row.share)
        table.add_row(
            str(row.count), row.method, _decimal(row.quality), _range(row.quality_ci), _signed(row.lead_ci), share
        )
    return table


def _agent_table(report: LeaveOneOutReport) -> Table:
    methods = list(report.agents[0].quality)
    columns = [f"{method}{what}" for method in methods for what in ("", ", share")]
    table = _table("by agent", "agent", ["outcomes", *columns])
    for row in report.agents:
        table.add_row(row.agent, str(row.count), *_agent_cells(row, methods))
    return table


def _agent_cells(row: EnteringAgent, methods: Sequence[str]) -> list[str]:
    pairs = [(_decimal(row.quality[method]), _percent(row.share[method])) for method in methods]
    return [cell for pair in pairs for cell in pair]


def _ablation_table(report: AblationReport) -> Table:
    columns = ("quality", "95 %", "minus default", "log loss", "95 %", "minus default")
    table = _table(f"{report.set}, held out tasks of train and val", "variant", columns, OVER_BOTH)
    for row in report.rows:
        table.add_row(
            row.variant,
            _decimal(row.quality),
            _range(row.quality_ci),
            _signed(row.quality_diff_ci),
            f"{row.loss:.4f}",
            f"{row.loss_ci[0]:.4f}-{row.loss_ci[1]:.4f}",
            UNKNOWN if row.loss_diff_ci is None else f"{row.loss_diff_ci[0]:+.4f} to {row.loss_diff_ci[1]:+.4f}",
        )
    return table


def _train_table(report: TimeReport) -> Table:
    columns = ("fit, s", "x linear")
    table = _table(f"{report.set}: {report.tasks:,} tasks x {report.agents} agents", "router", columns)
    for row in report.training:
        table.add_row(row.router, f"{row.seconds:.2f}", f"{row.ratio:.2f}")
    return table


def _decision_table(report: TimeReport) -> Table:
    columns = ("agents", "p50 ms", "p99 ms", "x bare product", "x kernel")
    table = _table("one decision, the vector given", "router", columns)
    for row in report.decisions:
        kernel = f"{row.p50_ms / report.kernel_p50_ms:.2f}"
        table.add_row(
            row.router, str(row.agents), _decimal(row.p50_ms), _decimal(row.p99_ms), f"{row.ratio:.0f}", kernel
        )
    return table


def _decimal(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0%}"


def _range(bounds: Interval) -> str:
    return f"{bounds[0]:.3f}-{bounds[1]:.3f}"


def _signed(bounds: Interval | None) -> str:
    return UNKNOWN if bounds is None else f"{100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f}"
