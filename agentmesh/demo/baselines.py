"""What other ways to choose would have brought on the same questions, computed from the table of outcomes."""

from dataclasses import dataclass

from agentmesh.bench.yardsticks import oracle_choice, single_choice, taken
from agentmesh.demo.records import Figure
from agentmesh.demo.team import Team
from agentmesh.types import FloatArray


@dataclass(frozen=True, slots=True)
class TableBaselines:
    """The baselines that need no router, and whom the two single ones name."""

    random: Figure
    cheapest: Figure
    best_single: Figure
    oracle: Figure
    cheapest_id: str
    best_single_id: str


def figure(quality: FloatArray, cost: FloatArray) -> Figure:
    """Return the means of some answers, cost in US dollars per 1,000 tasks.

    >>> import numpy as np
    >>> figure(np.array([1.0, 0.0]), np.array([0.002, 0.004]))
    Figure(quality=0.5, cost_usd_per_1k=3.0)
    """
    return Figure(quality=float(quality.mean()), cost_usd_per_1k=1000.0 * float(cost.mean()))


def table_baselines(team: Team) -> TableBaselines:
    """Compute random (its expectation), the two single agents in hindsight, and the oracle."""
    quality, cost = team.quality, team.cost
    cheapest, best = single_choice(-cost), single_choice(quality)
    choice = oracle_choice(quality, cost)
    return TableBaselines(
        random=figure(quality, cost),
        cheapest=figure(quality[:, cheapest], cost[:, cheapest]),
        best_single=figure(quality[:, best], cost[:, best]),
        oracle=figure(taken(quality, choice), taken(cost, choice)),
        cheapest_id=team.agents[cheapest].id,
        best_single_id=team.agents[best].id,
    )
