"""Routes by pheromone trails: one for each type of task, laid by outcomes, fused by what the task is taken for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import RoutingError
from agentmesh.records import Experience, RouteDecision
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, RouteContext, ScoringRouter, TaskFeatures
from agentmesh.routing.pheromone_arguments import checked_arguments
from agentmesh.routing.policy import Policy
from agentmesh.routing.prices import expected_cost
from agentmesh.routing.priors import card_nearness, guessed, own_cost, price_standing
from agentmesh.routing.regression import sigmoid
from agentmesh.routing.state import Arrays
from agentmesh.routing.trail_memory import Laying, TrailMemory
from agentmesh.routing.trail_view import Smoothing, Standpoint
from agentmesh.routing.trails import TrailMap
from agentmesh.types import AgentId, FloatArray, JsonValue, MaskArray

DAY_S: Final = 86_400.0
OWN: Final = 8.0
"""How many outcomes the guess from card and price weighs; from 4 to 8 nothing changes on train streams."""
ANNEALED: Final = 100.0
"""Outcomes after which the extra chance to explore of the beginning is down to half."""
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

        curiosity * 2 sqrt(q (1 - q)) * (sqrt(log N / (N_j + 1)) + sqrt(log M / (M_j + 2)))

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
        anneal: How much more is explored at the beginning, 0 and up: 0.5 makes 2 % start at 3 %.
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
    calibrated: bool = True
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
        anneal: float = 0.5,
        drift: float = 8.0,
        load_weight: float = 0.1,
        policy: str = "greedy",
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name not in ("self", "policy", "__class__")}
        plain = checked_arguments(arguments)
        super().__init__(policy=policy, **plain)
        self._stages = tuple(frozenset(stage) for stage in stages)
        self._alpha, self._curiosity = alpha, curiosity
        self._anneal, self._load_weight = anneal, load_weight
        self._laying = Laying(
            types=types,
            specialists=specialists,
            gate=gate,
            penalty=penalty,
            half_life_s=half_life_days * DAY_S,
            rate=rate,
            drift=drift,
            smoothing=Smoothing(within=smoothing, own=OWN, low=bounds[0], high=bounds[1]),
        )
        self._memory = TrailMemory(self._laying)
        self._seen: Standpoint | None = None

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Fuse the trails for this task, pool them with what content, card and price say."""
        vector, content = features.vector, self._memory.content
        content.check(vector)
        priced = expected_cost(features, pool)
        card, price = card_nearness(features, pool), price_standing(priced)
        here, share = self._standpoint(pool, features), self._memory.membership(vector, features.type_hints)
        trail = here.view.fused(share, guessed(card, price))
        ability = content.logits(vector, card, price, here.columns)
        exponent = self._exponent()
        quality = sigmoid(exponent * (_logit(trail) + content.difficulty(vector)) + (1.0 - exponent) * ability)
        evidence = share @ here.view.evidence
        curiosity = self._curious(here.unsure, evidence, quality)
        return Estimate(
            quality=quality,
            cost=own_cost(here.means, priced),
            latency=here.latency,
            curiosity=curiosity,
            factors={
                "trail": trail,
                "evidence": evidence,
                "ability": sigmoid(ability),
                "card": card,
                "price": price,
                "curiosity": curiosity,
            },
            intent=self._intent(share),
        )

    def _standpoint(self, pool: AgentPool, features: TaskFeatures) -> Standpoint:
        key = (pool.ids, pool.versions.tobytes(), features.stage, features.previous)
        if self._seen is None or self._seen.key != key:
            memory, smoothing = self._memory, self._laying.smoothing
            self._seen = Standpoint.of(memory.trails, memory.ledger, pool, features, key=key, smoothing=smoothing)
        return self._seen

    def _intent(self, share: FloatArray) -> Mapping[str, float]:
        if len(share) == 1:
            return {}
        likely = np.flatnonzero(share > 0.01)
        return {self._memory.types.names[place]: float(share[place]) for place in likely}

    def _exponent(self) -> float:
        return 1.0 - self._memory.weights.second if self._alpha is None else self._alpha

    def _curious(self, unsure: FloatArray, evidence: FloatArray, quality: FloatArray) -> FloatArray:
        here = np.sqrt(math.log(float(evidence.sum()) + math.e) / (evidence + KNOWN_WELL))
        worth: FloatArray = (2.0 * self._curiosity) * (unsure + here) * np.sqrt(quality * (1.0 - quality))
        return worth

    def _utilities(self, estimate: Estimate, mask: MaskArray, context: RouteContext) -> FloatArray:
        """Weigh as every router does; a busy agent takes longer, and loses ``load_weight`` when it is full."""
        if context.load is None:
            return super()._utilities(estimate, mask, context)
        slower = replace(estimate, latency=estimate.latency * (1.0 + context.load))
        return super()._utilities(slower, mask, context) - self._load_weight * context.load

    def _policy_for(self, context: RouteContext) -> Policy:
        """Explore more while little is known; nothing where the context says not to."""
        extra = 1.0 + self._anneal / (1.0 + self._memory.count / ANNEALED)
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

    def _learn(self, experience: Experience) -> None:
        if self._memory.learn(experience):
            self._seen = None

    def _fit(self, outcomes: Outcomes) -> None:
        self._memory, self._seen = TrailMemory(self._laying), None
        self._memory.fit(outcomes)

    def trails(self) -> TrailMap:
        """Return the trails as people read them, an agent without evidence at the middle of what is possible."""
        return self._memory.map()

    @property
    def exponents(self) -> tuple[float, float]:
        """Return how much the trail and the heuristic weigh in a choice now; they sum to 1."""
        exponent = self._exponent()
        return exponent, 1.0 - exponent

    def _arrays(self) -> Arrays:
        return self._memory.arrays()

    def _meta(self) -> Mapping[str, JsonValue]:
        return self._memory.meta()

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        self._memory, self._seen = TrailMemory.load(self._laying, arrays, meta), None


def _logit(odds: FloatArray) -> FloatArray:
    raised: FloatArray = np.log(odds) - np.log1p(-odds)
    return raised
