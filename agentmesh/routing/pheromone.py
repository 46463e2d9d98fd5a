"""Routes by pheromone trails: one for each type of task, laid by outcomes, fused by what the task is taken for."""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError, RoutingError
from agentmesh.packing import unpack_vector
from agentmesh.records import Experience, RouteDecision
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, RouteContext, ScoringRouter, TaskFeatures
from agentmesh.routing.content import ContentTerm
from agentmesh.routing.drift import DriftWatch
from agentmesh.routing.intent import ENOUGH, TaskTypes
from agentmesh.routing.ledger import Ledger, Means, part
from agentmesh.routing.pheromone_arguments import checked_arguments
from agentmesh.routing.policy import Policy
from agentmesh.routing.pooling import LogPool
from agentmesh.routing.prices import expected_cost
from agentmesh.routing.priors import MIDDLE, card_nearness, guessed, guessed_of, own_cost, own_latency, price_standing
from agentmesh.routing.recent import Outcome, Recent
from agentmesh.routing.regression import sigmoid
from agentmesh.routing.state import Arrays
from agentmesh.routing.trail_table import fit_table
from agentmesh.routing.trail_view import Smoothing, TrailView, trail_of, view_of
from agentmesh.routing.trails import Edge, TrailMap, Trails
from agentmesh.types import AgentId, FloatArray, IndexArray, JsonValue, MaskArray, VectorArray

DAY_S: Final = 86_400.0
OWN: Final = 8.0
"""How many outcomes the guess from card and price weighs; from 4 to 8 nothing changes on train streams."""
ANNEALED: Final = 100.0
"""Outcomes after which the extra chance to explore of the beginning is down to half."""
CALMED: Final = 200.0
"""Outcomes after which the extra curiosity of the beginning is down to half. Without it, one stream in eight settles on
a mediocre agent for good (train streams of llmrouter9)."""
KNOWN_WELL: Final = 2.0  # an edge's evidence counts as so much more when what trying it would tell is weighed


