"""Measures what a new mesh can do: routing by descriptions alone, with no outcome and no example, beside plain cosine.

Top-1 over the tasks that somebody fits, among all agents, never abstaining. Nothing is fitted; the router's constants
were chosen on val of both sets. Test is to be opened once, with ``--split test``.

    OMP_NUM_THREADS=1 python benchmarks/cards.py [FOLDER ...] [--split val|test] [--embedders static,onnx]
        [--examples] [--parts] [--json FILE]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from agentmesh.bench.descriptions import descriptions_table, measure_descriptions
from agentmesh.embed.named import embedder_named
from agentmesh.recorded.reader import load_set

SETS = Path(__file__).parent / "sets"


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    options = parsed(arguments)
    reports = []
    for folder in options.folders:
        recorded = load_set(folder)
        for name in options.embedders.split(","):
            report = measure_descriptions(
                recorded, embedder_named(name), split=options.split, examples=options.examples, parts=options.parts
            )
            Console().print(descriptions_table(report))
            reports.append(report.model_dump(mode="json"))
    if options.json is not None:
        options.json.write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "folders", nargs="*", default=[SETS / "clinc150", SETS / "hwu64"], help="recorded sets of labels"
    )
    parser.add_argument("--split", choices=("val", "test"), default="val", help="what is opened and scored")
    parser.add_argument(
        "--embedders", default="static", help="names, separated by commas: static, onnx, hashing, remote"
    )
    parser.add_argument("--examples", action="store_true", help="have the cards' examples in their vectors")
    parser.add_argument(
        "--parts", action="store_true", help="run the router without shared words, and without senses, too"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
