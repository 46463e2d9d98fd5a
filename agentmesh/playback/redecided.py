"""Stored tasks decided again by another router, dry: nobody is called, no model is asked, nothing is left to chance."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np
from pydantic import Field

from agentmesh.errors import RoutingError
from agentmesh.graphs.nodes import check_decision, fallen_back
from agentmesh.learning.faults import told
from agentmesh.playback.contenders import Contender
from agentmesh.playback.logged import LoggedRun
from agentmesh.records import Candidate, Objective, Record, RouteDecision
from agentmesh.routing.base import RouteContext, Router, ScoringRouter
from agentmesh.types import AgentId, RunId

MOST_TOLD: Final = 16
"""Candidates of a decision that are told of: the rest are in its packed scores."""

AT_ONCE: Final = 256  # tasks that a router looks at together: 20 MB, beside 20,000 past ones

SAME: Final = 1e-9  # chances that are as close are the same

FACTORS: Final = 3
"""Factors that the words of a flip name."""


class Flip(Record):
    """A task on which the other router would ask somebody else. ``None`` is nobody.

    ``chance`` is how likely it picks ``after``. The scores are those the other router gave; ``margin`` is their
    distance. ``explored`` says that what was done was drawn to explore. ``factors`` maps what the scores were made of
    to its values for ``before`` and for ``after``, what differs most first.
    """

    run_id: RunId
    before: AgentId | None
    after: AgentId | None
    chance: float
    score_before: float | None = None
    score_after: float | None = None
    explored: bool = False
    factors: Mapping[str, tuple[float, float]] = Field(default_factory=dict)

    @property
    def margin(self) -> float | None:
        """Return by how much the other router rates its pick above what was done."""
        if self.score_before is None or self.score_after is None:
            return None
        return self.score_after - self.score_before

    @property
    def reason(self) -> str:
        """Say in words why it would have asked somebody else."""
        if self.after is None:
            return "it would have asked nobody"
        parts = [] if self.score_after is None else [f"score {self.score_after:.3f}"]
        if parts:
            parts[0] += " against none" if self.score_before is None else f" against {self.score_before:.3f}"
        parts += [
            f"{name} {after:.3g} against {before:.3g}" for name, (before, after) in list(self.factors.items())[:FACTORS]
        ]
        if self.explored:
            parts.append("what was done was drawn to explore")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Redecided:
    """A stored run beside what the other router decided. ``chances`` are those to be drawn first."""

    run: LoggedRun
    decision: RouteDecision
    chances: Mapping[AgentId, float]

    @property
    def pick(self) -> AgentId | None:
        """Return whom the other router is most likely to ask first."""
        return max(self.chances, key=lambda agent_id: (self.chances[agent_id], agent_id), default=None)

    @property
    def agreement(self) -> float:
        """Return the chance that it picks one of those who were chosen; 1 where both choose nobody."""
        if not self.run.chosen:
            return 1.0 if not self.chances else 0.0
        return sum(self.chances.get(agent_id, 0.0) for agent_id in self.run.chosen)

    def candidate(self, agent_id: AgentId | None) -> Candidate | None:
        """Return what the other router said of an agent, if it told."""
        return next((one for one in self.decision.candidates if one.agent_id == agent_id), None)

    @property
    def expected_cost_usd(self) -> float | None:
        """Return what the other router expects its likeliest pick to cost."""
        found = self.candidate(self.pick)
        return None if found is None else found.expected_cost_usd

    @property
    def expected_latency_s(self) -> float | None:
        """Return how long the other router expects its likeliest pick to take."""
        found = self.candidate(self.pick)
        return None if found is None else found.expected_latency_s

    def flip(self) -> Flip | None:
        """Return how the two part, ``None`` where nobody is likelier to be picked than one of those who were chosen."""
        before, after = next(iter(self.run.chosen), None), self.pick
        as_likely = max((self.chances.get(agent_id, 0.0) for agent_id in self.run.chosen), default=0.0)
        if after == before or (after is not None and as_likely >= self.chances[after] - SAME):
            return None
        return Flip(
            run_id=self.run.run_id,
            before=before,
            after=after,
            chance=1.0 if after is None else self.chances[after],
            score_before=self._score(before),
            score_after=self._score(after),
            explored=self.run.decision.explored,
            factors=_apart(self.candidate(before), self.candidate(after)),
        )

    def _score(self, agent_id: AgentId | None) -> float | None:
        place = self.run.considered.pool.index.get(agent_id or "")
        scores = self.decision.score_array()
        if place is None or len(scores) <= place or not isfinite(scores[place]):
            return None
        return float(scores[place])


def _apart(before: Candidate | None, after: Candidate | None) -> dict[str, tuple[float, float]]:
    """Return the factors that both have and that differ, by how much they do for their size."""
    if before is None or after is None:
        return {}
    both = {name: (value, after.factors[name]) for name, value in before.factors.items() if name in after.factors}

    def distance(name: str) -> float:
        one, other = both[name]
        return abs(one - other) / max(abs(one), abs(other), 1e-12)

    return {name: both[name] for name in sorted(both, key=distance, reverse=True) if distance(name) > 0}


def redecide(
    runs: Sequence[LoggedRun], contenders: Sequence[Contender], *, objective: Objective | None = None
) -> list[Redecided]:
    """Decide all runs again, each by the contender that it falls to.

    Args:
        runs: What to decide.
        contenders: Who decides; each place once.
        objective: What every task is worth; by default what it was.

    Raises:
        RoutingError: a router failed, or returned no decision.
    """
    found = dict[int, Redecided]()
    for contender in contenders:
        mine = [runs[place] for place in contender.places]
        decisions = _decisions(contender.router, mine, objective)
        found.update(zip(contender.places, map(_redecided, mine, decisions), strict=True))
    return [found[place] for place in range(len(runs))]


def _redecided(run: LoggedRun, decision: RouteDecision) -> Redecided:
    pool = run.considered.pool
    check_decision(decision, pool)
    if decision.abstained and run.fallback is not None:
        decision = fallen_back(decision, run.fallback, pool)
    drawn = decision.probability_array()
    chances = {pool.ids[place]: float(drawn[place]) for place in np.flatnonzero(drawn).tolist()}
    return Redecided(run, decision, {} if decision.abstained else chances)


def _decisions(router: Router, runs: Sequence[LoggedRun], objective: Objective | None) -> list[RouteDecision]:
    if not isinstance(router, ScoringRouter):
        return asyncio.run(_routed(router, runs, objective))
    made = []
    for place, run in enumerate(runs):
        with _translated(router, run):
            if place % AT_ONCE == 0:
                router.foresee(np.stack([one.considered.features.vector for one in runs[place : place + AT_ONCE]]))
            made.append(router.decide(run.considered.features, run.considered.pool, _context(run, objective)))
    return made


async def _routed(router: Router, runs: Sequence[LoggedRun], objective: Objective | None) -> list[RouteDecision]:
    made = []
    for run in runs:
        with _translated(router, run):
            made.append(await router.route(run.considered.features, run.considered.pool, _context(run, objective)))
    return made


@contextmanager
def _translated(router: Router, run: LoggedRun) -> Iterator[None]:
    """Raise whatever goes wrong in a router, ours or somebody's own, as an error of ours that names the run."""
    try:
        yield
    except Exception as error:  # a router may be somebody's own and raise anything; it is told as one of our errors
        raise RoutingError(f"router {router.name!r} cannot decide run {run.run_id!r} again: {told(error)}") from error


def _context(run: LoggedRun, objective: Objective | None) -> RouteContext:
    task = run.considered
    return RouteContext(
        seed=task.seed,
        objective=task.objective if objective is None else objective,
        top=min(len(task.pool), MOST_TOLD),
        bonus=task.bonus,
        load=task.load,
    )
