"""Turns a score into what a router can learn from it: one experience for each agent that earned it."""

from collections.abc import Sequence
from decimal import Decimal

from pydantic import ValidationError

from agentmesh.errors import ConfigError
from agentmesh.events import DecisionMade, Event, RunStarted, TaskPrepared, fold, total_cost
from agentmesh.records import CallStatus, Experience, Feedback, Run
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, Clock, RunId, SystemClock


def record_feedback(
    store: TraceStore,
    run_id: RunId,
    score: float,
    *,
    agent: AgentId | None = None,
    source: str = "user",
    clock: Clock | None = None,
) -> list[Experience]:
    """Store what an answer was worth, and the experiences that follow from it, in one transaction.

    Args:
        store: Where the run is kept.
        run_id: The run that is scored.
        score: 0 (useless) to 1 (right).
        agent: Whose answer is scored; without it the final answer, and credit goes to those whose answer won.
        source: Who scored: ``"user"``, ``"verifier:exact"``, ``"judge:..."``.
        clock: What stamps the feedback; the machine's by default.

    Raises:
        RunNotFoundError: no such run is stored.
        ConfigError: the score is not within 0 to 1, the agent was not called, or the run has no answer to score.
    """
    events = store.events(run_id)
    run = fold(events)
    feedback = _checked_feedback(run_id, score, agent=agent, source=source, at=(clock or SystemClock()).now())
    return store.add_feedback(feedback, _experiences(events, run, credited_agents(run, agent), feedback))


def credited_agents(run: Run, agent: AgentId | None = None) -> tuple[AgentId, ...]:
    """Return whom a score of this run is for.

    Raises:
        ConfigError: ``agent`` was not called in this run, or without it, the run has no answer.
    """
    called = tuple(dict.fromkeys(call.agent_id for call in run.calls if call.status is not CallStatus.REFUSED))
    if agent is None and run.answered_by:
        return run.answered_by
    if agent is None:
        raise ConfigError(f"run {run.id!r} has no answer to score ({run.status}); name one of its agents: {called!r}")
    if agent not in called:
        raise ConfigError(f"agent {agent!r} was not called in run {run.id!r}; called were: {called!r}")
    return (agent,)


def _checked_feedback(run_id: RunId, score: float, *, agent: AgentId | None, source: str, at: float) -> Feedback:
    try:
        return Feedback(run_id=run_id, score=score, agent_id=agent, source=source, at=at)
    except ValidationError as error:
        raise ConfigError(f"a score of {score!r} cannot be learned from; give a number from 0 to 1") from error


def _experiences(
    events: Sequence[Event], run: Run, agents: tuple[AgentId, ...], feedback: Feedback
) -> list[Experience]:
    started = next(event for event in events if isinstance(event, RunStarted))
    prepared = next((event for event in events if isinstance(event, TaskPrepared)), None)
    decided = next((event for event in events if isinstance(event, DecisionMade)), None)
    if prepared is None or decided is None:
        return []
    inclusion = {candidate.agent_id: candidate.inclusion for candidate in decided.decision.candidates}
    return [
        Experience(
            run_id=run.id,
            text=run.task.text,
            vector=prepared.vector,
            embedder=started.embedder,
            agent_id=agent_id,
            agent_version=max(call.agent_version for call in run.calls if call.agent_id == agent_id),
            quality=feedback.score,
            cost_usd=_cost(run, agent_id),
            latency_s=sum(call.latency_s for call in run.calls if call.agent_id == agent_id),
            propensity=inclusion.get(agent_id),
            type_hints=run.task.type_hints,
            source=feedback.source,
            at=feedback.at,
        )
        for agent_id in agents
    ]


def _cost(run: Run, agent_id: AgentId) -> Decimal | None:
    return total_cost([call for call in run.calls if call.agent_id == agent_id])
