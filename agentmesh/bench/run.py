"""Benches routers on a recorded set: choose on val, open the outcomes of the split, run each choice once."""

import asyncio
import os
from collections.abc import Callable, Sequence

import numpy as np

from agentmesh.bench.folding import FOLDS
from agentmesh.bench.label_bench import choose_for_labels, label_row, oracle_label_row
from agentmesh.bench.material import Material, Part, part_of, prepare
from agentmesh.bench.opening import BenchSplit, open_outcomes
from agentmesh.bench.outcome_bench import (
    BASELINES,
    Choice,
    Score,
    choose,
    oracle_score,
    reward_scale,
    rows_of,
    run_choice,
)
from agentmesh.bench.records import LabelReport, LabelRow, OutcomeReport, Report
from agentmesh.bench.resampling import RESAMPLES
from agentmesh.bench.routing_run import route_all
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import ConfigError
from agentmesh.plugins import load
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import load_set
from agentmesh.routing.base import ScoringRouter
from agentmesh.routing.objective import SCENARIOS
from agentmesh.types import SystemClock

OUTCOME_ROUTERS = ("cosine", "knn", "kernel", "linear", "category", "linucb", "pheromone")
"""Measured on a set of outcomes when no routers are named."""

LABEL_ROUTERS = ("cosine", "pilot", "knn", "kernel", "linear", "category", "pheromone")
"""Measured on a set of labels when no routers are named."""

ORACLE = "oracle"

Say = Callable[[str], None]


def bench(
    folder: str | os.PathLike[str],
    *,
    routers: Sequence[str] | None = None,
    split: BenchSplit = "test",
    embedder: Embedder | None = None,
    seed: int = 0,
    progress: Say | None = None,
) -> Report:
    """Measure routers on a recorded set.

    Every router is fitted on train; its arguments, cost weight and thresholds are chosen by one rule, on val where
    tasks have labels and on folds of train and val where they have outcomes; only then are the outcomes of the split
    opened, and each choice is run on them once. Val is not added to what is fitted on.
    Not to be called inside a running event loop: it keeps the processor busy for seconds to minutes.

    Args:
        folder: The recorded set.
        routers: Names of routers; random, the oracle and, on outcomes, the other baselines and knn are always there.
        split: What to score on. ``val`` is where the choosing is done too, so its figures flatter.
        embedder: What embeds tasks and cards; the static embedder by default.
        seed: Fixes every draw, so that the same call gives the same figures but for times.
        progress: Told in words what is being done.

    Raises:
        RecordedSetError: the set is malformed, or has no tasks to fit, choose or score on.
        PluginError: there is no router of such a name.
        ConfigError: a router cannot be benched, or ``split`` is neither ``test`` nor ``val``.
    """
    if split not in ("test", "val"):
        raise ConfigError(f"split is {split!r}; accepted: 'test', 'val'")
    recorded = load_set(folder)
    named = routers or (OUTCOME_ROUTERS if recorded.info.kind == "outcomes" else LABEL_ROUTERS)
    kinds = {name: scoring_router(name) for name in wanted(named, recorded.info.kind)}
    say = progress or (lambda _: None)
    say(f"reading {recorded.info.name}")
    material = prepare(recorded, embedder or StaticEmbedder())
    measure = _bench_outcomes if recorded.info.kind == "outcomes" else _bench_labels
    return measure(material, kinds, split, seed, say)


def wanted(named: Sequence[str], kind: str) -> tuple[str, ...]:
    """Return the routers of a table: those named and those that are always in it, without the oracle."""
    always = (*BASELINES, *named, "knn") if kind == "outcomes" else ("random", *named)
    return tuple(name for name in dict.fromkeys(always) if name != ORACLE)


def scoring_router(name: str) -> type[ScoringRouter]:
    """Return the class of the router registered under ``name``.

    Raises:
        PluginError: there is none.
        ConfigError: it does not score agents, so it cannot be tuned here.
    """
    kind = load("agentmesh.routers", name)
    if not (isinstance(kind, type) and issubclass(kind, ScoringRouter)):
        raise ConfigError(f"router {name!r} is {kind!r}; bench measures subclasses of ScoringRouter")
    return kind


