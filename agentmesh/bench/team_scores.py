"""Runs chosen teams on the tasks that were opened, each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentmesh.bench.outcome_bench import Score
from agentmesh.bench.records import ScenarioRewards
from agentmesh.bench.resampling import Interval, interval, resampled_means
from agentmesh.bench.team_choice import Chosen, voted
from agentmesh.bench.team_points import Members, TeamPoint
from agentmesh.bench.team_records import CurvePoint, FirstWave
from agentmesh.routing.objective import SCENARIOS, Scale, reward
from agentmesh.routing.team.plan import Walk, walk
from agentmesh.routing.team.table import TeamTable
from agentmesh.types import AgentId, FloatArray, JsonValue


@dataclass(frozen=True, slots=True)
class TeamRun:
    """What was learned and chosen, and the opened table that it is run on. Both tables are of all agents."""

    table: TeamTable
    opened: TeamTable
    chosen: Chosen
    scale: Scale

    def scores(self) -> list[Score]:
        """Return the rows of teams."""
        chosen = self.chosen
        whole = voted(self.table, self.opened, chosen.best.members)
        part = None if chosen.fixed_level is None else voted(self.table, self.opened, chosen.fixed_level)
        everyone = voted(self.table, self.opened, tuple(range(len(self.table.agent_ids))))
        return [
            self._adaptive("team", chosen.points, chosen.best, chosen.level),
            self._score("team_fixed", whole, part, told={"agents": ", ".join(self._names(chosen.best.members))}),
            self._adaptive("team_first_fixed", chosen.begun_points, chosen.begun, chosen.begun_level),
            self._score("stacked_all", everyone, None),
        ]

    def curve(self) -> tuple[CurvePoint, ...]:
        """Return the chosen team at every thrift."""
        members = self.chosen.best.members
        return tuple(self._on_curve(point) for point in self.chosen.points if point.members == members)

    def first_wave(self, scores: Sequence[Score], seed: int) -> FirstWave:
        """Compare the team with the one that always begins with the same agent."""
        by_name = {score.name: score for score in scores}
        team, begun, single = (by_name[name] for name in ("team", "team_first_fixed", "best_single"))
        begins = self._walk(self.chosen.best).first
        first, names = self.chosen.begun, self._names(self.chosen.best.members)
        shares = [_share(score.cost_at_best, single.cost) for score in (team, begun)]
        return FirstWave(
            fixed=self._names(first.members)[first.first or 0],
            begins_with={name: float((begins == place).mean()) for place, name in enumerate(names)},
            quality_diff_ci=_difference(team.quality, begun.quality, seed),
            cost_diff_ci_usd_per_1k=_difference(1000.0 * team.cost, 1000.0 * begun.cost, seed),
            at_best_single_diff_ci=_known_difference(team.quality_at_best, begun.quality_at_best, seed),
            cost_shares=(shares[0], shares[1]),
        )

    def _names(self, members: Members) -> tuple[AgentId, ...]:
        return self.table.columns(members).agent_ids

    def _walk(self, point: TeamPoint) -> Walk:
        return walk(point.fitted(self.table), self.opened.columns(point.members))

    def _on_curve(self, point: TeamPoint) -> CurvePoint:
        walked = self._walk(point)
        return CurvePoint(
            threshold=point.usd_price,
            quality=float(walked.quality.mean()),
            cost_usd_per_1k=1000.0 * float(walked.cost.mean()),
            mean_agents=walked.mean_agents,
        )

    def _adaptive(self, name: str, points: Sequence[TeamPoint], best: TeamPoint, level: TeamPoint | None) -> Score:
        told: dict[str, JsonValue] = {
            "agents": ", ".join(self._names(best.members)),
            "usd_price": round(best.usd_price, 3),
        }
        if level is not None:
            told["agents_at_best_single"] = ", ".join(self._names(level.members))
        walked = {name: self._walk(self._most_rewarded(name, points)) for name in ("balanced", "cheap")}
        at_level = None if level is None else self._walk(level)
        weight = None if level is None else level.usd_price
        return self._score(name, self._walk(best), at_level, walked=walked, told=told, weight=weight)

    def _most_rewarded(self, scenario: str, points: Sequence[TeamPoint]) -> TeamPoint:
        return max(points, key=lambda point: self._reward(scenario, point.quality, point.cost))

    def _reward(self, scenario: str, quality: FloatArray, cost: FloatArray) -> float:
        return float(reward(quality, cost, SCENARIOS[scenario], self.scale).mean())

    def _score(
        self,
        name: str,
        best: Walk,
        level: Walk | None,
        *,
        walked: Mapping[str, Walk] | None = None,
        told: Mapping[str, JsonValue] | None = None,
        weight: float | None = 0.0,
    ) -> Score:
        """Return a row; under a scenario that nothing was chosen for, the same answers are rewarded."""
        under = {scenario: (walked or {}).get(scenario, best) for scenario in ("balanced", "cheap")}
        return Score(
            name,
            best.quality,
            best.cost,
            ScenarioRewards(
                quality=float(best.quality.mean()),
                **{scenario: self._reward(scenario, one.quality, one.cost) for scenario, one in under.items()},
            ),
            quality_at_best=None if level is None else level.quality,
            cost_at_best=None if level is None else level.cost,
            chosen=told or {},
            level_weight=weight,
        )


def _difference(first: FloatArray, second: FloatArray, seed: int) -> Interval:
    """Return the interval of a paired difference of means."""
    return interval(resampled_means((first - second)[:, None], seed=seed)[:, 0])


def _known_difference(first: FloatArray | None, second: FloatArray | None, seed: int) -> Interval | None:
    return None if first is None or second is None else _difference(first, second, seed)


def _share(cost: FloatArray | None, single: FloatArray) -> float | None:
    return None if cost is None else float(cost.mean() / single.mean())
