"""The chances of a decision when what it chose without exploring gives way to what a model named.

A decision is drawn first. Where the draw gave just the best agents, the model is asked, and those it names take their
place; where it gave others, exploring, they stand. Request and reply hang on the task alone, so the chances of the
outcome follow from those of the draw.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.decisions import RouteDecision
from agentmesh.routing.inputs import AgentPool
from agentmesh.routing.policy import greedy_inclusion
from agentmesh.types import FloatArray, IndexArray

GREEDY: Final = frozenset({"epsilon_greedy", "threshold", "argmax"})
"""Policies that take the best agent left, or with some chance any: the chances of their sets have a closed form."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Shapes: probabilities, inclusion: (n,), as in ``policy.Draw``. ``log_p`` is that of the agents named."""

    probabilities: FloatArray
    inclusion: FloatArray
    log_p: float


def ranked(decision: RouteDecision, pool: AgentPool) -> IndexArray:
    """Return the places of the agents that pass the gates, best first; ties in the order of their ids."""
    scores = decision.score_array()
    open_places = np.flatnonzero(pool.mask & ~np.isnan(scores)).tolist()
    return np.array(sorted(open_places, key=lambda place: (-scores[place], pool.ids[place])), dtype=np.int64)


def is_best(decision: RouteDecision, pool: AgentPool, order: IndexArray) -> bool:
    """Return whether the agents that were drawn are just the best ones, in any order."""
    drawn = {pool.index[selection.agent_id] for selection in decision.selected}
    return not decision.explored and drawn == set(order[: len(drawn)].tolist())


def is_reckonable(decision: RouteDecision) -> bool:
    """Return whether the chances can be told once others take the place of those drawn."""
    return len(decision.selected) == 1 or decision.policy in GREEDY


def turned(decision: RouteDecision, order: IndexArray, named: IndexArray) -> Chances:
    """Return the chances after the best agents gave way to those named.

    The rule, for one agent: the named one is drawn first with its own chance to be explored plus the chance of the
    best, which is never drawn any more. For a set of k, only the part of the chances with which the draw gives exactly
    the k best moves.

    Shapes:
        order: (m,) the places that pass the gates, best first. named: (<= k,) places, empty for nobody.

    >>> from agentmesh.packing import pack_floats
    >>> made = {"router": "r", "router_version": "v", "registry_version": "w", "seed": 0, "candidates": ()}
    >>> drawn = {"selected": [{"agent_id": "a", "weight": 1}], "probabilities": pack_floats(np.array([0.8, 0.1, 0.1]))}
    >>> decision = RouteDecision(**made, **drawn, scores=pack_floats(np.array([3, 2, 1])))
    >>> turned(decision, np.array([0, 1, 2]), np.array([1])).probabilities.round(2).tolist()
    [0.0, 0.9, 0.1]
    """
    probabilities = decision.probability_array().copy()
    drawable = order if decision.threshold is None else order[decision.score_array()[order] >= decision.threshold]
    walk = _Walk(drawable, len(decision.selected), probabilities[drawable])
    best = drawable[: walk.k]
    inclusion = probabilities.copy()
    inclusion[drawable] = walk.inclusion()
    moved = probabilities[best] * walk.rest_is_best()
    share = float(moved.sum())
    log_p = _log(share + walk.by_exploring(named))  # before the chances move
    probabilities[best] -= moved
    inclusion[best] -= share
    probabilities[named[:1]] += share
    inclusion[named] += share
    return Chances(np.clip(probabilities, 0.0, 1.0), np.clip(inclusion, 0.0, 1.0), log_p)


@dataclass(frozen=True, slots=True)
class _Walk:
    """A draw of ``k`` agents, place by place: the best one left, or with some chance any one left.

    For one agent the chances alone are read, so that it may have been drawn by any policy.

    Shapes:
        order: (m,) places that can be drawn, best first. first: (m,) the chance of each to be drawn first.
    """

    order: IndexArray
    k: int
    first: FloatArray

    @property
    def epsilon(self) -> float:
        """Return the chance of a pick to be any agent left: the last agent is drawn first in no other way."""
        return min(float(self.first[-1]) * len(self.order), 1.0)

    def inclusion(self) -> FloatArray:
        if self.k == 1:
            return self.first
        chances = greedy_inclusion(len(self.order), self.k, self.epsilon)
        return chances[np.minimum(np.arange(len(self.order)), self.k)]

    def rest_is_best(self) -> float:
        """Return the chance that the rest of the k best follow once one of them is drawn."""
        places, m, epsilon = np.arange(1, self.k), len(self.order), self.epsilon
        return float(np.prod((1.0 - epsilon) + epsilon * (self.k - places) / (m - places)))

    def by_exploring(self, named: IndexArray) -> float:
        """Return the chance that the draw itself gives just these in this order, and not the best ones."""
        picks, left = named.tolist(), self.order.tolist()
        if len(picks) != self.k or set(picks) == set(left[: self.k]) or not set(picks) <= set(left):
            return 0.0
        if self.k == 1:
            return float(self.first[left.index(picks[0])])
        chance = 1.0
        for pick in picks:
            chance *= self.epsilon / len(left) + (1.0 - self.epsilon) * (pick == left[0])
            left.remove(pick)
        return chance


def _log(chance: float) -> float:
    return min(float(np.log(chance)), 0.0) if chance > 0 else 0.0
