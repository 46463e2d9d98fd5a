"""The seam of every router: what it is shown, what it returns, how it learns, how its state is kept.

A router sees vectors, arrays and cards; never the registry, the store or the network. Given the same features, pool,
context and state it returns the same decision, also in another process, whatever was decided before: it keeps no
counter and draws all chance from ``context.seed``.

A router that rates each agent inherits ``ScoringRouter`` and is one short file: ``estimate``, and the hooks ``_fit``,
``_learn``, ``_arrays``, ``_meta`` and ``_load`` as far as it learns.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError, NoCandidateError, RouterOutputError, RoutingError
from agentmesh.frozen import built
from agentmesh.packing import pack_floats
from agentmesh.records import Experience, RouteDecision, RouterState
from agentmesh.routing.decision import (
    Rated,
    canonical_order,
    named_kinds,
    placed_back,
    reordered,
    reordered_context,
)
from agentmesh.routing.inputs import AgentPool as AgentPool
from agentmesh.routing.inputs import Outcomes as Outcomes
from agentmesh.routing.inputs import RouteContext as RouteContext
from agentmesh.routing.inputs import TaskFeatures as TaskFeatures
from agentmesh.routing.inputs import index_of as index_of
from agentmesh.routing.objective import Estimate as Estimate
from agentmesh.routing.objective import utility
from agentmesh.routing.policy import Policy, PolicySpec
from agentmesh.routing.progress import Say, unsaid
from agentmesh.routing.state import Arrays, pack_state, unpack_state
from agentmesh.routing.state import hash_parameters as hash_parameters
from agentmesh.routing.window import OutcomeWindow
from agentmesh.types import FloatArray, JsonValue, MaskArray, VectorArray


class Router(ABC):
    """Decides which agents act on a task, and learns from what came of it."""

    name: ClassVar[str]

    @abstractmethod
    async def route(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        """Select up to ``context.max_agents`` agents of ``pool``.

        An abstaining decision (``abstained`` set, nothing selected) says that nobody fits.

        Raises:
            NoCandidateError: the mask of ``pool`` is False everywhere.
        """

    @abstractmethod
    def learn(self, experience: Experience) -> None:
        """Take in one outcome. Its ``sequence`` becomes the state's; they arrive in order, each once."""

    def skip(self, sequence: int, at: float) -> None:
        """Pass over an outcome that :meth:`learn` refused: the state stays, its ``sequence`` and time move on."""
        self.restore(self.snapshot().model_copy(update={"sequence": sequence, "at": at}))

    @abstractmethod
    def snapshot(self) -> RouterState:
        """Return the whole state; a fresh router of the same parameters that restores it is the same bit for bit."""

    @abstractmethod
    def restore(self, state: RouterState) -> None:
        """Take over ``state``, its base included.

        Raises:
            ConfigError: the state is of another router or of other parameters.
        """

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, JsonValue]:
        """Return the JSON-able arguments this was built with: ``type(router)(**parameters)`` builds its twin."""

    @property
    @abstractmethod
    def sequence(self) -> int:
        """Return the number of the last experience learned, 0 at the start."""

    @property
    def base(self) -> str:
        """Return a fingerprint of the outcomes this router was fitted on in one go, "" when it was not."""
        return ""

    @property
    def training(self) -> Mapping[str, JsonValue]:
        """Return what is to be said of its training: of what, how long, how good; {} where there is nothing."""
        return {}

    @property
    def parameters_hash(self) -> str:
        """Return 12 hexadecimal digits that name the parameters and, when it was fitted, what it was fitted on."""
        return hash_parameters(self.name, self.parameters, self.base)

    @property
    def version(self) -> str:
        """Return what a decision names: ``<parameters hash>@<last experience>``."""
        return f"{self.parameters_hash}@{self.sequence}"


