"""Asks a chat model which of the best few agents should act, and makes its reply part of a decision."""

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.packing import pack_floats
from agentmesh.protocols import ChatRequest
from agentmesh.records import Candidate, Reasoning, RouteDecision, Selection
from agentmesh.routing.asking import Reply
from agentmesh.routing.inputs import AgentPool, RouteContext, TaskFeatures
from agentmesh.routing.preference import PIN
from agentmesh.routing.reasoning.chances import Chances, is_best, is_reckonable, ranked, turned
from agentmesh.routing.reasoning.legible import one_line
from agentmesh.routing.reasoning.parsing import Parsed, kept, parse
from agentmesh.routing.reasoning.prompt import question
from agentmesh.types import AgentId, IndexArray, JsonValue

MOST: Final = 3  # agents that a reply may name
STEP: Final = 0.1
"""What each agent named weighs less than the one before: the first wins a tie, and two that agree outvote it."""

MOST_TOLD: Final = 400
"""Characters of the model's reason that a decision's reason tells; ``reasoning`` has it whole."""


class Reasoner:
    """Takes what a cheap router chose, asks a model about its best few, and returns what is to be done.

    The model writes a short reason first (the likely need, the skill it takes, where each agent's ground ends), then
    names agents or says that the task is out of scope. The router's decision stands where nobody can be asked or the
    reply is of no use, and says so; where it explored, abstained or had no choice, it stands and nothing is asked.

    Reference: TCAndon-Router, arXiv 2601.04544.

    Args:
        candidates: How many agents are put to the model, the best by the router's utilities; 2 or more.
        timeout_s: How long to wait for the reply; above 0.
        most_tokens: How much the model may write; 1 or more.
        structured: Whether the reply is asked for by a JSON schema, which some endpoints refuse.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(
        self, *, candidates: int = 12, timeout_s: float = 10.0, most_tokens: int = 400, structured: bool = True
    ) -> None:
        if candidates < 2:
            raise ConfigError(f"candidates is {candidates!r}; expected 2 or more, or there is nothing to choose")
        if not timeout_s > 0:
            raise ConfigError(f"timeout_s is {timeout_s!r}; expected seconds above 0")
        if most_tokens < 1:
            raise ConfigError(f"most_tokens is {most_tokens!r}; expected 1 or more")
        self.candidates = candidates
        self.timeout_s = timeout_s
        self.most_tokens = most_tokens
        self.structured = structured

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """Return the constructor's arguments."""
        return {
            "candidates": self.candidates,
            "timeout_s": self.timeout_s,
            "most_tokens": self.most_tokens,
            "structured": self.structured,
        }

    async def consult(
        self, features: TaskFeatures, pool: AgentPool, context: RouteContext, decision: RouteDecision
    ) -> RouteDecision:
        """Return ``decision``, its agents replaced by those that the model names; ``reasoning`` says what it said."""
        started = time.perf_counter()
        order = ranked(decision, pool)
        if decision.abstained or len(order) < 2 or not is_best(decision, pool, order):
            return decision
        most = min(MOST, context.max_agents)
        ids = [pool.ids[place] for place in order[: self.candidates].tolist()]
        asked = question(features, pool, ids, most=most)
        reply = await self._reply(asked.request, context, decision)
        reasoning = _understood(reply, asked.asked, most)
        elapsed_ms = decision.elapsed_ms + (time.perf_counter() - started) * 1e3
        return _settled(decision, pool, order, reasoning).model_copy(update={"elapsed_ms": elapsed_ms})

    async def _reply(self, request: ChatRequest, context: RouteContext, decision: RouteDecision) -> Reply:
        if not is_reckonable(decision):
            why = f"a set drawn by {decision.policy!r} is not replaced: its chances are unknown"
            return Reply("", model="", fault=why, cost_usd=Decimal(0))
        if context.asker is None:
            return Reply("", model="", fault="there is no chat model to ask", cost_usd=Decimal(0))
        schema = request.json_schema if self.structured else None
        sized = request.model_copy(update={"max_tokens": self.most_tokens, "json_schema": schema})
        return await context.asker.ask(sized, timeout_s=self.timeout_s)


