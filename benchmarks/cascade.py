"""Measures a cascade on sets of labels, with a scripted model that knows the right agent.

A budget says what share of tasks may be put to the model: is it kept, also on a stream whose mix of tasks changes
half-way, and how many errors of the cheap router does it buy back? And what does a decision cost that asks nobody?

    OMP_NUM_THREADS=1 python benchmarks/cascade.py FOLDER ... [--split val|test] [--budget 0.1] [--stage linear]

Takes ``--embedder NAME``, ``--seeds N`` and ``--json FILE``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agentmesh.bench.cascade_bench import cascade_report
from agentmesh.bench.cascade_records import CascadeReport
from agentmesh.embed.named import embedder_named
from agentmesh.errors import AgentMeshError

WIDE = 140  # columns where no terminal says how many there are


def table(report: CascadeReport) -> Table:
    """Return a report as a table, a line a stream."""
    times = " ".join(
        f"{one.stage} among {one.agents} agents, from the text: {one.stage_ms} ms alone, {one.cascade_ms} ms in a "
        f"cascade with its guard, {one.embed_ms} ms of it the embedding."
        for one in report.times
    )
    made = Table(
        title=f"{report.set}, {report.split}, {report.embedder}: {report.tasks} tasks, budget {report.budget:g}",
        caption=f"{report.stage} alone {report.top1_cheap:.4f}. {times} {' '.join(report.notes)}",
    )
    for name in ("stream", "asked", "first half", "second half", "errors made right", "right made wrong", "top-1"):
        made.add_column(name, justify="right")
    for row in report.streams:
        values = (row.asked, row.asked_first_half, row.asked_second_half, row.recovered, row.spoilt, row.top1)
        made.add_row(row.order, *(f"{value:.4f}" for value in values))
    return made


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="recorded sets of labels")
    parser.add_argument("--split", choices=("val", "test"), default="val", help="what is opened and scored")
    parser.add_argument("--budget", type=float, default=0.1, help="the share of tasks that may be put to the model")
    parser.add_argument("--stage", default="linear", help="the name of the cheap router")
    parser.add_argument("--embedder", default="static", help="the name of the embedder")
    parser.add_argument("--seeds", type=int, default=5, help="how many orders of the tasks")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the reports there too")
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
        for folder in options.folders:
            report = cascade_report(
                folder,
                embedder_named(options.embedder),
                options.split,
                stage=options.stage,
                budget=options.budget,
                seeds=range(options.seeds),
                say=say,
            )
            console.print(table(report))
            reports.append(report.model_dump(mode="json"))
    except AgentMeshError as error:
        sys.exit(f"error: {error}")
    if options.json is not None:
        options.json.write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
