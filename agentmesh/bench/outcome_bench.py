"""Measures routers on a set of outcomes: quality, cost, reward, and how sure the differences are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from agentmesh.bench.material import Material, Part
from agentmesh.bench.records import AtBestSingle, OutcomeRow, ScenarioRewards
from agentmesh.bench.resampling import Interval, interval, resampled_means
from agentmesh.bench.routing_run import Routed, route_all
from agentmesh.bench.tuning import Point, best_point, cheapest_point, fit_one, mean_or_none, points, single_level
from agentmesh.bench.yardsticks import oracle_choice, taken
from agentmesh.records import Objective
from agentmesh.routing.base import AgentPool, ScoringRouter
from agentmesh.routing.objective import SCENARIOS, Scale, reward
from agentmesh.types import Clock, FloatArray, JsonValue

BASELINES = ("random", "cheapest", "best_single")
"""Rows of every table."""

UNTUNED = (*BASELINES, "round_robin")
"""Taken as they are: they do not read the task, and are not to trade quality for cost."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A router fitted on train, and the objective that it is to decide under."""

    router: ScoringRouter
    objective: Objective
    chosen: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for one router: its best point, and its cheapest one that is as good as best single."""

    name: str
    best: Tuned
    at_best_single: Tuned | None


@dataclass(frozen=True, slots=True)
class Score:
    """What came of one router's decisions on the split.

    What was not chosen as a router is says what it is in ``chosen``, and at what weight it was held to best single's
    quality in ``level_weight``.

    Shapes:
        quality, cost: (m,) in the quality scenario; quality_at_best: (m,) or ``None``.
    """

    name: str
    quality: FloatArray
    cost: FloatArray
    rewards: ScenarioRewards
    routed: Routed | None = None
    choice: Choice | None = None
    quality_at_best: FloatArray | None = None
    cost_at_best: FloatArray | None = None
    chosen: Mapping[str, JsonValue] = field(default_factory=dict)
    level_weight: float | None = None


def choose(name: str, kind: type[ScoringRouter], material: Material) -> Choice:
    """Choose arguments and cost weight on folds of train and val, and fit on train; baselines are taken as they are."""
    if name in UNTUNED:
        return Choice(name, Tuned(fit_one(kind, {}, material), Objective(quality=1.0, cost=0.0), {}), None)
    return choice_of(name, kind, list(points(kind, material)), material)


def choice_of(name: str, kind: type[ScoringRouter], found: Sequence[Point], material: Material) -> Choice:
    """Choose among points that were measured on folds, and fit what was chosen on train."""
    level = cheapest_point(found, at_least=single_level(material))
    at_best_single = None if level is None else _tuned(kind, level, material)
    return Choice(name, _tuned(kind, best_point(found), material), at_best_single)


def _tuned(kind: type[ScoringRouter], point: Point, material: Material) -> Tuned:
    return Tuned(fit_one(kind, point.arguments, material, watched=True), point.objective, point.chosen)


def reward_scale(train: Part) -> Scale:
    """Return the scale that rewards are stated in: that of all outcomes on train."""
    return Scale.of(train.cost.ravel(), quality=train.quality.ravel())


async def run_choice(choice: Choice, part: Part, pool: AgentPool, *, scale: Scale, seed: int, clock: Clock) -> Score:
    """Run what was chosen on the split: once as chosen, once under each other scenario, once at best single's level."""
    router = choice.best.router
    routed = await route_all(router, part, pool, choice.best.objective, seed=seed, clock=clock)
    quality, cost = routed.taken(part.quality), routed.taken(part.cost)
    rewards = {"quality": float(quality.mean())}
    for name in ("balanced", "cheap"):
        again = await route_all(router, part, pool, SCENARIOS[name], seed=seed, clock=clock)
        worth = reward(again.taken(part.quality), again.taken(part.cost), SCENARIOS[name], scale)
        rewards[name] = float(worth.mean())
    score = Score(choice.name, quality, cost, ScenarioRewards(**rewards), routed, choice)
    if choice.at_best_single is None:
        return score
    tuned = choice.at_best_single
    level = await route_all(tuned.router, part, pool, tuned.objective, seed=seed, clock=clock)
    return _with_level(score, level.taken(part.quality), level.taken(part.cost))


