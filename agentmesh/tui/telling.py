"""An event of a run in one line of words."""

from agentmesh.display import seconds, shorten, usd
from agentmesh.events import (
    AnswerChecked,
    AnswerChunk,
    AnswerRefined,
    ApprovalAsked,
    ApprovalGiven,
    CallFinished,
    CallStarted,
    ContextSliced,
    DecisionMade,
    Event,
    FeedbackGiven,
    RunFinished,
    RunResumed,
    RunStarted,
    StageFinished,
    StageStarted,
    StageWaiting,
    TaskPrepared,
    WaveStarted,
)

LONGEST = 60
"""Characters of a text that a line quotes."""


def told(event: Event) -> str:  # noqa: C901 - one case for each kind of event
    """Return an event in words, without its time and run."""
    match event:
        case RunStarted():
            return f"started: {_quoted(event.task.text)}{_part(event)}"
        case TaskPrepared():
            return f"prepared{_listed(', refused ', event.refused)}{_listed(', busy ', event.load)}"
        case DecisionMade():
            return _decision(event)
        case WaveStarted():
            return f"wave {event.wave}: {', '.join(event.agents) or 'nobody more'} ({event.reason})"
        case CallStarted():
            return f"{event.agent_id} is asked{_again(event.attempt)}"
        case AnswerChunk():
            return f"{event.agent_id} says {_quoted(event.text)}"
        case CallFinished():
            return _call(event)
        case ContextSliced():
            return f"{event.agent_id} gets {event.tokens} of {event.full_tokens} tokens of the context"
        case AnswerChecked():
            verdict = "passed" if event.passed else "did not pass"
            return f"{event.agent_id} {verdict} the check {event.check}{_because(event.reason)}"
        case ApprovalAsked():
            return f"waits: may {event.request.agent_id} be asked?{_because(event.request.reason)}"
        case ApprovalGiven():
            return f"the call of {event.reply.agent_id}: {event.reply.verdict}, said {event.reply.by or 'a person'}"
        case RunResumed():
            return f"goes on{_because(event.reason)}"
        case StageStarted():
            return f"stage {event.stage} begins"
        case StageWaiting():
            return f"stage {event.stage} waits for a person"
        case StageFinished():
            ended = "passed over" if event.result.status is None else event.result.status.value.replace("_", " ")
            return f"stage {event.result.stage} {ended}{_because(event.result.reason)}"
        case AnswerRefined():
            against = f", {len(event.conflicts)} in conflict" if event.conflicts else ""
            return f"one answer of {', '.join(event.answered_by) or 'nobody'} by {event.refiner}{against}"
        case RunFinished():
            why = _because(event.error or "")
            return f"{event.status.value.replace('_', ' ')}, {usd(event.cost_usd)}, {seconds(event.elapsed_s)}{why}"
        case FeedbackGiven():
            whose = event.feedback.agent_id or "the answer"
            return f"{whose} scored {event.feedback.score:.2f} by {event.feedback.source}"


def _decision(event: DecisionMade) -> str:
    decision = event.decision
    if decision.abstained:
        return f"nobody chosen by {decision.router}{_because(decision.reason)}"
    chosen = ", ".join(selection.agent_id for selection in decision.selected)
    margin = "" if decision.margin is None else f", margin {decision.margin:+.3f}"
    explored = ", drawn to explore" if decision.explored else ""
    return f"chosen by {decision.router}: {chosen}{margin}{explored}{_because(decision.reason)}"


def _call(event: CallFinished) -> str:
    call = event.call
    ended = f"{call.agent_id} {call.status.value.replace('_', ' ')}{_again(call.attempt)}"
    said = "" if call.answer is None else f": {_quoted(call.answer.text)}"
    return f"{ended}, {usd(call.cost_usd)}, {seconds(call.latency_s)}{said}{_because(call.error or '')}"


def _quoted(text: str) -> str:
    return f"'{shorten(text, LONGEST)}'"


def _part(event: RunStarted) -> str:
    return f" as stage {event.stage}" if event.stage else ""


def _again(attempt: int) -> str:
    return f" (attempt {attempt})" if attempt > 1 else ""


def _because(reason: str) -> str:
    return f" ({shorten(reason, LONGEST)})" if reason else ""


def _listed(head: str, names: object) -> str:
    listed = ", ".join(sorted(names)) if names else ""  # type: ignore[call-overload]
    return f"{head}{listed}" if listed else ""
