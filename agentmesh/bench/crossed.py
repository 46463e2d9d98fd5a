"""Means over seeds and tasks with their 95 % intervals, and of differences: what each study of several fits prints."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agentmesh.bench.online_resampling import RESAMPLES, crossed_means
from agentmesh.bench.resampling import Interval, interval
from agentmesh.types import FloatArray


@dataclass(frozen=True, slots=True)
class Crossed:
    """The means of named tables over the same draws of seeds and of tasks.

    What plays the part of the seeds may be anything that is crossed with the tasks, such as the agents left out.

    Shapes:
        draws: (resamples, columns).
    """

    places: Mapping[str, int]
    draws: FloatArray

    @classmethod
    def of(cls, tables: Mapping[str, FloatArray], *, resamples: int = RESAMPLES) -> "Crossed":
        """Draw seeds and tasks with replacement; a table of one row is that row for every seed.

        Shapes:
            tables: by name, (s, t) or (1, t).

        >>> found = Crossed.of({"a": np.ones((2, 3)), "b": np.zeros((1, 3))}, resamples=10)
        >>> found.own("a"), found.lead("b", over="a")
        ((1.0, 1.0), (-1.0, -1.0))
        """
        shape = np.broadcast_shapes(*(table.shape for table in tables.values()))
        values = np.stack([np.broadcast_to(table, shape) for table in tables.values()])
        rows = np.broadcast_to(np.arange(shape[1]), shape)
        places = {name: place for place, name in enumerate(tables)}
        return cls(places, crossed_means(values, rows, resamples=resamples))

    def own(self, name: str) -> Interval:
        """Return the interval of a mean."""
        return interval(self.draws[:, self.places[name]])

    def lead(self, name: str, *, over: str) -> Interval:
        """Return the interval of the difference of two means, paired."""
        return interval(self.draws[:, self.places[name]] - self.draws[:, self.places[over]])
