"""Several routers that vote on what each agent is worth, with weights learned from tasks they had not seen."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.records import Experience
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, ScoringRouter, TaskFeatures
from agentmesh.routing.nested import Named, heads_of, member, named_as, payloads_of, restore_all
from agentmesh.routing.progress import Say
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, JsonValue

EVERY: Final = 5  # where no tasks are given to weigh on, every fifth is held back for it
LEAST: Final = 10  # held back tasks; fewer say nothing, and all votes weigh the same
ROUNDS: Final = 200
EDGE: Final = 1e-3  # how near a member's quality comes to 0 and 1, so that one sure mistake does not silence it


class VoteRouter(ScoringRouter):
    """Expects of an agent the weighted mean of what several routers expect.

    Rule: quality = sum_i w_i q_i with weights w on the simplex. They maximise the likelihood of outcomes that the
    members had not learned: each round, a weight is multiplied by the mean of how much likelier its member held the
    outcome than the vote did, ``y q_i / q + (1 - y) (1 - q_i) / (1 - q)``, which never lowers the likelihood. Then the
    members are fitted on everything. Before a first fit all weigh the same; single outcomes teach the members alone.
    Costs and latencies are means in the same weights over those that know them.

    Reference: the linear opinion pool, Genest and Zidek, Combining probability distributions, 1986; the rounds are
    expectation maximisation of a mixture's weights, Dempster, Laird and Rubin, 1977.

    Args:
        members: The routers: names, ``{"router": name, "arguments": {...}}``, or objects. They must give qualities.
        policy: As in :class:`~agentmesh.routing.base.ScoringRouter`.

    >>> weights = learned_weights(np.array([[0.9, 0.2], [0.5, 0.5]]), np.array([1.0, 0.0]))
    >>> weights.round(2).tolist()
    [1.0, 0.0]
    """

    name: ClassVar[str] = "vote"
    calibrated: bool = True

    def __init__(self, *, members: Sequence[Named] = ("kernel", "category", "linear"), policy: str = "greedy") -> None:
        self._members = tuple(member(one) for one in members)
        uncalibrated = [one.name for one in self._members if not one.calibrated]
        if uncalibrated or not self._members:
            raise ConfigError(f"a vote is among routers that give qualities; {uncalibrated!r} do not")
        super().__init__(policy=policy, members=[named_as(one) for one in self._members])
        self.trains = any(one.trains for one in self._members)
        self._weights = self._equal()

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Return the weighted mean of what the members expect."""
        estimates = [one.estimate(features, pool) for one in self._members]
        heaviest = estimates[int(self._weights.argmax())]
        qualities = np.stack([estimate.quality for estimate in estimates])
        curiosity = np.stack([np.broadcast_to(estimate.curiosity, len(pool)) for estimate in estimates])
        said = {one.name: quality for one, quality in zip(self._members, qualities, strict=True)}
        return Estimate(
            quality=self._weights @ qualities,
            cost=self._mean_known([estimate.cost for estimate in estimates]),
            latency=self._mean_known([estimate.latency for estimate in estimates]),
            factors=said,
            curiosity=self._weights @ curiosity,
            intent=heaviest.intent,
            evidence=heaviest.evidence,
        )

    def _mean_known(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return the weighted mean over the members that know the value, NaN where none does."""
        rows = np.stack(values)
        weights = np.where(np.isnan(rows), 0.0, self._weights[:, None] + 1e-12)
        total = weights.sum(axis=0)
        means: FloatArray = np.full(len(total), np.nan)
        np.divide((weights * np.nan_to_num(rows)).sum(axis=0), total, out=means, where=total > 0)
        return means

    def _equal(self) -> FloatArray:
        return np.full(len(self._members), 1.0 / len(self._members))

    def _fit_checked(self, outcomes: Outcomes, val: Outcomes | None, say: Say) -> None:
        shown, held_back = (outcomes, val) if val is not None else _parted(outcomes)
        self._fit_members(shown, held_back if val is not None else None, say)
        self._weights = self._equal()
        if len(held_back) >= LEAST and held_back.pool is not None:
            say(f"weighing {len(self._members)} routers on {len(held_back)} tasks")
            self._weights = learned_weights(*self._said(held_back, held_back.pool))
        if val is None:
            self._fit_members(outcomes, None, say)

    def _fit_members(self, outcomes: Outcomes, val: Outcomes | None, say: Say) -> None:
        for one in self._members:
            if one.is_fittable:
                one.fit(outcomes, val=val, say=say)

    def _said(self, outcomes: Outcomes, pool: AgentPool) -> tuple[FloatArray, FloatArray]:
        """Return what each member expected of each observed outcome, (o, members), and what came of it, (o,)."""
        expected, came = list[FloatArray](), list[FloatArray]()
        for row, quality in enumerate(outcomes.quality):
            seen = ~np.isnan(quality)
            features = TaskFeatures(vector=outcomes.vectors[row], text=outcomes.texts[row])
            expected.append(np.stack([one.estimate(features, pool).quality[seen] for one in self._members], axis=1))
            came.append(quality[seen])
        return np.concatenate(expected), np.concatenate(came)

    def _learn(self, experience: Experience) -> None:
        for one in self._members:
            one.learn(experience)

    def rebase(self, base: str) -> None:
        """Count what was learned so far as what this was fitted on; its members do so too."""
        super().rebase(base)
        for one in self._members:
            one.rebase(base)

    def _arrays(self) -> Arrays:
        return {**payloads_of(self._members), "weights": self._weights}

    def _meta(self) -> Mapping[str, JsonValue]:
        return {"members": heads_of(self._members)}

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        weights = arrays["weights"]
        if weights.shape != (len(self._members),):
            raise ConfigError(f"a state's weights have shape {weights.shape!r}; expected ({len(self._members)},)")
        restore_all(self._members, arrays, meta["members"])
        self._weights = weights.astype(np.float64)


def learned_weights(expected: FloatArray, came: FloatArray) -> FloatArray:
    """Return the weights under which the weighted mean of ``expected`` makes what came likeliest.

    Shapes:
        expected: (o, members) qualities, 0 to 1. came: (o,) 0 to 1. Returns (members,), summing to 1.
    """
    sure = np.clip(expected, EDGE, 1.0 - EDGE)
    weights: FloatArray = np.full(sure.shape[1], 1.0 / sure.shape[1])
    for _ in range(ROUNDS):
        vote = sure @ weights
        likelier = (came / vote) @ sure + ((1.0 - came) / (1.0 - vote)) @ (1.0 - sure)
        weights = weights * likelier / len(came)
    weights /= weights.sum()
    return weights


def _parted(outcomes: Outcomes) -> tuple[Outcomes, Outcomes]:
    """Return the table without every fifth task, and these."""
    held_back = np.arange(len(outcomes)) % EVERY == EVERY - 1
    return outcomes.rows(np.flatnonzero(~held_back)), outcomes.rows(np.flatnonzero(held_back))