def _bench_outcomes(
    material: Material, kinds: dict[str, type[ScoringRouter]], split: BenchSplit, seed: int, say: Say
) -> OutcomeReport:
    choices = choices_of(material, kinds, say)
    part = open_part(material, split, say)
    scores = scores_of(choices, material, part, seed, say)
    rows = rows_of(scores, seed=seed, resamples=RESAMPLES)
    notes = notes_on(material, part, chosen_on=f"{FOLDS} folds of train and val")
    return OutcomeReport(set=material.recorded.info.name, split=split, rows=rows, notes=notes)


def choices_of(material: Material, kinds: dict[str, type[ScoringRouter]], say: Say) -> list[Choice]:
    """Choose what is to be run of each router."""
    choices = []
    for name, kind in kinds.items():
        say(f"choosing {name} on folds of train and val")
        choices.append(choose(name, kind, material))
    return choices


def scores_of(choices: Sequence[Choice], material: Material, part: Part, seed: int, say: Say) -> list[Score]:
    """Run each choice on the split that was opened, the oracle last."""
    scale, clock = reward_scale(material.train), SystemClock()
    scores = []
    for choice in choices:
        say(f"running {choice.name} on {part.rows.split}")
        scores.append(asyncio.run(run_choice(choice, part, material.pool, scale=scale, seed=seed, clock=clock)))
    return [*scores, oracle_score(part, scale)]


def _bench_labels(
    material: Material, kinds: dict[str, type[ScoringRouter]], split: BenchSplit, seed: int, say: Say
) -> LabelReport:
    choices = []
    for name, kind in kinds.items():
        say(f"choosing {name} on val")
        choices.append(choose_for_labels(name, kind, material))
    part, clock, objective = open_part(material, split, say), SystemClock(), SCENARIOS["quality"]
    rows: list[LabelRow] = []
    for choice in choices:
        say(f"running {choice.name} on {split}")
        routed = asyncio.run(route_all(choice.fitted.router, part, material.pool, objective, seed=seed, clock=clock))
        rows.append(label_row(choice, routed, part))
    rows.append(oracle_label_row(part))
    notes = (*notes_on(material, part, chosen_on="val"), _threshold_note(material))
    return LabelReport(set=material.recorded.info.name, split=split, rows=tuple(rows), notes=notes)


def open_part(material: Material, split: BenchSplit, say: Say) -> Part:
    """Open the outcomes of a split, once all is chosen."""
    say(f"opening the outcomes of {split}")
    return part_of(open_outcomes(material.recorded, split), material.embedder)


def notes_on(material: Material, part: Part, *, chosen_on: str) -> tuple[str, ...]:
    """Say how large the splits are, and what was done on which."""
    sizes = f"{len(material.train)} train, {len(material.val)} val, {len(part)} {part.rows.split}"
    return (
        f"{sizes} tasks, {len(material.pool)} agents, embedder {material.embedder.version}.",
        f"Fitted on train, chosen on {chosen_on}, run on {part.rows.split} once; val is not added to the fit.",
        *_notes_on_gaps(part),
    )


def _notes_on_gaps(part: Part) -> tuple[str, ...]:
    """Say what is not known of the tasks that are scored on: there routers could not choose freely."""
    known = ~np.isnan(part.quality)
    if known.all():
        return ()
    forced = int((known.sum(axis=1) == 1).sum())
    return (
        f"Sparse: of {known.size} outcomes on {part.rows.split} {int(known.sum())} are known; routers chose of those. "
        f"On {forced} of {len(part)} tasks one agent is known, and every router has it, which says nothing of routers.",
    )


def _threshold_note(material: Material) -> str:
    beyond = int((~material.val.quality.any(axis=1)).sum())
    if beyond:
        return f"Thresholds are fitted on all val tasks, the {beyond} out of scope among them."
    return "No val task is out of scope, so no threshold could be fitted and nobody abstains."
