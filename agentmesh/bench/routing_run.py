"""Runs a fitted router over the tasks of a split, one whole ``route`` call a task, timed."""

from dataclasses import dataclass

import numpy as np

from agentmesh.bench.material import Part
from agentmesh.graphs.nodes import draw_seed
from agentmesh.records import Objective
from agentmesh.routing.base import AgentPool, RouteContext, Router
from agentmesh.types import Clock, FloatArray, IndexArray

NOBODY = -1
"""Stands in a choice where the router abstained."""


@dataclass(frozen=True, slots=True)
class Routed:
    """What a router decided on each task of a split.

    Shapes:
        choice: (m,) the agent chosen first, ``NOBODY`` where it abstained.
        scores: (m, n) the utilities it saw.
        elapsed_ms: (m,) the time of each ``route`` call.
    """

    choice: IndexArray
    scores: FloatArray
    elapsed_ms: FloatArray

    def taken(self, table: FloatArray) -> FloatArray:
        """Return what came of the chosen agents, 0 where nobody was chosen.

        Shapes:
            table: (m, n); returns (m,).
        """
        picked: FloatArray = table[np.arange(len(self.choice)), self.choice]
        return np.where(self.choice == NOBODY, 0.0, picked)

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the decision times, in milliseconds."""
        return round(float(np.percentile(self.elapsed_ms, percent)), 4)


async def route_all(
    router: Router, part: Part, pool: AgentPool, objective: Objective, *, seed: int, clock: Clock
) -> Routed:
    """Let ``router`` decide on every task, without exploring. The first decision is made twice and timed once."""
    choice = np.full(len(part), NOBODY, dtype=np.int64)
    scores = np.full((len(part), len(pool)), np.nan)
    elapsed = np.zeros(len(part))
    for row in [0, *range(len(part))]:
        context = RouteContext(seed=draw_seed(seed, part.rows.tasks[row].id), objective=objective)
        seen = part.pool_at(row, pool)
        begin = clock.monotonic()
        decision = await router.route(part.features[row], seen, context)
        elapsed[row] = 1000.0 * (clock.monotonic() - begin)
        scores[row] = decision.score_array()
        if decision.selected:
            choice[row] = pool.index[decision.selected[0].agent_id]
    return Routed(choice, scores, elapsed)
