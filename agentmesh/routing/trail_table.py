"""Lays trails from a table of past outcomes: the warm start of the pheromone router."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from agentmesh.routing.content import ContentTerm
from agentmesh.routing.inputs import Outcomes
from agentmesh.routing.intent import OTHER, TaskTypes
from agentmesh.routing.pooling import LogPool
from agentmesh.routing.priors import MIDDLE
from agentmesh.routing.regression import group_weights, sigmoid, softmax
from agentmesh.routing.trail_view import Smoothing, TrailView
from agentmesh.routing.trails import SOURCE, Edge, Trails
from agentmesh.types import FloatArray, IndexArray, VectorArray

PASSES: Final = 3
"""Over the table, for the content term; the first one also says how much it is to be trusted."""
HELD_OUT: Final = 5  # every fifth task is kept from the regression that the temperature is chosen with
TEMPERATURES: Final = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0)


def fit_table(
    outcomes: Outcomes,
    groups: Sequence[str],
    types: TaskTypes,
    trails: Trails,
    content: ContentTerm,
    weights: LogPool,
    smoothing: Smoothing,
) -> None:
    """Learn types, trails and content from a table. All the parts are empty before."""
    if not len(outcomes):
        return
    named = ["" if group == OTHER else group for group in groups]
    member = types.fit(outcomes.vectors, named, lambda: recogniser(outcomes.vectors, named))
    trails.reshape([{0: 1.0}, *({} for _ in range(member.shape[1] - 1))])
    for agent_id in outcomes.agent_ids:
        trails.column(Edge(0, SOURCE, agent_id))
    known = ~np.isnan(outcomes.quality)
    quality = np.where(known, outcomes.quality, 0.0)
    trails.book(np.stack([member.T @ quality, member.T @ trails.evidence_of(quality, known)]), 0)
    _fit_content(outcomes, member, trails, content, weights, smoothing)


def _fit_content(
    outcomes: Outcomes, member: FloatArray, trails: Trails, content: ContentTerm, weights: LogPool, smoothing: Smoothing
) -> None:
    """Pass over the table as if its tasks came one by one with all outcomes revealed."""
    rng = np.random.default_rng(0)
    columns = np.arange(len(outcomes.agent_ids))
    blank = np.zeros(len(columns))
    for turn in range(PASSES):
        for row in rng.permutation(len(outcomes)):
            seen = np.flatnonzero(~np.isnan(outcomes.quality[row]))
            vector, quality = outcomes.vectors[row], outcomes.quality[row, seen]
            ability = sigmoid(content.logits(vector, blank, blank, columns))[seen]
            trail = _without(trails, member[row], seen, quality, smoothing)
            first = sigmoid(np.log(trail) - np.log1p(-trail) + content.difficulty(vector))
            if turn == 0 and len(seen):
                pairs = zip(first.tolist(), ability.tolist(), quality.tolist(), strict=True)
                for expected, told, came in pairs:
                    weights.observe(first=expected, second=told, quality=came, weight=1.0 / len(seen))
            content.learn_row(vector, seen, quality - ability)
            content.learn_difficulty(vector, float((quality - first).mean()) if len(seen) else 0.0)


def _without(
    trails: Trails, share: FloatArray, seen: IndexArray, quality: FloatArray, smoothing: Smoothing
) -> FloatArray:
    """Return what the trails say of a task when its own outcomes are left out of them, (s,)."""
    good = trails.sums[0][:, seen] - np.outer(share, quality)
    evidence = trails.sums[1][:, seen] - np.outer(share, trails.evidence_of(quality, np.ones(len(seen), np.bool_)))
    np.maximum(good, 0.0, out=good)
    np.maximum(evidence, good, out=evidence)
    overall = np.stack([good.sum(axis=0), evidence.sum(axis=0)])
    return TrailView.of(good, evidence, overall, smoothing).fused(share, np.full(len(seen), MIDDLE))


def recogniser(vectors: VectorArray, groups: Sequence[str]) -> VectorArray:
    """Return weights that tell named groups apart, in the order of their names, divided by a calibrated temperature.

    Shapes:
        vectors: (m, d). Returns (d + 1, groups); the last row is the constant.
    """
    names = sorted(set(groups) - {""})
    known = np.array([place for place, group in enumerate(groups) if group], dtype=np.int64)
    target = np.array([names.index(groups[place]) for place in known], dtype=np.int64)
    held = np.arange(len(known)) % HELD_OUT == HELD_OUT - 1
    trial = group_weights(vectors[known[~held]], target[~held], len(names), seed=0)
    temperature = _temperature(trial, vectors[known[held]], target[held]) if held.any() else 1.0
    weights: VectorArray = group_weights(vectors[known], target, len(names), seed=0) / np.float32(temperature)
    return weights


def _temperature(weights: VectorArray, vectors: VectorArray, target: IndexArray) -> float:
    logits = (vectors @ weights[:-1] + weights[-1]).astype(np.float64)
    rows = np.arange(len(target))
    losses = [-np.log(softmax(logits / tried)[rows, target] + 1e-12).mean() for tried in TEMPERATURES]
    return TEMPERATURES[int(np.argmin(losses))]
