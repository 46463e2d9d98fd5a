"""Which step of its run an event tells of, so that a run that goes on knows what it has behind it."""

from typing import TypeAlias

from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    ApprovalAsked,
    CallFinished,
    ContextSliced,
    DecisionMade,
    Event,
    RunStarted,
    StageFinished,
    StageStarted,
    TaskPrepared,
    WaveStarted,
)

Step: TypeAlias = tuple[object, ...]
"""A kind of event, and which of its kind."""


def step_of(event: Event) -> Step | None:
    """Return the step that an event says was done, ``None`` where it names none or the step may have to be done again.

    A call that began is no step: only one that ended was made. That somebody has spoken, and that a run went on or
    ended, happens when it happens.
    """
    match event:
        case RunStarted() | TaskPrepared() | DecisionMade() | AnswerRefined():
            return (type(event),)
        case WaveStarted(wave=wave):
            return WaveStarted, wave
        case CallFinished(call=call):
            return CallFinished, call.agent_id, call.wave, call.attempt
        case ContextSliced(agent_id=agent_id, wave=wave):
            return ContextSliced, agent_id, wave
        case ApprovalAsked(request=request):
            return ApprovalAsked, request.agent_id, request.wave
        case AnswerChecked(agent_id=agent_id, wave=wave, check=check, before=before):
            return AnswerChecked, agent_id, wave, check, before
        case StageStarted(stage=stage, part=part):
            return StageStarted, stage, part
        case StageFinished(result=result):
            return StageFinished, result.stage, result.part
        case _:
            return None
