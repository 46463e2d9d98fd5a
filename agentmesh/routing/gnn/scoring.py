"""One decision of the GNN router in numpy: the paths, the product head, the wide part, and what carried the choice."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from agentmesh.decisions import Evidence
from agentmesh.routing.gnn.arguments import TEMPERATURE
from agentmesh.routing.gnn.features import typical_cost
from agentmesh.routing.gnn.memory import STATES, GnnMemory
from agentmesh.routing.gnn.weights import logit
from agentmesh.routing.inputs import AgentPool, TaskFeatures
from agentmesh.routing.ledger import Means
from agentmesh.routing.prices import expected_cost
from agentmesh.routing.priors import own_cost, price_standing
from agentmesh.routing.regression import sigmoid
from agentmesh.types import FloatArray, IndexArray, VectorArray

MOST_CORRECTION: Final = 1.5
"""The second head may make a cost at most 4.5 times as high or as low."""
TOLD: Final = 4
"""Past tasks, entities and skills that an explanation names, each."""
LEAST_TOLD: Final = 0.005
HIDDEN: Final = np.float32(-1e4)
"""A cosine that gives a past task no weight at any temperature, as in training."""


@dataclass(frozen=True)
class Scoring:
    """What the router expects on one task, and how it came to that.

    Shapes:
        share: (s,). rows, likeness: (k,) past tasks and their weights. own, skilled, near: (n,) means
            along the paths; within: (kept, n) those of each skill that has a share.
        deep, wide, correction: (n,) what the product head, the wide part and the cost head add.
    """

    features: TaskFeatures
    pool: AgentPool
    memory: GnnMemory
    means: Means
    share: FloatArray
    rows: IndexArray
    likeness: VectorArray
    own: FloatArray
    within: FloatArray
    skilled: FloatArray
    near_sums: FloatArray
    deep: FloatArray
    correction: FloatArray
    wide: FloatArray

    @classmethod
    def of(cls, features: TaskFeatures, pool: AgentPool, memory: GnnMemory) -> "Scoring":
        """Compute all parts for a task."""
        numbers, means = memory.numbers, memory.ledger.means(pool)
        share = memory.share(features.vector, features.type_hints)
        rows, cosines = memory.tasks.nearest(features.vector, memory.neighbours)
        likeness = _likeness(cosines, memory.tasks.known(rows), numbers.temperature)
        standing = price_standing(typical_cost(pool))
        near = (pool.vectors @ features.vector).astype(np.float64)
        guess = sigmoid(numbers.guess + numbers.price_gain * standing + numbers.card_gain * (near - near.mean()))
        own = memory.own(means, guess, pool)
        kept = np.flatnonzero(share > 1e-6)
        skill_sums = memory.sums.gather(kept, memory.ledger, pool)
        prior = sigmoid(logit(own) + memory.hardness(kept)[:, None])
        within = (skill_sums[1] + numbers.skill_strength * prior) / (skill_sums[0] + numbers.skill_strength)
        skilled = share[kept] @ within
        deep, correction = _product(features, pool, memory, share, rows, likeness)
        return cls(
            features=features,
            pool=pool,
            memory=memory,
            means=means,
            share=share,
            rows=rows,
            likeness=likeness,
            own=own,
            within=within,
            skilled=skilled,
            near_sums=memory.ledger.gather(memory.tasks.sums(rows, likeness), pool),
            deep=deep,
            correction=correction,
            wide=_wide(features, pool, memory),
        )

    @cached_property
    def near(self) -> FloatArray:
        """Return the mean over the near tasks, the skills' mean counting beside it, (n,)."""
        strength = self.memory.numbers.near_strength
        mean: FloatArray = (self.near_sums[1] + strength * self.skilled) / (self.near_sums[0] + strength)
        return mean

    @cached_property
    def along_paths(self) -> FloatArray:
        """Return the logit that the paths give, (n,)."""
        numbers, own, skilled = self.memory.numbers, logit(self.own), logit(self.skilled)
        score = numbers.skill_gain * (skilled - own) + own
        if self.memory.like:
            score = score + numbers.near_gain * (logit(self.near) - skilled)
        return np.asarray(score)

    @cached_property
    def score(self) -> FloatArray:
        """Return the logit of each agent's quality, (n,)."""
        return np.asarray(self.along_paths + self.deep + self.wide)

    @cached_property
    def quality(self) -> FloatArray:
        """Return each agent's expected quality, (n,)."""
        model = self.memory.model
        if model is None or not model.exclusive:
            return sigmoid(self.score)
        logits = np.append(self.score, self.memory.numbers.nobody)
        raised = np.exp(logits - logits.max())
        return np.asarray(raised[:-1] / raised.sum())

    def votes(self) -> FloatArray:
        """Return the distribution that weighs answers, softmax(quality / 0.25), (n,), as training's targets do."""
        raised = np.exp((self.quality - self.quality.max()) / TEMPERATURE)
        return np.asarray(raised / raised.sum())

    def cost(self) -> FloatArray:
        """Return what each agent is expected to cost, (n,) US dollars, NaN where unknown."""
        mean = own_cost(self.means, expected_cost(self.features, self.pool))
        return np.asarray(mean * np.exp(np.clip(self.correction, -MOST_CORRECTION, MOST_CORRECTION)))

    def factors(self) -> Mapping[str, FloatArray]:
        """Return what the estimate was made from."""
        found = {"own_mean": self.own, "skills": self.skilled, "near": self.near, "evidence": self.near_sums[0]}
        return {**found, "network": self.deep} if self.memory.model is not None else found

    def intent(self) -> Mapping[str, float]:
        """Return which skills the task is taken to ask for."""
        model = self.memory.model
        if model is None or len(model.skill_names) < 2:
            return {}
        return dict(zip(model.skill_names, self.share.tolist(), strict=True))

    def evidence(self, place: int) -> tuple[Evidence, ...]:
        """Return the past tasks, skills and entities that carried the score of one agent, the heaviest first.

        The weight of each is how much the logit of the agent's quality would fall without it (occlusion).
        """
        found = [*self._tasks(place), *self._skills(place), *self._entities(place)]
        return tuple(sorted(found, key=lambda one: -abs(one.weight)))

    def _tasks(self, place: int) -> list[Evidence]:
        column = int(self.memory.ledger.columns(self.pool)[place])
        if not len(self.rows) or column >= len(self.memory.ledger.ids) or not self.memory.like:
            return []
        numbers, tasks = self.memory.numbers, self.memory.tasks
        seen, worth = self.likeness * tasks.outcomes(self.rows, column)
        strength, skilled = numbers.near_strength, float(self.skilled[place])
        left, total = self.near_sums[1][place] - worth, self.near_sums[0][place] - seen
        without = (left + strength * skilled) / (total + strength)
        moves = numbers.near_gain * (logit(self.near[place : place + 1]) - logit(without))
        return [
            self._task(int(self.rows[spot]), float(worth[spot] / seen[spot]), float(moves[spot]))
            for spot in np.argsort(-np.abs(moves), kind="stable")[:TOLD].tolist()
            if abs(moves[spot]) >= LEAST_TOLD
        ]

    def _task(self, row: int, quality: float, weight: float) -> Evidence:
        task, text = self.memory.tasks.named(row)
        return Evidence(kind="task", name=task, text=text, weight=weight, quality=quality)

    def _skills(self, place: int) -> list[Evidence]:
        model = self.memory.model
        kept = np.flatnonzero(self.share > 1e-6)
        if model is None or len(kept) < 1 or not model.skill_names:
            return []
        prior = sigmoid(logit(self.own[place : place + 1]) + self.memory.hardness(kept))
        mean = self.within[:, place]
        without = self.skilled[place] - self.share[kept] * (mean - prior)
        change = self._given(place, self.skilled[place : place + 1]) - self._given(place, without)
        return [
            Evidence(
                kind="skill",
                name=model.skill_names[int(kept[spot])],
                weight=float(change[spot]),
                quality=float(mean[spot]),
            )
            for spot in np.argsort(-np.abs(change), kind="stable")[:TOLD].tolist()
            if abs(change[spot]) >= LEAST_TOLD
        ]

    def _given(self, place: int, skilled: FloatArray) -> FloatArray:
        """Return the logit along the paths of one agent, were its mean over the task's skills one of these, (k,)."""
        numbers, own = self.memory.numbers, logit(self.own[place : place + 1])
        score = numbers.skill_gain * (logit(skilled) - own) + own
        if self.memory.like:
            strength, (seen, solved) = numbers.near_strength, self.near_sums[:2, place]
            near = (solved + strength * skilled) / (seen + strength)
            score = score + numbers.near_gain * (logit(near) - logit(skilled))
        return np.asarray(score)

    def _entities(self, place: int) -> list[Evidence]:
        model = self.memory.model
        if model is None or not model.deep or not model.entity_names:
            return []
        named = model.named_entities(self.features.text)
        found = []
        for name in named:
            score = _deep_without(self, name)
            found.append(Evidence(kind="entity", name=name, weight=float(self.deep[place] - score[place])))
        heavy = [one for one in found if abs(one.weight) >= LEAST_TOLD]
        return sorted(heavy, key=lambda one: -abs(one.weight))[:TOLD]