class PheromoneRouter(ScoringRouter):
    """Prefers agents whose trails are strong for what the task is about.

    The agents stand in a layered graph behind a virtual source; with one stage, the common case, an edge is an agent.
    For a task with vector x::

        intent      w_t(x)    how much the task is of each type t (TaskTypes)
        trail       tau_j   = sum_t w_t tau_tj, tau_tj the evaporating share of good outcomes (Trails, TrailView)
        heuristic   eta_j     ability by content, card and price (ContentTerm)
        transition  odds_j  ~ (tau_j / (1 - tau_j))^a * (eta_j / (1 - eta_j))^b,  a + b = 1

    in log space; the exponents are learned from which of the two predicts outcomes better (LogPool), unless ``alpha``
    fixes a. What is common to all agents on this task, its difficulty, is kept apart. The odds give an expected
    quality, so price, latency and load are weighed as the task's objective says, like for every other router, and
    a policy draws: greedy, or sampling by ``softmax:T``. Chance to explore: ``explore * (1 + anneal / (1 + n / 100))``
    after n outcomes, so that it falls to the mesh's own; and an agent hardly tried on this type is worth

        curiosity * (1 + eagerness / (1 + n / 200)) * 2 sqrt(q (1 - q))
            * (sqrt(log N / (N_j + 1)) + sqrt(log M / (M_j + 2)))

    more, with the evidence N over all types and M on the types of this task.

    Outcomes deposit graded evidence on the trails of the types of their tasks, in whatever order; trails evaporate with
    time everywhere; bounds are applied when they are read. A trail that outcomes contradict is broken off (DriftWatch),
    and a new version of an agent starts afresh.

    Reference: AMRO-S, arXiv 2603.12933; MAX-MIN Ant System, Stuetzle and Hoos, 2000. What differs from AMRO-S, and why,
    is in docs/decisions/005.

    Args:
        types: The most types of task to find; 0 leaves one for all. Named types come from hints or a fitted table.
        stages: The agents of each stage, for workflows; empty is one stage of all agents.
        specialists: ``False`` lays one shared trail for all types (an ablation).
        alpha: The trail's exponent, 0 (heuristic only) to 1 (trail only); ``None`` learns it.
        gate: Outcomes of lower quality count as worthless, 0 (off) to 1.
        penalty: How much evidence against an agent missing quality is, 0 to 1.
        half_life_days: After which a deposit counts half, above 0.
        bounds: The weakest and the strongest a trail may be, within 0 to 1.
        smoothing: Outcomes that an agent's mean over all types weighs beside those on one type, above 0.
        rate: The first step of the content term, 0 (no content) to 2.
        curiosity: How much the rarely tried are preferred, 0 (never explore) to about 0.3.
        eagerness: How many times that more at the beginning, 0 and up.
        anneal: How much more is explored at the beginning, 0 and up: 1.5 makes 2 % start at 5 %.
        drift: How much contradiction breaks a trail off, in outcomes; 0 never does.
        load_weight: What an agent loses that is fully busy, in units of quality.
        policy: As in :class:`~agentmesh.routing.base.ScoringRouter`.

    >>> pool = AgentPool(("a", "b"), np.zeros((2, 2), np.float32), *[np.full(2, np.nan)] * 4, np.ones(2, np.int64),
    ...                  np.ones(2, np.bool_), "r1")
    >>> router = PheromoneRouter(alpha=1.0)
    >>> router.trails().trail.shape
    (1, 0)
    """

    name: ClassVar[str] = "pheromone"
    calibrated: ClassVar[bool] = True
    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {"smoothing": (10.0, 4.0)}

    def __init__(
        self,
        *,
        types: int = 16,
        stages: Sequence[Sequence[AgentId]] = (),
        specialists: bool = True,
        alpha: float | None = None,
        gate: float = 0.0,
        penalty: float = 1.0,
        half_life_days: float = 30.0,
        bounds: Sequence[float] = (0.02, 0.98),
        smoothing: float = 10.0,
        rate: float = 1.0,
        curiosity: float = 0.05,
        eagerness: float = 10.0,
        anneal: float = 1.5,
        drift: float = 8.0,
        load_weight: float = 0.1,
        policy: str = "greedy",
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name not in ("self", "policy", "__class__")}
        plain = checked_arguments(arguments)
        super().__init__(policy=policy, **plain)
        self._stages = tuple(frozenset(stage) for stage in stages)
        self._types_wanted = types if specialists else 0
        self._specialists, self._alpha, self._gate, self._penalty = specialists, alpha, gate, penalty
        self._half_life_s, self._rate, self._drift = half_life_days * DAY_S, rate, drift
        self._smoothing = Smoothing(within=smoothing, own=OWN, low=float(bounds[0]), high=float(bounds[1]))
        self._curiosity, self._eagerness = curiosity, eagerness
        self._anneal, self._load_weight = anneal, load_weight
        self._clear()

    def _clear(self) -> None:
        self._ledger = Ledger()
        self._types = TaskTypes(self._types_wanted)
        self._trails = Trails(half_life_s=self._half_life_s, penalty=self._penalty)
        self._content = ContentTerm(self._rate)
        self._watch = DriftWatch(self._drift)
        self._pool_weights = LogPool()
        self._recent = Recent()
        self._count = 0
        self._seen: _Standpoint | None = None

    # --- deciding -----------------------------------------------------------------------------------------------

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Fuse the trails for this task, pool them with what content, card and price say."""
        vector = features.vector
        self._content.check(vector)
        priced = expected_cost(features, pool)
        card, price = card_nearness(features, pool), price_standing(priced)
        here = self._standpoint(pool, features.stage, features.previous)
        view, share = here.view, self._membership(features)
        trail = view.fused(share, guessed(card, price))
        ability = self._content.logits(vector, card, price, here.columns)
        exponent = self._exponent()
        odds = exponent * (_logit(trail) + self._content.difficulty(vector)) + (1.0 - exponent) * ability
        quality = sigmoid(odds)
        evidence = share @ view.evidence
        return Estimate(
            quality=quality,
            cost=own_cost(here.means, priced),
            latency=here.latency,
            curiosity=self._curious(here.unsure, evidence, quality),
            factors={
                "trail": trail,
                "evidence": evidence,
                "ability": sigmoid(ability),
                "card": card,
                "price": price,
            },
            intent=self._intent(share),
        )

    def _membership(self, features: TaskFeatures) -> FloatArray:
        return self._types.membership(features.vector, features.type_hints if self._specialists else ())

    def _intent(self, share: FloatArray) -> Mapping[str, float]:
        if len(share) == 1:
            return {}
        likely = np.flatnonzero(share > 0.01)
        return {self._types.names[place]: float(share[place]) for place in likely}

    def _exponent(self) -> float:
        return 1.0 - self._pool_weights.second if self._alpha is None else self._alpha

    def _curious(self, unsure: FloatArray, evidence: FloatArray, quality: FloatArray) -> FloatArray:
        here = np.sqrt(math.log(float(evidence.sum()) + math.e) / (evidence + KNOWN_WELL))
        eager = 1.0 + self._eagerness / (1.0 + self._count / CALMED)
        worth: FloatArray = (2.0 * self._curiosity * eager) * (unsure + here) * np.sqrt(quality * (1.0 - quality))
        return worth

    def _standpoint(self, pool: AgentPool, stage: int, previous: AgentId) -> "_Standpoint":
        key = (pool.ids, pool.versions.tobytes(), stage, previous)
        if self._seen is None or self._seen.key != key:
            view = view_of(self._trails, self._ledger, pool, stage=stage, previous=previous, smoothing=self._smoothing)
            means = self._ledger.means(pool)
            self._seen = _Standpoint(
                key=key,
                view=view,
                columns=self._ledger.columns(pool),
                means=means,
                latency=own_latency(means, pool.latency_s),
                unsure=np.sqrt(np.log(view.total.sum() + np.e) / (view.total + 1.0)),
            )
        return self._seen

    def _utilities(self, estimate: Estimate, mask: MaskArray, context: RouteContext) -> FloatArray:
        """Weigh as every router does; a busy agent takes longer, and loses ``load_weight`` when it is full."""
        if context.load is None:
            return super()._utilities(estimate, mask, context)
        slower = replace(estimate, latency=estimate.latency * (1.0 + context.load))
        return super()._utilities(slower, mask, context) - self._load_weight * context.load

    def _policy_for(self, context: RouteContext) -> Policy:
        """Explore more while little is known; nothing where the context says not to."""
        extra = 1.0 + self._anneal / (1.0 + self._count / ANNEALED)
        return self._policy.build(explore=min(context.explore * extra, 1.0))

    def decide(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        """Decide among the agents of the task's stage.

        Raises:
            RoutingError: there is no such stage.
            NoCandidateError: no agent of the stage passes the gates.
        """
        if not self._stages:
            return super().decide(features, pool, context)
        if not 0 <= features.stage < len(self._stages):
            raise RoutingError(f"stage {features.stage!r} does not exist; expected 0 to {len(self._stages) - 1}")
        members = self._stages[features.stage]
        others = {agent_id: "stage" for agent_id in pool.ids if agent_id not in members}
        outside = {agent_id: gate for agent_id, gate in others.items() if agent_id not in pool.refused}
        return super().decide(features, pool.gated(outside), context)

    def walk(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> list[RouteDecision]:
        """Sample a path from the source through all stages, layer by layer: each decision stands behind the last one.

        A stage on which nobody is chosen ends the path.
        """
        path: list[RouteDecision] = []
        previous = features.previous
        for stage in range(max(1, len(self._stages))):
            here = replace(features, stage=stage, previous=previous)
            path.append(self.decide(here, pool, replace(context, seed=(context.seed + stage) % 2**63)))
            if not path[-1].selected:
                break
            previous = path[-1].selected[0].agent_id
        return path

    # --- learning -----------------------------------------------------------------------------------------------

    def _learn(self, experience: Experience) -> None:
        vector = unpack_vector(experience.vector)
        self._content.check(vector)
        learned = self._ledger.learn(experience)
        if learned is None:
            return
        column, dropped = learned
        if experience.quality < self._gate:
            experience = experience.model_copy(update={"quality": 0.0})
        self._seen = None
        if dropped:
            self._forget(experience.agent_id, column)
        hints = experience.type_hints if self._specialists else ()
        self._admit(hints, vector)
        share = self._types.membership(vector, hints)
        edge = Edge(experience.stage, experience.previous, experience.agent_id)
        trail = self._compare(experience, vector, column, share, self._trails.column(edge))
        good = experience.quality
        spot = self._trails.deposit(edge, experience.weight * share, good, at=experience.at)
        self._break_off(spot, column, share, trail, experience)
        against = self._penalty * (1.0 - good)
        outcome = Outcome(
            column=spot,
            good=experience.weight * good,
            evidence=experience.weight * (good + against),
            at=experience.at,
            hinted=bool(hints),
        )
        self._recent.add(vector, experience.text, outcome)
        self._types.follow(vector, share)
        self._count += 1
        if self._count % ENOUGH == 0:
            self._review()

    def _admit(self, hints: Sequence[str], vector: VectorArray) -> None:
        before = len(self._types)
        if self._types.admit(hints, vector):
            kept = list(range(before))
            fresh = len(self._types) - before
            self._trails.reshape([*({old: 1.0} for old in kept), *({} for _ in range(fresh))])
            self._watch.reshape([*kept, *[-1] * fresh])

    def _compare(self, experience: Experience, vector: VectorArray, column: int, share: FloatArray, spot: int) -> float:
        """Hold what trail and content predicted against what came, let the content learn, and return the former."""
        card, price = experience.factors.get("card", 0.0), experience.factors.get("price", 0.0)
        good, evidence = self._trails.sums[:, :, spot]
        trail = trail_of(good, evidence, share, guessed_of(card, price), self._smoothing)
        first = _chance(math.log(trail / (1.0 - trail)) + self._content.difficulty(vector))
        second = _chance(self._content.logit(vector, card, price, column))
        quality, weight = experience.quality, experience.weight
        self._pool_weights.observe(first=first, second=second, quality=quality, weight=weight)
        self._content.learn(vector, column, error=weight * (quality - second), card=card, price=price)
        self._content.learn_difficulty(vector, weight * (quality - first))
        return first

    def _break_off(self, spot: int, column: int, share: FloatArray, trail: float, experience: Experience) -> None:
        types, since = self._watch.observe(
            spot, share, predicted=trail, quality=experience.quality, weight=experience.weight
        )
        if len(types):
            good, seen = since
            self._trails.sums[:, types, spot] = good, good + self._penalty * (seen - good)
            self._recent.drop(np.array([spot]))  # what was contradicted is not to be shared out
            self._content.wake(column)

    def _forget(self, agent_id: AgentId, column: int) -> None:
        gone = self._trails.drop(agent_id)
        self._content.drop(column)
        self._watch.drop(gone)
        self._recent.drop(gone)

    def _review(self) -> None:
        remaking = self._types.review(self._recent)
        if remaking is None:
            return
        self._trails.reshape(remaking.sources)
        self._watch.reshape([max(shares, key=shares.__getitem__) if shares else -1 for shares in remaking.sources])
        if remaking.found:
            self._share_out()

    def _share_out(self) -> None:
        """Move the evidence of recent outcomes from the catch-all to the types that were just found."""
        for vector, (spot, good, evidence, at, _) in zip(self._recent.vectors, self._recent.rows, strict=True):
            share = self._types.membership(vector)
            counted = self._trails.decayed_to(at) * np.array([good, evidence])
            self._trails.sums[:, 0, int(spot)] -= counted
            self._trails.sums[:, :, int(spot)] += np.outer(counted, share)
        np.maximum(self._trails.sums, 0.0, out=self._trails.sums)  # rounding may leave -1e-16

    def _fit(self, outcomes: Outcomes) -> None:
        self._clear()
        self._ledger.fit(outcomes)
        groups = outcomes.groups if self._specialists else ("",) * len(outcomes)
        fit_table(outcomes, groups, self._types, self._trails, self._content, self._pool_weights, self._smoothing)
        self._watch.reshape([-1] * len(self._types))

    # --- state --------------------------------------------------------------------------------------------------

    def trails(self) -> TrailMap:
        """Return the trails as people read them, an agent without evidence at the middle of what is possible."""
        good, evidence = self._trails.sums
        overall = self._trails.sums.sum(axis=1)
        view = TrailView.of(good, evidence, overall, self._smoothing)
        low, high = self._smoothing.low, self._smoothing.high
        return TrailMap(
            types=tuple(self._types.names),
            edges=tuple(self._trails.edges),
            trail=np.clip(view.base + view.slope * MIDDLE, low, high),
            evidence=evidence.copy(),
            share=self._types.share,
            low=low,
            high=high,
            at=0.0 if self._trails.at is None else self._trails.at,
        )

    @property
    def exponents(self) -> tuple[float, float]:
        """Return how much the trail and the heuristic weigh in a choice now; they sum to 1."""
        exponent = self._exponent()
        return exponent, 1.0 - exponent

    def _arrays(self) -> Arrays:
        return {
            **self._ledger.arrays(),
            **self._types.arrays(),
            **self._trails.arrays(),
            **self._content.arrays(),
            **self._watch.arrays(),
            **self._recent.arrays(),
            "pool_losses": self._pool_weights.losses,
        }

    def _meta(self) -> Mapping[str, JsonValue]:
        return {
            **self._ledger.meta(),
            **self._types.meta(),
            **self._trails.meta(),
            **self._recent.meta(),
            "count": self._count,
        }

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        count, losses = meta.get("count"), part(arrays, "pool_losses")
        if not isinstance(count, int) or count < 0 or losses.shape != (2,):
            raise ConfigError(
                f"the state counts {count!r} outcomes and {losses.shape!r} losses; take one of snapshot()"
            )
        fresh = copy(self)  # a state that turns out to be damaged leaves this router as it was
        fresh._clear()
        fresh._take_over(arrays, meta)
        fresh._pool_weights.load(losses)
        fresh._count = count
        vars(self).update(vars(fresh))

    def _take_over(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        self._recent = Recent.load(arrays, meta)
        self._ledger.load(arrays, meta)
        self._types.load(arrays, meta)
        self._trails.load(arrays, meta)
        self._content.load(arrays)
        self._watch.load(arrays)
        types = {len(self._types), arrays["trails"].shape[1], arrays["drift"].shape[3]}
        widths = {arrays["type_centres"].shape[1], arrays["recent_vectors"].shape[1], len(arrays["difficulty"]) - 1}
        if len(types) > 1 or len(widths - {0, -1}) > 1:
            raise ConfigError(f"the state's parts are for {types!r} types and vectors of {widths!r} numbers")


@dataclass(frozen=True, slots=True)
class _Standpoint:
    """What a decision needs that depends on pool and state alone: it serves until something is learned.

    Shapes:
        columns, latency, unsure: (n,); ``unsure`` is how little is known of each agent over all types.
    """

    key: tuple[object, ...]
    view: TrailView
    columns: IndexArray
    means: Means
    latency: FloatArray
    unsure: FloatArray


def _chance(odds: float) -> float:
    return 0.5 + 0.5 * math.tanh(0.5 * odds)


def _logit(odds: FloatArray) -> FloatArray:
    raised: FloatArray = np.log(odds) - np.log1p(-odds)
    return raised
