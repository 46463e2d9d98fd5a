"""Where the log of a run may be cut for a fork.

Calls of one wave are made at once, so a log that is cut within a wave holds a part of what was one step. Between waves,
and between all other events, it may be cut anywhere.
"""

from collections.abc import Sequence

from agentmesh.errors import ConfigError
from agentmesh.events import (
    AnswerChecked,
    ApprovalAsked,
    ApprovalGiven,
    CallFinished,
    CallStarted,
    ContextSliced,
    Event,
    RunFinished,
    WaveStarted,
)


def check_place(events: Sequence[Event], at: int) -> None:
    """See that a run can be forked at event ``at``, the first that is not taken over.

    A run that has not ended may be forked at the number after its last event, whatever it is doing.

    Raises:
        ConfigError: there is no such event, it comes after the end, or it lies within a wave.
    """
    run_id, end = events[0].run_id, next((event.seq for event in events if isinstance(event, RunFinished)), None)
    last = len(events) if end is None else end
    if not 0 <= at <= last:
        what = f"has {len(events)} events so far" if end is None else f"ended with event {end}"
        raise ConfigError(f"run {run_id!r} {what}, so it cannot be forked at {at!r}; accepted are 0 to {last}")
    for wave, (first, behind) in spans(events).items():
        if first < at < behind and at != len(events):
            raise ConfigError(
                f"event {at} of run {run_id!r} lies within wave {wave}, whose calls are made at once; "
                f"fork at {first}, before it, or at {behind}, after it"
            )


def spans(events: Sequence[Event]) -> dict[int, tuple[int, int]]:
    """Return the first event of each wave of calls, and the number after its last."""
    found: dict[int, tuple[int, int]] = {}
    for event in events:
        wave = _wave_of(event)
        if wave is not None:
            found[wave] = (found.get(wave, (event.seq, 0))[0], event.seq + 1)
    return found


def _wave_of(event: Event) -> int | None:
    match event:
        case WaveStarted(agents=(), wave=_):
            return None  # it says why there is no further one
        case WaveStarted() | ContextSliced() | AnswerChecked() | CallStarted():
            return event.wave
        case CallFinished(call=call):
            return call.wave
        case ApprovalAsked(request=request):
            return request.wave
        case ApprovalGiven(reply=reply):
            return reply.wave
        case _:
            return None
