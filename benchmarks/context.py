"""Says what slices of a context save and keep, beside the whole and slices that are cut without looking at the task.

The cases are made by code from a recorded set of labels: a service office told in some hundred documents, and questions
whose answer stands on two to six statements far apart, most of them not like the question. The reader is no model: it
answers from the statements that it finds. ``val`` is what the weights of ``agentmesh/graphs/slices.py`` were chosen on;
``test`` has other texts, names and wordings.

    OMP_NUM_THREADS=1 python benchmarks/context.py [FOLDER ...] [--split val|test] [--each 12] [--json FILE]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agentmesh.bench.context_bench import BUDGETS, context_report
from agentmesh.bench.context_records import ContextReport
from agentmesh.embed.named import embedder_named
from agentmesh.errors import AgentMeshError
from agentmesh.recorded.reader import load_set
from agentmesh.types import SystemClock

SETS = Path(__file__).parent / "sets"
WIDE = 120  # columns where no terminal says how many there are


def table(report: ContextReport) -> Table:
    """Return a report as a table, a line a way to cut and a budget."""
    kinds = ", ".join(f"{kind} {recall:.3f}" for kind, recall in report.by_kind.items())
    caption = (
        f"recall of 'routed' at {report.by_kind_budget} tokens: {kinds}. "
        f"p50 {report.first_ms_p50} ms for the first slice of a context, {report.ms_p50} ms for a further one"
    )
    made = Table(title=f"{report.name}: {report.cases} cases", caption=caption)
    for name in ("way", "budget", "tokens", "saved", "same", "right", "recall", "complete"):
        made.add_column(name, justify="left" if name == "way" else "right")
    for row in report.rows:
        shares = (f"{share:.3f}" for share in (row.saved, row.same, row.right, row.recall, row.complete))
        made.add_row(row.way, str(row.budget_tokens or "-"), f"{row.tokens:.0f}", *shares)
    return made


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", default=[str(SETS / "clinc150")], help="recorded sets of labels")
    parser.add_argument("--split", choices=("val", "test"), default="val", help="what the cases are made of")
    parser.add_argument("--each", type=int, default=12, help="cases of every kind")
    parser.add_argument("--budgets", default=",".join(map(str, BUDGETS)), help="tokens, separated by commas")
    parser.add_argument("--seed", type=int, default=0, help="what draws the cases")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the reports there too")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    budgets = tuple(map(int, options.budgets.split(",")))
    made = {"each": options.each, "seed": options.seed, "clock": SystemClock(), "budgets": budgets}
    reports = []
    try:
        for folder in options.folders:
            report = context_report(load_set(folder), embedder_named(None), options.split, **made)
            console.print(table(report))
            reports.append(report)
    except AgentMeshError as error:
        sys.exit(f"error: {error}")
    if options.json:
        shapes = [report.model_dump(mode="json") for report in reports]
        options.json.write_text(json.dumps(shapes, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
