"""Events, scores and states to fill a store with, each of a few fields that a test may set."""

from decimal import Decimal
from typing import Literal

from agentmesh.events import CallFinished, DecisionMade, Event, RunFinished, RunStarted
from agentmesh.records import (
    AgentCall,
    CallStatus,
    Experience,
    Feedback,
    Limits,
    Reasoning,
    RouteDecision,
    RouterMark,
    RouterState,
    RunStatus,
    Selection,
    Task,
)
from agentmesh.types import RunId


def start(run_id: RunId, *, text: str = "What is 12 * 7?", at: float = 0.0, seq: int = 0) -> RunStarted:
    """Return the first event of a run."""
    rest = {"registry_version": "r", "embedder": "e", "router": "random", "mesh_seed": 7}
    return RunStarted(run_id=run_id, seq=seq, at=at, task=Task(text=text), limits=Limits(), **rest)


def decided(run_id: RunId, seq: int, *, reason: str = "", reasoning: Reasoning | None = None) -> DecisionMade:
    """Return the event of a decision for one agent."""
    decision = RouteDecision(
        router="random",
        router_version="abc@0",
        registry_version="r",
        seed=7,
        selected=(Selection(agent_id="ada", weight=1.0),),
        candidates=(),
        scores=b"",
        probabilities=b"",
        reason=reason,
        reasoning=reasoning,
    )
    return DecisionMade(run_id=run_id, seq=seq, at=0, decision=decision)


def call(run_id: RunId, seq: int, agent_id: str = "ada", cost_usd: str | None = "0.1") -> CallFinished:
    """Return the event of a call that went well."""
    cost = None if cost_usd is None else Decimal(cost_usd)
    return CallFinished(
        run_id=run_id, seq=seq, at=0, call=AgentCall(agent_id=agent_id, status=CallStatus.OK, cost_usd=cost)
    )


def end(run_id: RunId, seq: int, status: RunStatus = RunStatus.COMPLETED) -> RunFinished:
    """Return the last event of a run."""
    return RunFinished(run_id=run_id, seq=seq, at=1, status=status, answer="84", cost_usd=Decimal("0.1"), elapsed_s=1)


def whole(run_id: RunId, *, text: str = "What is 12 * 7?", at: float = 0.0, agent_id: str = "ada") -> list[Event]:
    """Return the log of a run of one call."""
    return [start(run_id, text=text, at=at), call(run_id, 1, agent_id), end(run_id, 2)]


def lesson(run_id: RunId, quality: float = 1.0, *, agent_id: str = "ada", source: str = "user") -> Experience:
    """Return an experience, not yet numbered."""
    return Experience(run_id=run_id, text="t", vector=b"", agent_id=agent_id, quality=quality, source=source, at=2)


def score(run_id: RunId, value: float = 1.0, *, agent_id: str | None = None, source: str = "user") -> Feedback:
    """Return a score of a run's answer, or of an agent's."""
    return Feedback(run_id=run_id, score=value, agent_id=agent_id, source=source, at=2)


def state(sequence: int, *, router: str = "kernel", parameters: str = "abc", payload: bytes = b"x") -> RouterState:
    """Return a router state."""
    return RouterState(router=router, parameters=parameters, sequence=sequence, at=0, payload=payload)


def mark(
    *, router: str = "kernel", root: str = "abc", parameters: str = "abc", target: int | None = None
) -> RouterMark:
    """Return a mark, not yet numbered: a reset, or a rollback to ``target``."""
    kind: Literal["reset", "rollback"] = "reset" if target is None else "rollback"
    return RouterMark(router=router, root=root, parameters=parameters, kind=kind, target=target, at=3, note="n")
