"""What the pheromone router has learned, and how one outcome changes it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.packing import unpack_vector
from agentmesh.records import Experience
from agentmesh.routing.content import ContentTerm
from agentmesh.routing.drift import DriftWatch
from agentmesh.routing.inputs import Outcomes
from agentmesh.routing.intent import ENOUGH, TaskTypes, naming
from agentmesh.routing.ledger import Ledger, part
from agentmesh.routing.pooling import LogPool
from agentmesh.routing.priors import MIDDLE, guessed_of
from agentmesh.routing.recent import Outcome, Recent
from agentmesh.routing.state import Arrays
from agentmesh.routing.trail_table import fit_table
from agentmesh.routing.trail_view import Smoothing, TrailView, trail_of
from agentmesh.routing.trails import Edge, TrailMap, Trails
from agentmesh.types import AgentId, FloatArray, JsonValue, VectorArray


@dataclass(frozen=True, slots=True)
class Laying:
    """How trails are laid; the arguments of the router of the same names say what each means."""

    types: int
    specialists: bool
    gate: float
    penalty: float
    half_life_s: float
    rate: float
    drift: float
    smoothing: Smoothing


class TrailMemory:
    """Types of task, trails, content term, watch for drift and recent outcomes, kept in step with one another.

    The parts are open to be read; :meth:`learn` and :meth:`fit` alone change them.
    """

    def __init__(self, laying: Laying) -> None:
        """Start with nothing learned."""
        self._laying = laying
        self.ledger = Ledger()
        self.types = TaskTypes(laying.types if laying.specialists else 0)
        self.trails = Trails(half_life_s=laying.half_life_s, penalty=laying.penalty)
        self.content = ContentTerm(laying.rate)
        self.weights = LogPool()
        self.count = 0
        self._watch = DriftWatch(laying.drift)
        self._recent = Recent()

    def membership(self, vector: VectorArray, hints: Sequence[str]) -> FloatArray:
        """Return how much a task is of each type, (types,), summing to 1."""
        return self.types.membership(vector, hints if self._laying.specialists else ())

    def learn(self, experience: Experience) -> bool:
        """Take in one outcome, and say whether it counted: one of an older version of an agent does not.

        Raises:
            ConfigError: its vector has another length than those before.
        """
        vector = unpack_vector(experience.vector)
        self.content.check(vector)
        learned = self.ledger.learn(experience)
        if learned is None:
            return False
        column, dropped = learned
        if dropped:
            self._forget(experience.agent_id, column)
        if experience.quality < self._laying.gate:
            experience = experience.model_copy(update={"quality": 0.0})
        hints = experience.type_hints if self._laying.specialists else ()
        self._admit(hints, vector)
        share = self.types.membership(vector, hints)
        spot = self.trails.column(Edge(experience.stage, experience.previous, experience.agent_id))
        trail = self._compare(experience, vector, column, share, spot)
        self._lay(experience, vector, share, spot)
        self._break_off(spot, column, share, trail, experience)
        self.types.follow(vector, share)
        self.count += 1
        if self.count % ENOUGH == 0:
            self._review()
        return True

    def _admit(self, hints: Sequence[str], vector: VectorArray) -> None:
        before = len(self.types)
        if self.types.admit(hints, vector):
            kept = list(range(before))
            fresh = len(self.types) - before
            self.trails.reshape([*({old: 1.0} for old in kept), *({} for _ in range(fresh))])
            self._watch.reshape([*kept, *[-1] * fresh])

    def _compare(self, experience: Experience, vector: VectorArray, column: int, share: FloatArray, spot: int) -> float:
        """Hold what trail and content predicted against what came, let the content learn, and return the trail."""
        card, price = experience.factors.get("card", 0.0), experience.factors.get("price", 0.0)
        good, evidence = self.trails.sums[:, :, spot]
        overall = self.trails.overall(spot)
        trail = trail_of(good, evidence, overall, share, guessed_of(card, price), self._laying.smoothing)
        first = _chance(math.log(trail / (1.0 - trail)) + self.content.difficulty(vector))
        second = _chance(self.content.logit(vector, card, price, column))
        quality, weight = experience.quality, experience.weight
        self.weights.observe(first=first, second=second, quality=quality, weight=weight)
        self.content.learn(vector, column, error=weight * (quality - second), card=card, price=price)
        self.content.learn_difficulty(vector, weight * (quality - first))
        return trail

    def _lay(self, experience: Experience, vector: VectorArray, share: FloatArray, spot: int) -> None:
        edge, good = self.trails.edges[spot], experience.quality
        self.trails.deposit(edge, experience.weight * share, good, at=experience.at)
        outcome = Outcome(
            column=spot,
            good=experience.weight * good,
            evidence=experience.weight * (good + self._laying.penalty * (1.0 - good)),
            at=experience.at,
            hinted=bool(naming(experience.type_hints)) and self._laying.specialists,
        )
        self._recent.add(vector, experience.text, outcome)

    def _break_off(self, spot: int, column: int, share: FloatArray, trail: float, experience: Experience) -> None:
        types, since = self._watch.observe(
            spot, share, predicted=trail, quality=experience.quality, weight=experience.weight
        )
        if len(types):
            good, seen = since
            self.trails.sums[:, types, spot] = good, good + self._laying.penalty * (seen - good)
            self._recent.drop(np.array([spot]))  # what was contradicted is not to be shared out
            self.content.wake(column)

    def _forget(self, agent_id: AgentId, column: int) -> None:
        gone = self.trails.drop(agent_id)
        self.content.drop(column)
        self._watch.drop(gone)
        self._recent.drop(gone)

    def _review(self) -> None:
        remaking = self.types.review(self._recent)
        if remaking is None:
            return
        self.trails.reshape(remaking.sources)
        self._watch.reshape([max(shares, key=shares.__getitem__) if shares else -1 for shares in remaking.sources])
        if remaking.found:
            self._share_out()

    def _share_out(self) -> None:
        """Move the evidence of recent outcomes from the catch-all to the types that were just found."""
        sums = self.trails.sums
        for vector, (spot, good, evidence, at, _) in zip(self._recent.vectors, self._recent.rows, strict=True):
            share = self.types.membership(vector)
            counted = self.trails.decayed_to(at) * np.array([good, evidence])
            sums[:, 0, int(spot)] -= counted
            sums[:, :, int(spot)] += np.outer(counted, share)
        np.maximum(sums, 0.0, out=sums)  # rounding may leave -1e-16

    def fit(self, outcomes: Outcomes) -> None:
        """Learn a whole table; nothing was learned before."""
        self.ledger.fit(outcomes)
        groups = outcomes.groups if self._laying.specialists else ("",) * len(outcomes)
        fit_table(outcomes, groups, self.types, self.trails, self.content, self.weights, self._laying.smoothing)
        self._watch.reshape([-1] * len(self.types))

    def map(self) -> TrailMap:
        """Return the trails as people read them, an agent without evidence at the middle of what is possible."""
        good, evidence = self.trails.sums
        smoothing = self._laying.smoothing
        overall = np.array([self.trails.overall(spot) for spot in range(len(self.trails))]).reshape(-1, 2).T
        view = TrailView.of(good, evidence, overall, smoothing)
        return TrailMap(
            types=tuple(self.types.names),
            edges=tuple(self.trails.edges),
            trail=np.clip(view.base + view.slope * MIDDLE, smoothing.low, smoothing.high),
            evidence=evidence.copy(),
            share=self.types.share,
            low=smoothing.low,
            high=smoothing.high,
            at=0.0 if self.trails.at is None else self.trails.at,
        )

    def arrays(self) -> Arrays:
        """Return the numbers, for a router's state."""
        return {
            **self.ledger.arrays(),
            **self.types.arrays(),
            **self.trails.arrays(),
            **self.content.arrays(),
            **self._watch.arrays(),
            **self._recent.arrays(),
            "pool_losses": self.weights.losses,
        }

    def meta(self) -> dict[str, JsonValue]:
        """Return the names, for a router's state."""
        named = {**self.ledger.meta(), **self.types.meta(), **self.trails.meta(), **self._recent.meta()}
        return {**named, "count": self.count}

    @classmethod
    def load(cls, laying: Laying, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> "TrailMemory":
        """Undo :meth:`arrays` and :meth:`meta`.

        Raises:
            ConfigError: a part is missing, damaged, or does not fit the others.
        """
        memory, count, losses = cls(laying), meta.get("count"), part(arrays, "pool_losses")
        if not isinstance(count, int) or count < 0 or losses.shape != (2,):
            raise ConfigError(
                f"the state counts {count!r} outcomes and {losses.shape!r} losses; take one of snapshot()"
            )
        memory.count = count
        memory.weights.load(losses)
        memory._recent = Recent.load(arrays, meta)
        memory.ledger.load(arrays, meta)
        memory.types.load(arrays, meta)
        memory.trails.load(arrays, meta)
        memory.content.load(arrays)
        memory._watch.load(arrays)
        types = {len(memory.types), arrays["trails"].shape[1], arrays["drift"].shape[3]}
        widths = {arrays["type_centres"].shape[1], arrays["recent_vectors"].shape[1], len(arrays["difficulty"]) - 1}
        if len(types) > 1 or len(widths - {0, -1}) > 1:
            raise ConfigError(f"the state's parts are for {types!r} types and vectors of {widths!r} numbers")
        return memory


def _chance(odds: float) -> float:
    return 0.5 + 0.5 * math.tanh(0.5 * odds)