class ScoringRouter(Router):
    """A router that rates every agent, weighs the ratings by the task's objective, and lets a policy draw.

    Subclasses write :meth:`estimate`. One that learns also writes ``_fit`` (a whole table) or ``_learn`` (one outcome)
    or both, and hands out what it learned by ``_arrays`` and ``_meta``, which ``_load`` takes back. Its constructor
    passes every argument on, so that ``parameters`` can name them::

        def __init__(self, *, k: int = 20, policy: str = "greedy") -> None:
            super().__init__(policy=policy, k=k)

    ``policy`` is ``greedy``, ``softmax:0.1``, ``gumbel:0.1`` or ``threshold:0.6``; each mixes in ``context.explore``.
    It is among the parameters unless it is ``greedy``.

    One that keeps away from busy agents overrides ``_utilities``, where ``context.load`` has a share of calls under way
    for each agent of the estimate, or is ``None`` while no call is. Loads are recorded, so a replay decides alike::

        def _utilities(self, estimate: Estimate, mask: MaskArray, context: RouteContext) -> FloatArray:
            utilities = super()._utilities(estimate, mask, context)
            return utilities if context.load is None else utilities - 0.1 * context.load

    A utility of a calibrated router rises by ``objective.quality`` times what the quality rises: what would flip a
    decision is reckoned from that.
    """

    calibrated: bool = False
    """Whether ``estimate`` gives qualities of 0 to 1; otherwise affinities, which only rank the agents."""

    tunables: ClassVar[Mapping[str, tuple[JsonValue, ...]]] = {}
    """The constructor arguments worth choosing on validation data, and the values to try."""

    trains: bool = False
    """Whether it must be fitted on a table to be of use: learning one outcome at a time does not train it."""

    def __init__(self, *, policy: str = "greedy", **parameters: JsonValue) -> None:
        """Keep the arguments; subclasses pass theirs on by name."""
        self._policy = PolicySpec.parse(policy)
        drawn: Mapping[str, JsonValue] = {} if policy == "greedy" else {"policy": policy}
        self._parameters: Mapping[str, JsonValue] = {**parameters, **drawn}
        self._window = OutcomeWindow()
        self._base = ""
        self._hashed: tuple[str, str] | None = None
        self._sequence = 0
        self._at = 0.0

    @abstractmethod
    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        """Return what to expect of each agent of ``pool``, gated ones included. Pure: it changes nothing."""

    def _fit(self, outcomes: Outcomes) -> None:
        """Learn a whole table, in place of what was learned before. A router that does not keeps this."""

    def _fit_checked(self, outcomes: Outcomes, val: Outcomes | None, say: Say) -> None:  # noqa: ARG002 - the hook's
        """Learn a whole table as ``_fit`` does; one that trains for long writes this in its place."""
        self._fit(outcomes)

    def _learn(self, experience: Experience) -> None:
        """Learn one outcome. A router that does not keeps this."""

    def _arrays(self) -> Arrays:
        """Return what was learned as arrays by name."""
        return {}

    def _meta(self) -> Mapping[str, JsonValue]:
        """Return the JSON-able rest of what was learned."""
        return {}

    def _load(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> None:
        """Take over what ``_arrays`` and ``_meta`` returned, in place of everything learned before."""

    def _utilities(self, estimate: Estimate, mask: MaskArray, context: RouteContext) -> FloatArray:
        """Weigh an estimate whose agents, as the arrays of ``context``, stand in the order of their ids."""
        scale = self._window.scale()
        return utility(estimate, context.objective, mask, scale=scale, calibrated=self.calibrated)

    def _policy_for(self, context: RouteContext) -> Policy:
        """Return the policy of this decision."""
        return self._policy.build(explore=context.explore)

    def score(self, features: TaskFeatures, pool: AgentPool) -> FloatArray:
        """Return the estimated quality or affinity of each agent, shape (n,); higher is better."""
        return self.estimate(features, pool).quality

    async def route(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        """Select up to ``context.max_agents`` agents of ``pool``; see :meth:`decide`."""
        return self.decide(features, pool, context)

    def decide(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        """Estimate, weigh, draw. The order of the pool has no effect on who is drawn.

        Raises:
            NoCandidateError: the mask of ``pool`` is False everywhere.
            RouterOutputError: ``estimate`` returned arrays that do not fit the pool.
        """
        started = time.perf_counter()
        if not pool.mask.any():
            raise NoCandidateError(_nobody(pool))
        estimate = self._checked(self.estimate(features, pool), pool)
        policy = self._policy_for(context)
        rated = self._rated(estimate, pool, context, policy)
        margin, explored = rated.lead()
        return built(
            RouteDecision,
            router=self.name,
            router_version=self.version,
            registry_version=pool.registry_version,
            seed=context.seed,
            selected=rated.selections(),
            candidates=rated.candidates(context.top),
            scores=rated.packed_scores(),
            probabilities=pack_floats(rated.draw.probabilities),
            margin=margin,
            threshold=policy.threshold,
            abstained=len(rated.draw.order) == 0,
            log_propensity=rated.draw.log_p,
            explored=explored,
            policy=policy.name,
            reason="" if len(rated.draw.order) else f"nobody reached {policy.threshold!r}",
            intent=named_kinds(estimate.intent) if estimate.intent else {},
            evidence=rated.evidence(),
            stages=(),
            reasoning=None,
            elapsed_ms=(time.perf_counter() - started) * 1e3,
        )

    def _rated(self, estimate: Estimate, pool: AgentPool, context: RouteContext, policy: Policy) -> Rated:
        order = canonical_order(pool.ids)
        mask, ordered = pool.mask, estimate
        if order is not None:
            mask, ordered, context = mask[order], reordered(estimate, order), reordered_context(context, order)
        utilities = self._utilities(ordered, mask, context)
        if context.bonus is not None:
            utilities = utilities + context.bonus
        rng = np.random.default_rng(context.seed % 2**64)
        draw = policy.draw(utilities, mask, k=context.max_agents, rng=rng)
        if order is not None:
            draw, back = placed_back(draw, order), np.empty(len(order))
            back[order] = utilities
            utilities = back
        return Rated(
            ids=pool.ids,
            versions=pool.versions,
            mask=pool.mask,
            refused=pool.refused,
            estimate=estimate,
            utilities=utilities,
            draw=draw,
            calibrated=self.calibrated,
            weight=context.objective.quality,
        )

    def _checked(self, estimate: Estimate, pool: AgentPool) -> Estimate:
        shape = (len(pool),)
        for part, values in (("quality", estimate.quality), ("cost", estimate.cost), ("latency", estimate.latency)):
            if values.shape != shape:
                raise RouterOutputError(
                    f"router {self.name!r} returned {part} of shape {values.shape!r}; expected {shape!r}"
                )
        bad = np.flatnonzero(pool.mask & ~np.isfinite(estimate.quality))
        if len(bad):
            value, agent_id = float(estimate.quality[bad[0]]), pool.ids[bad[0]]
            raise RouterOutputError(f"router {self.name!r} rated {agent_id!r} {value!r}; expected a finite number")
        return estimate

    def fit(self, outcomes: Outcomes, *, val: Outcomes | None = None, say: Say = unsaid) -> None:
        """Learn a whole table in one go, in place of everything learned before; it becomes this router's ``base``.

        Args:
            outcomes: What is learned.
            val: What a router that trains for long may choose a checkpoint on; nothing of it is learned.
            say: Told how far a long training is.

        Raises:
            MissingExtraError: it needs a package to be trained that is not installed.
        """
        self._fit_checked(outcomes, val, say)
        self._window.fill(outcomes.quality, outcomes.cost)
        self._base = outcomes.fingerprint()
        self._sequence, self._at = 0, 0.0

    def learn(self, experience: Experience) -> None:
        """Take in one outcome.

        Raises:
            RoutingError: its ``sequence`` is not above that of the last one.
        """
        if experience.sequence <= self._sequence:
            raise RoutingError(
                f"experience {experience.sequence!r} came after {self._sequence!r}; expected a rising sequence from 1"
            )
        self._learn(experience)
        cost, latency = experience.cost_usd, experience.latency_s
        self._window.add(
            quality=experience.quality,
            cost=np.nan if cost is None else float(cost),
            latency=np.nan if latency is None else latency,
        )
        self._sequence, self._at = experience.sequence, experience.at

    def skip(self, sequence: int, at: float) -> None:
        """Pass over an outcome that :meth:`learn` refused."""
        self._sequence, self._at = sequence, at

    def rebase(self, base: str) -> None:
        """Count what was learned so far as what this was fitted on, called ``base``: the next outcome is the first.

        For a state that comes from elsewhere: the numbers of another log mean nothing in this one.
        """
        self._base, self._sequence = base, 0

    def foresee(self, vectors: VectorArray) -> None:
        """Be told the tasks (m, d) that are decided next, before anything is learned: some look at all at once."""

    def inherit(self, serving: "ScoringRouter") -> None:
        """Take over from ``serving``, a router of the same parameters, what no table of outcomes teaches."""

    def snapshot(self) -> RouterState:
        """Return the whole state; ``at`` is the time of the last experience, so no clock is read."""
        meta: dict[str, JsonValue] = {"base": self._base, "router": dict(self._meta())}
        payload = pack_state({**self._arrays(), "_window": self._window.rows()}, meta)
        return RouterState(
            router=self.name, parameters=self.parameters_hash, sequence=self._sequence, at=self._at, payload=payload
        )

    def restore(self, state: RouterState) -> None:
        """Take over ``state``, its base included.

        Raises:
            ConfigError: the state is of another router or of other parameters, or cannot be read.
        """
        if state.router != self.name:
            raise ConfigError(f"a state of router {state.router!r} was given; expected one of {self.name!r}")
        arrays, meta = unpack_state(state.payload)
        base, rest = meta.get("base"), meta.get("router")
        if not isinstance(base, str) or not isinstance(rest, dict) or "_window" not in arrays:
            raise ConfigError(f"a state of router {self.name!r} lacks its base, meta or window")
        expected = hash_parameters(self.name, self.parameters, base)
        if state.parameters != expected:
            raise ConfigError(f"a state of parameters {state.parameters!r} was given; expected {expected!r}")
        window = arrays.pop("_window")
        try:
            kept = OutcomeWindow()
            kept.load(window)
            self._load(arrays, rest)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ConfigError(f"a state of router {self.name!r} does not fit: {error!r}") from error
        self._window, self._base, self._sequence, self._at = kept, base, state.sequence, state.at

    @property
    def is_fittable(self) -> bool:
        """Return whether :meth:`fit` teaches it anything."""
        kind = type(self)
        hooks = (kind._fit, kind._fit_checked)
        return hooks != (ScoringRouter._fit, ScoringRouter._fit_checked)

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """Return the constructor's arguments."""
        return self._parameters

    @property
    def sequence(self) -> int:
        """Return the number of the last experience learned."""
        return self._sequence

    @property
    def at(self) -> float:
        """Return the time of the last experience, 0 at the start."""
        return self._at

    @property
    def parameters_hash(self) -> str:
        """Return the hash of the parameters and the base, made once for each base: every decision names it."""
        if self._hashed is None or self._hashed[0] != self._base:
            self._hashed = (self._base, hash_parameters(self.name, self._parameters, self._base))
        return self._hashed[1]

    @property
    def base(self) -> str:
        """Return the fingerprint of the table this router was fitted on, "" when it was not."""
        return self._base


def _nobody(pool: AgentPool) -> str:
    if not pool.ids:
        return "no agent is registered; expected at least one"
    gates = ", ".join(f"{agent_id!r} by {gate!r}" for agent_id, gate in sorted(pool.refused.items())[:3])
    return f"no agent of {len(pool)!r} passes the gates (refused: {gates or 'all'}); expected at least one"
