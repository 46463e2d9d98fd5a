"""What the GNN router may be built with: each argument checked, the numbers of the network and of its training."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.types import JsonValue

TEMPERATURE: Final = 0.25
"""Of the soft targets: an agent that is right is 55 times as likely a target as one that is wrong."""

CLOSED_BUCKETS: Final = 16_384  # as in LinearRouter, where they were chosen on val of hwu64


@dataclass(frozen=True, slots=True)
class GnnArguments:
    """The arguments of :class:`~agentmesh.routing.gnn.router.GnnRouter`, which says what each means."""

    hidden: int
    passes: int
    rate: float
    hide: float
    neighbours: int
    clusters: int
    entities: bool
    typed: bool
    like: bool
    soft: bool
    deep: bool
    curiosity: float
    max_tasks: int
    seed: int

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: an argument is out of its range.
        """
        for name in ("hidden", "neighbours", "clusters", "max_tasks"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("passes", "seed"):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        self._check("rate", 0.0 < self.rate < np.inf, "a finite number above 0")
        self._check("curiosity", 0.0 <= self.curiosity < np.inf, "a finite number from 0 up")
        self._check("hide", 0.0 < self.hide < 1.0, "between 0 and 1")

    def _check(self, name: str, holds: bool, accepted: str) -> None:
        if not holds:
            raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be {accepted}")

    def as_parameters(self) -> Mapping[str, JsonValue]:
        """Return the arguments by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
