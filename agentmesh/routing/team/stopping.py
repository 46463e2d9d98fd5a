"""A team without a plan, followed on a table: what it comes to at each stop, and which stop meets a goal.

Rule: agents are asked by what they say for their price, ``first`` at once and then one by one, until the leading
answer is right with a probability of ``stop``: naive Bayes over the qualities that a router expected, with wrong
answers spread over four alternatives.

The stop is compared with that probability, so that calibrating the probability renames the stops and orders no two
tasks otherwise. What can be learned is which stop to take, and how many to ask at first.
"""

from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np

from agentmesh.routing.team.table import TeamTable
from agentmesh.routing.team.verdict import log_odds
from agentmesh.types import FloatArray, IndexArray, MaskArray

ALTERNATIVES: Final = 4
"""Wrong answers that agents spread over, for a team that learned nothing: with more, agreement would say more."""

LEAST_WEIGHT: Final = 0.01  # of a vote: an agent that is more often wrong than right still breaks a tie
LEAST_USD: Final = 1e-6

STOPS: Final = (0.0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 1.0)
"""From the first wave alone to all that were selected."""

MOST_FIRST: Final = 2
"""Agents in a first wave: only with two of them can the first answers agree."""


@dataclass(frozen=True, slots=True)
class Climb:
    """How sure a team was after each wave, and what it would have come to had it stopped there.

    Shapes:
        agreement, quality, cost: (m, w) for w waves.
    """

    agreement: FloatArray
    quality: FloatArray
    cost: FloatArray

    def at(self, stop: float) -> tuple[FloatArray, FloatArray]:
        """Return the quality and the cost of each task with a stop, (m,) both."""
        enough = self.agreement >= stop
        enough[:, -1] = True
        rows, waves = np.arange(len(enough)), enough.argmax(axis=1)
        return self.quality[rows, waves], self.cost[rows, waves]


@dataclass(frozen=True, slots=True)
class StopPoint:
    """What a team comes to with so many agents at first, and a stop."""

    first: int
    stop: float
    quality: float
    cost_usd: float


def climb(table: TeamTable, *, most: int, first: int = 1) -> Climb:
    """Follow a team without a plan: the ``most`` agents that a router expected most of, ``first`` of them at once."""
    weight = log_odds(table.expected) + log(ALTERNATIVES)
    order = _order(table, weight, most)
    rows = np.arange(len(table))[:, None]
    keys, weight = table.keys[rows, order], weight[rows, order]
    quality, cost = table.quality[rows, order], np.cumsum(np.nan_to_num(table.cost[rows, order]), axis=1)
    ends = range(min(first, order.shape[1]), order.shape[1] + 1)
    agreements, qualities = zip(
        *(_after(keys[:, :end], weight[:, :end], quality[:, :end]) for end in ends), strict=True
    )
    return Climb(np.stack(agreements, axis=1), np.stack(qualities, axis=1), cost[:, [end - 1 for end in ends]])


def _order(table: TeamTable, weight: FloatArray, most: int) -> IndexArray:
    """Return whom each task is put to, in their order, (m, most): unknown prices last, ties by place."""
    selected = np.argsort(-table.expected, axis=1, kind="stable")[:, :most]
    selected = np.sort(selected, axis=1)
    rows = np.arange(len(table))[:, None]
    price = table.price[rows, selected]
    says = np.maximum(weight[rows, selected], LEAST_WEIGHT)
    worth = -says / np.maximum(np.where(np.isnan(price), LEAST_USD, price), LEAST_USD)
    by = np.lexsort((worth, np.isnan(price)), axis=1)
    return np.asarray(np.take_along_axis(selected, by, axis=1), dtype=np.int64)


def _after(keys: IndexArray, weight: FloatArray, quality: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how sure the leading answer is, and what it is worth, after some agents answered."""
    said = keys >= 0
    same: MaskArray = (keys[:, :, None] == keys[:, None, :]) & said[:, :, None]
    score = np.where(said, (same * weight[:, None, :]).sum(axis=2), -np.inf)
    is_first = said & ~(same & np.tril(np.ones(same.shape[1:], np.bool_), -1)).any(axis=2)
    top = np.maximum(np.where(is_first, score, -np.inf).max(axis=1), -700.0)[:, None]
    shares = np.where(is_first, np.exp(np.where(is_first, score, 0.0) - top), 0.0).sum(axis=1)
    sure = np.where(said.any(axis=1), 1.0 / (shares + np.exp(log(ALTERNATIVES) - top[:, 0])), 0.0)
    votes = np.where(said, (same * np.maximum(weight, LEAST_WEIGHT)[:, None, :]).sum(axis=2), -np.inf)
    lead = same[np.arange(len(keys)), votes.argmax(axis=1)]
    return sure, np.where(lead, quality, 0.0).sum(axis=1) / np.maximum(lead.sum(axis=1), 1)


def stop_points(table: TeamTable, *, most: int) -> tuple[StopPoint, ...]:
    """Return what a team comes to with one or two agents at first, at each stop."""
    points = []
    for first in range(1, min(MOST_FIRST, most) + 1):
        followed = climb(table, most=most, first=first)
        for stop in STOPS:
            quality, cost = followed.at(stop)
            points.append(StopPoint(first, stop, float(quality.mean()), float(cost.mean())))
    return tuple(points)
