"""The router that reasons: a cheap router chooses who is worth asking about, and a chat model chooses among them."""

from collections.abc import Mapping
from dataclasses import replace

from agentmesh.errors import ConfigError
from agentmesh.records import Experience, RouteDecision, RouterState
from agentmesh.routing.base import AgentPool, RouteContext, Router, TaskFeatures, hash_parameters
from agentmesh.routing.nested import Named, inner, named_as
from agentmesh.routing.reasoning.reasoner import Reasoner
from agentmesh.routing.state import unpack_state
from agentmesh.types import JsonValue


class ReasoningRouter(Router):
    """Asks a chat model on every task which of the best few agents should act.

    The rule: the prefilter rates all agents and the best ``candidates`` go to the model (``context.asker``), with their
    cards, the task and the last turns of its conversation. The model reasons, then names up to three agents or says
    that nobody fits. A new agent needs no more than its description to be among them. Without a model, or where its
    reply is of no use, the prefilter decides. What comes of the choices teaches the prefilter.

    Reference: TCAndon-Router, arXiv 2601.04544; the pre-filter keeps the prompt short where there are many agents.

    Args:
        prefilter: The cheap router: its name, ``{"router": name, "arguments": {...}}``, or a router.
        candidates: How many agents are put to the model; 2 or more.
        timeout_s: How long to wait for the reply; above 0.
        most_tokens: How much the model may write; 1 or more.
        structured: Whether the reply is asked for by a JSON schema, which some endpoints refuse.

    Raises:
        ConfigError: an argument is out of range, or names no router.

    >>> ReasoningRouter(prefilter="cosine").parameters["prefilter"]
    {'router': 'cosine', 'arguments': {}}
    """

    name = "reasoning"

    def __init__(
        self,
        *,
        prefilter: Named = "kernel",
        candidates: int = 12,
        timeout_s: float = 10.0,
        most_tokens: int = 400,
        structured: bool = True,
    ) -> None:
        self.prefilter = inner(prefilter)
        self._reasoner = Reasoner(
            candidates=candidates, timeout_s=timeout_s, most_tokens=most_tokens, structured=structured
        )

    async def route(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        """Let the prefilter decide, then the model."""
        wide = replace(context, top=max(context.top, self._reasoner.candidates))  # so that all it is asked of are told
        cheap = await self.prefilter.route(features, pool, context if context.asker is None else wide)
        decision = await self._reasoner.consult(features, pool, context, cheap)
        return decision.model_copy(update={"router": self.name, "router_version": self.version})

    def learn(self, experience: Experience) -> None:
        """Teach the prefilter."""
        self.prefilter.learn(experience)

    def skip(self, sequence: int, at: float) -> None:
        """Have the prefilter pass over an outcome."""
        self.prefilter.skip(sequence, at)

    def snapshot(self) -> RouterState:
        """Return the prefilter's state under this router's name."""
        state = self.prefilter.snapshot()
        return state.model_copy(update={"router": self.name, "parameters": self.parameters_hash})

    def restore(self, state: RouterState) -> None:
        """Take over the prefilter's state."""
        if state.router != self.name:
            raise ConfigError(f"a state of router {state.router!r} was given; expected one of {self.name!r}")
        base = _base_of(state.payload)
        expected = hash_parameters(self.name, self.parameters, base)
        if state.parameters != expected:
            raise ConfigError(f"a state of parameters {state.parameters!r} was given; expected {expected!r}")
        own = self.prefilter
        inner = hash_parameters(own.name, own.parameters, base)
        own.restore(state.model_copy(update={"router": own.name, "parameters": inner}))

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """Return the constructor's arguments, the prefilter in full."""
        return {"prefilter": named_as(self.prefilter), **self._reasoner.parameters}

    @property
    def sequence(self) -> int:
        """Return the number of the last experience learned."""
        return self.prefilter.sequence

    @property
    def base(self) -> str:
        """Return the fingerprint of the table that the prefilter was fitted on."""
        return self.prefilter.base

    @property
    def training(self) -> Mapping[str, JsonValue]:
        """Return what is to be said of the prefilter's training."""
        return self.prefilter.training


def _base_of(payload: bytes) -> str:
    """Return what a state says it was fitted on."""
    base = unpack_state(payload)[1].get("base", "")
    return base if isinstance(base, str) else ""
