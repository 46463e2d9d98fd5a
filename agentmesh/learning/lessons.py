"""What a score teaches: one experience for each agent that earned it, in its own run or as a stage of a workflow."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from agentmesh.events import (
    AnswerRefined,
    DecisionMade,
    Event,
    FeedbackGiven,
    RunStarted,
    TaskPrepared,
    fold,
    total_cost,
)
from agentmesh.judging.sources import rank
from agentmesh.learning.gate import is_undecided
from agentmesh.learning.settings import Learning
from agentmesh.records import Experience, Feedback, Run
from agentmesh.routing.by_hand import BY_HAND
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, RunId

THROUGH: Final = ":workflow"
"""What is added to a source whose score of a whole workflow reaches the agents of its stages: their own scores, by the
same source too, stay possible and are told from it. The kind of the source, and so its weight, stays the same."""


def lessons(
    events: Sequence[Event], run: Run, agents: Iterable[AgentId], feedback: Feedback, learning: Learning
) -> list[Experience]:
    """Return what a score teaches of ``agents``; nothing where the run did not get as far as a decision.

    An agent has no propensity where it was not drawn for this run: a person named it, or a fork took the decision over.
    """
    started = next(event for event in events if isinstance(event, RunStarted))
    prepared = next((event for event in events if isinstance(event, TaskPrepared)), None)
    decided = next((event for event in events if isinstance(event, DecisionMade)), None)
    if prepared is None or decided is None:
        return []
    seen = {candidate.agent_id: candidate for candidate in decided.decision.candidates}
    was_drawn = decided.seq >= started.first_own and decided.decision.router != BY_HAND
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
            propensity=seen[agent_id].inclusion if agent_id in seen and was_drawn else None,
            type_hints=run.task.type_hints,
            source=feedback.source,
            weight=learning.weight_of(feedback.source),
            stage=started.layer,
            previous=started.previous,
            factors=seen[agent_id].factors if agent_id in seen else {},
            at=feedback.at,
        )
        for agent_id in agents
    ]


def lessons_of_workflow(
    store: TraceStore, events: Sequence[Event], feedback: Feedback, learning: Learning
) -> list[Experience]:
    """Return what a score of a workflow's answer teaches: of those whose answers it was made of, each in its own run.

    It teaches nothing where a better source has scored the whole before, and nothing of an agent whose own answer was
    scored by the same source or a better one: that says more.
    """
    if is_undecided(feedback, learning) or any(rank(one.source) < rank(feedback.source) for one in _scores(events)):
        return []
    found: list[Experience] = []
    for run_id in _rests_on(events):
        trace = store.events(run_id)
        run = fold(trace)
        own = [one for one in _scores(trace) if rank(one.source) <= rank(feedback.source)]
        settled = {
            agent_id for one in own for agent_id in (run.answered_by if one.agent_id is None else [one.agent_id])
        }
        passed_on = feedback.model_copy(update={"run_id": run_id, "source": feedback.source + THROUGH})
        agents = [agent_id for agent_id in run.answered_by if agent_id not in settled]
        found += lessons(trace, run, agents, passed_on, learning)
    return found


def _rests_on(events: Iterable[Event]) -> tuple[RunId, ...]:
    return next((event.rests_on for event in events if isinstance(event, AnswerRefined)), ())


def _scores(events: Iterable[Event]) -> list[Feedback]:
    return [event.feedback for event in events if isinstance(event, FeedbackGiven)]


def _cost(run: Run, agent_id: AgentId) -> Decimal | None:
    return total_cost([call for call in run.calls if call.agent_id == agent_id])