def _with_level(score: Score, quality: FloatArray, cost: FloatArray) -> Score:
    return Score(score.name, score.quality, score.cost, score.rewards, score.routed, score.choice, quality, cost)


def oracle_score(part: Part, scale: Scale) -> Score:
    """Return what the best choice for each task would have brought, seen afterwards; the cheapest of the best."""
    choice = oracle_choice(part.quality, part.cost)
    rewards = {"quality": float(taken(part.quality, choice).mean())}
    for name in ("balanced", "cheap"):
        worth = reward(part.quality.ravel(), part.cost.ravel(), SCENARIOS[name], scale).reshape(part.quality.shape)
        rewards[name] = float(np.nanmax(worth, axis=1).mean())
    return Score("oracle", taken(part.quality, choice), taken(part.cost, choice), ScenarioRewards(**rewards))


def rows_of(scores: Sequence[Score], *, seed: int, resamples: int) -> tuple[OutcomeRow, ...]:
    """Turn scores into rows; all intervals come from the same draws of tasks.

    Args:
        scores: One for each router, best_single, knn and oracle among them.
        seed: Of the draws.
        resamples: How many draws.
    """
    levels = [score for score in scores if score.quality_at_best is not None]
    columns = [score.quality for score in scores]
    columns += [score.quality_at_best for score in levels if score.quality_at_best is not None]
    means = resampled_means(np.stack(columns, axis=1), seed=seed, resamples=resamples)
    place = {score.name: column for column, score in enumerate(scores)}
    table = _Intervals(means, place, {score.name: len(scores) + column for column, score in enumerate(levels)})
    by_name = {score.name: score for score in scores}
    return tuple(_row(score, by_name, table) for score in scores)


@dataclass(frozen=True, slots=True)
class _Intervals:
    means: FloatArray
    place: dict[str, int]
    level_place: dict[str, int]

    def own(self, name: str) -> Interval:
        return interval(self.means[:, self.place[name]])

    def against(self, name: str, other: str) -> Interval | None:
        return None if name == other else interval(self.means[:, self.place[name]] - self.means[:, self.place[other]])

    def level(self, name: str) -> Interval:
        return interval(self.means[:, self.level_place[name]] - self.means[:, self.place["best_single"]])


def _row(score: Score, by_name: dict[str, Score], table: _Intervals) -> OutcomeRow:
    cost = mean_or_none(score.cost)
    quality = float(score.quality.mean())
    single, oracle = (float(by_name[name].quality.mean()) for name in ("best_single", "oracle"))
    return OutcomeRow(
        router=score.name,
        quality=quality,
        quality_ci=table.own(score.name),
        cost_usd_per_1k=None if cost is None else 1000.0 * cost,
        reward=score.rewards,
        p50_ms=score.routed.percentile_ms(50) if score.routed else None,
        p99_ms=score.routed.percentile_ms(99) if score.routed else None,
        vs_knn_ci=table.against(score.name, "knn"),
        vs_best_single_ci=table.against(score.name, "best_single"),
        at_best_single=_level(score, by_name["best_single"], table),
        oracle_gap_share=(quality - single) / (oracle - single) if oracle > single else None,
        chosen=score.choice.best.chosen if score.choice else score.chosen,
    )


def _level(score: Score, single: Score, table: _Intervals) -> AtBestSingle | None:
    tuned = score.choice.at_best_single if score.choice else None
    weight = score.level_weight if tuned is None else tuned.objective.cost
    if weight is None or score.quality_at_best is None or score.cost_at_best is None:
        return None
    share = mean_or_none(score.cost_at_best / single.cost.mean())
    return AtBestSingle(
        cost_weight=weight,
        quality=float(score.quality_at_best.mean()),
        quality_diff_ci=table.level(score.name),
        cost_share=share,
    )
