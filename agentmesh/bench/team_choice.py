"""What is chosen of a team on folds of train and val: its members, its thrift, and what it is compared with."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Final

import numpy as np

from agentmesh.bench.team_points import Members, TeamPoint, cheapest_as_good, points_of, within_cost
from agentmesh.bench.yardsticks import single_choice
from agentmesh.routing.progress import Say, unsaid
from agentmesh.routing.team.fitting import MOST, likely_teams, usual_price
from agentmesh.routing.team.plan import Walk
from agentmesh.routing.team.table import TeamTable
from agentmesh.routing.team.verdict import fit_weights, judge, worth

THRIFTS: Final = (1.0, 0.4)  # of the usual price: members are chosen for a thrifty team and for a generous one
TRIED: Final = 3  # likely teams for each of these that are followed on folds


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen on folds: points of the team, of the one with a fixed first agent, and of the one without waves.

    ``fixed_level`` are the members of the cheapest fixed team that is as good as best single.
    """

    points: tuple[TeamPoint, ...]
    best: TeamPoint
    level: TeamPoint | None
    begun_points: tuple[TeamPoint, ...]
    begun: TeamPoint
    begun_level: TeamPoint | None
    fixed_level: Members | None


def choose_team(table: TeamTable, say: Say = unsaid) -> Chosen:
    """Choose members and thrift on folds: one point for the quality, one held to best single's."""
    single = single_choice(table.quality)
    level, most_usd = float(table.quality[:, single].mean()), float(table.cost[:, single].mean())
    points: list[TeamPoint] = list(followed(table, say))
    begun: list[TeamPoint] = []
    for members in dict.fromkeys(point.members for point in points):
        say(f"following a team of {len(members)} that always begins alike")
        first = _begins_best(table.columns(members), usual_price(table))
        begun.extend(points_of(table, members, first=first))
    best = within_cost(points, most_usd)
    return Chosen(
        points=tuple(points),
        best=best,
        level=cheapest_as_good(points, level),
        begun_points=tuple(begun),
        begun=within_cost(begun, most_usd),
        begun_level=cheapest_as_good(begun, level),
        fixed_level=_cheapest_fixed(table, best.members, level),
    )


def followed(table: TeamTable, say: Say = unsaid) -> Iterator[TeamPoint]:
    """Yield how the likely teams do on folds, at each thrift."""
    say("choosing the members of a team")
    ranked = (likely_teams(table, most=MOST, usd_price=share * usual_price(table))[:TRIED] for share in THRIFTS)
    for members in dict.fromkeys(chain.from_iterable(ranked)):
        say(f"following a team of {len(members)} on folds")
        yield from points_of(table, members)


def _begins_best(team: TeamTable, usd_price: float) -> int:
    """Return the place of the agent that is worth most by itself, its price taken off."""
    return int(np.argmax((team.quality - usd_price * team.cost).mean(axis=0)))


def _cheapest_fixed(table: TeamTable, members: Members, level: float) -> Members | None:
    """Return the cheapest part of the team whose vote is as good; six weights or so are not tried on held out tasks."""
    parts = [part for size in range(1, len(members) + 1) for part in combinations(members, size)]
    good = [part for part in parts if voted(table, table, part).quality.mean() >= level]
    return min(good, key=lambda part: float(table.cost[:, part].sum(axis=1).mean()), default=None)


def voted(learned: TeamTable, table: TeamTable, members: Members) -> Walk:
    """Ask all members on every task, and let them vote as was learned on another table."""
    lead = judge(table, members, fit_weights(learned, members)).lead
    asked = np.zeros(table.keys.shape, np.bool_)
    asked[:, members] = True
    return Walk(worth(table, members, lead), table.cost[:, members].sum(axis=1), asked, lead)
