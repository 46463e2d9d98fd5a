"""Routers in a row: the cheap one decides what is clear, the next is asked only where it is unsure, a model last."""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.records import Experience, RouteDecision, Stage
from agentmesh.routing.base import AgentPool, Estimate, Outcomes, RouteContext, ScoringRouter, TaskFeatures
from agentmesh.routing.cascade_stages import after_reasoning, stage_of, turned_away
from agentmesh.routing.gatekeeping import Gatekeeper
from agentmesh.routing.nested import Named, heads_of, member, named_as, payloads_of, restore_all
from agentmesh.routing.pacing import REASONING
from agentmesh.routing.progress import Say
from agentmesh.routing.reasoning.reasoner import Reasoner
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, JsonValue

MOST_TRIED: Final = 1000  # tasks that a threshold is read off; more would not move it by a tenth of a point
NO_ARGUMENTS: Final[Mapping[str, JsonValue]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Heard:
    """What the routers said of one task. ``unsure`` says that the last of them would rather have a model asked."""

    decision: RouteDecision
    pool: AgentPool
    unsure: bool


class CascadeRouter(ScoringRouter):
    """Lets each task go as far down a row of routers as it takes: milliseconds for the clear ones.

    Rule: the first router chooses. Its confidence is its margin: by how much the chosen agent is worth more than the
    best one left out. At or above the threshold its choice stands; below, the next router chooses, and so on; below the
    last router's threshold a reasoning model is asked, where the mesh has one. ``shares`` are budgets: what share of
    all tasks may go past each router. Thresholds are read off tasks that the routers have not learned
    (:meth:`calibrate`); a mesh counts, and corrects the last one as it goes
    (:class:`~agentmesh.routing.pacing.SlidingPace`). What was drawn at random, to keep every agent observed, stands.

    A guard that was calibrated stands before them all: for a task unlike those it knows nobody is chosen, unless a pin
    names who is to act, or the task is like the card of an agent that came later.

    Every outcome teaches every router; guard, thresholds and routers are one state.

    Reference: cascades of models as in FrugalGPT, Chen, Zaharia and Zou, 2023, arXiv 2305.05176; here of routers.

    Args:
        stages: The routers, cheap first: names, ``{"router": name, "arguments": {...}}``, or objects.
        shares: For each router the share of tasks, 0 to 1, that may go past it; the last share is the model's.
        guard: Arguments of the :class:`~agentmesh.routing.guard.Guard`.
        reasoning: Arguments of the :class:`~agentmesh.routing.reasoning.reasoner.Reasoner`; ``None`` to ask no model.

    >>> CascadeRouter(stages=("kernel", "linear"), shares=(0.3, 0.1)).parameters["shares"]
    [0.3, 0.1]
    """

    name: ClassVar[str] = "cascade"

    def __init__(
        self,
        *,
        stages: Sequence[Named] = ("kernel",),
        shares: Sequence[float] = (0.1,),
        guard: Mapping[str, JsonValue] = NO_ARGUMENTS,
        reasoning: Mapping[str, JsonValue] | None = NO_ARGUMENTS,
    ) -> None:
        self._routers, self._shares = tuple(member(stage) for stage in stages), tuple(shares)
        _check(self._routers, self._shares)
        self._gatekeeper = Gatekeeper(guard)
        self._reasoner = None if reasoning is None else _reasoner(reasoning)
        super().__init__(
            stages=[named_as(router) for router in self._routers],
            shares=list(self._shares),
            guard=dict(self._gatekeeper.guard.parameters),
            reasoning=None if self._reasoner is None else dict(self._reasoner.parameters),
        )
        self.calibrated = self._routers[-1].calibrated
        self.trains = any(router.trains for router in self._routers)
        self._thresholds = self._no_thresholds()

    @property
    def training(self) -> Mapping[str, JsonValue]:
        """Return what its routers say of their training, by name."""
        return {router.name: dict(router.training) for router in self._routers if router.training}

    @property
    def scorer(self) -> ScoringRouter:
        """Return the last router: the one that the others hand over to."""
        return self._routers[-1]

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Return what the last router expects."""
        return self.scorer.estimate(features, pool)

    def decide(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        """Decide without asking a model.

        Raises:
            NoCandidateError: the mask of ``pool`` is False everywhere.
            RouterOutputError: a router's ``estimate`` does not fit the pool.
        """
        return self._heard(features, pool, context).decision

    async def route(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        """Decide, and have a reasoning model decide where the routers are unsure and ``context`` has one to ask."""
        begun = time.perf_counter()
        heard = self._heard(features, pool, context)
        if not heard.unsure or self._reasoner is None or context.asker is None:
            return heard.decision
        with nullcontext() if context.pace is None else context.pace.asking():
            decision = await self._reasoner.consult(features, heard.pool, context, heard.decision)
        return after_reasoning(heard.decision, decision, elapsed_ms=(time.perf_counter() - begun) * 1e3)

    def calibrate(
        self,
        outcomes: Outcomes,
        *,
        val: Outcomes | None = None,
        coverage: float | None = None,
        thresholds: FloatArray | None = None,
    ) -> None:
        """Fit the guard on tasks that somebody can do, and set the thresholds; the routers stay as they are.

        Args:
            outcomes: Tasks with what agents were worth on them.
            val: Other tasks; by default a part of ``outcomes`` is held back from the guard.
            coverage: The share of tasks such as these that are to be answered; by default the guard's own.
            thresholds: Those of a twin, (stages,), where these routers have learned ``val``; by default they are read
                off it.

        Raises:
            ConfigError: there is too little to calibrate on.
        """
        self._gatekeeper.fit(outcomes, val, coverage=coverage)
        read = self._read_thresholds(outcomes if val is None else val) if thresholds is None else thresholds
        self._thresholds = read
        calibrated_on = f"{outcomes.fingerprint()} {'' if val is None else val.fingerprint()} {coverage}"
        self._base = _hash_of(self._base, calibrated_on)

    def inherit(self, serving: ScoringRouter) -> None:
        """Take over guard and thresholds, if ``serving`` was calibrated."""
        if not isinstance(serving, CascadeRouter) or not serving.is_calibrated:
            return
        self._gatekeeper.load(serving._gatekeeper.arrays(), serving._gatekeeper.meta())
        self._thresholds = serving._thresholds.copy()
        self._base = _hash_of(self._base, serving._base)

    @property
    def is_calibrated(self) -> bool:
        """Return whether a guard stands before the routers."""
        return self._gatekeeper.guard.is_fitted

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the names of the routers, in the order in which they are asked."""
        return tuple(router.name for router in self._routers)

    @property
    def shares(self) -> tuple[float, ...]:
        """Return for each router the share of tasks that may go past it."""
        return self._shares

    @property
    def asked(self) -> int | None:
        """Return how many agents a model is asked about, ``None`` where no model is asked."""
        return None if self._reasoner is None else self._reasoner.candidates

    @property
    def thresholds(self) -> FloatArray:
        """Return how sure each router must be to decide by itself, (stages,)."""
        return self._thresholds.copy()

    @property
    def gatekeeper(self) -> Gatekeeper:
        """Return what stands before the routers."""
        return self._gatekeeper

    def _heard(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> _Heard:
        begun = time.perf_counter()
        allowed, guarded = self._gatekeeper.check(features, pool)
        if guarded is not None and guarded.decided:
            first = self._routers[0]
            decision, unsure = first.decide(features, allowed, context), False
            spoken = [stage_of(first.name, decision, -np.inf, "")]
            decision = turned_away(decision, guarded)
        else:
            decision, spoken, unsure = self._spoken(features, allowed, context)
        update = {
            "router": self.name,
            "router_version": self.version,
            "stages": tuple(spoken if guarded is None else [guarded, *spoken]),
            "elapsed_ms": (time.perf_counter() - begun) * 1e3,
        }
        return _Heard(decision.model_copy(update=update), allowed, unsure)

    def _spoken(
        self, features: TaskFeatures, pool: AgentPool, context: RouteContext
    ) -> tuple[RouteDecision, list[Stage], bool]:
        """Let the routers speak until one is sure, and say whether the last one was not."""
        spoken = list[Stage]()
        if self._reasoner is not None and context.asker is not None:  # all that a model is asked of are told
            context = replace(context, top=max(context.top, self._reasoner.candidates))
        for place, router in enumerate(self._routers):
            decision, threshold = router.decide(features, pool, context), self._threshold(place, context)
            stage = stage_of(router.name, decision, threshold, self._beyond(place, context))
            spoken.append(stage)
            unsure = stage.confidence is not None and stage.confidence < threshold
            if not unsure:
                break
        if not unsure:
            spoken[-1] = stage.model_copy(update={"decided": True})
        return decision, spoken, unsure

    def _beyond(self, place: int, context: RouteContext) -> str:
        """Return the name of what comes after a router, "" where nothing does."""
        if place < len(self._routers) - 1:
            return self._routers[place + 1].name
        return "" if self._reasoner is None or context.asker is None else REASONING

    def _threshold(self, place: int, context: RouteContext) -> float:
        if not self._beyond(place, context):
            return -np.inf
        if place == len(self._routers) - 1 and context.pace is not None:
            return context.pace.threshold(self._shares[place])
        return float(self._thresholds[place])

    def _fit_checked(self, outcomes: Outcomes, val: Outcomes | None, say: Say) -> None:
        for router in self._routers:
            if router.is_fittable:
                router.fit(outcomes, val=val, say=say)
        self._gatekeeper.clear()
        self._thresholds = self._no_thresholds() if val is None else self._read_thresholds(val)

    def _no_thresholds(self) -> FloatArray:
        """Return thresholds that nobody is below: until it is known how sure a router usually is, it decides."""
        return np.full(len(self._routers), -np.inf)

    def _read_thresholds(self, outcomes: Outcomes) -> FloatArray:
        """Return for each router the confidence that its share of the tasks does not reach.

        A share is of all tasks, and only those that went past the router before arrive: so it is divided by theirs.
        """
        pool, thresholds = outcomes.pool, self._no_thresholds()
        if pool is None or not len(outcomes):
            return thresholds
        rows, arriving = np.linspace(0, len(outcomes) - 1, min(len(outcomes), MOST_TRIED)).astype(np.int64), 1.0
        for place, (router, share) in enumerate(zip(self._routers, self._shares, strict=True)):
            confidences = np.array([_confidence(router, outcomes, row, pool) for row in rows.tolist()])
            thresholds[place] = np.quantile(confidences, min(share / arriving, 1.0)) if arriving > 0 else -np.inf
            rows, arriving = rows[confidences < thresholds[place]], min(share, arriving)
            if not len(rows):
                break
        return thresholds

    def _learn(self, experience: Experience) -> None:
        for router in self._routers:
            router.learn(experience)

    def rebase(self, base: str) -> None:
        """Count what was learned so far as what this was fitted on; its routers do so too."""
        super().rebase(base)
        for router in self._routers:
            router.rebase(base)

    def _arrays(self) -> Arrays:
        return {**payloads_of(self._routers), **self._gatekeeper.arrays(), "thresholds": self._thresholds}

    def _meta(self) -> Mapping[str, JsonValue]:
        return {"routers": heads_of(self._routers), "gatekeeper": self._gatekeeper.meta()}

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        thresholds = arrays["thresholds"]
        if thresholds.shape != (len(self._routers),):
            raise ConfigError(f"a state's thresholds have shape {thresholds.shape!r}; expected {len(self._routers)}")
        keeper = Gatekeeper(self._gatekeeper.guard.parameters)
        keeper.load(arrays, meta["gatekeeper"])
        restore_all(self._routers, arrays, meta["routers"])
        self._gatekeeper, self._thresholds = keeper, thresholds.astype(np.float64)


def _hash_of(base: str, more: str) -> str:
    return blake2b(f"{base} {more}".encode(), digest_size=8).hexdigest()


def _reasoner(arguments: Mapping[str, JsonValue]) -> Reasoner:
    try:
        return Reasoner(**dict(arguments))  # type: ignore[arg-type]  # checked by the reasoner itself
    except TypeError as error:
        raise ConfigError(f"a reasoner cannot be built with {dict(arguments)!r}: {error}") from error


def _check(routers: Sequence[ScoringRouter], shares: Sequence[float]) -> None:
    if not routers or len(shares) != len(routers):
        raise ConfigError(f"a cascade has {len(routers)} stages and {len(shares)} shares; give one share for each")
    for share in shares:
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"a share is {share!r}; it must be from 0 to 1")


def _confidence(router: ScoringRouter, outcomes: Outcomes, row: int, pool: AgentPool) -> float:
    """Return how sure a router is on a task of a table, infinite where there is nobody else to choose."""
    features = TaskFeatures(vector=outcomes.vectors[row], text=outcomes.texts[row])
    margin = router.decide(features, pool, RouteContext(seed=0)).margin
    return np.inf if margin is None else margin
