"""Turns a score into what a router can learn from it: one experience for each agent that earned it."""

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from agentmesh.errors import AgentMeshError, ConfigError
from agentmesh.events import Event, FeedbackGiven, fold
from agentmesh.learning.faults import keep_fault, told
from agentmesh.learning.gate import agents_taught
from agentmesh.learning.lessons import lessons, lessons_of_workflow
from agentmesh.learning.settings import Learning
from agentmesh.records import CallStatus, Experience, Feedback, LearningFault, Run
from agentmesh.store.base import TraceStore
from agentmesh.store.refusals import unfinished
from agentmesh.types import AgentId, Clock, RunId, SystemClock

LONGEST_SOURCE = 200
"""Characters: a source is a name, and stands in every experience that it leads to."""


def record_feedback(
    store: TraceStore,
    run_id: RunId,
    score: float,
    *,
    agent: AgentId | None = None,
    source: str = "user",
    learning: Learning | None = None,
    clock: Clock | None = None,
) -> list[Experience]:
    """Store what an answer was worth, and the experiences that follow from it, in one transaction.

    The score itself is always stored with its source. It teaches nothing about an agent whose answer a better source
    has scored already (:mod:`agentmesh.learning.gate`); then the agent is not among the experiences returned. A score
    is about the version of the agent that answered: it is accepted when the agent was changed or removed since, and
    routers pass it over once they know a newer version. A score of a workflow's answer teaches of the agents of its
    stages, in their own runs. A score that is refused is kept as a fault of learning.

    Args:
        store: Where the run is kept.
        run_id: The run that is scored.
        score: 0 (useless) to 1 (right).
        agent: Whose answer is scored; without it the final answer, and credit goes to those whose answer won.
        source: Who scored: ``"user"``, ``"verifier:exact"``, ``"judge:..."``. Each source scores an answer once.
        learning: What a source's scores weigh, and which of a judge's are undecided.
        clock: What stamps the feedback; the machine's by default.

    Raises:
        RunNotFoundError: no such run is stored.
        DuplicateFeedbackError: this source has scored this answer before.
        StoreError: the run has not finished.
        ConfigError: the score is not within 0 to 1, the source is no name, the agent was not called, or the run has
            no answer to score.
    """
    at = (clock or SystemClock()).now()
    try:
        events = store.events(run_id)
        run = fold(events)
        if not run.status.has_ended:
            raise unfinished(run_id, store.url)
        feedback = _checked_feedback(run_id, score, agent=agent, source=source, at=at)
        learned = _experiences(store, events, run, feedback, learning or Learning())
        return store.add_feedback(feedback, learned)
    except AgentMeshError as error:
        keep_fault(store, LearningFault(at=at, run_id=run_id, source=source[:LONGEST_SOURCE], message=told(error)))
        raise


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
    if not source.strip() or len(source) > LONGEST_SOURCE or not _is_unicode(source):
        raise ConfigError(
            f"the source is {source[:LONGEST_SOURCE]!r}; say in 1 to {LONGEST_SOURCE} characters who scored, such as "
            "'user' or 'verifier:exact'"
        )
    try:
        return Feedback(run_id=run_id, score=score, agent_id=agent, source=source, at=at)
    except ValidationError as error:
        raise ConfigError(f"a score of {score!r} cannot be learned from; give a number from 0 to 1") from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no database stores
        return False
    return True


def _experiences(
    store: TraceStore, events: Sequence[Event], run: Run, feedback: Feedback, learning: Learning
) -> list[Experience]:
    agents = credited_agents(run, feedback.agent_id)
    if run.stages:
        return lessons_of_workflow(store, events, feedback, learning)
    taught = agents_taught(feedback, agents, run=run, earlier=_earlier(events), learning=learning)
    return lessons(events, run, taught, feedback, learning)


def _earlier(events: Iterable[Event]) -> list[Feedback]:
    return [event.feedback for event in events if isinstance(event, FeedbackGiven)]
