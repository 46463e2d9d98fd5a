"""Gathers the evidence for the GNN router: over seeds, for agents it was not trained on, part by part, and in time.

Choices are made on train and val; the split is opened once everything is chosen, and each table says which it was. To
score val (the default), a tenth of train stands in for it, so that it has chosen nothing.

    OMP_NUM_THREADS=1 python benchmarks/gnn.py seeds FOLDER [--split val|test] [--seeds 0-4] [--embedder static]
    OMP_NUM_THREADS=1 python benchmarks/gnn.py leave-one-out FOLDER [--split val|test] [--k 0,5,20] [--seeds 0]
    OMP_NUM_THREADS=1 python benchmarks/gnn.py ablations FOLDER [--seeds 0-4] [--folds 5]
    OMP_NUM_THREADS=1 python benchmarks/gnn.py time [FOLDER] [--tasks 5000]

All take ``--arguments k=v,...`` for the router, ``--jobs 2`` for how many fits run at a time (``time`` takes no
``--jobs``), and ``--json FILE``. ``ablations`` fits 6 variants x seeds x folds: fewer of both save time.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from agentmesh.bench.ablation import ablate
from agentmesh.bench.folding import FOLDS
from agentmesh.bench.leave_one_out import leave_one_out
from agentmesh.bench.online_plan import RouterSpec, outside_quotes
from agentmesh.bench.seed_labels import study_labels
from agentmesh.bench.seed_outcomes import study_outcomes
from agentmesh.bench.study import OPPONENTS, Study, StudyPlan, study_of, whole_study
from agentmesh.bench.study_report import StudyReport, render
from agentmesh.bench.training_time import TimePlan, TimeReport, time_router
from agentmesh.embed.named import embedder_named
from agentmesh.errors import AgentMeshError, ConfigError

MMLU_PRO = Path(__file__).parent / "sets" / "mmlu_pro"
THREADS = "OMP_NUM_THREADS"
WIDE = 180  # columns where no terminal says how many there are


def whole_numbers(text: str) -> tuple[int, ...]:
    """Read ``0-4`` as these five, and ``0,5,20`` as these three.

    Raises:
        ConfigError: it is written otherwise.
    """
    numbers: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip())
        if not found:
            raise ConfigError(f"numbers are {text!r}; accepted: a list such as '0,5,20', or a range such as '0-4'")
        numbers += range(int(found[1]), int(found[2] or found[1]) + 1)
    return tuple(numbers)


def study(options: argparse.Namespace, make: Callable[..., Study]) -> Study:
    """Read the set and the plan that the options name."""
    spec = RouterSpec.parse(":".join([options.router, *filter(None, outside_quotes(options.arguments, ","))]))
    plan = StudyPlan(
        router=spec.name,
        arguments=spec.arguments,
        seeds=whole_numbers(options.seeds),
        opponents=tuple(filter(None, options.opponents.split(","))),
        split=options.split,
        limit=options.limit,
        processes=options.jobs,
    )
    return make(options.folder, plan, embedder_named(options.embedder), say=say)


def say(doing: str) -> None:
    """Tell what is being done, beside the results."""
    print(doing, file=sys.stderr, flush=True)


def seeds(options: argparse.Namespace) -> StudyReport:
    """Measure the router over seeds beside others."""
    made = study(options, study_of)
    return study_labels(made) if made.is_labels else study_outcomes(made)


def entering(options: argparse.Namespace) -> StudyReport:
    """Leave each agent out of the training once, and let it enter."""
    return leave_one_out(study(options, study_of), whole_numbers(options.k))


def ablations(options: argparse.Namespace) -> StudyReport:
    """Change one part at a time."""
    return ablate(study(options, whole_study), most_folds=options.folds)


def times(options: argparse.Namespace) -> StudyReport:
    """Time training and deciding, and see that deciding needs no torch."""
    plan = TimePlan(agents=options.agents, past_tasks=options.past, decisions=options.decisions)
    return served_without_torch(time_router(study(options, whole_study), plan))


def served_without_torch(report: TimeReport) -> TimeReport:
    """Return a report whose decisions were made without torch.

    Raises:
        ConfigError: the process that decided had loaded it.
    """
    if report.trainer_loaded:
        raise ConfigError("torch was loaded by the process that decided; a router restored from its state needs none")
    return report


COMMANDS: Mapping[str, Callable[[argparse.Namespace], StudyReport]] = {
    "seeds": seeds,
    "leave-one-out": entering,
    "ablations": ablations,
    "time": times,
}


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    made = {name: commands.add_parser(name, help=run.__doc__.splitlines()[0]) for name, run in COMMANDS.items()}
    for name, command in made.items():
        shared(command, seeds="0-4" if name in ("seeds", "ablations") else "0")
    for name in ("seeds", "leave-one-out"):
        made[name].add_argument("--split", choices=("val", "test"), default="val", help="what is scored")
    for name in ("seeds", "leave-one-out", "ablations"):
        made[name].add_argument("folder", help="a recorded set")
        made[name].add_argument("--jobs", type=int, default=2, help="how many fits run at a time")
        made[name].add_argument("--limit", type=int, help=argparse.SUPPRESS)
    made["seeds"].add_argument("--opponents", default=",".join(OPPONENTS), help="names, separated by commas")
    made["leave-one-out"].add_argument("--k", default="0,5,20", help="how many outcomes of the agent are told")
    made["ablations"].add_argument("--folds", type=int, default=FOLDS, help="how many of the folds are used")
    time_options(made["time"])
    return parser.parse_args(arguments)


def shared(command: argparse.ArgumentParser, *, seeds: str) -> None:
    """Add what every command takes, and defaults for what only some take."""
    command.set_defaults(split="val", opponents="", jobs=1, limit=None)
    command.add_argument("--seeds", default=seeds, help="of the training: '0-4', or '0,2'")
    command.add_argument("--embedder", default="static", help="static, hashing, onnx or remote")
    command.add_argument("--arguments", default="", help="of the router: k=v,...")
    command.add_argument("--router", default="gnn", help=argparse.SUPPRESS)
    command.add_argument("--json", metavar="FILE", type=Path, help="write the report there too")


def time_options(command: argparse.ArgumentParser) -> None:
    """Add what ``time`` takes."""
    command.add_argument("folder", nargs="?", default=MMLU_PRO, help="a recorded set; mmlu_pro by default")
    command.add_argument("--tasks", dest="limit", type=int, default=5_000, help="train tasks to fit on")
    command.add_argument("--agents", type=int, default=150, help="made-up agents to decide among")
    command.add_argument("--past", type=int, default=2_000, help="made-up past tasks")
    command.add_argument("--decisions", type=int, default=1_000, help="decisions timed for each router")


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    os.environ.setdefault(THREADS, "1")  # for the processes that fit
    options = parsed(arguments)
    try:
        report = COMMANDS[options.command](options)
    except AgentMeshError as error:
        sys.exit(f"error: {error}")
    if options.json:
        options.json.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    Console(width=None if sys.stdout.isatty() else WIDE).print(render(report))


if __name__ == "__main__":
    main(sys.argv[1:])
