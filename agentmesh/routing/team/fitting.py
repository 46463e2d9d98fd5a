"""Learns a team from a table of answers: who is in it, whose answer to believe, and when asking on pays."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from agentmesh.packing import pack_floats
from agentmesh.routing.team.plan import Asked, PlanState, Scaled, TeamPlan, signals, verdict_of, walk
from agentmesh.routing.team.table import TeamTable
from agentmesh.routing.team.verdict import fit_weights, worth
from agentmesh.types import FloatArray

RIDGE: Final = 30.0  # on the squares of a regression's weights; 3 to 300 did alike on folds of mmlu_pro
TENTH: Final = 0.1
MOST: Final = 3
"""Agents in a team when nothing else is said: a fourth brought nothing on folds of mmlu_pro."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What is fitted of one set of agents whatever a dollar must bring: their vote, and the regression's rows.

    Shapes:
        kept: (m,) the quality when nobody else is asked.
        rows: (m, w + 1), and ``solved``: (w + 1, m) turns what came into weights; ``None`` where all were asked.
    """

    state: PlanState
    kept: FloatArray
    rows: FloatArray | None = None
    solved: FloatArray | None = None


class TeamFit:
    """The part of a team that is fitted once; :meth:`plan` then makes a plan for each price of a dollar.

    Rule: for each set of agents S that may have been asked, whose answer leads is a conditional logit
    (:mod:`~agentmesh.routing.team.verdict`). What it is worth to ask agent a after S, ``V(S + a) - price * cost_a -
    quality(S)``, is regressed on signals known by then, from the whole team backward; V follows the best action so
    found. At least one agent is asked.

    Args:
        table: The agents of the team, with what a router expected of them on tasks that it had not learned.
        first: The place of the agent that is always asked first; by default the regression chooses for each task.
    """

    def __init__(self, table: TeamTable, *, first: int | None = None) -> None:
        self._table, self._first = table, first
        places = range(len(table.agent_ids))
        sets = [asked for size in range(len(places) + 1) for asked in combinations(places, size)]
        self._grounds = {asked: self._ground(asked) for asked in sets}

    def plan(self, usd_price: float) -> TeamPlan:
        """Return the plan under which a dollar must bring ``usd_price`` of quality."""
        values: dict[Asked, FloatArray] = {}
        states = []
        for asked in sorted(self._grounds, key=len, reverse=True):
            ground = self._grounds[asked]
            values[asked] = ground.kept
            state = ground.state
            if ground.rows is not None and ground.solved is not None:
                after = [values[_with(asked, action)] - usd_price * self._cost(action) for action in state.actions]
                weights = ground.solved @ (np.stack(after, axis=1) - ground.kept[:, None])
                gains = ground.rows @ weights
                going = (gains.max(axis=1) > 0) | (not asked)
                best = np.stack(after, axis=1)[np.arange(len(gains)), gains.argmax(axis=1)]
                values[asked] = np.where(going, best, ground.kept)
                state = state.model_copy(update={"gains": pack_floats(weights.T)})
            states.append(state)
        return TeamPlan(agents=self._table.agent_ids, usd_price=usd_price, states=tuple(states))

    def _cost(self, place: int) -> FloatArray:
        return np.nan_to_num(self._table.cost[:, place])

    def _ground(self, asked: Asked) -> Ground:
        table = self._table
        actions = tuple(place for place in range(len(table.agent_ids)) if place not in asked)
        if not asked and self._first is not None:
            actions = (self._first,)
        vote = pack_floats(fit_weights(table, asked)) if asked else b""
        state = PlanState(asked=asked, vote=vote, actions=actions)
        verdict = verdict_of(table, state)
        kept = worth(table, asked, verdict.lead) if asked else np.zeros(len(table))
        if not actions:
            return Ground(state, kept)
        scaled = Scaled.of(signals(table, asked, verdict))
        rows = scaled.rows
        solved: FloatArray = np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T).astype(np.float64)
        return Ground(state.model_copy(update=dict(scaled.parts)), kept, rows, solved)


def _with(asked: Asked, place: int) -> Asked:
    return tuple(sorted((*asked, place)))


def usual_price(table: TeamTable) -> float:
    """Return what a dollar must bring when nothing is said: a tenth of what it brings with the best single agent."""
    best = int(np.nanmean(table.quality, axis=0).argmax())
    spent = float(np.nanmean(table.cost[:, best]))
    return TENTH * float(np.nanmean(table.quality[:, best])) / spent if spent > 0 else 0.0


def chosen_members(table: TeamTable, *, most: int = MOST, usd_price: float | None = None) -> tuple[int, ...]:
    """Return the places of the agents of the first of :func:`likely_teams`."""
    return likely_teams(table, most=most, usd_price=usd_price)[0]


def likely_teams(table: TeamTable, *, most: int = MOST, usd_price: float | None = None) -> tuple[Asked, ...]:
    """Return teams of up to ``most`` agents, by place, best first at what a dollar must bring.

    The best single agent is in each; one after the other is added whose team has the highest quality less price, fitted
    on one half of the tasks and tried on the other. All teams that were tried on the way are ranked: one cheap agent
    may be of no use without another that agrees with it.
    """
    here = np.arange(len(table))
    learned, tried = table.rows(here[::2]), table.rows(here[1::2])
    price = usual_price(table) if usd_price is None else usd_price
    members: Asked = (int(np.nanmean(table.quality, axis=0).argmax()),)
    worths = {members: _value(learned, tried, members, price)}
    while len(members) < min(most, len(table.agent_ids)):
        others = [place for place in range(len(table.agent_ids)) if place not in members]
        larger = {_with(members, place): _value(learned, tried, _with(members, place), price) for place in others}
        members = max(larger, key=lambda team: larger[team])
        worths |= larger
    return tuple(sorted(worths, key=lambda team: -worths[team]))


def _value(learned: TeamTable, tried: TeamTable, members: Sequence[int], usd_price: float) -> float:
    plan = TeamFit(learned.columns(members)).plan(usd_price)
    walked = walk(plan, tried.columns(members))
    return float((walked.quality - usd_price * walked.cost).mean())
