"""What every study of a trained router starts from: the router under study, the seeds, and what may choose for it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agentmesh.bench.folding import TENTH, drawn, inner
from agentmesh.bench.material import Material, Part, part_of, prepare
from agentmesh.bench.opening import BenchSplit, open_outcomes
from agentmesh.errors import ConfigError
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import load_set
from agentmesh.routing.progress import Say, unsaid
from agentmesh.types import JsonValue

OPPONENTS = ("knn", "kernel", "linear", "category")
"""Measured beside the router under study."""


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """How a router is studied.

    Args:
        router: Its registered name; it takes ``seed``.
        arguments: Of its constructor, but for the seed.
        seeds: It is trained once with each.
        opponents: Measured beside it.
        split: What is scored. To score ``val``, a tenth of train stands in for it while choosing.
        limit: At most so many tasks of each split, drawn by a seed; all for ``None``.
        processes: How many fits run at a time.

    Raises:
        ConfigError: a field is out of its range.
    """

    router: str = "gnn"
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    opponents: tuple[str, ...] = OPPONENTS
    split: BenchSplit = "val"
    limit: int | None = None
    processes: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.split not in ("test", "val"):
            raise ConfigError(f"split is {self.split!r}; accepted: 'test', 'val'")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds are {self.seeds!r}; accepted: one or more different ones from 0 up")
        if self.processes < 1:
            raise ConfigError(f"processes are {self.processes!r}; accepted: 1 or more")

    def with_seed(self, seed: int) -> dict[str, JsonValue]:
        """Return the arguments of the router with a seed."""
        return {**self.arguments, "seed": seed}


@dataclass(frozen=True, slots=True)
class Study:
    """A set made ready for a plan: ``material`` is all that may choose, and holds nothing of what is scored."""

    plan: StudyPlan
    material: Material
    say: Say = unsaid

    @property
    def name(self) -> str:
        """Return the name of the set."""
        return self.material.recorded.info.name

    @property
    def is_labels(self) -> bool:
        """Return whether the set is one of labels."""
        return self.material.recorded.info.kind == "labels"

    def opened(self) -> Part:
        """Open the outcomes of the split; call it once nothing is left to choose."""
        split = self.plan.split
        self.say(f"opening the outcomes of {split}")
        return drawn(part_of(open_outcomes(self.material.recorded, split), self.material.embedder), self.plan.limit)

    def notes(self, part: Part) -> tuple[str, ...]:
        """Say which split was opened and what it was scored with."""
        material = self.material
        sizes = f"{len(material.train)} tasks to fit on, {len(material.val)} to choose a checkpoint on"
        standing = "" if self.plan.split == "test" else f"; val chose nothing: a {TENTH}th of train stood in for it"
        return (
            f"Opened: {self.plan.split} ({len(part)} tasks), after everything was chosen{standing}.",
            f"{sizes}, {len(material.pool)} agents, embedder {material.embedder.version}.",
        )


def study_of(folder: str | os.PathLike[str], plan: StudyPlan, embedder: Embedder, *, say: Say = unsaid) -> Study:
    """Read a set and keep what may choose: train and val to score test; to score val, train with a tenth for val.

    Raises:
        RecordedSetError: the set has no train or val tasks, or a line is malformed.
    """
    whole = whole_study(folder, plan, embedder, say=say)
    return whole if plan.split == "test" else replace(whole, material=inner(whole.material))


def whole_study(folder: str | os.PathLike[str], plan: StudyPlan, embedder: Embedder, *, say: Say = unsaid) -> Study:
    """Read a set and keep train and val, for what opens no split.

    Raises:
        RecordedSetError: the set has no train or val tasks, or a line is malformed.
    """
    recorded = load_set(folder)
    say(f"reading {recorded.info.name}")
    made = prepare(recorded, embedder)
    train, val = drawn(made.train, plan.limit), drawn(made.val, plan.limit)
    return Study(plan, replace(made, train=train, val=val), say)
