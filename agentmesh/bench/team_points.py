"""Chooses a team, and how thrifty it is to be, on folds of train and val."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.bench.folding import FOLDS, ORDER_SEED, chosen_rows
from agentmesh.bench.material import Part
from agentmesh.graphs.equality import Keys
from agentmesh.records import Task
from agentmesh.routing.base import AgentPool, ScoringRouter
from agentmesh.routing.progress import Say
from agentmesh.routing.team.fitting import TeamFit, usual_price
from agentmesh.routing.team.plan import TeamPlan, walk
from agentmesh.routing.team.table import TeamTable, numbered
from agentmesh.routing.vote import VoteRouter
from agentmesh.types import FloatArray, IndexArray

THRIFT: Final = (3.0, 2.0, 1.6, 1.4, 1.3, 1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
"""What a dollar must bring, as shares of what is usual: a curve from one cheap agent to asking whenever it helps."""

Members = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TeamPoint:
    """A team at one thrift, and how it does on held out tasks.

    ``first`` is the place, in the team, of the agent it always begins with; ``None`` where it is chosen for each task.

    Shapes:
        quality, cost: (m,).
    """

    members: Members
    usd_price: float
    quality: FloatArray
    cost: FloatArray
    first: int | None = None

    def fitted(self, table: TeamTable) -> TeamPlan:
        """Return its plan, learned from all tasks of a table of all agents."""
        return TeamFit(table.columns(self.members), first=self.first).plan(self.usd_price)


def team_router() -> ScoringRouter:
    """Return the router whose expectations a team goes by."""
    return VoteRouter(members=({"router": "kernel", "arguments": {"temperature": 0.05}}, "category"))


def fold_of(count: int) -> IndexArray:
    """Return the fold of each of so many tasks, by a seeded shuffle."""
    return np.random.default_rng(ORDER_SEED).permutation(count) % min(FOLDS, count)


def cross_fitted(tasks: Part, pool: AgentPool, keys: Keys, say: Say) -> TeamTable:
    """Return the tasks as a table of all agents, each with the expectations of a router that had not learned it."""
    fold = fold_of(len(tasks))
    expected, price = np.zeros(tasks.quality.shape), np.zeros(tasks.quality.shape)
    for place in np.unique(fold).tolist():
        say(f"expecting what agents are worth, fold {place + 1}")
        router, here = team_router(), np.flatnonzero(fold == place)
        router.fit(chosen_rows(tasks, np.flatnonzero(fold != place)).outcomes(pool))
        expected[here], price[here] = expectations(router, chosen_rows(tasks, here), pool)
    return as_table(tasks, keys, expected, price)


def expectations(router: ScoringRouter, tasks: Part, pool: AgentPool) -> tuple[FloatArray, FloatArray]:
    """Return the quality and the cost that a router expects of each agent, (m, n) both."""
    estimates = [router.estimate(features, pool) for features in tasks.features]
    return np.stack([one.quality for one in estimates]), np.stack([one.cost for one in estimates])


def as_table(tasks: Part, keys: Keys, expected: FloatArray, price: FloatArray) -> TeamTable:
    """Return recorded tasks as a table of all agents; an answer that was not recorded is none."""
    rows = tasks.rows
    asked = [Task(text=task.text) for task in rows.tasks]
    answers = [_row_keys(task, row, keys) for task, row in zip(asked, rows.table.answers.tolist(), strict=True)]
    return TeamTable(rows.agent_ids, tasks.quality, tasks.cost, expected, price, numbered(answers))


def _row_keys(task: Task, row: Sequence[str | None], keys: Keys) -> list[Hashable]:
    """Return the key of each answer to a task, ``None`` where there is none."""
    found = iter(keys(task, [text for text in row if text is not None]))
    return [None if text is None else next(found) for text in row]


def points_of(table: TeamTable, members: Members, *, first: int | None = None) -> Iterator[TeamPoint]:
    """Yield how a team does on held out tasks at each thrift."""
    prices = [share * usual_price(table) for share in THRIFT]
    quality, cost = np.zeros((2, len(prices), len(table)))
    team, fold = table.columns(members), fold_of(len(table))
    for place in np.unique(fold).tolist():
        fit, here = TeamFit(team.rows(np.flatnonzero(fold != place)), first=first), np.flatnonzero(fold == place)
        for row, usd_price in enumerate(prices):
            walked = walk(fit.plan(usd_price), team.rows(here))
            quality[row, here], cost[row, here] = walked.quality, walked.cost
    for row, usd_price in enumerate(prices):
        yield TeamPoint(members, usd_price, quality[row], cost[row], first)


def within_cost(points: Sequence[TeamPoint], most_usd: float) -> TeamPoint:
    """Return the point of the highest quality at no more than ``most_usd`` a task, the cheapest if none is in reach."""
    good = [point for point in points if point.cost.mean() <= most_usd]
    if not good:
        return min(points, key=lambda point: float(point.cost.mean()))
    return max(good, key=lambda point: (float(point.quality.mean()), -float(point.cost.mean())))


def cheapest_as_good(points: Sequence[TeamPoint], at_least: float) -> TeamPoint | None:
    """Return the cheapest point of at least this quality, ``None`` when there is none."""
    good = [point for point in points if point.quality.mean() >= at_least]
    return min(good, key=lambda point: float(point.cost.mean()), default=None)
