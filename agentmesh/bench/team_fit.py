"""Fits a team on recorded tasks for a goal: its plan, and the stop for where the plan has no say."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from agentmesh.bench.folding import joined
from agentmesh.bench.material import part_of, recorded_pool
from agentmesh.bench.team_bench import check_answers
from agentmesh.bench.team_choice import followed
from agentmesh.bench.team_log import Logged, logged_answers
from agentmesh.bench.team_points import TeamPoint, cheapest_as_good, cross_fitted, within_cost
from agentmesh.bench.yardsticks import single_choice
from agentmesh.errors import ConfigError, RecordedSetError
from agentmesh.graphs.equality import EquivalenceName, of_form
from agentmesh.graphs.team import Team
from agentmesh.learning.sets import open_parts
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import load_set
from agentmesh.records import Record
from agentmesh.routing.progress import Say, unsaid
from agentmesh.routing.team.fitting import MOST
from agentmesh.routing.team.stopping import StopPoint, stop_points
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId

THOUSAND = 1000.0


@dataclass(frozen=True, slots=True)
class Goal:
    """What a team is fitted for: at least a quality, or at most a cost; by default no more than best single's cost."""

    quality: float | None = None
    usd_per_1k: float | None = None

    def __post_init__(self) -> None:
        """Refuse two goals.

        Raises:
            ConfigError: a quality and a cost are given.
        """
        if self.quality is not None and self.usd_per_1k is not None:
            raise ConfigError("a team is fitted for a quality or for a cost; give one of them")


class Expected(Record):
    """What a team comes to on tasks that it was not fitted on."""

    quality: float
    cost_usd_per_1k: float


class AtStop(Record):
    """What a team without a plan comes to."""

    first: int
    stop: float
    expected: Expected


class FittedTeam(Record):
    """A fitted team, what it was fitted on, and what to expect of it.

    ``planned`` is its plan's; ``unplanned`` is what its stop comes to where the plan has no say, ``curve`` what others
    would. A stop is chosen on the tasks it is told for: two numbers, of which a few hundred tasks are enough.
    """

    team: Team
    source: str
    tasks: int
    agents: tuple[AgentId, ...]
    best_single: AgentId
    single: Expected
    planned: Expected
    unplanned: Expected
    curve: tuple[AtStop, ...]


def fit_team_on_set(
    folder: str | os.PathLike[str],
    embedder: Embedder,
    *,
    goal: Goal,
    equivalence: EquivalenceName = "text",
    say: Say = unsaid,
) -> FittedTeam:
    """Fit a team on train and val of a recorded set; what came of test tasks is not read.

    Raises:
        RecordedSetError: the set is none of outcomes with answers and costs, or cannot be read.
        ConfigError: no team reaches the goal.
    """
    recorded = load_set(folder)
    if recorded.info.kind != "outcomes":
        raise RecordedSetError(f"{recorded.info.name!r} is a set of {recorded.info.kind}; a team needs 'outcomes'")
    say(f"reading {recorded.info.name}")
    first, *others = [part_of(rows, embedder) for rows in open_parts(recorded)]
    for part in others:
        first = joined(first, part)
    found = Logged(first, recorded_pool(recorded.agents, embedder))
    return _fitted(found, str(folder), goal=goal, equivalence=equivalence, say=say)


def fit_team_on_log(
    store: TraceStore, *, goal: Goal, equivalence: EquivalenceName = "text", say: Say = unsaid
) -> FittedTeam:
    """Fit a team on the runs of a mesh in which several agents answered and were scored.

    Raises:
        StoreError: there are too few of them, or the store cannot be read.
        ConfigError: no team reaches the goal, or the embedder of the log is not installed.
    """
    say(f"reading {store.url}")
    return _fitted(logged_answers(store), store.url, goal=goal, equivalence=equivalence, say=say)


def _fitted(found: Logged, source: str, *, goal: Goal, equivalence: EquivalenceName, say: Say) -> FittedTeam:
    check_answers(found.tasks)
    table = cross_fitted(found.tasks, found.pool, of_form(equivalence), say)
    single = single_choice(table.quality)
    alone = _expected(float(table.quality[:, single].mean()), float(table.cost[:, single].mean()))
    point = _chosen(list(followed(table, say)), goal, alone)
    curve = stop_points(table, most=MOST)
    stop = _stop(curve, goal, alone)
    plan = point.fitted(table)
    return FittedTeam(
        team=Team(most=MOST, first=stop.first, equivalence=equivalence, stop=stop.stop, plan=plan),
        source=source,
        tasks=len(table),
        agents=plan.agents,
        best_single=table.agent_ids[single],
        single=alone,
        planned=_expected(float(point.quality.mean()), float(point.cost.mean())),
        unplanned=_expected(stop.quality, stop.cost_usd),
        curve=tuple(
            AtStop(first=one.first, stop=one.stop, expected=_expected(one.quality, one.cost_usd)) for one in curve
        ),
    )


def _expected(quality: float, cost_usd: float) -> Expected:
    return Expected(quality=quality, cost_usd_per_1k=THOUSAND * cost_usd)


def _chosen(points: Sequence[TeamPoint], goal: Goal, alone: Expected) -> TeamPoint:
    if goal.quality is not None:
        found = cheapest_as_good(points, goal.quality)
        if found is None:
            best = max(float(point.quality.mean()) for point in points)
            raise ConfigError(f"no team reaches a quality of {goal.quality:g} on these tasks; the best has {best:.3f}")
        return found
    most = alone.cost_usd_per_1k if goal.usd_per_1k is None else goal.usd_per_1k
    found = within_cost(points, most / THOUSAND)
    if goal.usd_per_1k is not None and THOUSAND * float(found.cost.mean()) > most:
        cheapest = THOUSAND * float(found.cost.mean())
        raise ConfigError(
            f"no team costs {most:g} USD for 1,000 tasks or less; the cheapest tried costs {cheapest:.3g}"
        )
    return found


def _stop(curve: Sequence[StopPoint], goal: Goal, alone: Expected) -> StopPoint:
    """Return the stop that meets the goal, or comes nearest to it."""
    if goal.quality is not None:
        wanted = goal.quality
        good = [one for one in curve if one.quality >= wanted]
        return min(good, key=lambda one: one.cost_usd) if good else max(curve, key=lambda one: one.quality)
    most = alone.cost_usd_per_1k if goal.usd_per_1k is None else goal.usd_per_1k
    within = [one for one in curve if THOUSAND * one.cost_usd <= most]
    return max(within, key=lambda one: one.quality) if within else min(curve, key=lambda one: one.cost_usd)