def _likeness(cosines: VectorArray, known: VectorArray, temperature: float) -> VectorArray:
    """Return what past tasks weigh by their cosines, (k,): one of which nothing is known is not the nearest."""
    if not len(cosines):
        return cosines
    heard = np.where(known > 0, cosines, HIDDEN)
    return np.asarray(np.exp((heard - heard.max()) / np.float32(temperature)), np.float32)


def _product(
    features: TaskFeatures,
    pool: AgentPool,
    memory: GnnMemory,
    share: FloatArray,
    rows: IndexArray,
    likeness: VectorArray,
) -> tuple[FloatArray, FloatArray]:
    """Return what the product head adds to the logit and to the logarithm of the cost, (n,) each."""
    model, nothing = memory.model, np.zeros(len(pool))
    if model is None or not model.deep:
        return nothing, nothing
    states = memory.tasks.states[rows, (STATES - 1) * model.hidden :]
    heard = likeness * memory.tasks.known(rows)
    task = model.query_state(features, share, states, heard)
    score, correction = model.weights.product(task, memory.keys(model, pool))
    return score.astype(np.float64), correction.astype(np.float64)


def _deep_without(scoring: Scoring, name: str) -> FloatArray:
    """Return what the product head would add if the task did not name an entity."""
    memory, model = scoring.memory, scoring.memory.model
    if model is None:
        return scoring.deep
    states = memory.tasks.states[scoring.rows, (STATES - 1) * model.hidden :]
    heard = scoring.likeness * memory.tasks.known(scoring.rows)
    task = model.query_state(scoring.features, scoring.share, states, heard, without=name)
    return model.weights.product(task, memory.keys(model, scoring.pool))[0].astype(np.float64)


def _wide(features: TaskFeatures, pool: AgentPool, memory: GnnMemory) -> FloatArray:
    """Return what the wide part adds, (n,): its mean over the agents it knows, for those that it does not know."""
    model = memory.model
    score = None if model is None else model.wide(features)
    if score is None or not memory.wide_known.any():
        return np.zeros(len(pool))
    columns = memory.ledger.columns(pool)
    inside = columns < len(score)
    known = inside & memory.wide_known[np.minimum(columns, len(score) - 1)]
    taken = score[np.minimum(columns, len(score) - 1)].astype(np.float64)
    middle = float(taken[known].mean()) if known.any() else 0.0
    return np.where(known, taken, middle)