def _understood(reply: Reply, asked: tuple[AgentId, ...], most: int) -> Reasoning:
    text = "" if reply.fault else kept(reply.text)
    parsed = Parsed(fault=one_line(reply.fault, MOST_TOLD)) if reply.fault else parse(text, asked=asked, most=most)
    return Reasoning(
        model=one_line(reply.model, MOST_TOLD),
        asked=asked,
        reply=text,
        reason=parsed.reason,
        named=parsed.named,
        out_of_scope=parsed.out_of_scope,
        repairs=parsed.repairs,
        fault=parsed.fault,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost_usd=reply.cost_usd,
        latency_s=reply.latency_s,
        cached=reply.cached,
    )


def _settled(decision: RouteDecision, pool: AgentPool, order: IndexArray, reasoning: Reasoning) -> RouteDecision:
    """Return the decision with what the model said made part of it, or as it was."""
    who = f"the model {reasoning.model!r}" if reasoning.model else "the reasoning model"
    if reasoning.fault:
        return _standing(decision, reasoning, f"{who} was of no use: {reasoning.fault}")
    if reasoning.out_of_scope and PIN in pool.refused.values():
        repairs = (*reasoning.repairs, "it says out of scope, but a pin holds; the pinned agents stand")
        return _standing(decision, reasoning.model_copy(update={"repairs": repairs}), f"{who} says out of scope")
    told = f": {one_line(reasoning.reason, MOST_TOLD)}" if reasoning.reason else ""
    named = ", ".join(repr(agent_id) for agent_id in reasoning.named)
    said = f"{who} says out of scope{told}" if reasoning.out_of_scope else f"{who} chose {named}{told}"
    places = np.array([pool.index[agent_id] for agent_id in reasoning.named], dtype=np.int64)
    chances = turned(decision, order, places)
    return decision.model_copy(
        update={
            "selected": _selections(reasoning.named),
            "candidates": _candidates(decision, pool, reasoning.named, chances),
            "probabilities": pack_floats(chances.probabilities),
            "margin": _margin(decision, order, places),
            "abstained": not reasoning.named,
            "log_propensity": chances.log_p,
            "evidence": decision.evidence if reasoning.named[:1] == _first(decision) else (),
            "reason": _joined(decision.reason, said),
            "reasoning": reasoning,
        }
    )


def _standing(decision: RouteDecision, reasoning: Reasoning, why: str) -> RouteDecision:
    reason = _joined(decision.reason, f"{why}; what router {decision.router!r} chose stands")
    return decision.model_copy(update={"reason": reason, "reasoning": reasoning})


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _first(decision: RouteDecision) -> tuple[AgentId, ...]:
    return tuple(selection.agent_id for selection in decision.selected[:1])


def _selections(named: Sequence[AgentId]) -> tuple[Selection, ...]:
    raw = 1.0 - STEP * np.arange(len(named))
    weights = (raw / raw.sum()).tolist() if len(named) else []
    return tuple(Selection(agent_id=one, weight=weight) for one, weight in zip(named, weights, strict=True))


def _margin(decision: RouteDecision, order: IndexArray, named: IndexArray) -> float | None:
    """Return the utility of the first agent named minus that of the best one left out."""
    left = order[~np.isin(order, named)]
    if len(named) == 0 or len(left) == 0:
        return None
    scores = decision.score_array()
    return float(scores[named[0]] - scores[left[0]])


def _candidates(
    decision: RouteDecision, pool: AgentPool, named: Sequence[AgentId], chances: Chances
) -> tuple[Candidate, ...]:
    """Return the readable candidates with their new chances, all agents named among them, the refused ones last."""
    scores = decision.score_array()
    shown = {candidate.agent_id: candidate for candidate in decision.candidates if candidate.gate is None}
    for agent_id in named:
        place = pool.index[agent_id]
        bare = Candidate(
            agent_id=agent_id,
            score=float(scores[place]),
            probability=0.0,
            inclusion=0.0,
            agent_version=int(pool.versions[place]),
        )
        shown.setdefault(agent_id, bare)
    ordered = sorted(shown.values(), key=lambda one: -scores[pool.index[one.agent_id]])
    refused = (candidate for candidate in decision.candidates if candidate.gate is not None)
    return (*(_with_chances(one, pool.index[one.agent_id], chances) for one in ordered), *refused)


def _with_chances(candidate: Candidate, place: int, chances: Chances) -> Candidate:
    probability, inclusion = float(chances.probabilities[place]), float(chances.inclusion[place])
    # no quality alone would flip what a model chose
    return candidate.model_copy(update={"probability": probability, "inclusion": inclusion, "flip": None})
