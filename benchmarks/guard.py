"""Measures the guard on a set of labels: accuracy in scope, recall out of scope, and the curve over coverages.

Nothing is fitted or chosen on a task out of scope. ``strangers`` (the default) is what choices are made on: agents are
left out of what is learned, and their val tasks are those that nobody fits. ``val`` and ``test`` open that split.

    OMP_NUM_THREADS=1 python benchmarks/guard.py FOLDER [--split strangers|val|test] [--embedder static,onnx]

Takes ``--guard k=v,...`` for the guard's arguments, ``--json FILE`` and ``--plot FILE.svg``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agentmesh.bench.guard_bench import guard_report
from agentmesh.bench.guard_plot import coverage_svg
from agentmesh.bench.guard_records import GuardReport
from agentmesh.bench.online_plan import RouterSpec, outside_quotes
from agentmesh.embed.named import embedder_named
from agentmesh.errors import AgentMeshError
from agentmesh.routing.guard import Guard

WIDE = 140  # columns where no terminal says how many there are


def table(report: GuardReport) -> Table:
    """Return a report as a table, a line a coverage."""
    title = f"{report.set}, {report.split}, {report.embedder}: {report.in_scope} in scope, {report.out_of_scope} out"
    area = "-" if report.auroc is None else f"{report.auroc:.4f}"
    caption = (
        f"{report.router} {report.top1_closed:.4f} when nothing is turned away; AUROC {area}; p50 {report.p50_ms} ms "
        f"with embedding and decision, guard alone {report.guard_ms} ms; state {report.bytes / 1e6:.1f} MB; "
        f"default coverage {report.default_coverage:g}. {' '.join(report.notes)}"
    )
    made = Table(title=title, caption=caption)
    for name in ("coverage", "answered", "right of these", "top-1", "oos recall", "GQR"):
        made.add_column(name, justify="right")
    for row in report.rows:
        values = (row.answered, row.quality, row.top1, row.oos_recall, row.gqr)
        made.add_row(f"{row.coverage:g}", *("-" if value is None else f"{value:.4f}" for value in values))
    return made


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", help="a recorded set of labels")
    parser.add_argument("--split", choices=("strangers", "val", "test"), default="strangers", help="what is scored")
    parser.add_argument("--embedder", default="static", help="names, separated by commas")
    parser.add_argument("--guard", default="", help="arguments of the guard: k=v,...")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the reports there too")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw coverage and accuracy there, as SVG")
    return parser.parse_args(arguments)


def say(doing: str) -> None:
    """Tell what is being done, beside the results."""
    print(doing, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    options = parsed(arguments)
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    reports = []
    try:
        spec = RouterSpec.parse(":".join(["guard", *filter(None, outside_quotes(options.guard, ","))]))
        for name in options.embedder.split(","):
            report = guard_report(
                options.folder, embedder_named(name), options.split, make=lambda: Guard(**spec.arguments), say=say
            )
            console.print(table(report))
            reports.append(report)
    except AgentMeshError as error:
        sys.exit(f"error: {error}")
    if options.json:
        shapes = [report.model_dump(mode="json") for report in reports]
        options.json.write_text(json.dumps(shapes, indent=2) + "\n", encoding="utf-8")
    if options.plot:
        options.plot.write_text(coverage_svg(reports), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
