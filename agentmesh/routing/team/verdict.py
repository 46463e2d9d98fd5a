"""Which of several answers is right, and how sure that is: a conditional logit over groups of equal answers.

Rule: the answers S that came in form groups g of equal ones. Each agent a speaks for its group with a weight that grows
with the quality x_a (log-odds) that a router expected of it on this task, and one more outcome is that no group is
right::

    s_g       = sum_{a in g} (b_a + c_a x_a)
    s_nobody  = d + e mean(x) + sum_{a that answered} d_a
    p         = softmax(s)

The weights are those of the highest likelihood on tasks of which it is known which answers were right, with a small
penalty on their squares. With b_a = 0 and c_a = 1 it is the vote by log-odds, naive Bayes; that the weights are fitted
together for each S makes up for agents that err alike.

Reference: McFadden, Conditional logit analysis of qualitative choice behavior, 1974; weighing votes by log-odds is
Nitzan and Paroush, Optimal decision rules in uncertain dichotomous choice situations, 1982.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.routing.team.table import TeamTable
from agentmesh.types import FloatArray, IndexArray, MaskArray

EDGE: Final = 0.02  # how near an expected quality comes to 0 and 1
RIGHT: Final = 0.5  # an answer of this quality counts as right
PENALTY: Final = 1e-3  # a task, on the squares of the weights; 1e-4 did alike on folds of mmlu_pro
STEPS: Final = 30
CLOSE: Final = 1e-7


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the answers of some agents say.

    Shapes:
        lead: (m,) the place, among those asked, of the first agent of the leading group; -1 when nobody answered.
        chance, second, nobody: (m,) the probabilities that the leading group, the next one, or none is right.
    """

    lead: IndexArray
    chance: FloatArray
    second: FloatArray
    nobody: FloatArray


def log_odds(values: FloatArray) -> FloatArray:
    """Return the log-odds of probabilities that are kept within 0.02 and 0.98.

    >>> log_odds(np.array([0.5, 0.8, 1.0])).round(3).tolist()
    [0.0, 1.386, 3.892]
    """
    kept = np.clip(values, EDGE, 1.0 - EDGE)
    return np.asarray(np.log(kept / (1.0 - kept)), dtype=np.float64)


def alike(table: TeamTable, asked: Sequence[int]) -> MaskArray:
    """Return which answers are the same, (m, s, s), False where there is none."""
    keys = table.keys[:, list(asked)]
    same: MaskArray = (keys[:, :, None] == keys[:, None, :]) & (keys >= 0)[:, :, None]
    return same


def judge(table: TeamTable, asked: Sequence[int], weights: FloatArray) -> Verdict:
    """Say which answer of those ``asked`` leads, by weights that :func:`fit_weights` returned for the same agents."""
    options, possible = _options(table, asked)
    chances = _chances(options, possible, weights)
    groups = chances[:, :-1]
    ordered = np.sort(groups, axis=1)
    second = ordered[:, -2] if len(asked) > 1 else np.zeros(len(table))
    lead = np.where(possible[:, :-1].any(axis=1), groups.argmax(axis=1), -1)
    return Verdict(lead, ordered[:, -1], second, chances[:, -1])


def worth(table: TeamTable, asked: Sequence[int], lead: IndexArray) -> FloatArray:
    """Return the mean quality of the answers in the leading group, 0 where there is none.

    Shapes:
        lead: (m,) as in :class:`Verdict`; returns (m,).
    """
    members = alike(table, asked)[np.arange(len(table)), np.maximum(lead, 0)] & (lead >= 0)[:, None]
    quality = np.where(members, table.quality[:, list(asked)], 0.0)
    means: FloatArray = quality.sum(axis=1) / np.maximum(members.sum(axis=1), 1)
    return means


def fit_weights(table: TeamTable, asked: Sequence[int]) -> FloatArray:
    """Return the weights of the highest penalised likelihood, by Newton's method.

    Shapes:
        returns (3 s + 2,) for the s agents ``asked``.
    """
    options, possible = _options(table, asked)
    outcome = _right_option(table, asked, possible)
    weights = np.zeros(options.shape[2])
    held = _likelihood(options, possible, weights, outcome)
    for _ in range(STEPS):
        step = _newton_step(options, possible, weights, outcome)
        for _halving in range(STEPS):
            tried = _likelihood(options, possible, weights + step, outcome)
            if tried >= held:
                break
            step = 0.5 * step
        weights, gained, held = weights + step, tried - held, max(tried, held)
        if gained < CLOSE * len(table):
            break
    return weights


def _options(table: TeamTable, asked: Sequence[int]) -> tuple[FloatArray, MaskArray]:
    """Return what speaks for each option, (m, s + 1, 3 s + 2), and which there are, (m, s + 1); the last is nobody.

    A group stands at the place of the first of its agents.
    """
    same, size = alike(table, asked), len(asked)
    answered = table.keys[:, list(asked)] >= 0
    odds = log_odds(table.expected[:, list(asked)])
    options = np.zeros((len(table), size + 1, 3 * size + 2))
    options[:, :size, :size] = same
    options[:, :size, size : 2 * size] = same * odds[:, None, :]
    options[:, size, 2 * size : 3 * size] = answered
    options[:, size, -2] = 1.0
    options[:, size, -1] = odds.mean(axis=1)
    possible = np.ones((len(table), size + 1), dtype=np.bool_)
    earlier = np.tril(np.ones((size, size), dtype=np.bool_), -1)
    possible[:, :size] = answered & ~(same & earlier).any(axis=2)
    return options, possible


def _right_option(table: TeamTable, asked: Sequence[int], possible: MaskArray) -> IndexArray:
    good = table.quality[:, list(asked)] >= RIGHT
    right = (alike(table, asked) & good[:, None, :]).any(axis=2) & possible[:, :-1]
    return np.where(right.any(axis=1), right.argmax(axis=1), len(asked))


def _chances(options: FloatArray, possible: MaskArray, weights: FloatArray) -> FloatArray:
    scores = np.where(possible, options @ weights, -np.inf)
    scores -= scores.max(axis=1, keepdims=True)
    shares = np.exp(scores)
    chances: FloatArray = shares / shares.sum(axis=1, keepdims=True)
    return chances


def _likelihood(options: FloatArray, possible: MaskArray, weights: FloatArray, outcome: IndexArray) -> float:
    chances = _chances(options, possible, weights)[np.arange(len(outcome)), outcome]
    penalty = 0.5 * PENALTY * len(outcome) * float(weights @ weights)
    return float(np.log(np.maximum(chances, 1e-300)).sum()) - penalty


def _newton_step(options: FloatArray, possible: MaskArray, weights: FloatArray, outcome: IndexArray) -> FloatArray:
    chances, penalty = _chances(options, possible, weights), PENALTY * len(outcome)
    means = np.einsum("mo,mow->mw", chances, options)
    slope = (options[np.arange(len(outcome)), outcome] - means).sum(axis=0) - penalty * weights
    flat = (np.sqrt(chances)[:, :, None] * options).reshape(-1, options.shape[2])
    bend = flat.T @ flat - means.T @ means + penalty * np.eye(len(weights))
    return np.asarray(np.linalg.solve(bend, slope), dtype=np.float64)
