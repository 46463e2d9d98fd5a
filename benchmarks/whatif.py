"""Checks what-if on a recorded set: how often do intervals of another router's worth hold the truth?

On each seed a stochastic router decides tasks, only what it drew is kept, and quality and cost of three other routers
are estimated from it and held against what they would have brought. Routers are fitted on val and judged on train; no
test row is opened.

    OMP_NUM_THREADS=1 python benchmarks/whatif.py [FOLDER] [--decisions 5000] [--seeds 100] [--json FILE]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agentmesh.bench.material import prepare
from agentmesh.bench.whatif_bench import EXPLORE, LOGGING, Coverage, coverage, policies_of
from agentmesh.embed.named import embedder_named
from agentmesh.errors import AgentMeshError
from agentmesh.recorded.reader import load_set

FOLDER = Path(__file__).parent / "sets" / "mmlu_pro"
WIDE = 140  # columns where no terminal says how many there are


def table(rows: Sequence[Coverage], title: str) -> Table:
    """Return the rows as a table."""
    made = Table(title=title)
    for name in ("router", "measure", "method", "held", "refused", "truth", "mean error", "bias", "width", "ESS"):
        made.add_column(name, justify="left" if name in ("router", "measure", "method") else "right")
    for row in rows:
        values = (f"{value:.3g}" for value in (row.truth, row.error, row.bias, row.width))
        held = f"{row.held}/{row.seeds - row.refused}"
        made.add_row(row.router, row.measure, row.method, held, f"{row.refused}", *values, f"{row.effective:.0f}")
    return made


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", default=FOLDER, type=Path, help="a recorded set of outcomes")
    parser.add_argument("--decisions", type=int, default=5000, help="how many are logged")
    parser.add_argument("--seeds", type=int, default=100, help="how many logs")
    parser.add_argument("--explore", type=float, default=EXPLORE, help="the logging router's exploration")
    parser.add_argument("--embedder", default="static", help="the name of the embedder")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the rows there too")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    options = parsed(arguments)
    try:
        material = prepare(load_set(options.folder), embedder_named(options.embedder))
    except AgentMeshError as error:
        sys.exit(f"error: {error}")
    policies = policies_of(material, explore=options.explore)
    rows = coverage(material.train, policies, decisions=options.decisions, seeds=range(options.seeds))
    name, policy = LOGGING
    title = (
        f"{material.recorded.info.name}: {options.decisions} decisions of {name} {policy}, explore {options.explore}"
    )
    Console(width=None if sys.stdout.isatty() else WIDE).print(table(rows, title))
    if options.json is not None:
        options.json.write_text(json.dumps([row.model_dump() for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
